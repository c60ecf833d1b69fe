// What an object has on the host and does not want any more.
#pragma once

#include <string>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

// The link goes, unless it goes already, or with its other end; with `mark`, which it is given before when it
// lost it.
void remove(Draft& draft, const Cursor& at, const std::string& netns, const LinkFact& fact,
            const OwnerTag& mark, const std::string& reason, Disruption disruption = Disruption::none);

// Of an object that is being deleted.
void remove_all(Draft& draft, const Cursor& at);
// Links of ours that the object does not want any more, or that somebody copied our mark to: gone, if they
// are really marked as ours on both counts (alias and group).
void remove_strays(Draft& draft, const Cursor& at);
// Uplinks that it does not declare any more leave its bridge.
void release_uplinks(Draft& draft, const Cursor& at);

}  // namespace lanwright::planning
