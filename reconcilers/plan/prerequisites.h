// What must be there, and fit, before a link can be made or compared: its master, its parent.
#pragma once

#include <map>
#include <optional>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

class Prerequisites {
 public:
  explicit Prerequisites(const Draft& draft) : draft_(draft) {}

  // Why this link cannot be made or compared now.
  std::optional<Error> unmet(const DesiredObject& entry, const LinkSpec& link) const;
  // Why no link can stand on this parent now, whoever made it.
  std::optional<Error> unmet(const DesiredObject& entry, const ParentUse& use);
  // What keeps the object from carrying anything although all of it can be made: a parent that is down.
  std::optional<Error> awaited(const DesiredObject& entry) const;
  // Whether a link cannot be up now because its parent is down.
  bool held_down(const LinkSpec& link) const;
  bool held_down(const LinkName& link) const;  // in the managed namespace
  // A link in the managed namespace that is not ours and claims this parent (an ifindex) for itself.
  const LinkFact* foreign_upper_on(int parent);

 private:
  std::optional<Error> unmet(const DesiredObject& entry, const LinkName& link, const LinkName& base,
                             bool as_parent) const;
  std::optional<Error> too_small(const DesiredObject& entry, const LinkName& link, const LinkName& base,
                                 std::optional<std::uint32_t> mtu, bool with_ipv6) const;
  std::optional<Error> unfit_for_port(const DesiredObject& entry, const LinkSpec& port) const;
  std::optional<Error> twin_of(const DesiredObject& entry, const LinkSpec& link) const;
  std::string cause_of(const DesiredObject& owner) const;
  static std::optional<Error> unfit(const DesiredObject& entry, const LinkName& link, const LinkName& base,
                                    const LinkFact& found);
  std::optional<Error> unusable(const DesiredObject& entry, const LinkName& link, const LinkName& base,
                                const LinkFact& found) const;
  bool is_ours(const LinkName& name, const LinkFact& found) const;
  bool is_over_down(const LinkFact& link) const;
  const LinkFact* lowest_down(const LinkFact& link) const;
  void find_foreign_uppers();

  const Draft& draft_;
  std::optional<std::map<int, const LinkFact*>> foreign_uppers_;  // by parent
};

}  // namespace lanwright::planning
