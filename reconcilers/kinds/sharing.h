// Who may stand on a parent beside whom.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/link.h"
#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

struct Clash {
  std::string words;
  std::string hint;
};

// Why links of these two cannot stand on one parent, whoever made them.
std::optional<Clash> clash(const ParentUse& a, const ParentUse& b);

// Why `use` is impossible on a parent that this link, which is somebody else's, stands on.
std::optional<Clash> clash_with_foreign(const ParentUse& use, const LinkFact& foreign);

// The mode in which links of this kind with these attributes have their parent to themselves, if so.
const ParentSharing::Sole* sole_mode(std::string_view kind, const LinkAttributes& attributes);

}  // namespace lanwright::kinds
