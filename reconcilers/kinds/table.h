// The kinds of links that are known.
#pragma once

#include <span>
#include <string_view>

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

std::span<const LinkKind* const> all();

// One about which nothing is particular, not even a name, when it is none of them: a foreign link's, or "" of
// a physical one.
const LinkKind& kind_of(std::string_view name);

}  // namespace lanwright::kinds
