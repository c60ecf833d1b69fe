// Somebody who declares objects on behalf of a system outside (Docker), through Reconciler::submit() like
// everybody else. The reconciler knows controllers by this interface only. Loop thread only.
#pragma once

#include <set>
#include <string>

#include "model/base/ids.h"
#include "model/base/loop_thread.h"
#include "model/base/result.h"

namespace lanwright::reconcile {

// The set in which a controller declares, which nobody else applies to.
struct OwnSet {
  std::string name;
  std::string owner;        // "it is Docker's: ..." for somebody who applies to it
  std::string in_use_hint;  // for somebody who deletes what an object of the set stands on
};

class Controller {
 public:
  virtual ~Controller() = default;

  virtual const OwnSet& own_set() const LANWRIGHT_ON_LOOP = 0;
  // These were found as declared, or waiting, since the last call. The controller may submit from here.
  virtual void on_compared(const std::set<ResourceId>& objects) LANWRIGHT_ON_LOOP = 0;
  // Somebody wants these deleted: adds what goes along with them, or refuses.
  virtual Result<void> admit_deletion(std::set<ResourceId>& objects) const LANWRIGHT_ON_LOOP = 0;
  // A change that somebody else submitted is committed: what it concerns, and what of that is to be removed.
  virtual void on_committed(const std::set<ResourceId>& concerned, const std::set<ResourceId>& deleted)
      LANWRIGHT_ON_LOOP = 0;
};

}  // namespace lanwright::reconcile
