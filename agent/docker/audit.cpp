// What Docker forgot without telling: networks that it does not list are shown as orphaned, endpoints that
// were never joined and that it does not list are removed. Docker is asked when there is a reason to, never
// regularly, and nobody waits for its answer.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "agent/docker/docker_agent.h"
#include "agent/host/log.h"

namespace lanwright::docker_agent {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kAfterStart = 2s;      // Docker may be calling just now for what it lost with the last agent
constexpr auto kAfterConnect = 3s;    // a dockerd that calls for the first time is mostly starting
constexpr auto kAfterFailure = 2s;    // Docker is still at it when it is told of one
constexpr std::size_t kShortId = 12;  // digits, as Docker shows them

const AttachmentSpec* endpoint_of(const desired::DesiredObject& entry, const std::string& network) {
  const auto* spec = std::get_if<AttachmentSpec>(entry.object.spec.get());
  const bool its = spec != nullptr && spec->endpoint && spec->endpoint->network == network;
  return its && !entry.object.deleting ? spec : nullptr;
}

// Otherwise Docker may have taken it out again while nobody listened here.
bool is_in_sandbox(const desired::DesiredObject& entry, const AttachmentSpec& spec,
                   const Observed& observed) {
  if (spec.endpoint->sandbox.empty()) return false;
  const NamespaceFacts* sandbox = observed.find(spec.endpoint->sandbox);
  return sandbox != nullptr && sandbox->present && !sandbox->marked(entry.object.uid).empty();
}

std::string advice(const DockerRecord& record, const std::string& id, const std::string& endpoints) {
  if (!record.view)
    return "Docker does not know it any more; to remove it: lanwright delete network " + record.network;
  const std::string view = "Docker does not know its view " + id.substr(0, kShortId) + " any more; ";
  if (endpoints.empty()) return view + "nothing is left of that";
  return view + "what is left of that is removed by `lanwright delete attachment NAME`: " + endpoints;
}

}  // namespace

void DockerAgent::ask_docker_at(const std::string& socket, std::chrono::seconds young) {
  grace_period_ = young;
  if (socket.empty()) return;
  inventory_client_ = std::make_unique<DockerInventoryClient>(io_, socket);
  ask_docker_in(kAfterStart);
}

void DockerAgent::ask_docker() {
  ask_docker_in(0s);
}

DockerAgent::Question DockerAgent::question() const {
  if (inventory_client_ && inventory_client_->asking()) return Question::open;
  return due_.empty() ? Question::none : Question::due;
}

void DockerAgent::on_dockerd_connected() {
  boost::asio::post(io_, [this] { ask_docker_in(kAfterConnect); });
}

void DockerAgent::on_call_failed() {
  boost::asio::post(io_, [this] { ask_docker_in(kAfterFailure); });
}

// Whole seconds, so that reasons of one moment are one question. Where nothing is Docker's, nothing is waited
// for.
void DockerAgent::ask_docker_in(std::chrono::seconds delay) {
  if (!inventory_client_ || (records_.empty() && pools_.pools().empty())) return;
  due_.insert(std::chrono::ceil<std::chrono::seconds>(Clock::now() + delay));
  arm_question();
}

void DockerAgent::arm_question() {
  if (due_.empty()) return;
  ask_timer_.expires_at(*due_.begin());
  ask_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    due_.erase(due_.begin(), due_.upper_bound(Clock::now()));
    if (inventory_client_->asking())
      ask_docker_in(1s);
    else
      put_question();
    arm_question();
  });
}

void DockerAgent::put_question() {
  AuditQuery question = question_now();
  if (question.networks.empty() && question.pools.empty()) {
    if (question.too_young) ask_docker_in(grace_period_);
    return;
  }
  inventory_client_->ask(question, [this, question](Result<DockerInventory> answer) {
    if (answer)
      apply_audit(compare(question, *answer));
    else
      log::debug("Docker does not say which networks it knows", {{"error", answer.error().text()}});
  });
}

AuditQuery DockerAgent::question_now() {
  AuditQuery question;
  for (const auto& [id, record] : records_) {
    if (!record.view && record_of(id) == nullptr) continue;  // it is being removed
    question.networks.push_back({id, is_young(id)});
    for (const ResourceId& attachment : reconciler_.desired().attachments_of(record.network)) {
      const auto* entry = reconciler_.desired().find(attachment);
      const AttachmentSpec* spec = endpoint_of(*entry, id);
      if (spec == nullptr || !reconciler_.observed().complete ||
          is_in_sandbox(*entry, *spec, reconciler_.observed()))
        continue;
      if (is_young(spec->endpoint->endpoint))
        question.too_young = true;
      else
        question.endpoints.push_back({id, spec->endpoint->endpoint, attachment, entry->object.generation});
    }
  }
  for (const auto& [id, pool] : pools_.pools()) ask_for_pool(pool, question);
  return question;
}

void DockerAgent::apply_audit(const AuditResult& verdict) {
  for (const std::string& id : verdict.known) docker_knows(id);
  for (const std::string& id : verdict.orphaned) docker_forgot(id);
  if (remove_forgotten(verdict.forgotten)) ask_docker_in(1s);  // for what they had
  take_back_unused(verdict);
  if (verdict.undecided) ask_docker_in(grace_period_);
}

void DockerAgent::docker_forgot(const std::string& id) {
  const auto found = records_.find(id);
  if (found == records_.end() || is_young(id)) return;
  const DockerRecord& record = found->second;
  const ResourceId network{Kind::network, record.network};
  const std::string left = endpoints_of(id, record);
  const bool is_new = orphans_.insert(id).second;
  const std::string message = advice(record, id, left);
  if (record.view && left.empty()) return forget_view(id, message);
  if (!is_new) return;
  log::warning(message, {{"network", record.network}, {"docker network", id}});
  if (record.view)
    reconciler_.record("Orphaned", network, message);
  else
    reconciler_.set_orphaned(network, true, message);
}

// The names of their attachments.
std::string DockerAgent::endpoints_of(const std::string& network, const DockerRecord& record) const {
  std::string names;
  for (const ResourceId& id : reconciler_.desired().attachments_of(record.network)) {
    if (endpoint_of(*reconciler_.desired().find(id), network) == nullptr) continue;
    names.append(names.empty() ? "" : ", ").append(id.name);
  }
  return names;
}

// Somebody else's network does not carry more of it than this record.
void DockerAgent::forget_view(const std::string& id, const std::string& message) {
  const std::string network = records_.at(id).network;
  reconcile::ChangeRequest change = change_of(*this);
  change.beside.drop_docker_networks.push_back(id);
  if (auto dropped = reconciler_.submit(std::move(change)); !dropped) {
    log::warning("a view that Docker forgot is not forgotten yet", {{"error", dropped.error().text()}});
    return;
  }
  records_.erase(id);
  orphans_.erase(id);
  sync_forward_rules();
  log::info(message, {{"network", network}, {"docker network", id}});
  reconciler_.record("Orphaned", {Kind::network, network}, message);
  ask_docker_in(1s);  // for its pool
}

void DockerAgent::docker_knows(const std::string& id) {
  const auto found = records_.find(id);
  if (orphans_.erase(id) == 0 || found == records_.end()) return;
  const DockerRecord& record = found->second;
  const ResourceId network{Kind::network, record.network};
  log::info("Docker knows the network again", {{"network", record.network}, {"docker network", id}});
  if (record.view)
    reconciler_.record("Found", network, "Docker knows its view " + id.substr(0, kShortId) + " again");
  else
    reconciler_.set_orphaned(network, false, "Docker knows it again");
}

// What Docker did with one since it was asked, it knows. Whether any was removed.
bool DockerAgent::remove_forgotten(const std::vector<AskedEndpoint>& endpoints) {
  reconcile::ChangeRequest change = change_of(*this);
  for (const AskedEndpoint& endpoint : endpoints) {
    const auto* entry = reconciler_.desired().find(endpoint.attachment);
    if (entry == nullptr || entry->object.generation != endpoint.generation) continue;
    if (endpoint_of(*entry, endpoint.network) == nullptr) continue;
    change.remove.insert(endpoint.attachment);
    change.beside.events.push_back({0, reconcile::wall_now(), "Deleted", endpoint.attachment, kDockerSet,
                                    "no container has it, and Docker does not know it", std::nullopt});
  }
  if (change.remove.empty()) return false;
  auto changed = reconciler_.submit(std::move(change));
  if (!changed)
    log::warning("endpoints that Docker forgot are not removed", {{"error", changed.error().text()}});
  return changed.ok();
}

// ---- ages

// Absent: made long ago, or before this agent began.
bool DockerAgent::is_young(const std::string& id) const {
  const auto since = young_since_.find(id);
  return since != young_since_.end() && Clock::now() - since->second < grace_period_;
}

void DockerAgent::start_grace(const std::string& id) {
  std::erase_if(young_since_,
                [this](const auto& each) { return Clock::now() - each.second >= grace_period_; });
  young_since_[id] = Clock::now();
}

}  // namespace lanwright::docker_agent
