#include "reconcilers/plan/planner.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "model/link_names.h"
#include "reconcilers/plan/switches.h"

namespace lanwright::planning {
namespace {

// Stages of what one object needs, relative to its depth; removals come before all of them, and before those
// the marks of links that lost theirs: nothing is removed that is not marked.
constexpr int kMarks = -1;
constexpr int kRemovals = 0;
constexpr int kStagesPerDepth = 10;
enum Within : int { kLinks = 0, kInnerLinks = 1, kAddresses = 2, kRoutes = 3, kWhole = 4 };

std::string quoted(const std::string& text) {
  return text.empty() ? std::string("none") : text;
}

// How ours a link is that was found under a wanted name or mark.
enum class Ownership { ours, adoptable, foreign, other_object, unknown_mark };

bool same_route(const RouteSpec& wanted, const RouteSpec& found) {
  return wanted.to.network() == found.to.network() && wanted.via == found.via &&
         effective_metric(wanted) == effective_metric(found);
}

// Kind attributes that the kernel takes at creation only.
bool fixed_at_creation(LinkAttr attribute) {
  return attribute == LinkAttr::vlan_id || attribute == LinkAttr::vlan_protocol;
}

// Mode passthru is neither entered nor left.
bool fixed_at_creation(LinkAttr attribute, std::uint64_t wanted, std::optional<std::uint64_t> found) {
  if (attribute == LinkAttr::macvlan_mode) return (wanted == kMacvlanPassthru) != (found == kMacvlanPassthru);
  return fixed_at_creation(attribute);
}

// A kernel without VLAN filtering does not know the attribute, and one that does begins with it off.
bool is_off_anyway(LinkAttr attribute, std::uint64_t wanted, std::optional<std::uint64_t> found) {
  return attribute == LinkAttr::bridge_vlan_filtering && wanted == 0 && !found;
}

bool is_port_attribute(LinkAttr attribute) {
  return attribute >= LinkAttr::port_isolated && attribute <= LinkAttr::port_guard;
}

// What is in `from` and not in `other`.
PortVlans minus(const PortVlans& from, const PortVlans& other) {
  PortVlans rest;
  if (from.pvid && from.pvid != other.pvid) rest.pvid = from.pvid;
  std::set_difference(from.tagged.begin(), from.tagged.end(), other.tagged.begin(), other.tagged.end(),
                      std::back_inserter(rest.tagged));
  return rest;
}

class Planner {
 public:
  Planner(const desired::DesiredState& desired, const Observed& observed)
      : desired_(desired), observed_(observed), switches_(desired, observed) {}

  void look_at(const desired::DesiredObject& entry, int depth);
  void forget_parts() {  // of thousands of objects they would take much room
    resources_.clear();
    satisfied_by_peer_.clear();
  }
  Plan take() &&;

 private:
  struct Cursor {  // the object at hand
    const desired::DesiredObject& entry;
    int stage;
  };

  void compare_switches(const Cursor& at, bool with_plugs);
  void remove_all(const Cursor& at);
  void release_claims(const Cursor& at);
  void remove_strays(const Cursor& at);
  void remove_half_made(const Cursor& at, const std::string& netns, const NamespaceFacts& facts);
  bool satisfied_by_foreign(const desired::DesiredObject& entry, const LinkSpec& link) const;
  void compare(const Cursor& at, const LinkSpec& link);
  void compare_existing(const Cursor& at, const LinkSpec& link, const LinkFact& found, Ownership ownership);
  void use_host_link(const Cursor& at, const LinkSpec& link);
  void use_as_it_is(const Cursor& at, const LinkSpec& link, const LinkFact& fact);
  void create(const Cursor& at, const LinkSpec& link, std::string reason, Disruption disruption);
  void recreate(const Cursor& at, const LinkSpec& link, const LinkFact& found, std::string reason);
  void finish(const Cursor& at, const LinkSpec& link);
  void compare_addresses(const Cursor& at, const LinkSpec& link, const LinkFact* found);
  void compare_routes(const Cursor& at, const LinkSpec& whole, const LinkFact* found);

  const drivers::Resources& resources_of(const desired::DesiredObject& entry) const;
  const LinkFact* locate(const desired::DesiredObject& entry, const LinkSpec& link) const;
  Ownership ownership_of(const desired::DesiredObject& entry, const LinkSpec& link,
                         const LinkFact& found) const;
  std::optional<Error> missing_base(const desired::DesiredObject& entry, const LinkSpec& link) const;
  std::optional<Error> unmet_prerequisite(const desired::DesiredObject& entry, const LinkName& link,
                                          const LinkName& base, const char* role) const;
  std::optional<Error> unfit_parent(const desired::DesiredObject& entry, const ParentUse& use) const;
  const LinkFact* foreign_upper_on(int parent) const;
  std::optional<std::string> must_recreate(const LinkSpec& link, const LinkFact& found) const;
  bool is_others_now(const desired::DesiredObject& entry, const LinkSpec& link, const LinkFact& found) const;
  bool holds_default_route(const desired::DesiredObject& entry, const std::string& netns,
                           std::uint8_t family) const;
  bool is_given_up(const LinkName& uplink, const std::optional<OwnerTag>& master) const;
  bool free_name(const Cursor& at, const LinkName& where, const LinkFact& holder);
  bool peer_is_wrong(const LinkSpec& link, const LinkFact& found) const;
  std::string name_of_index(const std::string& netns, int ifindex) const;
  bool will_be_gone(const LinkName& where, int ifindex) const {
    return removed_.contains({where.netns, ifindex});
  }

  void block(const Cursor& at, Error why) { plan_.blocked.push_back({at.entry.object.id, std::move(why)}); }
  void act(const Cursor& at, int stage, Step step, std::string reason, std::vector<std::string> differences,
           Disruption disruption);
  bool goes_with_its_peer(const std::string& netns, const LinkFact& fact) const;
  void remove(const Cursor& at, const std::string& netns, const LinkFact& fact, const OwnerTag& mark,
              std::string reason);

  const desired::DesiredState& desired_;
  const Observed& observed_;
  SwitchPlanner switches_;
  Plan plan_;
  mutable std::map<const desired::DesiredObject*, drivers::Resources> resources_;  // compiled once
  std::set<std::pair<std::string, int>> removed_;     // ifindexes by netns that go with this plan
  std::set<LinkName> created_;                        // that this plan makes
  std::set<LinkName> renamed_;                        // names that it gives to links that are there
  mutable std::map<int, const LinkFact*> strangers_;  // by parent: see foreign_upper_on()
  mutable bool strangers_known_ = false;
  using Way = std::pair<std::string, std::uint8_t>;  // netns and address family
  mutable std::map<Way, std::optional<ResourceId>> ways_out_;
  std::set<const LinkSpec*> satisfied_by_peer_;  // inner ends made together with their outer end
};

OwnerTag tag_of(const desired::DesiredObject& entry, const LinkSpec& link) {
  return {entry.object.uid, link.role};
}

std::string label(const desired::DesiredObject& entry, const LinkName& link) {
  return link.text() + " of " + entry.object.id.text();
}

Error waiting(const desired::DesiredObject& entry, const LinkName& link, std::string words,
              std::string hint) {
  return {ErrorKind::waiting, "make", label(entry, link), 0, std::move(words), std::move(hint)};
}

Error conflict(const desired::DesiredObject& entry, const LinkName& link, std::string words,
               std::string hint) {
  return {ErrorKind::conflict, "make", label(entry, link), 0, std::move(words), std::move(hint)};
}

void Planner::act(const Cursor& at, int stage, Step step, std::string reason,
                  std::vector<std::string> differences, Disruption disruption) {
  plan_.actions.push_back(
      {at.entry.object.id, stage, std::move(step), std::move(reason), std::move(differences), disruption});
}

// One end of a veth takes the other with it.
bool Planner::goes_with_its_peer(const std::string& netns, const LinkFact& fact) const {
  if (netns.empty() || fact.kind != "veth" || !will_be_gone({}, fact.parent)) return false;
  const NamespaceFacts* host = observed_.find(std::string{});
  const NamespaceFacts* place = observed_.find(netns);
  const LinkFact* peer = host->find(fact.parent);
  return peer != nullptr && peer->kind == "veth" && peer->parent == fact.ifindex &&
         peer->parent_nsid == place->nsid;
}

void Planner::remove(const Cursor& at, const std::string& netns, const LinkFact& fact, const OwnerTag& mark,
                     std::string reason) {
  if (!removed_.insert({netns, fact.ifindex}).second || goes_with_its_peer(netns, fact)) return;
  const LinkName where{netns, fact.name};
  if (OwnerTag::parse(fact.alias) != mark && fact.name != temporary_name(mark.uid)) {
    ChangeLink change;
    change.where = where;
    change.kind = fact.kind;
    change.ifindex = fact.ifindex;
    change.alias = mark.text();
    act(at, kMarks, std::move(change), reason, {"alias"}, Disruption::none);
  }
  act(at, kRemovals, RemoveLink{where, fact.ifindex, fact.kind, mark}, std::move(reason), {},
      Disruption::none);
}

void Planner::look_at(const desired::DesiredObject& entry, int depth) {
  const Cursor at{entry, kStagesPerDepth * (1 + depth)};
  if (entry.object.spec || entry.object.deleting) release_claims(at);
  if (entry.object.deleting) {
    remove_all(at);
    return compare_switches(at, true);
  }
  if (!entry.object.spec)
    return block(at, {ErrorKind::internal, "read from the store", entry.object.id.text(), 0,
                      "its declaration cannot be read by this version", "apply it again"});
  if (entry.object.id.kind == Kind::attachment && (!entry.network || !entry.network->object.spec))
    return block(at, waiting(entry, {}, "the declaration of its network cannot be read by this version",
                             "apply the network again; until then what is plugged in stays as it is"));
  // An object is whole or not at all: one absent namespace holds up all of its links.
  for (const LinkSpec& link : resources_of(entry).links) {
    const NamespaceFacts* place = observed_.find(link.where.netns);
    const NamespaceFacts* host = observed_.find(std::string{});
    const bool managed =
        place != nullptr && place != host && place->inode != 0 && place->inode == host->inode;
    if (managed)
      return block(at, conflict(entry, link.where,
                                link.where.netns + " is the namespace that the agent itself manages",
                                "attach another namespace, or give the host an interface by an uplink"));
    if (place != nullptr && place->present) continue;
    return block(at, waiting(entry, link.where, "there is no network namespace " + link.where.netns,
                             "it is plugged in as soon as the namespace appears"));
  }
  remove_strays(at);
  for (const ParentUse& use : resources_of(entry).parents) {
    if (auto error = unfit_parent(entry, use)) return block(at, std::move(*error));
    if (created_.contains({"", use.name})) plan_.open.insert(entry.object.id);
  }
  const std::size_t blocked = plan_.blocked.size();
  for (const LinkSpec& link : resources_of(entry).links) {
    compare(at, link);
    // One reason is enough, and the rest would build on it; but for a switch, which runs without its uplinks.
    if (plan_.blocked.size() != blocked) return compare_switches(at, false);
  }
  compare_switches(at, true);
}

void Planner::compare_switches(const Cursor& at, bool with_plugs) {
  auto outcome = switches_.compare(at.entry, resources_of(at.entry), created_, with_plugs);
  const auto take = [&](SwitchPlanner::Change& change, int stage) {
    act(at, stage, std::move(change.step), std::move(change.reason), std::move(change.differences),
        change.disruption);
  };
  for (auto& change : outcome.removals) take(change, kRemovals);
  for (auto& change : outcome.changes) {
    const bool plug = std::holds_alternative<PlugIn>(change.step);
    take(change, at.stage + (plug ? kInnerLinks : kLinks));
  }
  if (outcome.blocked && with_plugs) block(at, std::move(*outcome.blocked));
}

void Planner::remove_all(const Cursor& at) {
  for (const auto& [netns, facts] : observed_.namespaces) {
    for (const LinkFact* fact : facts.marked(at.entry.object.uid)) {
      if (is_own_group(fact->group))
        remove(at, netns, *fact, *OwnerTag::parse(fact->alias), "no longer declared");
    }
    remove_half_made(at, netns, facts);
  }
  for (const LinkSpec& link : resources_of(at.entry).links) {  // that lost their marks
    const LinkFact* fact = link.owned ? locate(at.entry, link) : nullptr;
    if (fact == nullptr || ownership_of(at.entry, link, *fact) != Ownership::ours) continue;
    // Without our group and our name the mark may be a copy, left over when ours is gone.
    if (is_own_group(fact->group) || observed_.find(link.where) == fact)
      remove(at, link.where.netns, *fact, tag_of(at.entry, link), "no longer declared");
  }
}

// A crash left it between its creation and its mark.
void Planner::remove_half_made(const Cursor& at, const std::string& netns, const NamespaceFacts& facts) {
  const LinkFact* fact = facts.find(temporary_name(at.entry.object.uid));
  if (fact != nullptr && fact->alias.empty() && (fact->kind == "tun" || is_birth_group(fact->group)))
    remove(at, netns, *fact, {at.entry.object.uid, {}}, "half made");
}

// A link of ours that the object does not want any more, or that somebody copied our mark to: gone, if it is
// really marked as ours on both counts (alias and group).
void Planner::remove_strays(const Cursor& at) {
  const auto& links = resources_of(at.entry).links;
  const auto wanted = [&](const std::string& netns, const LinkFact& fact) {
    return std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
      if (!link.owned) return false;
      // While it is moved it may be seen in both places: which one is out of date, nobody knows.
      if (link.delegated && OwnerTag::parse(fact.alias) == tag_of(at.entry, link))
        return netns == link.where.netns || netns == link.delegate_netns;
      return link.where.netns == netns && locate(at.entry, link) == &fact;
    });
  };
  std::set<std::string> places = {""};
  for (const LinkSpec& link : links) places.insert({link.where.netns, link.delegate_netns});
  for (const std::string& claim : desired_.claims_of(at.entry.object.uid)) {
    if (claim.starts_with(desired::kPlaceClaim)) places.insert(claim.substr(desired::kPlaceClaim.size()));
  }
  for (const std::string& netns : places) {
    const NamespaceFacts* facts = observed_.find(netns);
    if (facts == nullptr) continue;
    remove_half_made(at, netns, *facts);
    for (const LinkFact* fact : facts->marked(at.entry.object.uid)) {
      if (!wanted(netns, *fact) && is_own_group(fact->group))
        remove(at, netns, *fact, *OwnerTag::parse(fact->alias), "no longer declared");
    }
  }
}

void Planner::release_claims(const Cursor& at) {
  for (const std::string& name : desired_.claims_of(at.entry.object.uid)) {
    if (name.starts_with(desired::kPlaceClaim)) continue;
    const auto& links = resources_of(at.entry).links;
    const bool declared = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
      return !link.owned && link.where == LinkName{"", name};
    });
    if (declared) continue;
    const NamespaceFacts* host = observed_.find(std::string{});
    const LinkFact* link = host != nullptr ? host->find(name) : nullptr;
    const LinkFact* master = link != nullptr && link->master != 0 ? host->find(link->master) : nullptr;
    const auto mark = master != nullptr ? OwnerTag::parse(master->alias) : std::nullopt;
    if (!mark || mark->uid != at.entry.object.uid) continue;
    ChangeLink change;
    change.where = {"", link->name};
    change.kind = link->kind;
    change.ifindex = link->ifindex;
    change.master = "";
    act(at, kRemovals, std::move(change), "no longer an uplink", {"master"}, Disruption::none);
  }
}

const drivers::Resources& Planner::resources_of(const desired::DesiredObject& entry) const {
  const auto known = resources_.find(&entry);
  return known != resources_.end() ? known->second
                                   : resources_.emplace(&entry, entry.compile()).first->second;
}

// Somebody has it, and does with it as he likes; but what is made again for him is first made whole.
bool Planner::is_others_now(const desired::DesiredObject& entry, const LinkSpec& link,
                            const LinkFact& found) const {
  if (!link.delegated || OwnerTag::parse(found.alias) != tag_of(entry, link)) return false;
  const NamespaceFacts* place = observed_.find(link.where.netns);
  const bool in_place = !link.where.netns.empty() && place != nullptr && place->find(found.ifindex) == &found;
  return !in_place || !is_incomplete_group(found.group);
}

// By mark first, so that a renamed link is found; then by name.
const LinkFact* Planner::locate(const desired::DesiredObject& entry, const LinkSpec& link) const {
  const NamespaceFacts* place = observed_.find(link.where.netns);
  const LinkFact* marked = place != nullptr ? place->find(tag_of(entry, link)) : nullptr;
  if (marked == nullptr && link.delegated) {
    const NamespaceFacts* other = observed_.find(link.delegate_netns);
    marked = other != nullptr ? other->find(tag_of(entry, link)) : nullptr;
  }
  if (marked != nullptr) return marked;
  return place != nullptr ? place->find(link.where.name) : nullptr;
}

Ownership Planner::ownership_of(const desired::DesiredObject& entry, const LinkSpec& link,
                                const LinkFact& found) const {
  const auto mark = OwnerTag::parse(found.alias);
  if (mark && mark->uid == entry.object.uid)
    return mark->role == link.role ? Ownership::ours : Ownership::other_object;
  if (mark && desired_.find_uid(mark->uid) != nullptr) return Ownership::other_object;
  // The moment between creation and mark, or somebody rewrote the alias: the group, the kind and the stored
  // name still say that it is ours.
  if (!mark && is_birth_group(found.group) && found.kind == link.kind) return Ownership::ours;
  if (entry.object.adopt && found.kind == link.kind) return Ownership::adoptable;
  return mark ? Ownership::unknown_mark : Ownership::foreign;
}

// Why this link cannot be made or compared now: its master or parent is not there, or is not what we think.
std::optional<Error> Planner::missing_base(const desired::DesiredObject& entry, const LinkSpec& link) const {
  if (!link.parent.empty()) {
    if (auto error = unmet_prerequisite(entry, link.where, {"", link.parent}, "parent")) return error;
  }
  if (!link.master.empty())
    return unmet_prerequisite(entry, link.where, {link.where.netns, link.master}, "bridge");
  return std::nullopt;
}

std::optional<Error> Planner::unmet_prerequisite(const desired::DesiredObject& entry, const LinkName& link,
                                                 const LinkName& base, const char* role) const {
  const desired::DesiredObject* owner = desired_.owner_of(base);
  const std::string who = owner != nullptr ? " (" + owner->object.id.text() + ")" : std::string{};
  if (created_.contains(base) || renamed_.contains(base)) return std::nullopt;
  const LinkFact* found = observed_.find(base);
  if (found == nullptr || will_be_gone(base, found->ifindex)) {
    const bool dotted = owner == nullptr && base.name.find('.') != std::string::npos;
    return waiting(entry, link, std::string("its ") + role + " " + base.text() + who + " does not exist",
                   "it is made as soon as " + base.name + " appears" +
                       (dotted ? "; only a VLAN link called NAME.VID is made on demand" : ""));
  }
  const auto mark = OwnerTag::parse(found->alias);
  const bool ours =
      owner != nullptr && ((mark && mark->uid == owner->object.uid) || (!mark && found->group == kOwnGroup));
  // A VLAN cannot be up over a parent that is down (ENETDOWN), and comes up with it.
  if (!ours && std::string_view(role) == "parent" && !found->up)
    return waiting(entry, link, "its parent " + base.text() + " is down",
                   "it comes up as soon as the parent does: ip link set " + base.name + " up");
  if (owner == nullptr || ours || owner->object.implicit()) return std::nullopt;
  const auto& links = resources_of(*owner).links;
  const bool adoptable =
      owner->object.adopt && std::any_of(links.begin(), links.end(), [&](const LinkSpec& one) {
        return one.owned && one.where == base && one.kind == found->kind;
      });
  if (adoptable) return std::nullopt;
  return waiting(entry, link, std::string("the link ") + base.text() + who + " is not ours",
                 "see the condition of " + owner->object.id.text());
}

// Why no link can stand on this parent now, whoever made it.
std::optional<Error> Planner::unfit_parent(const desired::DesiredObject& entry, const ParentUse& use) const {
  const LinkName parent{"", use.name};
  if (auto error = unmet_prerequisite(entry, parent, parent, "parent")) return error;
  const LinkFact* found = observed_.find(parent);
  if (found == nullptr || created_.contains(parent)) return std::nullopt;
  if (found->loopback)
    return conflict(entry, parent, "the loopback interface cannot be the parent of " + use.kind + " links",
                    "name another parent");
  if (!found->port_kind.empty() && found->port_kind != "vrf")
    return conflict(entry, parent,
                    "it is a port of " + found->port_kind + " " + name_of_index("", found->master) +
                        " and cannot be a parent as well",
                    "take it off there (ip link set " + use.name + " nomaster), or name another parent");
  if (use.mtu && *use.mtu > found->mtu)
    return conflict(
        entry, parent,
        "mtu " + std::to_string(*use.mtu) + " is above its parent's " + std::to_string(found->mtu),
        "lower it, or raise the parent's: ip link set " + use.name + " mtu " + std::to_string(*use.mtu));
  const LinkFact* stranger = foreign_upper_on(found->ifindex);
  if (stranger == nullptr) return std::nullopt;
  const auto passthru = [](const LinkAttrs& attributes) {
    return lanwright::find(attributes, LinkAttr::macvlan_mode) == kMacvlanPassthru;
  };
  if (stranger->kind != use.kind)
    return conflict(entry, parent,
                    "the " + stranger->kind + " link " + stranger->name +
                        " stands on it, which is not ours; " + use.kind + " and " + stranger->kind +
                        " links cannot share a parent",
                    "remove that link, or name another parent");
  if (passthru(use.attributes) || passthru(stranger->attributes))
    return conflict(
        entry, parent,
        "the " + stranger->kind + " link " + stranger->name +
            " stands on it, which is not ours; in mode passthru one link has its parent to itself",
        "remove that link, or name another parent");
  return std::nullopt;
}

// A macvlan or ipvlan link in the managed namespace that is not ours, on this parent.
const LinkFact* Planner::foreign_upper_on(int parent) const {
  if (!strangers_known_) {
    strangers_known_ = true;
    const NamespaceFacts* host = observed_.find(std::string{});
    for (const auto& [ifindex, fact] : host->links()) {
      const bool upper =
          fact.kind == "macvlan" || fact.kind == "macvtap" || fact.kind == "ipvlan" || fact.kind == "ipvtap";
      const auto mark = OwnerTag::parse(fact.alias);
      const bool ours = fact.group == kOwnGroup || (mark && desired_.find_uid(mark->uid) != nullptr);
      if (upper && !ours && fact.parent_nsid < 0) strangers_.emplace(fact.parent, &fact);
    }
  }
  const auto found = strangers_.find(parent);
  return found == strangers_.end() ? nullptr : found->second;
}

// Somebody else's link does instead of one that would be made on demand, whatever it stands on.
bool Planner::satisfied_by_foreign(const desired::DesiredObject& entry, const LinkSpec& link) const {
  const LinkFact* found = link.accept_foreign ? locate(entry, link) : nullptr;
  if (found == nullptr || will_be_gone(link.where, found->ifindex)) return false;
  const Ownership ownership = ownership_of(entry, link, *found);
  return ownership != Ownership::ours && ownership != Ownership::other_object;
}

void Planner::compare(const Cursor& at, const LinkSpec& link) {
  if (satisfied_by_peer_.contains(&link) || satisfied_by_foreign(at.entry, link)) return;
  if (auto error = missing_base(at.entry, link)) return block(at, std::move(*error));
  if (!link.owned) return use_host_link(at, link);

  const LinkFact* found = locate(at.entry, link);
  if (found == nullptr && link.handover_pending) return;
  if (found != nullptr && is_others_now(at.entry, link, *found)) return;
  if (found == nullptr || will_be_gone(link.where, found->ifindex)) {
    const bool again = found != nullptr;
    if (!link.created_with_peer)
      return create(at, link, "missing", again ? Disruption::recreate : Disruption::none);
    // An inner end without its outer end's knowledge: the pair is made anew through the outer end, which was
    // compared before and found its peer wrong; nothing to do here.
    return;
  }
  const Ownership ownership = ownership_of(at.entry, link, *found);
  switch (ownership) {
    case Ownership::ours:
    case Ownership::adoptable:
      return compare_existing(at, link, *found, ownership);
    case Ownership::other_object: {
      const auto mark = OwnerTag::parse(found->alias);
      const desired::DesiredObject* other = desired_.find_uid(mark->uid);
      return block(at,
                   waiting(at.entry, link.where,
                           "the name is still held by a link of " +
                               (other != nullptr ? other->object.id.text() : std::string("another object")),
                           "it is made as soon as the name is free"));
    }
    case Ownership::unknown_mark:
      return block(at,
                   conflict(at.entry, link.where,
                            "the link carries the mark of an agent with another store (" + found->alias + ")",
                            "apply with --adopt to take it over, or remove it: ip link del " + found->name));
    case Ownership::foreign:
      return block(at, conflict(at.entry, link.where,
                                "there is a link of this name that is not ours (" +
                                    (found->kind.empty() ? std::string("physical") : found->kind) +
                                    ", ifindex " + std::to_string(found->ifindex) + ")",
                                found->kind == link.kind
                                    ? "apply with --adopt to take it over, choose another name, or remove it"
                                    : "choose another name, or remove it"));
  }
}

bool Planner::peer_is_wrong(const LinkSpec& link, const LinkFact& found) const {
  if (!link.peer || link.created_with_peer) return false;
  const desired::DesiredObject* owner = desired_.owner_of(*link.peer);
  const NamespaceFacts* place = observed_.find(link.peer->netns);
  if (owner == nullptr || place == nullptr || !place->present) return false;
  const auto& links = resources_of(*owner).links;
  const auto inner = std::find_if(links.begin(), links.end(),
                                  [&](const LinkSpec& other) { return other.where == *link.peer; });
  if (inner == links.end()) return false;
  const LinkFact* end = locate(*owner, *inner);
  if (end == nullptr && inner->handover_pending) return false;
  if (end == nullptr || end->kind != link.kind) return true;
  // Two ends of one cable name each other by ifindex. (A pair with both ends in one namespace does too.)
  return found.parent != end->ifindex || end->parent != found.ifindex;
}

// A link of ours that holds a name which it is about to give up makes room at once, so that two can swap
// names.
bool Planner::free_name(const Cursor& at, const LinkName& where, const LinkFact& holder) {
  const auto mark = OwnerTag::parse(holder.alias);
  const desired::DesiredObject* owner =
      mark && holder.group == kOwnGroup ? desired_.find_uid(mark->uid) : nullptr;
  if (owner == nullptr || owner->object.deleting) return false;
  const auto& links = resources_of(*owner).links;
  const bool leaves = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
    return link.role == mark->role && link.where.netns == where.netns && link.where.name != where.name;
  });
  if (!leaves) return false;
  ChangeLink aside;
  aside.where = {where.netns, holder.name};
  aside.kind = holder.kind;
  aside.ifindex = holder.ifindex;
  aside.rename = temporary_name(mark->uid);
  act(at, kMarks, std::move(aside), "makes room for " + label(at.entry, where), {"name"}, Disruption::flap);
  return true;
}

std::optional<std::string> Planner::must_recreate(const LinkSpec& link, const LinkFact& found) const {
  if (found.kind != link.kind) return "kind is " + quoted(found.kind) + ", wanted " + link.kind;
  if (!link.parent.empty()) {
    const LinkFact* parent = observed_.find(LinkName{"", link.parent});
    const bool same =
        parent != nullptr && !created_.contains({"", link.parent}) && found.parent == parent->ifindex;
    if (!same) return "parent is " + quoted(name_of_index("", found.parent)) + ", wanted " + link.parent;
  }
  for (const auto& [attribute, wanted] : link.attributes) {
    const auto value = find(found.attributes, attribute);
    if (value != wanted && fixed_at_creation(attribute, wanted, value))
      return std::string(name_of(attribute)) + " is " + (value ? std::to_string(*value) : "unknown") +
             ", wanted " + std::to_string(wanted);
  }
  if (peer_is_wrong(link, found)) return "its other end is not in " + link.peer->text();
  return std::nullopt;
}

std::string Planner::name_of_index(const std::string& netns, int ifindex) const {
  const NamespaceFacts* place = observed_.find(netns);
  const LinkFact* fact = place != nullptr ? place->find(ifindex) : nullptr;
  if (fact != nullptr) return fact->name;
  return ifindex == 0 ? std::string{} : "ifindex " + std::to_string(ifindex);
}

void Planner::create(const Cursor& at, const LinkSpec& link, std::string reason, Disruption disruption) {
  CreateLink step{link, tag_of(at.entry, link), std::nullopt, std::nullopt};
  std::erase_if(step.link.attributes,
                [](const auto& one) { return is_off_anyway(one.first, one.second, std::nullopt); });
  std::string target = link.kind + " " + link.where.text();
  created_.insert(link.where);
  const LinkSpec* inner = nullptr;
  if (link.peer && !link.created_with_peer) {
    for (const LinkSpec& other : resources_of(at.entry).links) {
      if (other.where == *link.peer && other.created_with_peer) inner = &other;
    }
  }
  if (inner != nullptr) {
    const LinkFact* occupant = locate(at.entry, *inner);
    if (occupant != nullptr && !will_be_gone(inner->where, occupant->ifindex)) {
      const auto mark = OwnerTag::parse(occupant->alias);
      if (!mark || mark->uid != at.entry.object.uid) {
        created_.erase(link.where);
        return block(
            at, conflict(at.entry, inner->where,
                         "there is an interface of this name in the namespace that is not ours (" +
                             quoted(occupant->kind) + ", ifindex " + std::to_string(occupant->ifindex) + ")",
                         "choose another `interface`, or remove it there"));
      }
      // Our own end of a cable whose other end is lost or elsewhere.
      remove(at, inner->where.netns, *occupant, *mark, "its other end is lost");
    }
    step.peer = *inner;
    step.peer_mark = tag_of(at.entry, *inner);
    created_.insert(inner->where);
    satisfied_by_peer_.insert(inner);
  }
  act(at, at.stage + kLinks, std::move(step), std::move(reason), {}, disruption);
  for (const LinkSpec* end : {&link, inner}) {
    if (end == nullptr) continue;
    compare_addresses(at, *end, nullptr);
    compare_routes(at, *end, nullptr);
    if (end->delegated && !end->where.netns.empty()) finish(at, *end);
  }
}

// The last that is done to a link that is made again for somebody: skipped when anything before it failed.
void Planner::finish(const Cursor& at, const LinkSpec& link) {
  ChangeLink change;
  change.where = link.where;
  change.kind = link.kind;
  change.group = kOwnGroup;
  act(at, at.stage + kWhole, std::move(change), "all of it is there again", {"group"}, Disruption::none);
}

void Planner::recreate(const Cursor& at, const LinkSpec& link, const LinkFact& found, std::string reason) {
  remove(at, link.where.netns, found, tag_of(at.entry, link), reason);
  plan_.actions.back().disruption = Disruption::recreate;
  create(at, link, std::move(reason), Disruption::recreate);
}

// Collects what differs on one link: the step, the words for people, and the names for machines.
struct Differences {
  std::string reason;
  std::vector<std::string> names;
  void add(const std::string& name, const std::string& is, const std::string& wanted) {
    if (!reason.empty()) reason += "; ";
    reason += name + " is " + quoted(is) + ", wanted " + quoted(wanted);
    names.push_back(name);
  }
};

void add_attributes(const LinkSpec& link, const LinkFact& found, bool ports, ChangeLink& change,
                    Differences& differs) {
  for (const auto& [attribute, wanted] : link.attributes) {
    if (is_port_attribute(attribute) != ports || fixed_at_creation(attribute)) continue;
    const auto value = find(found.attributes, attribute);
    if (value == wanted || is_off_anyway(attribute, wanted, value)) continue;
    change.attributes.emplace_back(attribute, wanted);
    differs.add(name_of(attribute), value ? std::to_string(*value) : "unknown", std::to_string(wanted));
  }
}

std::string text_of(const PortVlansFact& vlans) {
  std::string text = vlans.pvid ? "pvid " + std::to_string(*vlans.pvid) : std::string{};
  for (const auto vid : vlans.tagged) text += (text.empty() ? "" : " ") + std::to_string(vid);
  for (const auto vid : vlans.odd)
    text += (text.empty() ? "" : " ") + std::to_string(vid) + " (otherwise tagged)";
  return text;
}

void add_vlans(const LinkSpec& link, const LinkFact& found, ChangeLink& change, Differences& differs) {
  if (!link.vlans || found.vlans == PortVlansFact(*link.vlans)) return;
  const PortVlans add =
      minus(*link.vlans, found.vlans);  // gives those that are there otherwise their right form
  PortVlans there{found.vlans.pvid, found.vlans.tagged};
  there.tagged.insert(there.tagged.end(), found.vlans.odd.begin(), found.vlans.odd.end());
  std::sort(there.tagged.begin(), there.tagged.end());
  PortVlans drop = minus(there, *link.vlans);
  if (link.vlans->pvid) std::erase(drop.tagged, *link.vlans->pvid);
  if (!add.empty()) change.add_vlans = add;
  if (!drop.empty()) change.remove_vlans = drop;
  differs.add("vlans", text_of(found.vlans), text_of(*link.vlans));
}

template <class T>
std::string text_of(const std::optional<T>& value) {
  return value ? std::to_string(*value) : std::string{};
}

void Planner::compare_existing(const Cursor& at, const LinkSpec& link, const LinkFact& found,
                               Ownership ownership) {
  if (found.name != link.where.name) {
    const LinkFact* holder = observed_.find(link.where);
    if (holder != nullptr && holder != &found && !will_be_gone(link.where, holder->ifindex) &&
        !free_name(at, link.where, *holder))
      return block(at, conflict(at.entry, {link.where.netns, found.name},
                                "its name " + link.where.name + " is taken by another link (ifindex " +
                                    std::to_string(holder->ifindex) + ")",
                                "rename or remove that link"));
  }
  if (auto reason = must_recreate(link, found)) {
    if (ownership == Ownership::adoptable)
      return block(at, conflict(at.entry, link.where, "it cannot be taken over: " + *reason,
                                "choose another name, or remove it"));
    if (link.created_with_peer) return;  // the outer end says the same and makes both
    return recreate(at, link, found, std::move(*reason));
  }
  const LinkFact* master =
      link.master.empty() ? nullptr : observed_.find(LinkName{link.where.netns, link.master});
  const LinkFact* parent = link.parent.empty() ? nullptr : observed_.find(LinkName{"", link.parent});

  ChangeLink change;
  change.where = {link.where.netns, found.name};
  change.kind = found.kind;
  change.ifindex = found.ifindex;
  Differences differs;
  Disruption disruption = Disruption::none;

  if (found.name != link.where.name) {
    change.rename = link.where.name;
    renamed_.insert(link.where);
    differs.add("name", found.name, link.where.name);
  }
  const std::string alias = tag_of(at.entry, link).text();
  if (found.alias != alias) {
    change.alias = alias;
    if (ownership == Ownership::adoptable) differs.names.emplace_back("owner");
    differs.add("alias", found.alias, alias);
  }
  const bool unfinished = link.delegated && is_incomplete_group(found.group);
  if (!unfinished && found.group != kOwnGroup) {
    change.group = kOwnGroup;
    differs.add("group", std::to_string(found.group), std::to_string(kOwnGroup));
  }
  const bool master_is_new = created_.contains({link.where.netns, link.master});
  const bool wrong_master =
      !link.master.empty() && (master_is_new || master == nullptr || found.master != master->ifindex);
  if (wrong_master) {
    change.master = link.master;
    change.port_kind = "bridge";
    differs.add("master", name_of_index(link.where.netns, found.master), link.master);
  }
  // What stands on a parent has its MTU unless told otherwise, and a VLAN link its MAC too (and keeps them
  // when somebody changes them).
  const auto mtu = link.mtu ? link.mtu : parent != nullptr ? std::optional(parent->mtu) : std::nullopt;
  if (mtu && found.mtu != *mtu) {
    change.mtu = mtu;
    differs.add("mtu", std::to_string(found.mtu), std::to_string(*mtu));
  }
  const bool same_mac = link.kind == "vlan" && parent != nullptr;
  const auto mac = link.mac ? link.mac : same_mac ? parent->mac : std::nullopt;
  if (mac && found.mac != mac) {
    change.mac = mac;
    differs.add("mac", found.mac ? found.mac->text() : "", mac->text());
  }
  if (link.ipv6 == Ipv6Addresses::none && found.ipv6 != Ipv6Addresses::none) {
    change.ipv6 = Ipv6Addresses::none;
    differs.add("ipv6 address generation", "on", "off");
  }
  if (!link.altname.empty() &&
      std::find(found.altnames.begin(), found.altnames.end(), link.altname) == found.altnames.end()) {
    change.add_altname = link.altname;
    differs.add("altname", "", link.altname);
  }
  if (link.tap_owner && found.tap_owner != link.tap_owner) {
    change.tap_owner = link.tap_owner;
    differs.add("tap owner", text_of(found.tap_owner), text_of(link.tap_owner));
  }
  if (link.tap_group && found.tap_group != link.tap_group) {
    change.tap_group = link.tap_group;
    differs.add("tap group", text_of(found.tap_group), text_of(link.tap_group));
  }
  add_attributes(link, found, false, change, differs);
  if (!link.master.empty()) {
    const bool is_port = !wrong_master && found.port_kind == "bridge";
    const LinkFact as_port = is_port ? found : LinkFact{};
    const std::size_t before = change.attributes.size();
    if (is_port)
      add_attributes(link, found, true, change, differs);
    else
      for (const auto& attribute : link.attributes)
        if (is_port_attribute(attribute.first)) change.attributes.push_back(attribute);
    if (change.attributes.size() != before) change.port_kind = "bridge";
    add_vlans(link, as_port, change, differs);
  }
  if (found.arp && !link.arp) {
    change.arp = false;
    differs.add("arp", "on", "off");
  }
  if (found.up != link.up) {
    change.up = link.up;
    differs.add("state", found.up ? "up" : "down", link.up ? "up" : "down");
  }
  if (!differs.names.empty()) {
    if (change.rename) disruption = Disruption::flap;  // an older kernel renames a link only while it is down
    const std::string reason =
        ownership == Ownership::adoptable ? "adopted; " + differs.reason : std::move(differs.reason);
    const int stage = at.stage + (link.created_with_peer ? kInnerLinks : kLinks);
    act(at, stage, std::move(change), reason, std::move(differs.names), disruption);
  }
  compare_addresses(at, link, &found);
  compare_routes(at, link, &found);
  if (unfinished) finish(at, link);
}

// Another network of ours has it as its port still, but does not declare it any more.
bool Planner::is_given_up(const LinkName& uplink, const std::optional<OwnerTag>& master) const {
  const desired::DesiredObject* owner = master ? desired_.find_uid(master->uid) : nullptr;
  if (owner == nullptr || !desired_.claims_of(owner->object.uid).contains(uplink.name)) return false;
  const auto& links = resources_of(*owner).links;
  return owner->object.deleting || std::none_of(links.begin(), links.end(), [&](const LinkSpec& link) {
           return !link.owned && link.where == uplink;
         });
}

// An uplink: only its membership, its port attributes and UP are ours to say.
void Planner::use_host_link(const Cursor& at, const LinkSpec& link) {
  const LinkFact* found = observed_.find(link.where);
  const bool is_new = created_.contains(link.where);
  if (found == nullptr && !is_new)
    return block(
        at, waiting(at.entry, link.where, "there is no such link", "it is plugged in as soon as it appears"));
  ChangeLink change;
  change.where = link.where;
  Differences differs;
  const LinkFact nothing;
  const LinkFact& fact = found != nullptr && !is_new ? *found : nothing;
  change.kind = fact.kind;
  change.ifindex = fact.ifindex;

  if (fact.loopback)
    return block(
        at, conflict(at.entry, link.where, "the loopback interface cannot be a port", "name another uplink"));
  if (const LinkFact* stranger = found != nullptr ? foreign_upper_on(found->ifindex) : nullptr)
    return block(at, conflict(at.entry, link.where,
                              "the " + stranger->kind + " link " + stranger->name +
                                  " stands on it; a link is a port or a parent, not both",
                              "remove that link, or name another uplink"));
  if (link.master.empty()) return use_as_it_is(at, link, fact);
  const LinkFact* master = observed_.find(LinkName{"", link.master});
  const bool member =
      master != nullptr && !created_.contains({"", link.master}) && fact.master == master->ifindex;
  if (!member) {
    const bool elsewhere = fact.master != 0 && (master == nullptr || fact.master != master->ifindex);
    const NamespaceFacts* host = observed_.find(std::string{});
    const LinkFact* other = elsewhere ? host->find(fact.master) : nullptr;
    const auto mark = other != nullptr ? OwnerTag::parse(other->alias) : std::nullopt;
    const bool foreign_master = other != nullptr && !will_be_gone({"", other->name}, other->ifindex) &&
                                !is_given_up(link.where, mark);
    const bool claimed = desired_.claims_of(at.entry.object.uid).contains(link.where.name);
    const bool was_ours = claimed && !(mark && desired_.find_uid(mark->uid) != nullptr);
    if (foreign_master && !at.entry.object.adopt && !was_ours)
      return block(at, conflict(at.entry, link.where, "it is a port of " + other->name + " already",
                                "take it off there (ip link set " + link.where.name +
                                    " nomaster), or apply with --adopt to move it"));
    change.master = link.master;
    differs.add("master", name_of_index("", fact.master), link.master);
    for (const auto& attribute : link.attributes) change.attributes.push_back(attribute);
    if (link.vlans && !link.vlans->empty()) change.add_vlans = *link.vlans;
  } else {
    add_attributes(link, fact, true, change, differs);
    add_vlans(link, fact, change, differs);
  }
  change.port_kind = "bridge";
  if (!fact.up && link.up) {
    change.up = true;
    differs.add("state", "down", "up");
  }
  if (differs.names.empty()) return;
  // After the bridge, which is a link of the same object.
  act(at, at.stage + kInnerLinks, std::move(change), std::move(differs.reason), std::move(differs.names),
      Disruption::none);
}

// An uplink that somebody listens at: only UP is ours to say.
void Planner::use_as_it_is(const Cursor& at, const LinkSpec& link, const LinkFact& fact) {
  if (!fact.port_kind.empty())
    return block(
        at,
        conflict(at.entry, link.where,
                 "it is a port of " + fact.port_kind + " " + name_of_index("", fact.master) + " already",
                 "take it off there (ip link set " + link.where.name + " nomaster), or name another uplink"));
  if (fact.up || !link.up) return;
  ChangeLink change;
  change.where = link.where;
  change.kind = fact.kind;
  change.ifindex = fact.ifindex;
  change.up = true;
  act(at, at.stage + kLinks, std::move(change), "state is down, wanted up", {"state"}, Disruption::none);
}

void Planner::compare_addresses(const Cursor& at, const LinkSpec& link, const LinkFact* found) {
  const auto has = [](const LinkFact& fact, const IpPrefix& wanted) {
    return std::any_of(fact.addresses.begin(), fact.addresses.end(),
                       [&](const AddressFact& address) { return address.prefix == wanted; });
  };
  for (const IpPrefix& wanted : link.addresses) {
    if (found != nullptr && has(*found, wanted)) continue;
    act(at, at.stage + kAddresses, AddAddress{link.where, wanted}, "missing", {"addresses"},
        Disruption::none);
  }
  if (found == nullptr) return;
  for (const AddressFact& address : found->addresses) {
    const bool wanted =
        std::find(link.addresses.begin(), link.addresses.end(), address.prefix) != link.addresses.end();
    if (!wanted && address.protocol == kOwnProtocol)
      act(at, kRemovals, RemoveAddress{{link.where.netns, found->name}, address.prefix}, "no longer declared",
          {"addresses"}, Disruption::none);
  }
}

// Of several attachments in one namespace, whose networks all name a gateway, one has the default route: of
// those that are there one that declares it, else the first by name; when none is there yet, likewise of all.
bool Planner::holds_default_route(const desired::DesiredObject& entry, const std::string& netns,
                                  std::uint8_t family) const {
  const auto [place, is_new] = ways_out_.try_emplace(Way{netns, family});
  if (is_new) {
    std::optional<std::tuple<bool, bool, ResourceId>> best;
    for (const desired::DesiredObject* other : desired_.in_namespace(netns)) {
      if (other->object.deleting || other->object.id.kind != Kind::attachment) continue;
      const drivers::Resources resources = other->compile();
      for (const LinkSpec& link : resources.links) {
        if (link.where.netns != netns) continue;
        const bool absent = locate(*other, link) == nullptr;
        for (const RouteSpec& route : link.routes) {
          if (route.to.length != 0 || route.to.address.family != family || route.metric) continue;
          std::tuple<bool, bool, ResourceId> rank{absent, route.automatic, other->object.id};
          if (!best || rank < *best) best = std::move(rank);
        }
      }
    }
    if (best) place->second = std::get<ResourceId>(*best);
  }
  return !place->second || *place->second == entry.object.id;
}

void Planner::compare_routes(const Cursor& at, const LinkSpec& whole, const LinkFact* found) {
  LinkSpec link;
  link.where = whole.where;
  link.routes = whole.routes;
  std::erase_if(link.routes, [&](const RouteSpec& route) {
    return route.automatic && !holds_default_route(at.entry, link.where.netns, route.to.address.family);
  });
  for (const RouteSpec& wanted : link.routes) {
    const bool there =
        found != nullptr &&
        std::any_of(found->routes.begin(), found->routes.end(), [&](const RouteFact& fact) {
          return (fact.protocol == kOwnProtocol || whole.delegated) && same_route(wanted, fact.route);
        });
    // Where somebody else configures the links, another one may lead out by now: that is his choice.
    const bool yields = whole.delegated && wanted.to.length == 0;
    if (!there)
      act(at, at.stage + kRoutes, AddRoute{link.where, wanted, yields}, "missing", {"routes"},
          Disruption::none);
  }
  if (found == nullptr) return;
  for (const RouteFact& fact : found->routes) {
    const bool wanted = std::any_of(link.routes.begin(), link.routes.end(),
                                    [&](const RouteSpec& spec) { return same_route(spec, fact.route); });
    if (!wanted && fact.protocol == kOwnProtocol)
      act(at, kRemovals, RemoveRoute{{link.where.netns, found->name}, fact.route}, "no longer declared",
          {"routes"}, Disruption::none);
  }
}

Plan Planner::take() && {
  std::stable_sort(plan_.actions.begin(), plan_.actions.end(),
                   [](const Action& a, const Action& b) { return a.stage < b.stage; });
  return std::move(plan_);
}

}  // namespace

Plan plan(const desired::DesiredState& desired, const Observed& observed, Scope scope) {
  if (!observed.complete) return {};
  // What is removed, then what others stand on, comes first: later objects see what this plan does to them.
  desired::Depths depths(desired);
  std::vector<std::pair<int, const desired::DesiredObject*>> order;
  const auto add = [&](const desired::DesiredObject& entry) {
    order.emplace_back(entry.object.deleting ? -1 : depths.of(entry), &entry);
  };
  if (scope == nullptr) {
    for (const auto& [id, entry] : desired.entries()) add(*entry);
  } else {
    for (const ResourceId& id : *scope) {
      if (const desired::DesiredObject* entry = desired.find(id)) add(*entry);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Planner planner(desired, observed);
  for (const auto& [depth, entry] : order) {
    planner.look_at(*entry, depth);
    planner.forget_parts();
  }
  return std::move(planner).take();
}

std::set<std::string> settled_claims(const desired::DesiredObject& entry,
                                     const desired::DesiredState& desired, const Observed& observed) {
  std::set<std::string> settled;
  const auto& claims = desired.claims_of(entry.object.uid);
  if (claims.empty()) return settled;
  const NamespaceFacts* host = observed.find(std::string{});
  const drivers::Resources resources = entry.compile();
  const auto& links = resources.links;
  for (const std::string& name : claims) {
    if (name.starts_with(desired::kPlaceClaim)) {
      const std::string place = name.substr(desired::kPlaceClaim.size());
      const bool declared = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
        return link.where.netns == place || link.delegate_netns == place;
      });
      const NamespaceFacts* facts = observed.find(place);
      const bool empty = facts == nullptr || !facts->present || facts->marked(entry.object.uid).empty();
      if (declared || empty) settled.insert(name);
      continue;
    }
    const bool declared = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
      return !link.owned && link.where == LinkName{"", name};
    });
    if (declared || host == nullptr) continue;
    const LinkFact* link = host->find(name);
    const LinkFact* master = link != nullptr && link->master != 0 ? host->find(link->master) : nullptr;
    const auto mark = master != nullptr ? OwnerTag::parse(master->alias) : std::nullopt;
    if (!mark || mark->uid != entry.object.uid) settled.insert(name);
  }
  return settled;
}

std::size_t count_orphans(const desired::DesiredState& desired, const Observed& observed) {
  std::size_t count = 0;
  for (const auto& [netns, facts] : observed.namespaces) {
    for (const auto& [ifindex, fact] : facts.links()) {
      const auto mark = OwnerTag::parse(fact.alias);
      if (mark && desired.find_uid(mark->uid) == nullptr) ++count;
    }
  }
  for (const auto& [network, fact] : observed.switches) {
    if (!fact.uid.empty() && desired.find_uid(fact.uid) == nullptr) ++count;
  }
  return count;
}

}  // namespace lanwright::planning
