// Links that an object wants: made, compared, changed, made anew.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "reconcilers/plan/addresses.h"
#include "reconcilers/plan/draft.h"
#include "reconcilers/plan/ownership.h"
#include "reconcilers/plan/prerequisites.h"

namespace lanwright::planning {

// A private method for each thing that can stand between a link and how it is wanted: a name, a MAC, an
// alternative name or a place that somebody else has, a peer, what is fixed at creation.
class Links {
 public:
  Links(Draft& draft, Prerequisites& prerequisites)
      : draft_(draft), prerequisites_(prerequisites), addresses_(draft) {}

  // The links of one object in their order, until the first that is blocked: one reason is enough, and the
  // rest would build on it.
  void compare(const Cursor& at);

 private:
  void compare(const Cursor& at, const LinkSpec& link);
  void compare_existing(const Cursor& at, const LinkSpec& link, const LinkFact& found, Ownership ownership);
  void change(const Cursor& at, const LinkSpec& link, const LinkFact& found, Ownership ownership);
  bool free_name(const Cursor& at, const LinkName& name, const LinkFact& wanting);
  bool make_room(const Cursor& at, const LinkName& name, const LinkFact& holder);
  bool free_mac(const Cursor& at, const LinkSpec& link, const LinkFact* wanting);
  bool free_altname(const Cursor& at, const LinkSpec& link, const LinkFact* wanting);
  std::optional<std::string> must_recreate(const LinkSpec& link, const LinkFact& found) const;
  bool peer_is_wrong(const LinkSpec& link, const LinkFact& found) const;
  void recreate(const Cursor& at, const LinkSpec& link, const LinkFact& found, Ownership ownership,
                const std::string& reason);
  void create(const Cursor& at, const LinkSpec& link, std::string reason, Disruption disruption);
  bool is_prepared_down(const LinkSpec& link) const;
  const LinkSpec* inner_end_of(const DesiredObject& entry, const LinkSpec& link) const;
  bool free_inner_end(const Cursor& at, const LinkSpec& inner);
  void complete_new(const Cursor& at, const LinkSpec& link);
  void prepare_and_raise(const Cursor& at, const LinkSpec& link);
  void mark_complete(const Cursor& at, const LinkSpec& link);

  Draft& draft_;
  Prerequisites& prerequisites_;
  Addresses addresses_;
  std::set<const LinkSpec*> made_with_peer_;  // inner ends of the object at hand
};

}  // namespace lanwright::planning
