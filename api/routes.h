// The REST routes over an AgentPort.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/agent_port.h"
#include "api/answer.h"
#include "api/capture.h"
#include "api/connection.h"
#include "api/gate.h"
#include "api/parameters.h"
#include "model/grammar.h"

namespace lanwright::rest {

class Routes;

// What a handler works on.
struct Call {
  Connection& connection;
  const RequestHead& head;
  Parameters parameters;
  std::string name;  // what stands in the path for {name}
  std::string body;
};

struct Route {
  std::string_view method;
  std::string_view path;  // "/v1/networks/{name}"
  std::vector<Parameter> parameters;
  Answer (Routes::*handler)(Call& call);
  bool takes_body = false;
};

struct RoutesOptions {
  std::size_t event_streams = 4;
  std::size_t captures = 4;
  std::size_t waiting = 7;  // requests that wait for convergence at the same time
  std::chrono::milliseconds heartbeat{15'000};
};

// Any thread may call; outlives every connection that it answers.
class Routes {
 public:
  Routes(AgentPort& agent, CaptureSource& packets, const Grammar& grammar, const RoutesOptions& options);

  // Every route there is. HEAD is answered wherever GET is.
  static const std::vector<Route>& table();

  // The answer to the request that the connection holds, be it accepted or refused.
  Answer respond(Connection& connection);

 private:
  Answer route(Connection& connection);
  Answer serve(const Route& route, Connection& connection, std::string name);

  Answer list_sets(Call& call);
  Answer get_set(Call& call);
  Answer delete_set(Call& call);
  template <Kind kind>
  Answer list_objects(Call& call);
  template <Kind kind>
  Answer get_object(Call& call);
  template <Kind kind>
  Answer describe_object(Call& call);
  template <Kind kind>
  Answer delete_object(Call& call);
  Answer capture_network(Call& call);
  Answer list_switches(Call& call);
  Answer get_switch(Call& call);
  Answer post_plan(Call& call);
  Answer get_plan(Call& call);
  Answer post_apply(Call& call);
  Answer get_export(Call& call);
  Answer get_events(Call& call);
  Answer get_status(Call& call);
  Answer get_metrics(Call& call);
  Answer get_healthz(Call& call);
  Answer get_readyz(Call& call);
  Answer get_openapi(Call& call);
  Answer get_schema(Call& call);

  Answer list(const Call& call, Kind kind);
  Answer remove(Call& call, DeleteRequest request, const std::string& set);
  Answer finish(Call& call, const std::string& set, const ApplyOutcome& outcome, bool dry_run);
  Answer follow(Call& call);
  Result<std::shared_ptr<const Snapshot>> snapshot();
  bool wait_converged(const Call& call, const std::optional<std::string>& set, std::uint64_t generation,
                      std::chrono::milliseconds time);
  // A place among those who wait, when the call asks for it.
  bool may_wait(const Call& call, std::string_view parameter, Gate::Pass& pass);

  AgentPort& agent_;
  CaptureSource& packets_;
  const Grammar& grammar_;
  const RoutesOptions options_;
  Gate streams_;
  Gate captures_;
  Gate waiting_;
  std::mutex mutex_;
  std::map<int, std::uint64_t> answers_;  // by status
};

}  // namespace lanwright::rest
