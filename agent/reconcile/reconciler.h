// The reconcile loop: owns what is desired, what is observed, the plan and the store, all on one thread (the
// one that runs the io_context). Level-triggered: an event, a request, a retry and the start all do the same
// thing: mark objects as to be looked at, plan, act, look again.
//
// The methods of AgentApi may be called from any thread but the loop's; all others from the loop's only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/event_log.h"
#include "api/rest/agent_api.h"
#include "model/observed.h"
#include "reconcilers/backends/link_backend.h"
#include "reconcilers/backends/switch_backend.h"
#include "reconcilers/desired/desired_state.h"
#include "state/store.h"

namespace lanwright::reconcile {

class Reconciler final : public AgentApi {
 public:
  Reconciler(boost::asio::io_context& io, std::unique_ptr<state::Store> store,
             std::unique_ptr<LinkBackend> links, std::unique_ptr<SwitchBackend> switches,
             std::string store_notice);
  ~Reconciler() override;

  // Loads the store, reads the kernel for the first time and begins. Fails when either cannot be read.
  Result<void> start();
  // Reads the kernel anew and looks at everything (SIGHUP, the slow audit).
  void look_again();
  // Ends waiting requests and saves history. The data path is left as it is.
  void stop();

  // For what else is kept beside the objects; for the loop's thread.
  state::Store& store() { return *store_; }

  // Called whenever the number of objects that are not settled changes to or from 0.
  std::function<void(bool converged)> on_converged;
  // Called after networks were declared, changed or taken back, with all of it committed.
  std::function<void()> on_networks_changed;

  // For those who make or change objects on others' behalf (agent/docker/docker_agent.h). Loop thread only.
  struct ObjectChange {
    std::string set;  // made when it is missing
    std::map<ResourceId, ObjectSpec> put;
    std::set<ResourceId> remove;  // unknown ones are ignored
    state::StoreChange beside;    // committed with it
  };
  // Checked, committed and begun, or nothing of it.
  Result<void> change(ObjectChange change);
  // `done` is called once each of these is as declared, or gone where it was to go; or with the reason why
  // one of them is not, when it waits for something, is somebody else's, or has failed several times. The
  // ticket takes the question back.
  using Ticket = std::uint64_t;
  Ticket when_settled(std::set<ResourceId> objects, std::function<void(Result<void>)> done);
  void forget_ticket(Ticket ticket);
  // Docker, which had this network made, does not know it any more, or does again: shown in its status, told
  // as an event with this message, and nothing else. Again is harmless. Loop thread only.
  void set_orphaned(const ResourceId& network, bool orphaned, const std::string& message);
  // An event about an object that somebody else found out. Loop thread only.
  void tell(const std::string& type, const ResourceId& id, const std::string& message);
  // Called when a request of people's has removed objects of the set `docker`. Loop thread.
  std::function<void()> on_docker_removed;
  const desired::DesiredState& desired() const { return desired_; }
  const Observed& observed() const { return observed_; }

  // AgentApi
  Result<ApplyOutcome> apply(const ApplyRequest& request, Deadline deadline) override;
  Result<ApplyOutcome> remove(const DeleteRequest& request, Deadline deadline) override;
  Result<Plan> difference(const std::optional<std::string>& set, Deadline deadline) override;
  Result<Description> describe(const ResourceId& id, Deadline deadline) override;
  Result<std::vector<SwitchView>> switches(Deadline deadline) override;
  Result<std::shared_ptr<const Snapshot>> snapshot(Deadline deadline) override;
  bool wait_converged(const std::optional<std::string>& set, std::uint64_t generation,
                      Deadline deadline) override;
  std::vector<Event> events_after(std::uint64_t after, std::size_t limit, Deadline deadline) override;
  std::vector<Event> recent_events(std::size_t limit) override;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // What the loop remembers of an object between looks.
  struct Tracked {
    ObjectStatus status;
    std::uint32_t failures = 0;            // in a row
    std::uint32_t rounds = 0;              // in a row that acted and found it wanting again
    std::optional<SteadyTime> not_before;  // not looked at earlier (backoff)
    std::size_t tried = 0;                 // digest of what the last round did, while it is not verified
    bool waited = false;                   // for the kernel to tell that what was tried is done
    WallTime created{};
    bool drifting = false;                                 // was Ready when the difference was seen
    std::map<std::string, std::deque<SteadyTime>> drifts;  // by attribute, the recent ones
    std::optional<SteadyTime> contested_until;
    std::uint32_t contests = 0;
    std::shared_ptr<const ObjectView> view;  // empty when it has to be made anew
    bool unready = false;                    // as counted in unready_
    bool unsettled = false;                  // as counted in unsettled_
  };

  struct Waiter {
    std::optional<std::string> set;
    std::uint64_t generation = 0;
    std::promise<bool> answer;
  };
  struct Verdict;  // what a request would change (reconciler_verdict.h)

  // What Docker makes of a link that it has moved into a sandbox.
  struct SeenEndpoint {
    std::string interface;
    bool default_route = false;
    bool default_route6 = false;
    bool operator==(const SeenEndpoint&) const = default;
  };
  static SeenEndpoint seen_in_sandbox(const AttachmentSpec& spec, const LinkFact& fact);

  // Somebody who waits for objects, not for sets.
  struct Settler {
    Ticket ticket = 0;
    std::set<ResourceId> objects;
    std::function<void(Result<void>)> done;
  };

  // Requests, on the loop.
  Result<ApplyOutcome> do_apply(const ApplyRequest& request);
  Result<ApplyOutcome> do_remove(const DeleteRequest& request);
  Result<Description> do_describe(const ResourceId& id);
  std::vector<SwitchView> do_switches();
  std::shared_ptr<const Snapshot> do_snapshot();
  Result<ApplyOutcome> carry_out(Verdict verdict, bool dry_run);
  void want(Verdict& verdict, desired::Declaration object);
  void let_go(Verdict& verdict, const ResourceId& id);
  void sync_implicit_vlans(Verdict& verdict);
  Result<void> assign_addresses(Verdict& verdict);
  void remember_places(Verdict& verdict);
  void look_around(Verdict& verdict);
  const desired::DesiredObject* user_that_stays(const desired::DesiredObject& entry,
                                                const std::set<ResourceId>& leaving) const;
  void expect_change(const ResourceId& id, const desired::DesiredState& candidate);
  void remember(const std::vector<state::Claim>& claims);

  // Docker's endpoints (reconciler_endpoints.cpp).
  void look_at_endpoint(const ResourceId& id);
  void keep_up_with_endpoints();
  void keep_up_with(const std::map<ResourceId, SeenEndpoint>& seen, const std::set<ResourceId>& gone);
  Result<void> store_endpoints(const std::map<ResourceId, SeenEndpoint>& seen,
                               const std::set<ResourceId>& gone);
  Result<void> free_of_containers(const ResourceId& what, const ResourceId& attachment) const;
  Result<void> take_endpoints_along(const ResourceId& id, std::set<ResourceId>& leaving) const;
  std::string sandbox_in_use(const desired::DesiredObject& endpoint) const;
  std::optional<Error> failure_below(const desired::DesiredObject& entry) const;
  std::optional<Result<void>> settled(const std::set<ResourceId>& objects) const;
  void wake_settlers();
  void dismiss_settlers();  // nobody will answer them

  // The loop.
  void listen();
  void on_readable();
  void listen_to_switches();
  Result<ObservedChange> read_everything();
  std::vector<Result<void>> execute(const std::vector<const Action*>& batch);
  void note(const ObservedChange& touched);
  void look_at(const ResourceId& id);
  void watch_namespaces();
  void on_mounts_changed();
  void schedule();
  void run();
  bool round();
  void begin(Plan plan, const std::set<ResourceId>& scope);
  bool take_a_fresh_look_for(const Plan& plan);
  void claim_uplinks(const Plan& plan);
  void act();
  void drop_plan();
  void settle(const std::set<ResourceId>& scope, const Plan& plan);
  void resync_later(std::chrono::milliseconds delay);
  void resync();
  std::set<ResourceId> due();
  void arm_retry_timer();

  // Outcomes for one object.
  void verified(const ResourceId& id, Tracked& tracked);
  void goes_on(Tracked& tracked, const Error& why);
  void blocked(const ResourceId& id, Tracked& tracked, const Error& why);
  void differs(const ResourceId& id, Tracked& tracked, const std::vector<const Action*>& actions);
  void failed(const ResourceId& id, const Error& error);
  void set_phase(Tracked& tracked, Phase phase, std::string message);
  bool contest(const ResourceId& id, Tracked& tracked, const std::vector<const Action*>& actions);
  void forget_removed();
  void drop_settled_claims(const ResourceId& id);

  void emit(std::string type, const ResourceId& id, std::string message);
  void emit(Event event);
  void save_events_later();
  void save_events();
  void count(const ResourceId& id, Tracked& tracked);
  void wake_waiters();
  bool is_converged(const std::optional<std::string>& set, std::uint64_t generation) const;
  std::string set_of(const ResourceId& id) const;
  std::shared_ptr<const ObjectView> view_of(const desired::DesiredObject& entry, Tracked& tracked) const;

  boost::asio::io_context& io_;
  std::unique_ptr<state::Store> store_;
  std::unique_ptr<LinkBackend> links_;
  std::unique_ptr<SwitchBackend> switches_;
  EventLog log_;

  desired::DesiredState desired_;
  Observed observed_;
  std::map<ResourceId, Tracked> tracked_;
  std::map<std::string, std::size_t> unready_;  // objects by set that are not Ready as declared now
  std::size_t unsettled_ = 0;  // objects that are neither Ready nor waiting for something outside
  std::set<ResourceId> dirty_;
  std::set<ResourceId> removed_;  // nothing of them is left; forgotten together at the end of a round

  Plan plan_;                     // being carried out
  std::size_t next_action_ = 0;   // of plan_
  std::set<ResourceId> in_plan_;  // objects that plan_ compared
  std::set<ResourceId> failed_;   // objects of plan_ with a failed action: the rest of theirs is skipped

  boost::asio::posix::stream_descriptor netlink_events_;
  boost::asio::posix::stream_descriptor switch_events_;
  boost::asio::posix::stream_descriptor mounts_;
  boost::asio::steady_timer quiet_timer_;
  boost::asio::steady_timer resync_timer_;
  boost::asio::steady_timer retry_timer_;
  boost::asio::steady_timer save_timer_;
  boost::asio::steady_timer absent_timer_;
  boost::asio::steady_timer endpoints_timer_;
  std::size_t worked_ = 0;      // actions since the last time that all was settled
  bool looked_afresh_ = false;  // the kernel was read anew for the plan at hand
  bool scheduled_ = false;
  bool quiet_pending_ = false;
  bool resync_pending_ = false;
  bool saving_ = false;
  bool stopping_ = false;
  bool was_converged_ = false;
  bool started_ = false;
  bool announced_ = false;  // unsettled objects were told to on_converged

  std::mutex published_mutex_;
  std::shared_ptr<const Snapshot> published_;  // the last one that anybody asked for

  std::vector<Event> unsaved_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
  std::vector<Settler> settlers_;
  Ticket last_ticket_ = 0;
  std::map<ResourceId, SeenEndpoint> seen_;  // endpoints of which Docker has made something else since
  std::set<ResourceId> deserted_;            // endpoints whose sandbox is gone
  bool store_rests_ = false;                 // both wait until it is asked again
  std::mt19937_64 random_;
  std::map<std::string, std::uint64_t> counters_;
  std::string store_notice_;
  WallTime start_time_{};
};

}  // namespace lanwright::reconcile
