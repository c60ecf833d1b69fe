// The reconcile loop. One round: take the objects that are due, plan, carry the plan out, compare again.
// Start, apply, drift, a full re-read and a retry all do this and nothing else. Loop thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/change_request.h"
#include "agent/reconcile/controller.h"
#include "agent/reconcile/finalizers.h"
#include "agent/reconcile/journal.h"
#include "agent/reconcile/object_table.h"
#include "agent/reconcile/plan_runner.h"
#include "agent/reconcile/preview.h"
#include "agent/reconcile/sources.h"
#include "agent/reconcile/trouble_log.h"
#include "agent/reconcile/waiters.h"
#include "agent/reconcile/work_queue.h"
#include "model/base/loop_thread.h"
#include "model/plan.h"
#include "reconcilers/desired/changeset.h"
#include "reconcilers/desired/desired_state.h"
#include "reconcilers/os/timer.h"
#include "state/store.h"

namespace lanwright::reconcile {

using desired::Changeset;
using state::StoreChange;
using state::StoredObject;

// A member for each part of the loop, and a private method for each step of a round, of a plan's run and of a
// commit: what can be decided without the others stands in the parts.
// The observed and the desired state, the store and the journal outlive the requests that look at them: all
// are read through this class, on its thread.
class Reconciler {
 public:
  enum class Answer { without_plan, with_plan };
  struct Committed {
    std::uint64_t generation = 0;  // of the set, after
    Plan plan;                     // at the moment of the request, when asked for
  };

  Reconciler(boost::asio::io_context& io, Store& store, Sources& sources, Journal& journal);

  // Loads the store, reads the kernel for the first time and begins. Fails when either cannot be read.
  Result<void> start() LANWRIGHT_ON_LOOP;
  // Dismisses all who wait, and saves history. The data path is left as it is.
  void stop() LANWRIGHT_ON_LOOP;
  // Reads everything anew and compares everything (SIGHUP, the slow audit).
  void resync() LANWRIGHT_ON_LOOP;

  Result<Committed> submit(ChangeRequest request, Answer answer = Answer::without_plan) LANWRIGHT_ON_LOOP;
  // What submit() would begin; changes nothing. For changes of one object: the loop does nothing else
  // meanwhile.
  Result<Plan> preview(ChangeRequest request) LANWRIGHT_ON_LOOP;
  // For who works that out himself (see preview.h).
  Basis basis() const LANWRIGHT_ON_LOOP;
  // The same, as it is where these namespaces are looked at, too.
  std::shared_ptr<const Observed> observed_with(std::set<std::string> namespaces) LANWRIGHT_ON_LOOP;
  // For who deletes on people's behalf: what goes along, or why not.
  Result<void> admit_deletion(std::set<ResourceId>& objects) const LANWRIGHT_ON_LOOP;

  // `done` is called once each of these is as declared, or gone where it was to go; or with the reason why
  // one of them is not, when it waits for something, belongs to somebody else, or has failed several times.
  Waiters::Ticket wait_for(std::set<ResourceId> objects, Waiters::Done done) LANWRIGHT_ON_LOOP;
  // `done` is called once is_converged().
  Waiters::Ticket wait_converged(std::optional<std::string> set, std::uint64_t generation, Waiters::Done done)
      LANWRIGHT_ON_LOOP;
  void cancel(Waiters::Ticket ticket) LANWRIGHT_ON_LOOP { waiters_.cancel(ticket); }

  // Every object of the set, at this generation or later, is ready or gone; without a set: every object is
  // ready, or waits for something outside.
  bool is_converged(const std::optional<std::string>& set, std::uint64_t generation) const LANWRIGHT_ON_LOOP;
  // The system for which this object was made does not know it any more, or does again: its status and an
  // event say so, nothing else. Idempotent.
  void set_orphaned(const ResourceId& id, bool orphaned, const std::string& message) LANWRIGHT_ON_LOOP;
  void record(const std::string& type, const ResourceId& id, const std::string& message) LANWRIGHT_ON_LOOP;
  // Observes these as well, as long as nothing else is submitted than what is in them.
  void look_into(std::set<std::string> namespaces) LANWRIGHT_ON_LOOP {
    sources_.watch_also(std::move(namespaces));
  }
  // See LinkBackend: for links that somebody else sets up.
  void announce(const LinkName& link) LANWRIGHT_ON_LOOP { sources_.announce(link); }

  void add(Controller& controller) LANWRIGHT_ON_LOOP { controllers_.push_back(&controller); }
  void remove(Controller& controller) LANWRIGHT_ON_LOOP { std::erase(controllers_, &controller); }
  const std::vector<Controller*>& controllers() const LANWRIGHT_ON_LOOP { return controllers_; }
  // Called with the first answer and whenever it changes.
  std::function<void(bool converged)> on_converged;
  // Called with what each committed change concerns.
  std::function<void(const std::set<ResourceId>& concerned)> on_committed;
  // Who would take this link of the managed namespace, an uplink, off its master, and what to do; "" when
  // that is not known. Asked when people are told of it.
  std::function<std::string(const std::string& link, int ifindex)> remedy_for_uplink;

  const DesiredState& desired() const LANWRIGHT_ON_LOOP { return desired_; }
  const Observed& observed() const LANWRIGHT_ON_LOOP { return sources_.observed(); }
  const ObjectTable& objects() const LANWRIGHT_ON_LOOP { return objects_; }
  ObjectTable& objects() LANWRIGHT_ON_LOOP { return objects_; }

 private:
  // Of the rounds since all was last dealt with together.
  struct Found {
    std::set<ResourceId> compared;  // as declared, or waiting
    std::set<ResourceId> removed;   // nothing of them is left
    std::set<ResourceId> adopted;   // what they were to take over is theirs
    std::size_t actions = 0;        // since all was last idle
    std::optional<bool> converged;  // as it was told last
    bool reread = false;            // everything was read anew for the plan at hand
  };
  enum class Run : std::uint8_t { idle, scheduled, looping, stopped };

  Result<void> load() LANWRIGHT_ON_LOOP;
  void on_observed(const ObservedChange& change) LANWRIGHT_ON_LOOP;
  void schedule() LANWRIGHT_ON_LOOP;
  void reconcile() LANWRIGHT_ON_LOOP;
  bool reconcile_once() LANWRIGHT_ON_LOOP;
  bool reread_before_claiming_unmarked(const Plan& plan) LANWRIGHT_ON_LOOP;
  void begin(Plan next, const std::set<ResourceId>& scope) LANWRIGHT_ON_LOOP;
  void compared(const DesiredObject& object, const std::vector<const Action*>& actions, const Blocked* block,
                const Plan& plan) LANWRIGHT_ON_LOOP;
  void add_remedies(const std::vector<const Action*>& actions, ObjectState& state,
                    Transition& transition) const LANWRIGHT_ON_LOOP;
  void update(const ResourceId& id, const ObjectTable::Input& input) LANWRIGHT_ON_LOOP;
  void run_batch() LANWRIGHT_ON_LOOP;
  void abandon() LANWRIGHT_ON_LOOP;
  void finish() LANWRIGHT_ON_LOOP;
  void forget_removed() LANWRIGHT_ON_LOOP;
  Result<Committed> commit(ChangeRequest& request, Answer answer) LANWRIGHT_ON_LOOP;
  void take_over(const Changeset& changes, const std::vector<StoredObject>& stored) LANWRIGHT_ON_LOOP;

  boost::asio::io_context& io_;
  Store& store_;
  Sources& sources_;
  Journal& journal_;
  DesiredState desired_;
  Finalizers finalizers_;
  ObjectTable objects_;
  TroubleLog troubles_;
  WorkQueue queue_;
  PlanRunner runner_;
  Waiters waiters_;
  std::vector<Controller*> controllers_;
  os::Timer wake_timer_;  // for the next deferred object, or the end of a burst of events
  Found found_;
  Run run_ = Run::idle;
};

}  // namespace lanwright::reconcile
