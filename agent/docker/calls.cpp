// DockerApi: each call changes what is wanted, and is answered when it is so. What could not be made is taken
// back, as Docker forgets it after an error.
#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "agent/docker/docker_agent.h"
#include "agent/host/log.h"
#include "agent/reconcile/on_loop.h"
#include "reconcilers/os/on_loop.h"

namespace lanwright::docker_agent {
namespace {

void warn_of_ignored(const std::string& what, const std::string& id,
                     const std::vector<std::string>& ignored) {
  for (const std::string& option : ignored)
    log::warning("an option of Kathara's is not known here, and means nothing",
                 {{"object", what + " " + id.substr(0, kShortId)}, {"option", option}});
}

}  // namespace

// Changes what is wanted, and waits until it is so.
Result<void> DockerAgent::make_it_so(const char* what, const Begin& begin, Deadline deadline) {
  struct Answer {
    std::promise<Result<void>> result;
    reconcile::Waiters::Ticket ticket = 0;
  };
  auto answer = std::make_shared<Answer>();
  auto result = answer->result.get_future();
  const auto start = [this, answer, begin]() LANWRIGHT_ON_LOOP -> Result<void> {
    auto objects = begin();
    if (!objects) return objects.error();
    answer->ticket = reconciler_.wait_for(
        std::move(*objects), [answer](Result<void> done) { answer->result.set_value(std::move(done)); });
    return {};
  };
  if (auto begun = reconcile::on_loop<void>(io_, deadline, what, start, reconcile::OnTimeout::never_runs);
      !begun)
    return begun;
  if (result.wait_until(deadline) == std::future_status::ready) return result.get();
  boost::asio::post(io_, [this, answer] {
    os::assert_on_loop(io_);
    reconciler_.cancel(answer->ticket);
  });
  return Error{ErrorKind::timeout, what, {}, 0, "it took too long", "see `lanwright get networks`"};
}

// What was begun and failed, or took too long, is gone when Docker is told so.
void DockerAgent::undo(const Begin& removal) {
  constexpr std::chrono::seconds kUndoTimeout(5);
  const auto undone = make_it_so("undo", removal, std::chrono::steady_clock::now() + kUndoTimeout);
  if (!undone) log::warning("what failed for Docker is not undone yet", {{"error", undone.error().text()}});
}

// The bridge is there by now: other agents of the host take a rule whose bridge is missing for a leftover.
Result<void> DockerAgent::open_bridge(const std::string& network, Deadline deadline) {
  using Rule = std::optional<ForwardRule>;
  auto rule = reconcile::on_loop<Rule>(
      io_, deadline, "find the bridge", [this, network]() LANWRIGHT_ON_LOOP -> Result<Rule> {
        follow_networks();
        const DockerRecord* record = records_.find_declared(network);
        return record != nullptr ? records_.bridge_of(*record) : std::nullopt;
      });
  if (!rule) return rule.error();
  const Result<void> passes = *rule ? forwards_.wait(**rule, deadline) : Result<void>();
  if (passes || passes.error().kind != ErrorKind::unsupported) return passes;
  // It may be that nothing is dropped: the network is made, and its history says what is not known.
  return reconcile::on_loop<void>(
      io_, deadline, "record", [this, network, error = passes.error()]() LANWRIGHT_ON_LOOP -> Result<void> {
        if (const DockerRecord* record = records_.find_declared(network))
          reconciler_.record("Failed", network_id(record->network), error.text());
        return {};
      });
}

Result<void> DockerAgent::create_network(const DockerNetwork& network, Deadline deadline) {
  warn_of_ignored("Docker's network", network.id, network.ignored);
  auto is_new = std::make_shared<bool>(false);
  auto made = make_it_so(
      "create network", [=, this]() LANWRIGHT_ON_LOOP { return networks_.create(network, *is_new); },
      deadline);
  if (made) made = open_bridge(network.id, deadline);
  if (made)
    made = reconcile::on_loop<void>(
        io_, deadline, "create network",
        [this, id = network.id]() LANWRIGHT_ON_LOOP { return networks_.promise(id); },
        reconcile::OnTimeout::never_runs);
  if (!made && *is_new) undo([this, network]() LANWRIGHT_ON_LOOP { return networks_.remove(network.id); });
  return made;
}

Result<void> DockerAgent::delete_network(const std::string& network, Deadline deadline) {
  return make_it_so(
      "delete network", [this, network]() LANWRIGHT_ON_LOOP { return networks_.remove(network); }, deadline);
}

Result<DockerEndpointAnswer> DockerAgent::create_endpoint(const DockerEndpoint& endpoint, Deadline deadline) {
  warn_of_ignored("Docker's endpoint", endpoint.id, endpoint.ignored);
  auto begun = std::make_shared<Networks::BegunEndpoint>();
  auto made = make_it_so(
      "create endpoint",
      [=, this]() LANWRIGHT_ON_LOOP { return networks_.create_endpoint(endpoint, *begun); }, deadline);
  boost::asio::post(io_, [this, id = endpoint.id] {
    os::assert_on_loop(io_);
    grace_.start(id);
  });
  if (made) return begun->answer;
  if (begun->is_new)
    undo([this, endpoint]()
             LANWRIGHT_ON_LOOP { return networks_.remove_endpoint(endpoint.network, endpoint.id); });
  return made.error();
}

Result<void> DockerAgent::delete_endpoint(const std::string& network, const std::string& endpoint,
                                          Deadline deadline) {
  return make_it_so(
      "delete endpoint",
      [this, network, endpoint]() LANWRIGHT_ON_LOOP { return networks_.remove_endpoint(network, endpoint); },
      deadline);
}

Result<DockerJoin> DockerAgent::join(const std::string& network, const std::string& endpoint,
                                     const std::string& sandbox, Deadline deadline) {
  auto answer = std::make_shared<DockerJoin>();
  auto made = make_it_so(
      "join", [=, this]() LANWRIGHT_ON_LOOP { return networks_.join(network, endpoint, sandbox, *answer); },
      deadline);
  if (!made) return made.error();
  return *answer;
}

Result<void> DockerAgent::leave(const std::string& network, const std::string& endpoint, Deadline deadline) {
  return make_it_so(
      "leave", [this, network, endpoint]() LANWRIGHT_ON_LOOP { return networks_.leave(network, endpoint); },
      deadline);
}

Result<std::map<std::string, std::string>> DockerAgent::endpoint_info(const std::string& network,
                                                                      const std::string& endpoint,
                                                                      Deadline deadline) {
  return reconcile::on_loop<std::map<std::string, std::string>>(
      io_, deadline, "describe endpoint",
      [this, network, endpoint]() LANWRIGHT_ON_LOOP { return networks_.endpoint_info(network, endpoint); });
}

}  // namespace lanwright::docker_agent
