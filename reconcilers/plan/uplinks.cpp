#include "reconcilers/plan/uplinks.h"

#include <algorithm>
#include <optional>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/plan/comparers.h"
#include "reconcilers/plan/ownership.h"

namespace lanwright::planning {
namespace {

std::string how_to_take_off(const LinkName& link) {
  return "take it off there (ip link set " + link.name + " nomaster), or ";
}

void use_as_it_is(Draft& draft, const Prerequisites& prerequisites, const Cursor& at, const LinkSpec& link,
                  const LinkFact& fact) {
  // The kernel's datapath of Open vSwitch is a master: of which bridge it is a port, the database says.
  const auto& ports = draft.resources_of(at.entry).ovs_ports;
  const bool is_ovs =
      fact.port_kind == "openvswitch" &&
      std::ranges::any_of(ports, [&](const OvsPortSpec& port) { return port.link == link.at.name; });
  if (!fact.port_kind.empty() && !is_ovs)
    return draft.block(at, conflict(at.entry, link.at,
                                    "it is a port of " + fact.port_kind + " " +
                                        draft.name_of_index("", fact.master) + " already",
                                    how_to_take_off(link.at) + "name another uplink"));
  if (fact.up || !link.up || prerequisites.held_down(link.at)) return;
  ChangeLink change = change_of(link.at, fact);
  change.up = true;
  draft.act(at, at.stage + kLinks, std::move(change), "state is down, wanted up", {"state"});
}

// The network with this mark, when it declares the link as its own uplink, by whichever name: adopting is for
// what strangers have.
const DesiredObject* rightful_network(const Draft& draft, const DesiredObject& entry, const LinkFact& fact,
                                      const std::optional<OwnerTag>& mark) {
  const DesiredObject* owner = mark ? draft.desired().find_uid(mark->uid) : nullptr;
  if (owner == nullptr || owner == &entry || owner->object.deleting) return nullptr;
  const auto& links = draft.resources_of(*owner).links;
  const bool declares = std::any_of(links.begin(), links.end(), [&](const LinkSpec& one) {
    return one.borrowed && draft.observed().find(one.at) == &fact;
  });
  return declares ? owner : nullptr;
}

// The link's master when that is somebody else's and stays so: not ours to take it from.
const LinkFact* foreign_master(const Draft& draft, const DesiredObject& entry, const LinkSpec& link,
                               const LinkFact& fact, const LinkFact* wanted) {
  const bool elsewhere = fact.master != 0 && (wanted == nullptr || fact.master != wanted->ifindex);
  const LinkFact* other = elsewhere ? draft.host().find(fact.master) : nullptr;
  if (other == nullptr || draft.removes("", other->ifindex)) return nullptr;
  const auto mark = OwnerTag::parse(other->alias);
  if (is_given_up(draft, link.at, mark)) return nullptr;
  if (rightful_network(draft, entry, fact, mark) != nullptr) return other;
  const auto& finalizers = draft.desired().finalizers_of(entry.object.uid);
  const bool was_ours = finalizers.contains(Finalizer::port(link.at.name)) &&
                        !(mark && draft.desired().find_uid(mark->uid) != nullptr);
  return entry.object.adopt || was_ours ? nullptr : other;
}

Error taken(const Draft& draft, const DesiredObject& entry, const LinkSpec& link, const LinkFact& fact,
            const LinkFact& master) {
  const auto* rightful = rightful_network(draft, entry, fact, OwnerTag::parse(master.alias));
  if (rightful != nullptr)
    return conflict(entry, link.at,
                    "it is a port of " + master.name + " already, as the uplink of " +
                        rightful->object.id.text() + " of set " + rightful->object.set,
                    "remove it there first, or name another uplink");
  return conflict(entry, link.at, "it is a port of " + master.name + " already",
                  how_to_take_off(link.at) + "apply with --adopt to move it");
}

// Why no network can have this link as its uplink, whoever has it now.
std::optional<Error> unfit(const DesiredObject& entry, const LinkSpec& link, const LinkFact& fact) {
  const auto refuse = [&](const std::string& words) {
    return conflict(entry, link.at, words, "name another uplink");
  };
  if (fact.loopback) return refuse("the loopback interface cannot be a port");
  if (!fact.ethernet) return refuse("it carries no Ethernet frames (" + kind_or_physical(fact) + ")");
  if (!link.master.empty() && fact.kind == kinds::kBridge.name)
    return refuse("it is a bridge, which cannot be a port of a bridge");
  return mtu_too_low(entry, link, fact);
}

void plug_in(const Draft& draft, const LinkSpec& link, const LinkFact& fact, ChangeLink& change,
             Differences& differs) {
  change.master = link.master;
  differs.add("master", draft.name_of_index("", fact.master), link.master);
  change.attributes = link.attributes;
  if (link.vlans && !link.vlans->empty()) change.add_vlans = *link.vlans;
}

void use_as_port(Draft& draft, const Prerequisites& prerequisites, const Cursor& at, const LinkSpec& link,
                 const LinkFact& fact) {
  const LinkFact* master = draft.observed().find(LinkName{"", link.master});
  const bool member =
      master != nullptr && !draft.creates({"", link.master}) && fact.master == master->ifindex;
  ChangeLink change = change_of(link.at, fact);
  Differences differs;
  if (member) {
    compare_port(link, fact, change, differs);
  } else {
    if (const LinkFact* other = foreign_master(draft, at.entry, link, fact, master))
      return draft.block(at, taken(draft, at.entry, link, fact, *other));
    plug_in(draft, link, fact, change, differs);
  }
  change.port_kind = kinds::kBridge.name;
  if (!fact.up && link.up && !prerequisites.held_down(link.at)) {
    change.up = true;
    differs.add("state", "down", "up");
  }
  if (differs.names.empty()) return;
  // After the bridge, which is a link of the same object.
  draft.act(at, at.stage + kInnerLinks, std::move(change), std::move(differs.reason),
            std::move(differs.names));
}

}  // namespace

std::optional<Error> mtu_too_low(const DesiredObject& entry, const LinkSpec& link, const LinkFact& fact) {
  if (!link.mtu || fact.mtu >= *link.mtu) return std::nullopt;
  const std::string wanted = std::to_string(*link.mtu);
  return conflict(entry, link.at,
                  "its mtu " + std::to_string(fact.mtu) + " is below the network's " + wanted +
                      ": longer frames would be lost",
                  "raise it (ip link set " + link.at.name + " mtu " + wanted + "), or lower the network's");
}

void compare_uplink(Draft& draft, Prerequisites& prerequisites, const Cursor& at, const LinkSpec& link) {
  const LinkFact* found = draft.observed().find(link.at);
  const bool is_new = draft.creates(link.at);
  if (found == nullptr && !is_new)
    return draft.block(
        at, waiting(at.entry, link.at, "there is no such link", "it is plugged in as soon as it appears"));
  const LinkFact nothing;
  const LinkFact& fact = is_new ? nothing : *found;
  if (!is_new) {
    if (auto why = unfit(at.entry, link, fact)) return draft.block(at, std::move(*why));
  }
  const LinkFact* foreign = found != nullptr ? prerequisites.foreign_upper_on(found->ifindex) : nullptr;
  if (foreign != nullptr)
    return draft.block(at, conflict(at.entry, link.at,
                                    "the " + foreign->kind + " link " + foreign->name +
                                        " stands on it; a link is a port or a parent, not both",
                                    "remove that link, or name another uplink"));
  if (link.master.empty()) return use_as_it_is(draft, prerequisites, at, link, fact);
  use_as_port(draft, prerequisites, at, link, fact);
}

}  // namespace lanwright::planning
