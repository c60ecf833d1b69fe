// Whose a link is that was found under a wanted name or mark, and what may be done with it.
#pragma once

#include <optional>
#include <string>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

enum class Ownership { ours, adoptable, foreign, other_object, unknown_mark };

OwnerTag tag_of(const DesiredObject& entry, const LinkSpec& link);

// The link that is to become, or is, this one of the object's: by mark first, so that a renamed link is
// found; then by name.
const LinkFact* locate(const Draft& draft, const DesiredObject& entry, const LinkSpec& link);
Ownership ownership_of(const Draft& draft, const DesiredObject& entry, const LinkSpec& link,
                       const LinkFact& found);

// Somebody has the link, and does with it as he likes.
bool is_in_other_hands(const Draft& draft, const DesiredObject& entry, const LinkSpec& link,
                       const LinkFact& found);
// Somebody else's link does instead of one that would be made on demand, whatever it stands on.
bool satisfied_by_foreign(const Draft& draft, const DesiredObject& entry, const LinkSpec& link);
// Why a link that is neither ours nor adoptable is in the way.
Error in_the_way(const Draft& draft, const DesiredObject& entry, const LinkSpec& link, const LinkFact& found,
                 Ownership ownership);

// The object declares the link as its uplink.
bool declares_uplink(const Draft& draft, const DesiredObject& entry, const LinkName& link);
// Another network of ours, whose bridge has this mark, has the link as its port still, but does not declare
// it any more.
bool is_given_up(const Draft& draft, const LinkName& uplink, const std::optional<OwnerTag>& master);

}  // namespace lanwright::planning
