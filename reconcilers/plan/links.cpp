#include "reconcilers/plan/links.h"

#include <algorithm>
#include <utility>

#include "model/link_names.h"
#include "reconcilers/kinds/macvlan.h"
#include "reconcilers/plan/bridge_vlans.h"
#include "reconcilers/plan/comparers.h"
#include "reconcilers/plan/host_bridge.h"
#include "reconcilers/plan/removals.h"
#include "reconcilers/plan/uplinks.h"

namespace lanwright::planning {
namespace {

bool wants_other_mac(const Draft& draft, const DesiredObject& owner, const OwnerTag& mark,
                     const LinkFact& fact) {
  if (owner.object.deleting) return false;
  const auto& links = draft.resources_of(owner).links;
  return std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
    return link.role == mark.role && link.mac && link.mac != fact.mac;
  });
}

}  // namespace

void Links::compare(const Cursor& at) {
  made_with_peer_.clear();
  const std::size_t blocked = draft_.blocked();
  for (const LinkSpec& link : draft_.resources_of(at.entry).links) {
    compare(at, link);
    if (draft_.blocked() != blocked) return;
  }
}

void Links::compare(const Cursor& at, const LinkSpec& link) {
  if (made_with_peer_.contains(&link) || satisfied_by_foreign(draft_, at.entry, link)) return;
  if (auto error = prerequisites_.unmet(at.entry, link)) return draft_.block(at, std::move(*error));
  if (link.is_host_bridge()) return compare_host_bridge(draft_, at, link);
  if (link.borrowed) return compare_uplink(draft_, prerequisites_, at, link);

  const LinkFact* found = locate(draft_, at.entry, link);
  if (found == nullptr && link.handover_pending) return;
  if (found != nullptr && is_in_other_hands(draft_, at.entry, link, *found)) return;
  if (found == nullptr || draft_.removes(link.at.netns, found->ifindex)) {
    // An inner end without its outer end's knowledge: the pair is made anew through the outer end, which was
    // compared before and found its peer wrong; nothing to do here.
    if (link.created_with_peer) return;
    return create(at, link, "missing", found != nullptr ? Disruption::recreate : Disruption::none);
  }
  const Ownership ownership = ownership_of(draft_, at.entry, link, *found);
  if (ownership == Ownership::ours || ownership == Ownership::adoptable)
    return compare_existing(at, link, *found, ownership);
  draft_.block(at, in_the_way(draft_, at.entry, link, *found, ownership));
}

void Links::compare_existing(const Cursor& at, const LinkSpec& link, const LinkFact& found,
                             Ownership ownership) {
  if (found.name != link.at.name && !free_name(at, link.at, found)) return;
  if (!free_altname(at, link, &found) || !free_mac(at, link, &found)) return;
  if (const auto reason = must_recreate(link, found)) return recreate(at, link, found, ownership, *reason);
  change(at, link, found, ownership);
  join_vlan_below(draft_, at, link);
  join_vlans_above(draft_, at, link, found);
  addresses_.compare(at, link, &found);
  if (link.delegated && is_incomplete_group(found.group)) mark_complete(at, link);
}

void Links::change(const Cursor& at, const LinkSpec& link, const LinkFact& found, Ownership ownership) {
  Compared compared{draft_, link, found, tag_of(at.entry, link)};
  compared.adopted = ownership == Ownership::adoptable;
  compared.held_down = prerequisites_.held_down(link);
  compared.made_anew = link.delegated && is_incomplete_group(found.group);
  const LinkName master{link.at.netns, link.master};
  if (!link.master.empty() && !draft_.creates(master)) compared.master = draft_.observed().find(master);
  if (!link.parent.empty()) compared.parent = draft_.observed().find(LinkName{"", link.parent});

  ChangeLink change = change_of({link.at.netns, found.name}, found);
  Differences differs;
  compare_all(compared, change, differs);
  if (differs.names.empty()) return;
  if (change.rename) draft_.note_rename(link.at);
  // An older kernel renames a link only while it is down.
  const Disruption disruption = change.rename ? Disruption::flap : Disruption::none;
  draft_.act(at, at.stage + (link.created_with_peer ? kInnerLinks : kLinks), std::move(change),
             (compared.adopted ? "adopted; " : "") + differs.reason, std::move(differs.names), disruption);
}

// False when the name is somebody's who keeps it: then the object is blocked.
bool Links::free_name(const Cursor& at, const LinkName& name, const LinkFact& wanting) {
  const LinkFact* holder = draft_.observed().find(name);
  if (holder == nullptr || holder == &wanting || draft_.removes(name.netns, holder->ifindex)) return true;
  if (make_room(at, name, *holder)) return true;
  draft_.block(at, conflict(at.entry, {name.netns, wanting.name},
                            "its name " + name.name + " is taken by another link (ifindex " +
                                std::to_string(holder->ifindex) + ")",
                            "rename or remove that link"));
  return false;
}

// A link of ours that holds a name which it is about to give up makes room at once, so that two can swap
// names.
bool Links::make_room(const Cursor& at, const LinkName& name, const LinkFact& holder) {
  const auto mark = OwnerTag::parse(holder.alias);
  const DesiredObject* owner =
      mark && holder.group == kOwnGroup ? draft_.desired().find_uid(mark->uid) : nullptr;
  if (owner == nullptr || owner->object.deleting) return false;
  const auto& links = draft_.resources_of(*owner).links;
  const bool leaves = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
    return link.role == mark->role && draft_.observed().is_same_namespace(link.at.netns, name.netns) &&
           link.at.name != name.name;
  });
  if (!leaves) return false;
  ChangeLink aside = change_of({name.netns, holder.name}, holder);
  aside.rename = temporary_name(mark->uid);
  draft_.act(at, kMarks, std::move(aside), "makes room for " + label(at.entry, name), {"name"},
             Disruption::flap);
  return true;
}

// False when a link that stands on the same parent keeps the MAC address, or the parent itself: then the
// object is blocked. One of ours that is about to give it up takes another one at once, so that two can swap
// theirs.
bool Links::free_mac(const Cursor& at, const LinkSpec& link, const LinkFact* wanting) {
  const LinkName parent_name{"", link.parent};
  const bool matters = link.kind == kinds::kMacvlan.name && link.mac && !draft_.creates(parent_name);
  const LinkFact* parent = matters ? draft_.observed().find(parent_name) : nullptr;
  if (parent == nullptr) return true;
  if (wanting != nullptr && wanting->mac == link.mac && wanting->parent == parent->ifindex) return true;
  const auto refuse = [&](const std::string& who) {
    draft_.block(at, conflict(at.entry, link.at, "its mac " + link.mac->text() + " is that of " + who,
                              "choose another one"));
    return false;
  };
  if (parent->mac == link.mac) return refuse("its parent " + parent->name);
  for (const auto& [netns, facts] : draft_.observed().namespaces) {
    for (const auto& [ifindex, fact] : facts.links()) {
      if (&fact == wanting || fact.mac != link.mac || fact.parent != parent->ifindex ||
          fact.kind != link.kind || draft_.removes(netns, ifindex))
        continue;
      const auto mark = OwnerTag::parse(fact.alias);
      const DesiredObject* owner = mark ? draft_.desired().find_uid(mark->uid) : nullptr;
      if (owner == nullptr && !netns.empty()) continue;  // its parent is perhaps another one of that number
      if (owner == nullptr) return refuse(fact.name + ", which stands on " + parent->name + " too");
      if (owner == &at.entry || !wants_other_mac(draft_, *owner, *mark, fact))
        return refuse(label(*owner, {netns, fact.name}));
      ChangeLink aside = change_of({netns, fact.name}, fact);
      aside.mac = temporary_mac(mark->uid);
      draft_.act(at, kMarks, std::move(aside), "makes room for " + label(at.entry, link.at), {"mac"});
    }
  }
  return true;
}

// False when the full name of the link, which is its alternative one, is another link's.
bool Links::free_altname(const Cursor& at, const LinkSpec& link, const LinkFact* wanting) {
  const LinkName name{link.at.netns, link.altname};
  const LinkFact* holder = link.altname.empty() ? nullptr : draft_.observed().find(name);
  if (holder == nullptr || holder == wanting || draft_.removes(name.netns, holder->ifindex)) return true;
  draft_.block(at, conflict(at.entry, link.at,
                            "its full name " + link.altname + " is taken by another link (" + holder->name +
                                ", ifindex " + std::to_string(holder->ifindex) + ")",
                            "rename or remove that link"));
  return false;
}

std::optional<std::string> Links::must_recreate(const LinkSpec& link, const LinkFact& found) const {
  if (found.kind != link.kind) return "kind is " + text_or_none(found.kind) + ", wanted " + link.kind;
  if (!link.parent.empty()) {
    const LinkName wanted{"", link.parent};
    const LinkFact* parent = draft_.observed().find(wanted);
    const bool same = parent != nullptr && !draft_.creates(wanted) && found.parent == parent->ifindex;
    if (!same)
      return "parent is " + text_or_none(draft_.name_of_index("", found.parent)) + ", wanted " + link.parent;
  }
  for (const auto& [attribute, wanted] : link.attributes) {
    const auto value = find(found.attributes, *attribute);
    if (value != wanted && needs_recreation(*attribute, wanted, value))
      return std::string(attribute->name) + " is " + (value ? std::to_string(*value) : "unknown") +
             ", wanted " + std::to_string(wanted);
  }
  if (peer_is_wrong(link, found)) return "its other end is not in " + link.peer->text();
  return std::nullopt;
}

bool Links::peer_is_wrong(const LinkSpec& link, const LinkFact& found) const {
  if (!link.peer || link.created_with_peer) return false;
  const DesiredObject* owner = draft_.desired().owner_of(*link.peer);
  const NamespaceFacts* place = draft_.observed().find(link.peer->netns);
  if (owner == nullptr || place == nullptr || !place->present) return false;
  const auto& links = draft_.resources_of(*owner).links;
  const auto inner =
      std::find_if(links.begin(), links.end(), [&](const LinkSpec& other) { return other.at == *link.peer; });
  if (inner == links.end()) return false;
  const LinkFact* end = locate(draft_, *owner, *inner);
  if (end == nullptr && inner->handover_pending) return false;
  if (end == nullptr || end->kind != link.kind) return true;
  // Two ends of one cable name each other by ifindex. (A pair with both ends in one namespace does too.)
  return found.parent != end->ifindex || end->parent != found.ifindex;
}

void Links::recreate(const Cursor& at, const LinkSpec& link, const LinkFact& found, Ownership ownership,
                     const std::string& reason) {
  if (ownership == Ownership::adoptable)
    return draft_.block(at, conflict(at.entry, link.at, "it cannot be taken over: " + reason,
                                     "choose another name, or remove it"));
  if (link.created_with_peer) return;  // the outer end says the same and makes both
  if (link.at.netns.empty()) leave_vlan_below(draft_, at, found, &link);
  remove(draft_, at, link.at.netns, found, tag_of(at.entry, link), reason, Disruption::recreate);
  create(at, link, reason, Disruption::recreate);
}

void Links::create(const Cursor& at, const LinkSpec& link, std::string reason, Disruption disruption) {
  if (!free_altname(at, link, nullptr) || !free_mac(at, link, nullptr)) return;
  CreateLink step{link, tag_of(at.entry, link), std::nullopt, std::nullopt};
  std::erase_if(step.link.attributes,
                [](const auto& one) { return holds_by_default(*one.attribute, one.value); });
  if (prerequisites_.held_down(link)) {  // the kernel puts it up with its parent
    step.link.up = false;
    draft_.note_held_down(link.at);
  }
  if (is_prepared_down(link)) step.link.up = false;
  const LinkSpec* inner = inner_end_of(at.entry, link);
  if (inner != nullptr) {
    if (!free_inner_end(at, *inner)) return;
    step.peer = *inner;
    if (is_prepared_down(*inner)) step.peer->up = false;
    step.peer_mark = tag_of(at.entry, *inner);
    draft_.note_creation(inner->at);
    made_with_peer_.insert(inner);
  }
  draft_.note_creation(link.at);
  draft_.act(at, at.stage + kLinks, std::move(step), std::move(reason), {}, disruption);
  complete_new(at, link);
  if (inner != nullptr) complete_new(at, *inner);
}

// Something is set before it goes up.
bool Links::is_prepared_down(const LinkSpec& link) const {
  return !link.sysctls.empty() || sends_whole_checksums(draft_, link);
}

const LinkSpec* Links::inner_end_of(const DesiredObject& entry, const LinkSpec& link) const {
  if (!link.peer || link.created_with_peer) return nullptr;
  const auto& links = draft_.resources_of(entry).links;
  const auto inner = std::find_if(links.begin(), links.end(), [&](const LinkSpec& other) {
    return other.at == *link.peer && other.created_with_peer;
  });
  return inner == links.end() ? nullptr : &*inner;
}

// False when its name is somebody else's in the namespace: then the object is blocked.
bool Links::free_inner_end(const Cursor& at, const LinkSpec& inner) {
  const LinkFact* occupant = locate(draft_, at.entry, inner);
  if (occupant == nullptr || draft_.removes(inner.at.netns, occupant->ifindex)) return true;
  const auto mark = OwnerTag::parse(occupant->alias);
  if (mark && mark->uid == at.entry.object.uid) {
    // Our own end of a cable whose other end is lost or elsewhere.
    remove(draft_, at, inner.at.netns, *occupant, *mark, "its other end is lost");
    return true;
  }
  draft_.block(
      at, conflict(at.entry, inner.at,
                   "there is an interface of this name in the namespace that is not ours (" +
                       text_or_none(occupant->kind) + ", ifindex " + std::to_string(occupant->ifindex) + ")",
                   "choose another `interface`, or remove it there"));
  return false;
}

// What a link that the plan makes is given after that.
void Links::complete_new(const Cursor& at, const LinkSpec& link) {
  join_vlan_below(draft_, at, link);
  if (is_prepared_down(link)) prepare_and_raise(at, link);
  addresses_.compare(at, link, nullptr);
  if (link.delegated && !link.at.netns.empty()) mark_complete(at, link);
}

// Some of them are of what the kernel does when a link goes up.
void Links::prepare_and_raise(const Cursor& at, const LinkSpec& link) {
  ChangeLink change;
  change.at = link.at;
  change.kind = link.kind;
  change.sysctls = link.sysctls;
  change.whole_checksums = sends_whole_checksums(draft_, link);
  if (link.up && !prerequisites_.held_down(link)) change.up = true;
  const bool again = !link.sysctls.empty();
  draft_.act(at, at.stage + kInnerLinks, std::move(change),
             again ? "sysctls and state as they were" : "the userspace datapath completes no checksums",
             again ? std::vector<std::string>{"sysctls", "state"} : std::vector<std::string>{"checksums"});
}

// The last that is done to a link that is made again for somebody: skipped when anything before it failed.
void Links::mark_complete(const Cursor& at, const LinkSpec& link) {
  ChangeLink change;
  change.at = link.at;
  change.kind = link.kind;
  change.group = kOwnGroup;
  draft_.act(at, at.stage + kWhole, std::move(change), "all of it is there again", {"group"});
}

}  // namespace lanwright::planning
