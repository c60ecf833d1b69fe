#include "agent/docker/audit.h"

#include <utility>

#include "agent/docker/sandboxes.h"
#include "agent/host/log.h"
#include "model/base/text.h"
#include "model/docker.h"

namespace lanwright::docker_agent {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kAfterStart = 2s;    // Docker may be calling just now for what it lost with the last agent
constexpr auto kAfterConnect = 3s;  // a dockerd that calls for the first time is mostly starting
constexpr auto kAfterFailure = 2s;  // Docker is still at it when it is told of one

const AttachmentSpec* endpoint_on(const desired::DesiredObject* object, const std::string& network) {
  const AttachmentSpec* spec = endpoint_of(object);
  return spec != nullptr && spec->endpoint->network == network ? spec : nullptr;
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

Audit::Audit(boost::asio::io_context& io, reconcile::Reconciler& reconciler,
             const reconcile::Controller& author, Records& records, Ipam& ipam, GracePeriods& grace,
             std::function<void()> on_view_forgotten)
    : io_(io),
      reconciler_(reconciler),
      author_(author),
      records_(records),
      ipam_(ipam),
      grace_(grace),
      on_view_forgotten_(std::move(on_view_forgotten)),
      timer_(io, [this]() LANWRIGHT_ON_LOOP { on_due(); }) {}

void Audit::open(const std::string& socket, std::chrono::seconds grace) {
  grace_.set_length(grace);
  if (socket.empty()) return;
  client_ = std::make_unique<DockerInventoryClient>(io_, socket);
  ask_in(kAfterStart);
}

void Audit::ask_now() {
  ask_in(0s);
}

Audit::Question Audit::question() const {
  if (client_ && client_->asking()) return Question::open;
  return due_.empty() ? Question::none : Question::due;
}

void Audit::on_dockerd_connected() {
  ask_in(kAfterConnect);
}

void Audit::on_call_failed() {
  ask_in(kAfterFailure);
}

void Audit::on_deletion_lost() {
  if (!client_) return tell_of_lost_deletion();
  ++lost_deletions_;
  ask_in(kAfterFailure);
}

// Whole seconds, so that reasons of one moment are one question. Where nothing is Docker's, nothing is waited
// for.
void Audit::ask_in(std::chrono::seconds delay) {
  if (!client_ || (records_.all().empty() && ipam_.is_empty() && search_.plugins.empty())) return;
  due_.insert(std::chrono::ceil<std::chrono::seconds>(Clock::now() + delay));
  arm();
}

void Audit::arm() {
  if (!due_.empty()) timer_.set_at(*due_.begin());
}

void Audit::on_due() {
  due_.erase(due_.begin(), due_.upper_bound(Clock::now()));
  if (client_->asking())
    ask_in(1s);
  else
    ask();
  arm();
}

void Audit::ask() {
  AuditQuery question = query();
  if (question.networks.empty() && question.pools.empty() && !question.search) {
    if (question.too_young) ask_in(grace_.length());
    return;
  }
  gone_.clear();
  asked_of_ = lost_deletions_;
  client_->ask(question, [this, question](Result<DockerInventory> answer) LANWRIGHT_ON_LOOP {
    if (!answer)
      return log::debug("Docker does not say which networks it knows", {{"error", answer.error().text()}});
    apply(compare(question, *answer));
    if (question.search) take_in(std::move(answer->lost));
  });
}

void Audit::search_for(std::set<std::string> plugins, Restore restore) {
  search_ = {std::move(plugins), std::move(restore)};
}

void Audit::network_is_gone(const std::string& network) {
  orphans_.erase(network);
  gone_.insert(network);
}

// Later on, what Docker lists and the agent does not know was removed here.
void Audit::take_in(std::vector<LostNetwork> lost) {
  std::erase_if(lost, [this](const LostNetwork& each) LANWRIGHT_ON_LOOP {
    return gone_.contains(each.id) || records_.find(each.id) != nullptr;
  });
  if (!search_.restore(lost)) return;
  reconcile::ChangeRequest change = change_of(author_);
  change.beside.put_annexes.push_back({kSearched, "networks", "{}"});
  if (auto stored = reconciler_.submit(std::move(change)); !stored)
    return log::warning("that Docker was searched for networks is not stored yet",
                        {{"error", stored.error().text()}});
  search_.plugins.clear();
}

AuditQuery Audit::query() const {
  AuditQuery question;
  if (!search_.plugins.empty()) question.search = Search{search_.plugins, {}};
  for (const auto& [id, record] : records_.all()) {
    if (question.search) question.search->known.insert(id);
    if (!record.view && records_.find_declared(id) == nullptr) continue;  // it is being removed
    question.networks.push_back({id, grace_.is_in(id)});
    if (!reconciler_.observed().complete) continue;
    for (const ResourceId& attachment : records_.endpoints_of(id)) {
      const auto* entry = reconciler_.desired().find(attachment);
      const AttachmentSpec* spec = endpoint_of(entry);
      if (is_in_sandbox(*entry, *spec, reconciler_.observed())) continue;
      if (grace_.is_in(spec->endpoint->endpoint))
        question.too_young = true;
      else
        question.endpoints.push_back({id, spec->endpoint->endpoint, attachment, entry->object.generation});
    }
  }
  ipam_.ask_for_unused(question);
  return question;
}

void Audit::apply(const AuditResult& verdict) {
  for (const std::string& id : verdict.known) network_is_known(id);
  const bool removed = remove_deleted(verdict.orphaned);
  for (const std::string& id : verdict.orphaned) network_is_forgotten(id);
  if (remove_forgotten(verdict.forgotten) || removed) ask_in(1s);  // for what they had
  ipam_.take_back_unused(verdict);
  if (verdict.undecided) ask_in(grace_.length());
}

// By a container, which Docker would not take a network from. What could not be connected is in none.
bool Audit::is_in_use(const std::string& network) const {
  const auto& observed = reconciler_.observed();
  for (const ResourceId& id : records_.endpoints_of(network)) {
    const auto* entry = reconciler_.desired().find(id);
    if (!observed.complete || is_in_sandbox(*entry, *endpoint_of(entry), observed)) return true;
  }
  return false;
}

// That it is one of few is no reason to remove it: the last agent may have removed the one, and not have said
// so.
void Audit::tell_of_lost_deletion() {
  for (const auto& [id, record] : records_.all()) {
    if (record.view || records_.find_declared(id) == nullptr || is_in_use(id)) continue;
    reconciler_.record("Warning", {Kind::network, record.network},
                       "Docker was removing a network when the agent was killed, and does not say which; if "
                       "`docker network ls` does not list this one, remove it: lanwright delete network " +
                           record.network);
  }
}

// Where there are more of them, nobody can tell which ones Docker removed and which it lost.
bool Audit::remove_deleted(const std::vector<std::string>& orphaned) {
  const std::size_t deletions = std::exchange(asked_of_, 0);
  lost_deletions_ -= deletions;
  std::vector<std::string> unused;
  for (const std::string& id : orphaned) {
    const DockerRecord* record = records_.find(id);
    if (record == nullptr || record->view || grace_.is_in(id)) continue;
    if (!is_in_use(id)) unused.push_back(id);
  }
  if (unused.empty() || unused.size() > deletions) return false;
  reconcile::ChangeRequest change = change_of(author_);
  for (const std::string& id : unused) {
    const ResourceId network{Kind::network, records_.find(id)->network};
    change.remove.insert(network);
    for (const ResourceId& endpoint : records_.endpoints_of(id)) change.remove.insert(endpoint);
    change.beside.drop_annexes.push_back({kController, id, {}});
    change.beside.events.push_back({0, reconcile::wall_now(), "Deleted", network, kDockerSet,
                                    "Docker removed it while the agent ended", std::nullopt});
  }
  if (auto changed = reconciler_.submit(std::move(change)); !changed) {
    log::warning("networks that Docker removed are not removed yet", {{"error", changed.error().text()}});
    return false;
  }
  for (const std::string& id : unused) {
    records_.erase(id);
    orphans_.erase(id);
  }
  on_view_forgotten_();
  return true;
}

void Audit::network_is_forgotten(const std::string& id) {
  const DockerRecord* found = records_.find(id);
  if (found == nullptr || grace_.is_in(id)) return;
  const DockerRecord& record = *found;
  const ResourceId network{Kind::network, record.network};
  const std::string left = names_of_endpoints(id);
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

std::string Audit::names_of_endpoints(const std::string& network) const {
  std::vector<std::string> names;
  for (const ResourceId& id : records_.endpoints_of(network)) names.push_back(id.name);
  return join(names, ", ");
}

// Somebody else's network does not carry more of it than this record.
void Audit::forget_view(const std::string& id, const std::string& message) {
  const std::string network = records_.find(id)->network;
  reconcile::ChangeRequest change = change_of(author_);
  change.beside.drop_annexes.push_back({kController, id, {}});
  if (auto dropped = reconciler_.submit(std::move(change)); !dropped) {
    log::warning("a view that Docker forgot is not forgotten yet", {{"error", dropped.error().text()}});
    return;
  }
  records_.erase(id);
  orphans_.erase(id);
  on_view_forgotten_();
  log::info(message, {{"network", network}, {"docker network", id}});
  reconciler_.record("Orphaned", {Kind::network, network}, message);
  ask_in(1s);  // for its pool
}

void Audit::network_is_known(const std::string& id) {
  const DockerRecord* found = records_.find(id);
  if (orphans_.erase(id) == 0 || found == nullptr) return;
  const DockerRecord& record = *found;
  const ResourceId network{Kind::network, record.network};
  log::info("Docker knows the network again", {{"network", record.network}, {"docker network", id}});
  if (record.view)
    reconciler_.record("Found", network, "Docker knows its view " + id.substr(0, kShortId) + " again");
  else
    reconciler_.set_orphaned(network, false, "Docker knows it again");
}

// What Docker did with one since it was asked, it knows. Whether any was removed.
bool Audit::remove_forgotten(const std::vector<AskedEndpoint>& endpoints) {
  reconcile::ChangeRequest change = change_of(author_);
  for (const AskedEndpoint& endpoint : endpoints) {
    const auto* entry = reconciler_.desired().find(endpoint.attachment);
    if (entry == nullptr || entry->object.generation != endpoint.generation) continue;
    if (endpoint_on(entry, endpoint.network) == nullptr) continue;
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

}  // namespace lanwright::docker_agent
