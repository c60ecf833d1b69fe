// What the agent knows of one object between two looks at the kernel. Pure: no I/O, no clock, no callbacks.
// Each input says what follows from it, and the reconciler carries that out.
//
//   in_sync       nothing differs                  -> Ready, or Contested until the peace has held
//   in_progress   the kernel is still at it        -> Applying
//   out_of_sync   actions are needed               -> Applying, Deleting, Contested or Retrying
//   blocked       it waits, or belongs to others   -> Pending or Conflict
//   awaiting      it is all there, and waits to carry anything  -> Pending
//   failed        an action was refused            -> Retrying, later each time
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/work_queue.h"
#include "model/plan.h"
#include "model/status.h"

namespace lanwright::reconcile {

struct Now {
  SteadyTime steady;
  WallTime wall;
  double jitter = 0;  // in [0, 1): spreads what failed together
};

// The declaration that was compared.
struct Version {
  std::uint64_t generation = 0;
  bool deleting = false;
};

struct Transition {
  struct Report {
    const char* event;  // type
    std::string message;
  };
  std::vector<Report> reports;    // for the journal
  std::optional<Deferral> retry;  // stays queued, and is not planned before
  bool run_actions = true;        // false: this round's actions of the object are left undone
  bool failed = false;
};

class ObjectState {
 public:
  // What a comparison found.
  // `note` is what people are told all the same.
  Transition in_sync(Version version, const Now& now, const std::string& note = {});
  Transition in_progress(const Error& why, const Now& now);
  Transition out_of_sync(const std::vector<const Action*>& actions, Version version, const Now& now);
  Transition blocked(const Error& why, Version version, const Now& now);
  Transition awaiting(const Error& carrier, Version version, const Now& now);
  Transition failed(const Error& error, const Now& now);
  void not_tried();  // the plan was abandoned before the object's turn

  // What was declared.
  void declared();                  // anew: failures are forgotten
  void deleted(const Now& now);     // is to be removed
  void superseded(const Now& now);  // differs from now on because another object changed: no drift
  void released(const Now& now);    // what it may have been contested by was declared otherwise
  void begin(WallTime since) { status_.since = since; }                        // it is new here
  void add_to_message(const std::string& words) { status_.message += words; }  // for people
  void set_orphaned(bool orphaned) { status_.orphaned = orphaned; }

  const ObjectStatus& status() const { return status_; }
  std::uint32_t failures() const { return failures_; }  // in a row
  bool is_ready(Version version) const;
  bool is_complete() const { return status_.phase == Phase::ready || awaiting_; }  // all of it is there
  bool is_idle(Version version) const;  // ready, or waits for something outside

 private:
  struct Attempt {
    std::uint32_t rounds = 0;  // in a row that acted and found it wanting again
    std::size_t digest = 0;    // of what the last round did, while it is not verified
    bool waited = false;       // for the kernel to say that what was tried is done
  };
  struct Contest {
    std::map<std::string, std::deque<SteadyTime>> repairs;  // by attribute, the recent ones
    std::optional<SteadyTime> until;
    std::uint32_t count = 0;  // in a row
  };
  void set_phase(Phase phase, std::string message, const Now& now);
  bool is_current(Version version) const { return status_.observed_generation == version.generation; }
  std::vector<std::string> contested_attributes(const std::vector<const Action*>& actions, const Now& now);
  Transition contested(const std::vector<std::string>& attributes, const std::vector<const Action*>& actions,
                       const Now& now);

  ObjectStatus status_;
  Attempt attempt_;
  Contest contest_;
  std::uint32_t failures_ = 0;
  bool awaiting_ = false;
  bool drifting_ = false;  // was Ready when the difference was seen
};

}  // namespace lanwright::reconcile
