#include "reconcilers/plan/removals.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "model/link_names.h"
#include "reconcilers/kinds/table.h"
#include "reconcilers/plan/bridge_vlans.h"
#include "reconcilers/plan/ownership.h"

namespace lanwright::planning {
namespace {

constexpr const char* kNotDeclared = "no longer declared";

// One end of a pair takes the other with it.
bool goes_with_its_peer(const Draft& draft, const std::string& netns, const LinkFact& fact) {
  if (draft.observed().is_same_namespace(netns, {}) || !kinds::kind_of(fact.kind).paired ||
      !draft.removes({}, fact.parent))
    return false;
  const LinkFact* peer = draft.host().find(fact.parent);
  return peer != nullptr && kinds::kind_of(peer->kind).paired && peer->parent == fact.ifindex &&
         peer->parent_nsid == draft.observed().find(netns)->nsid;
}

// A crash left it between its creation and its mark.
void remove_half_made(Draft& draft, const Cursor& at, const std::string& netns, const NamespaceFacts& facts) {
  for (const std::string& name : temporary_names(at.entry.object.uid)) {
    const LinkFact* fact = facts.find(name);
    if (fact != nullptr && fact->alias.empty() &&
        (kinds::kind_of(fact->kind).born_unmarked || is_birth_group(fact->group)))
      remove(draft, at, netns, *fact, {at.entry.object.uid, {}}, "half made");
  }
}

bool is_wanted(const Draft& draft, const DesiredObject& entry, const std::string& netns,
               const LinkFact& fact) {
  const auto is_here = [&](const std::string& path) {
    return draft.observed().is_same_namespace(path, netns);
  };
  const auto& links = draft.resources_of(entry).links;
  return std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
    if (link.borrowed) return false;
    // While it is moved it may be seen in both places: which one is out of date, nobody knows.
    if (link.delegated && OwnerTag::parse(fact.alias) == tag_of(entry, link))
      return is_here(link.at.netns) || is_here(link.delegate_netns);
    // By another path the same link is another fact.
    const LinkFact* found = is_here(link.at.netns) ? locate(draft, entry, link) : nullptr;
    return found != nullptr && found->ifindex == fact.ifindex && found->alias == fact.alias;
  });
}

// Namespaces in which the object has links, or once had some: each by one of its paths, the managed one
// first.
std::vector<std::string> places_of(const Draft& draft, const DesiredObject& entry) {
  std::vector<std::string> places;
  std::set<NamespaceId> known;
  const auto add = [&](const std::string& path) {
    if (known.insert(draft.observed().id_of(path)).second) places.push_back(path);
  };
  add({});
  for (const LinkSpec& link : draft.resources_of(entry).links) {
    add(link.at.netns);
    add(link.delegate_netns);
  }
  for (const Finalizer& finalizer : draft.desired().finalizers_of(entry.object.uid)) {
    if (finalizer.kind == Finalizer::Kind::netns) add(finalizer.name);
  }
  return places;
}

}  // namespace

void remove(Draft& draft, const Cursor& at, const std::string& netns, const LinkFact& fact,
            const OwnerTag& mark, const std::string& reason, Disruption disruption) {
  if (!draft.note_removal(netns, fact.ifindex) || goes_with_its_peer(draft, netns, fact)) return;
  const LinkName where{netns, fact.name};
  if (OwnerTag::parse(fact.alias) != mark && !is_temporary_name(fact.name, mark.uid)) {
    ChangeLink change = change_of(where, fact);
    change.alias = mark.text();
    draft.act(at, kMarks, std::move(change), reason, {"alias"});
  }
  draft.act(at, kRemovals, RemoveLink{where, fact.ifindex, fact.kind, mark}, reason, {}, disruption);
}

void remove_all(Draft& draft, const Cursor& at) {
  for (const auto& [netns, facts] : draft.observed().namespaces) {
    for (const LinkFact* fact : facts.marked(at.entry.object.uid)) {
      if (!is_own_group(fact->group)) continue;
      if (netns.empty()) leave_vlan_below(draft, at, *fact);
      remove(draft, at, netns, *fact, *OwnerTag::parse(fact->alias), kNotDeclared);
    }
    remove_half_made(draft, at, netns, facts);
  }
  for (const LinkSpec& link : draft.resources_of(at.entry).links) {  // that lost their marks
    const LinkFact* fact = !link.borrowed ? locate(draft, at.entry, link) : nullptr;
    if (fact == nullptr || ownership_of(draft, at.entry, link, *fact) != Ownership::ours) continue;
    // Without our group and our name the mark may be a copy, left over when ours is gone.
    if (is_own_group(fact->group) || draft.observed().find(link.at) == fact)
      remove(draft, at, link.at.netns, *fact, tag_of(at.entry, link), kNotDeclared);
  }
}

void remove_strays(Draft& draft, const Cursor& at) {
  for (const std::string& netns : places_of(draft, at.entry)) {
    const NamespaceFacts* facts = draft.observed().find(netns);
    if (facts == nullptr) continue;
    remove_half_made(draft, at, netns, *facts);
    for (const LinkFact* fact : facts->marked(at.entry.object.uid)) {
      if (!is_wanted(draft, at.entry, netns, *fact) && is_own_group(fact->group))
        remove(draft, at, netns, *fact, *OwnerTag::parse(fact->alias), kNotDeclared);
    }
  }
}

void release_uplinks(Draft& draft, const Cursor& at) {
  for (const auto& [kind, name] : draft.desired().finalizers_of(at.entry.object.uid)) {
    if (kind != Finalizer::Kind::port || declares_uplink(draft, at.entry, {"", name})) continue;
    const LinkFact* link = draft.host().find(name);
    if (link != nullptr && draft.removes("", link->ifindex)) continue;
    const LinkFact* master = link != nullptr && link->master != 0 ? draft.host().find(link->master) : nullptr;
    const auto mark = master != nullptr ? OwnerTag::parse(master->alias) : std::nullopt;
    if (!mark || mark->uid != at.entry.object.uid) continue;
    ChangeLink change = change_of({"", link->name}, *link);
    change.master = "";
    draft.act(at, kRemovals, std::move(change), "no longer an uplink", {"master"});
  }
}

}  // namespace lanwright::planning
