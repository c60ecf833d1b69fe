#include "reconcilers/plan/prerequisites.h"

#include <sys/socket.h>

#include <algorithm>

#include "reconcilers/kinds/sharing.h"
#include "reconcilers/kinds/table.h"
#include "reconcilers/kinds/vlan.h"
#include "reconcilers/plan/host_bridge.h"
#include "reconcilers/plan/ownership.h"

namespace lanwright::planning {
namespace {

// " (network lan)" of what is declared.
std::string in_brackets(const DesiredObject* owner) {
  return owner != nullptr ? " (" + owner->object.id.text() + ")" : std::string{};
}

bool will_adopt(const Draft& draft, const DesiredObject& owner, const LinkName& base, const LinkFact& found) {
  const auto& links = draft.resources_of(owner).links;
  return owner.object.adopt && std::any_of(links.begin(), links.end(), [&](const LinkSpec& one) {
           return !one.borrowed && one.at == base && one.kind == found.kind;
         });
}

// The plan, or an earlier part of it, sees to it.
bool will_have_mtu(const Draft& draft, const LinkName& link, std::uint32_t least) {
  const DesiredObject* owner = draft.desired().owner_of(link);
  if (owner == nullptr || owner->object.deleting) return false;
  const auto& links = draft.resources_of(*owner).links;
  return std::any_of(links.begin(), links.end(), [&](const LinkSpec& one) {
    return !one.borrowed && !one.accept_foreign && one.at == link && one.mtu && *one.mtu >= least;
  });
}

bool is_ipv6(const IpPrefix& prefix) {
  return prefix.address.family == AF_INET6;
}

}  // namespace

std::optional<Error> Prerequisites::unmet(const DesiredObject& entry, const LinkSpec& link) const {
  if (!link.parent.empty()) {
    const LinkName parent{"", link.parent};
    if (auto error = unmet(entry, link.at, parent, true)) return error;
    const bool with_ipv6 = std::any_of(link.addresses.begin(), link.addresses.end(), is_ipv6);
    if (auto error = too_small(entry, link.at, parent, link.mtu, with_ipv6)) return error;
    if (auto error = twin_of(entry, link)) return error;
  }
  if (link.master.empty()) return std::nullopt;
  if (auto error = unmet(entry, link.at, {link.at.netns, link.master}, false)) return error;
  return unfit_for_port(entry, link);
}

// A port would change a bridge of the host's that its network cannot have as it is.
std::optional<Error> Prerequisites::unfit_for_port(const DesiredObject& entry, const LinkSpec& port) const {
  if (!entry.network) return std::nullopt;
  for (const LinkSpec& bridge : draft_.resources_of(*entry.network).links) {
    if (!bridge.is_host_bridge() || bridge.at.name != port.master) continue;
    const LinkFact* found = draft_.observed().find(bridge.at);
    const auto why = found != nullptr ? unfit_host_bridge(*entry.network, bridge, *found) : std::nullopt;
    if (why) return waiting(entry, port.at, "bridge " + port.master + ": " + why->words, why->hint);
  }
  return std::nullopt;
}

std::optional<Error> Prerequisites::unmet(const DesiredObject& entry, const LinkName& link,
                                          const LinkName& base, bool as_parent) const {
  if (draft_.creates(base) || draft_.renames_to(base)) return std::nullopt;
  const LinkFact* found = draft_.observed().find(base);
  if (found != nullptr && !draft_.removes(base.netns, found->ifindex)) {
    const auto no_parent = as_parent ? unfit(entry, link, base, *found) : std::nullopt;
    return no_parent ? no_parent : unusable(entry, link, base, *found);
  }
  const DesiredObject* owner = draft_.desired().owner_of(base);
  const bool dotted = owner == nullptr && base.name.find('.') != std::string::npos;
  return waiting(entry, link,
                 std::string("its ") + (as_parent ? "parent " : "bridge ") + base.text() +
                     in_brackets(owner) + " does not exist" + (owner != nullptr ? cause_of(*owner) : ""),
                 "it is made as soon as " + base.name + " appears" +
                     (dotted ? "; only a VLAN link called NAME.VID is made on demand" : ""));
}

// What keeps a VLAN from being made, where that is not only that something is not there yet.
std::string Prerequisites::cause_of(const DesiredObject& owner) const {
  if (owner.object.id.kind != Kind::vlan) return {};
  for (const LinkSpec& link : draft_.resources_of(owner).links) {
    const auto error = unmet(owner, link);
    if (error && error->kind == ErrorKind::conflict) return ": " + error->words;
  }
  return {};
}

// A parent has one link for each VLAN ID, whatever that is called.
std::optional<Error> Prerequisites::twin_of(const DesiredObject& entry, const LinkSpec& link) const {
  const auto id = find(link.attributes, kinds::vlan::kId);
  const LinkFact* parent = id ? draft_.observed().find(LinkName{"", link.parent}) : nullptr;
  if (parent == nullptr) return std::nullopt;
  const LinkFact* own = locate(draft_, entry, link);
  const auto protocol = find(link.attributes, kinds::vlan::kProtocol);
  if (own != nullptr && own->parent == parent->ifindex && find(own->attributes, kinds::vlan::kId) == id)
    return std::nullopt;
  for (const auto& [ifindex, fact] : draft_.host().links()) {
    if (&fact == own || fact.parent != parent->ifindex || fact.parent_nsid >= 0 ||
        fact.kind != kinds::kVlan.name || draft_.removes("", ifindex))
      continue;
    if (find(fact.attributes, kinds::vlan::kId) != id ||
        find(fact.attributes, kinds::vlan::kProtocol) != protocol)
      continue;
    const auto mark = OwnerTag::parse(fact.alias);
    const DesiredObject* holder = mark ? draft_.desired().find_uid(mark->uid) : nullptr;
    return conflict(entry, link.at,
                    "VLAN " + std::to_string(*id) + " of " + link.parent + " is there already, as " +
                        fact.name +
                        (holder != nullptr ? " of " + holder->object.id.text()
                                           : " (ifindex " + std::to_string(ifindex) + ")"),
                    "use it by that name, or rename it: ip link set " + fact.name + " name " + link.at.name);
  }
  return std::nullopt;
}

// A link has no larger MTU than its parent, and IPv6 needs some.
std::optional<Error> Prerequisites::too_small(const DesiredObject& entry, const LinkName& link,
                                              const LinkName& base, std::optional<std::uint32_t> mtu,
                                              bool with_ipv6) const {
  const LinkFact* found = draft_.observed().find(base);
  if (found == nullptr || draft_.creates(base)) return std::nullopt;
  const auto least = mtu ? *mtu : with_ipv6 ? kLeastIpv6Mtu : 0;
  if (found->mtu >= least || will_have_mtu(draft_, base, least)) return std::nullopt;
  const std::string wanted = std::to_string(least);
  const std::string raise = "raise the parent's: ip link set " + base.name + " mtu " + wanted;
  if (mtu)
    return conflict(entry, link, "mtu " + wanted + " is above its parent's " + std::to_string(found->mtu),
                    "lower it, or " + raise);
  return conflict(
      entry, link,
      "its parent's mtu " + std::to_string(found->mtu) + " is too small for IPv6, which needs " + wanted,
      "leave IPv6 addresses out, or " + raise);
}

// What nothing can stand on, whose ever it is.
std::optional<Error> Prerequisites::unfit(const DesiredObject& entry, const LinkName& link,
                                          const LinkName& base, const LinkFact& found) {
  if (!found.loopback && found.ethernet) return std::nullopt;
  const std::string words = found.loopback ? "the loopback interface cannot be the parent of others"
                                           : "its parent " + base.text() + " carries no Ethernet frames (" +
                                                 kind_or_physical(found) + ")";
  return conflict(entry, link, words, "name another parent");
}

// It is there; but is it what we think?
std::optional<Error> Prerequisites::unusable(const DesiredObject& entry, const LinkName& link,
                                             const LinkName& base, const LinkFact& found) const {
  const DesiredObject* owner = draft_.desired().owner_of(base);
  if (owner == nullptr || is_ours(base, found) || owner->object.implicit()) return std::nullopt;
  if (will_adopt(draft_, *owner, base, found)) return std::nullopt;
  return waiting(entry, link, "the link " + base.text() + in_brackets(owner) + " is not ours",
                 "see the condition of " + owner->object.id.text());
}

std::optional<Error> Prerequisites::unmet(const DesiredObject& entry, const ParentUse& use) {
  const LinkName parent{"", use.name};
  if (auto error = unmet(entry, parent, parent, true)) return error;
  const LinkFact* found = draft_.observed().find(parent);
  if (found == nullptr || draft_.creates(parent)) return std::nullopt;
  if (!found->port_kind.empty() && !kinds::kind_of(found->port_kind).ports_are_parents)
    return conflict(entry, parent,
                    "it is a port of " + found->port_kind + " " + draft_.name_of_index("", found->master) +
                        " and cannot be a parent as well",
                    "take it off there (ip link set " + use.name + " nomaster), or name another parent");
  if (auto error = too_small(entry, parent, parent, use.mtu, false)) return error;
  const LinkFact* foreign = foreign_upper_on(found->ifindex);
  const auto clash = foreign != nullptr ? kinds::clash_with_foreign(use, *foreign) : std::nullopt;
  if (!clash) return std::nullopt;
  return conflict(entry, parent, clash->words, clash->hint);
}

bool Prerequisites::is_ours(const LinkName& name, const LinkFact& found) const {
  const DesiredObject* owner = draft_.desired().owner_of(name);
  const auto mark = OwnerTag::parse(found.alias);
  return owner != nullptr &&
         ((mark && mark->uid == owner->object.uid) || (!mark && found.group == kOwnGroup));
}

bool Prerequisites::held_down(const LinkSpec& link) const {
  if (link.parent.empty() || !kinds::kind_of(link.kind).up_with_parent) return false;
  const LinkName parent{"", link.parent};
  if (draft_.creates(parent)) return draft_.creates_down(parent);
  const LinkFact* found = draft_.observed().find(parent);
  return found != nullptr && !found->up;
}

bool Prerequisites::held_down(const LinkName& link) const {
  if (draft_.creates(link)) return draft_.creates_down(link);
  const LinkFact* found = draft_.observed().find(link);
  return found != nullptr && is_over_down(*found);
}

bool Prerequisites::is_over_down(const LinkFact& link) const {
  if (link.parent_nsid >= 0 || !kinds::kind_of(link.kind).up_with_parent) return false;
  const LinkFact* parent = draft_.host().find(link.parent);
  return parent != nullptr && !parent->up;
}

// The link that must come up so that this one can; none when the plan sees to it.
const LinkFact* Prerequisites::lowest_down(const LinkFact& link) const {
  if (link.up) return nullptr;
  if (is_over_down(link)) return lowest_down(*draft_.host().find(link.parent));
  return is_ours({"", link.name}, link) ? nullptr : &link;
}

std::optional<Error> Prerequisites::awaited(const DesiredObject& entry) const {
  const Resources& resources = draft_.resources_of(entry);
  const auto missing_below = [&](const LinkName& link, const std::string& base,
                                 const char* role) -> std::optional<Error> {
    const LinkFact* found = draft_.observed().find(LinkName{"", base});
    const bool is_new = draft_.creates({"", base});
    const LinkFact* down = found != nullptr && !is_new ? lowest_down(*found) : nullptr;
    if (down == nullptr) return std::nullopt;
    return waiting(entry, link, role + down->name + " is down",
                   "it comes up as soon as that does: ip link set " + down->name + " up");
  };
  for (const LinkSpec& link : resources.links) {
    if (link.parent.empty()) continue;
    if (auto error = missing_below(link.at, link.parent, "its parent ")) return error;
  }
  for (const ParentUse& use : resources.parents) {
    if (auto error = missing_below({"", use.name}, use.name, "its parent ")) return error;
  }
  for (const LinkSpec& link : resources.links) {
    if (!link.borrowed || !held_down(link.at)) continue;
    if (auto error = missing_below(link.at, link.at.name, "the parent of the uplink, ")) return error;
  }
  return std::nullopt;
}

const LinkFact* Prerequisites::foreign_upper_on(int parent) {
  if (!foreign_uppers_) find_foreign_uppers();
  const auto found = foreign_uppers_->find(parent);
  return found == foreign_uppers_->end() ? nullptr : found->second;
}

void Prerequisites::find_foreign_uppers() {
  foreign_uppers_.emplace();
  for (const auto& [ifindex, fact] : draft_.host().links()) {
    if (kinds::kind_of(fact.kind).sharing == nullptr || fact.parent_nsid >= 0) continue;
    const auto mark = OwnerTag::parse(fact.alias);
    const bool ours = fact.group == kOwnGroup || (mark && draft_.desired().find_uid(mark->uid) != nullptr);
    if (!ours) foreign_uppers_->emplace(fact.parent, &fact);
  }
}

}  // namespace lanwright::planning
