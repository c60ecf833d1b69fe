#include "reconcilers/plan/prerequisites.h"

#include <algorithm>

#include "reconcilers/kinds/sharing.h"
#include "reconcilers/kinds/table.h"

namespace lanwright::planning {
namespace {

// " (network lan)" of what is declared.
std::string in_brackets(const DesiredObject* owner) {
  return owner != nullptr ? " (" + owner->object.id.text() + ")" : std::string{};
}

bool will_adopt(const Draft& draft, const DesiredObject& owner, const LinkName& base, const LinkFact& found) {
  const auto& links = draft.resources_of(owner).links;
  return owner.object.adopt && std::any_of(links.begin(), links.end(), [&](const LinkSpec& one) {
           return one.owned && one.where == base && one.kind == found.kind;
         });
}

}  // namespace

std::optional<Error> Prerequisites::unmet(const DesiredObject& entry, const LinkSpec& link) const {
  if (!link.parent.empty()) {
    if (auto error = unmet(entry, link.where, {"", link.parent}, true)) return error;
  }
  if (!link.master.empty()) return unmet(entry, link.where, {link.where.netns, link.master}, false);
  return std::nullopt;
}

std::optional<Error> Prerequisites::unmet(const DesiredObject& entry, const LinkName& link,
                                          const LinkName& base, bool as_parent) const {
  if (draft_.creates(base) || draft_.renames_to(base)) return std::nullopt;
  const LinkFact* found = draft_.observed().find(base);
  if (found != nullptr && !draft_.removes(base.netns, found->ifindex))
    return unusable(entry, link, base, *found, as_parent);
  const DesiredObject* owner = draft_.desired().owner_of(base);
  const bool dotted = owner == nullptr && base.name.find('.') != std::string::npos;
  return waiting(entry, link,
                 std::string("its ") + (as_parent ? "parent " : "bridge ") + base.text() +
                     in_brackets(owner) + " does not exist",
                 "it is made as soon as " + base.name + " appears" +
                     (dotted ? "; only a VLAN link called NAME.VID is made on demand" : ""));
}

// It is there; but is it what we think?
std::optional<Error> Prerequisites::unusable(const DesiredObject& entry, const LinkName& link,
                                             const LinkName& base, const LinkFact& found,
                                             bool as_parent) const {
  const DesiredObject* owner = draft_.desired().owner_of(base);
  const auto mark = OwnerTag::parse(found.alias);
  const bool ours =
      owner != nullptr && ((mark && mark->uid == owner->object.uid) || (!mark && found.group == kOwnGroup));
  // A VLAN cannot be up over a parent that is down (ENETDOWN), and comes up with it.
  if (!ours && as_parent && !found.up)
    return waiting(entry, link, "its parent " + base.text() + " is down",
                   "it comes up as soon as the parent does: ip link set " + base.name + " up");
  if (owner == nullptr || ours || owner->object.implicit()) return std::nullopt;
  if (will_adopt(draft_, *owner, base, found)) return std::nullopt;
  return waiting(entry, link, "the link " + base.text() + in_brackets(owner) + " is not ours",
                 "see the condition of " + owner->object.id.text());
}

std::optional<Error> Prerequisites::unmet(const DesiredObject& entry, const ParentUse& use) {
  const LinkName parent{"", use.name};
  if (auto error = unmet(entry, parent, parent, true)) return error;
  const LinkFact* found = draft_.observed().find(parent);
  if (found == nullptr || draft_.creates(parent)) return std::nullopt;
  if (found->loopback)
    return conflict(entry, parent, "the loopback interface cannot be the parent of " + use.kind + " links",
                    "name another parent");
  if (!found->port_kind.empty() && !kinds::kind_of(found->port_kind).ports_are_parents)
    return conflict(entry, parent,
                    "it is a port of " + found->port_kind + " " + draft_.name_of_index("", found->master) +
                        " and cannot be a parent as well",
                    "take it off there (ip link set " + use.name + " nomaster), or name another parent");
  if (use.mtu && *use.mtu > found->mtu)
    return conflict(
        entry, parent,
        "mtu " + std::to_string(*use.mtu) + " is above its parent's " + std::to_string(found->mtu),
        "lower it, or raise the parent's: ip link set " + use.name + " mtu " + std::to_string(*use.mtu));
  const LinkFact* foreign = foreign_upper_on(found->ifindex);
  const auto clash = foreign != nullptr ? kinds::clash_with_foreign(use, *foreign) : std::nullopt;
  if (!clash) return std::nullopt;
  return conflict(entry, parent, clash->words, clash->hint);
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
