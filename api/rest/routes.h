// The REST routes over an AgentApi.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/concurrency_limit.h"
#include "api/http/connection.h"
#include "api/http/response.h"
#include "api/rest/agent_api.h"
#include "api/rest/capture.h"
#include "api/rest/parameters.h"
#include "model/format/grammar.h"

namespace lanwright::rest {

class Routes;

// What a handler works on.
struct Call {
  http::Connection& connection;
  const http::RequestHead& head;
  Parameters parameters;
  std::string name;       // what stands in the path for {name}
  std::string interface;  // and for {interface}
  std::string body;
};

struct Route {
  std::string_view method;
  std::string_view path;  // "/v1/networks/{name}", with {interface} behind it
  std::vector<Parameter> parameters;
  http::Response (Routes::*handler)(Call& call);
  bool takes_body = false;
};

// What stands in a path for {name} and {interface}; "" where the route has none.
struct PathNames {
  std::string name;
  std::string interface;
};

struct RoutesOptions {
  std::size_t event_streams = 4;
  std::size_t captures = 4;
  std::size_t waiting = 7;  // requests that wait for convergence at the same time
  std::size_t large_bodies =
      2;  // requests with a body of a megabyte and more, which take many times as much memory
  std::chrono::milliseconds heartbeat{15'000};
};

// Any thread may call; outlives every connection that it answers. A private method is a route of
// openapi.json, and is entered in the table of routes.cpp: there are as many as routes.
class Routes {
 public:
  Routes(AgentApi& agent, CaptureSource& packets, const Grammar& grammar, const RoutesOptions& options);

  // Every route there is. HEAD is answered wherever GET is.
  static const std::vector<Route>& table();

  // The answer to the request that the connection holds, be it accepted or refused.
  http::Response respond(http::Connection& connection);

 private:
  http::Response route(http::Connection& connection);
  http::Response serve(const Route& route, http::Connection& connection, PathNames names);

  http::Response list_sets(Call& call);
  http::Response get_set(Call& call);
  http::Response delete_set(Call& call);
  template <Kind kind>
  http::Response list_objects(Call& call);
  template <Kind kind>
  http::Response get_object(Call& call);
  template <Kind kind>
  http::Response describe_object(Call& call);
  template <Kind kind>
  http::Response delete_object(Call& call);
  http::Response capture_network(Call& call);
  http::Response put_uplink(Call& call);
  http::Response delete_uplink(Call& call);
  http::Response list_switches(Call& call);
  http::Response get_switch(Call& call);
  http::Response post_plan(Call& call);
  http::Response get_plan(Call& call);
  http::Response post_apply(Call& call);
  http::Response get_export(Call& call);
  http::Response get_events(Call& call);
  http::Response get_status(Call& call);
  http::Response get_metrics(Call& call);
  http::Response get_healthz(Call& call);
  http::Response get_readyz(Call& call);
  http::Response get_openapi(Call& call);
  http::Response get_schema(Call& call);

  http::Response list(const Call& call, Kind kind);
  http::Response change_uplink(Call& call, bool remove);
  http::Response remove(Call& call, DeleteRequest request, const std::string& set);
  http::Response finish(Call& call, const std::string& set, const ApplyOutcome& outcome, bool dry_run);
  http::Response follow(Call& call);
  Result<std::shared_ptr<const Snapshot>> snapshot();
  bool wait_converged(const Call& call, const std::optional<std::string>& set, std::uint64_t generation,
                      std::chrono::milliseconds time);
  // A place among those who wait, when the call asks for it.
  bool may_wait(const Call& call, std::string_view parameter, http::ConcurrencyLimit::Pass& pass);

  AgentApi& agent_;
  CaptureSource& packets_;
  const Grammar& grammar_;
  const RoutesOptions options_;
  http::ConcurrencyLimit streams_;
  http::ConcurrencyLimit captures_;
  http::ConcurrencyLimit waiting_;
  http::ConcurrencyLimit large_bodies_;
  std::mutex mutex_;
  std::map<int, std::uint64_t> answers_;  // by status
};

}  // namespace lanwright::rest
