// What the REST server asks of the agent: changes of what is desired, and looks at it. Each is carried out on
// the loop's thread, on behalf of another one; plans for people to read are worked out on theirs.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/reconciler.h"
#include "agent/service/queries.h"
#include "api/rest/agent_api.h"
#include "model/base/loop_thread.h"

namespace lanwright::service {

// The methods of AgentApi may be called from any thread but the loop's.
class AgentService final : public AgentApi {
 public:
  struct Options {
    std::string store_notice;  // see Snapshot
    // Without an answer for so long, the loop makes no progress.
    std::chrono::steady_clock::duration stalled_after = std::chrono::seconds(10);
  };
  // What it looks at outlives it.
  AgentService(boost::asio::io_context& io, const View& view, reconcile::Reconciler& reconciler,
               Options options);

  Result<ApplyOutcome> apply(const ApplyRequest& request, Deadline deadline,
                             const Abandoned& abandoned) override;
  Result<ApplyOutcome> remove(const DeleteRequest& request, Deadline deadline) override;
  Result<ApplyOutcome> change_uplink(const UplinkRequest& request, Deadline deadline) override;
  Result<Plan> difference(const std::optional<std::string>& set, Deadline deadline,
                          const Abandoned& abandoned) override;
  Result<Description> describe(const ResourceId& id, Deadline deadline) override;
  Result<std::vector<SwitchView>> switches(Deadline deadline) override;
  Result<std::shared_ptr<const Snapshot>> snapshot(Deadline deadline) override;
  bool wait_converged(const std::optional<std::string>& set, std::uint64_t generation,
                      Deadline deadline) override;
  std::vector<Event> events_after(std::uint64_t after, std::size_t limit, Deadline deadline) override;
  std::vector<Event> recent_events(std::size_t limit) override;

 private:
  using Published = std::shared_ptr<const Snapshot>;
  using Turn = std::unique_lock<std::timed_mutex>;
  Result<Turn> turn(const char* what, Deadline deadline, const Abandoned& abandoned);
  Result<ApplyOutcome> preview(const ApplyRequest& request, Deadline deadline, const Abandoned& abandoned);
  Result<void> admit(const ApplyRequest& request) const LANWRIGHT_ON_LOOP;
  Result<ApplyOutcome> submit(reconcile::ChangeRequest change, ApplyOutcome outcome) LANWRIGHT_ON_LOOP;
  Result<ApplyOutcome> do_apply(const ApplyRequest& request) LANWRIGHT_ON_LOOP;
  Result<ApplyOutcome> do_remove(const DeleteRequest& request) LANWRIGHT_ON_LOOP;
  Result<ApplyOutcome> do_change_uplink(const UplinkRequest& request) LANWRIGHT_ON_LOOP;
  Result<Published> last_published(const Error& why, Deadline asked);
  std::uint64_t generation_of(const std::string& set) const LANWRIGHT_ON_LOOP;

  boost::asio::io_context& io_;
  View view_;
  reconcile::Reconciler& reconciler_;
  Options options_;
  const WallTime started_;
  std::timed_mutex previews_;                 // of who works out a plan
  std::mutex mutex_;                          // of what follows
  Published published_;                       // the last one that anybody asked for
  std::optional<Deadline> unanswered_since_;  // the loop was asked then, and has not answered since
};

}  // namespace lanwright::service
