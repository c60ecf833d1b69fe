// The comparison of a link that is there with the one that is wanted: a table, with one small function for
// each thing that may differ. A new attribute of links is a line in it.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/plan/draft.h"
#include "reconcilers/plan/ownership.h"

namespace lanwright::planning {

// Collects what differs on one link: the words for people, and the names for machines.
struct Differences {
  std::string reason;
  std::vector<std::string> names;
  void add(const std::string& name, const std::string& is, const std::string& wanted);
};

// A wanted link and what was found for it, with what both stand on.
struct Compared {
  const Draft& draft;
  const LinkSpec& link;
  const LinkFact& found;
  OwnerTag mark;                     // that the link is to carry
  bool adopted = false;              // somebody else's so far
  bool held_down = false;            // by its parent
  bool made_anew = false;            // in a namespace that is somebody else's, and not whole yet
  const LinkFact* master = nullptr;  // as it is and stays; one that the plan makes is none yet
  const LinkFact* parent = nullptr;

  bool in_master() const {
    return !link.master.empty() && master != nullptr && found.master == master->ifindex;
  }
};

// All that differs, and the change that puts it right.
void compare_all(const Compared& compared, ChangeLink& change, Differences& differs);

// What a port has of its bridge, for links of which we say no more than that.
void compare_port(const LinkSpec& link, const LinkFact& found, ChangeLink& change, Differences& differs);

}  // namespace lanwright::planning
