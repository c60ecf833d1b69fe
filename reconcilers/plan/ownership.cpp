#include "reconcilers/plan/ownership.h"

#include <algorithm>

namespace lanwright::planning {

OwnerTag tag_of(const DesiredObject& entry, const LinkSpec& link) {
  return {entry.object.uid, link.role};
}

const LinkFact* locate(const Draft& draft, const DesiredObject& entry, const LinkSpec& link) {
  const NamespaceFacts* place = draft.observed().find(link.at.netns);
  const LinkFact* marked = place != nullptr ? place->find(tag_of(entry, link)) : nullptr;
  if (marked == nullptr && link.delegated) {
    const NamespaceFacts* other = draft.observed().find(link.delegate_netns);
    marked = other != nullptr ? other->find(tag_of(entry, link)) : nullptr;
  }
  if (marked != nullptr) return marked;
  return place != nullptr ? place->find(link.at.name) : nullptr;
}

Ownership ownership_of(const Draft& draft, const DesiredObject& entry, const LinkSpec& link,
                       const LinkFact& found) {
  const auto mark = OwnerTag::parse(found.alias);
  if (mark && mark->uid == entry.object.uid)
    return mark->role == link.role ? Ownership::ours : Ownership::other_object;
  if (mark && draft.desired().find_uid(mark->uid) != nullptr) return Ownership::other_object;
  // The moment between creation and mark, or somebody rewrote the alias: the group, the kind and the stored
  // name still say that it is ours.
  if (!mark && is_birth_group(found.group) && found.kind == link.kind) return Ownership::ours;
  if (entry.object.adopt && found.kind == link.kind) return Ownership::adoptable;
  return mark ? Ownership::unknown_mark : Ownership::foreign;
}

// What is made again for him is first made whole.
bool is_in_other_hands(const Draft& draft, const DesiredObject& entry, const LinkSpec& link,
                       const LinkFact& found) {
  if (!link.delegated || OwnerTag::parse(found.alias) != tag_of(entry, link)) return false;
  const NamespaceFacts* place = draft.observed().find(link.at.netns);
  const bool in_place = !link.at.netns.empty() && place != nullptr && place->find(found.ifindex) == &found;
  return !in_place || !is_incomplete_group(found.group);
}

bool satisfied_by_foreign(const Draft& draft, const DesiredObject& entry, const LinkSpec& link) {
  const LinkFact* found = link.accept_foreign ? locate(draft, entry, link) : nullptr;
  if (found == nullptr || draft.removes(link.at.netns, found->ifindex)) return false;
  const Ownership ownership = ownership_of(draft, entry, link, *found);
  return ownership != Ownership::ours && ownership != Ownership::other_object;
}

Error in_the_way(const Draft& draft, const DesiredObject& entry, const LinkSpec& link, const LinkFact& found,
                 Ownership ownership) {
  if (ownership == Ownership::other_object) {
    const DesiredObject* other = draft.desired().find_uid(OwnerTag::parse(found.alias)->uid);
    return waiting(entry, link.at,
                   "the name is still held by a link of " +
                       (other != nullptr ? other->object.id.text() : std::string("another object")),
                   "it is made as soon as the name is free");
  }
  if (ownership == Ownership::unknown_mark)
    return conflict(entry, link.at,
                    "the link carries the mark of an agent with another store (" + found.alias + ")",
                    "apply with --adopt to take it over, or remove it: ip link del " + found.name);
  return conflict(entry, link.at,
                  "there is a link of this name that is not ours (" + kind_or_physical(found) + ", ifindex " +
                      std::to_string(found.ifindex) + ")",
                  found.kind == link.kind
                      ? "apply with --adopt to take it over, choose another name, or remove it"
                      : "choose another name, or remove it");
}

bool declares_uplink(const Draft& draft, const DesiredObject& entry, const LinkName& link) {
  const auto& links = draft.resources_of(entry).links;
  return std::any_of(links.begin(), links.end(),
                     [&](const LinkSpec& one) { return one.borrowed && one.at == link; });
}

bool is_given_up(const Draft& draft, const LinkName& uplink, const std::optional<OwnerTag>& master) {
  const DesiredObject* owner = master ? draft.desired().find_uid(master->uid) : nullptr;
  if (owner == nullptr ||
      !draft.desired().finalizers_of(owner->object.uid).contains(Finalizer::port(uplink.name)))
    return false;
  return owner->object.deleting || !declares_uplink(draft, *owner, uplink);
}

}  // namespace lanwright::planning
