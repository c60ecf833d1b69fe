#include "api/docker/plugin_server.h"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "api/docker/calls.h"
#include "api/http/acceptor.h"
#include "api/http/exchange.h"
#include "api/http/unix_listener.h"
#include "model/base/names.h"
#include "model/base/utf8.h"

namespace lanwright::docker {
namespace {

using http::Connection;
using http::Response;
using std::filesystem::path;

constexpr const char* kContentType = "application/vnd.docker.plugins.v1.2+json";
constexpr const char* kElsewhere =
    "choose another directory with --docker-socket-dir, or none with --docker-socket-dir ''";

// What the plugin implements. Docker asks for nothing that is not here.
constexpr std::array kSubsystems{docker::network_driver, docker::ipam_driver};

Response answered(int status, const Json& json) {
  return {.status = status, .content_type = kContentType, .body = http::text_of(json) + "\n"};
}

// Docker shows it as it is, behind the name of the call.
Response refused(int status, const std::string& words) {
  return answered(status, Json{{"Err", printable(words)}});
}

Response activation() {
  Json names = Json::array();
  for (const auto& subsystem : kSubsystems) names.push_back(subsystem().name);
  return answered(200, Json{{"Implements", names}});
}

// "/IpamDriver.RequestPool"
struct Target {
  const Subsystem& subsystem;
  const CallRow& row;
};

std::optional<Target> find_call(std::string_view target) {
  if (!target.starts_with('/')) return std::nullopt;
  target.remove_prefix(1);
  const std::size_t dot = target.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  for (const auto& each : kSubsystems) {
    const Subsystem& subsystem = each();
    if (target.substr(0, dot) != subsystem.name) continue;
    for (const CallRow& row : subsystem.calls) {
      if (target.substr(dot + 1) == row.name) return Target{subsystem, row};
    }
  }
  return std::nullopt;
}

Error not_json(std::string words) {
  return {ErrorKind::invalid, "read the request", {}, 0, std::move(words), {}};
}

// Docker repeats a call whose connection broke with an empty body: it must not be taken for one without
// fields.
Result<Json> request_of(const std::string& body, bool takes_body) {
  if (body.empty()) {
    if (takes_body) return not_json("the body is empty");
    return Json::object();
  }
  try {
    Json json = Json::parse(body);
    if (!json.is_object())
      return not_json(std::string("the body is not a JSON object but ") + json.type_name());
    return json;
  } catch (const Json::parse_error& error) {
    return not_json("the body is not JSON: the mistake is at byte " + std::to_string(error.byte));
  } catch (const Json::exception& error) {  // a number that no type holds
    return not_json(std::string("the body cannot be read: ") + error.what());
  }
}

Error elsewhere(Error error) {
  error.hint = error.hint.empty() || error.kind == ErrorKind::conflict ? kElsewhere
                                                                       : error.hint + "; or " + kElsewhere;
  return error;
}

Result<void> make_directory(const path& directory) {
  std::error_code failed;
  const bool made = std::filesystem::create_directories(directory, failed);
  using std::filesystem::perms;
  if (!failed && made) {
    constexpr perms kMode =
        perms::owner_all | perms::group_read | perms::group_exec | perms::others_read | perms::others_exec;
    std::filesystem::permissions(directory, kMode, failed);
  }
  if (!failed) return {};
  return elsewhere(error_from_errno(failed.value(), "make the directory", directory.string()));
}

Result<std::vector<http::UnixListener>> listen_at(const PluginServerOptions& options) {
  if (auto made = make_directory(options.directory); !made) return made.error();
  std::vector<http::UnixListener> sockets;
  for (const auto& [name, driver] : options.sockets) {
    if (!is_object_name(name))
      return Error{ErrorKind::invalid,
                   "listen as",
                   "`" + name + "`",
                   0,
                   "it is no name for a plugin",
                   "use 1 to 63 of A-Z, a-z, 0-9, `.`, `_` and `-`"};
    auto socket = http::UnixListener::listen(options.directory / (name + ".sock"), "", 0600);
    if (!socket) return elsewhere(socket.error());
    sockets.push_back(*std::move(socket));
  }
  return sockets;
}

http::AcceptorOptions acceptor_options(const PluginServerOptions& options) {
  http::AcceptorOptions out;
  out.workers = options.threads;
  out.limits.body = options.body_limit;
  out.patience = options.patience;
  // Docker keeps its connections for good. One that is closed here just when it calls makes it call again,
  // with an empty body.
  out.idle = std::chrono::hours(24);
  return out;
}

}  // namespace

struct PluginServer::Impl {
  struct Name {
    std::string socket;
    std::string driver;
  };

  // In this order: what is last is stopped first.
  std::vector<http::UnixListener> sockets;
  DockerApi& agent;
  const Grammar& grammar;
  std::chrono::milliseconds call_limit;
  std::vector<Name> names;  // as the sockets
  std::optional<http::Acceptor> acceptor;

  Impl(std::vector<http::UnixListener> listening, DockerApi& port, const Grammar& drivers,
       const PluginServerOptions& options)
      : sockets(std::move(listening)), agent(port), grammar(drivers), call_limit(options.call_limit) {
    for (const auto& [name, driver] : options.sockets) names.push_back({name, driver});
    std::vector<int> descriptors;
    for (const http::UnixListener& socket : sockets) descriptors.push_back(socket.descriptor());
    acceptor.emplace(std::move(descriptors), acceptor_options(options), [this](Connection& connection) {
      return http::serve_all(connection, [this](Connection& each) { return respond(each); });
    });
  }

  Response respond(Connection& connection) {
    try {
      const http::HttpError& refusal = connection.refusal();
      return refusal.detail.empty() ? route(connection) : refused(refusal.status, refusal.detail);
    } catch (const std::exception& exception) {
      return refused(500, std::string("this is a defect of the agent, report it: ") + exception.what());
    }
  }

  Response route(Connection& connection) {
    const http::RequestHead& head = connection.head();
    const bool activates = head.target_path == "/Plugin.Activate";
    const auto target = find_call(head.target_path);
    if (!activates && !target) return refused(404, "there is no call " + head.target_path);
    if (head.method != "POST") {
      Response answer = refused(405, head.target_path + " is called with POST, not " + head.method);
      answer.headers.emplace_back("Allow", "POST");
      return answer;
    }
    std::string body;
    if (const auto refusal = connection.read_body(body)) return refused(refusal->status, refusal->detail);
    if (!activates) return serve(*target, body, connection);
    agent.on_dockerd_connected();
    return activation();
  }

  Response serve(const Target& target, const std::string& body, const Connection& connection) {
    const auto request = request_of(body, target.row.takes_body);
    const Name& name = names.at(connection.listener());
    const auto call = [&](Handler handler) {
      const Deadline deadline = std::chrono::steady_clock::now() + call_limit;
      return handler(Call{*request, name.socket, name.driver, grammar, agent, deadline});
    };
    auto result = request ? call(target.row.handler) : Result<Json>(request.error());
    if (result && target.row.undo != nullptr && connection.peer_is_gone()) result = call(target.row.undo);
    if (body.empty() && target.row.on_lost != nullptr) (agent.*target.row.on_lost)();
    if (!result && target.row.of_network) agent.on_call_failed();
    if (!request) return refused(400, request.error().text());
    if (!result) return answered(200, Json{{target.subsystem.error_key, printable(result.error().text())}});
    return answered(200, *result);
  }
};

PluginServer::PluginServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PluginServer::~PluginServer() {
  stop();
}

Result<std::unique_ptr<PluginServer>> PluginServer::start(DockerApi& agent, const Grammar& grammar,
                                                          const PluginServerOptions& options) {
  auto sockets = listen_at(options);
  if (!sockets) return sockets.error();
  try {
    auto impl = std::make_unique<Impl>(*std::move(sockets), agent, grammar, options);
    return std::unique_ptr<PluginServer>(new PluginServer(std::move(impl)));
  } catch (const std::exception& exception) {
    return Error{
        ErrorKind::exhausted, "serve Docker at", options.directory.string(), 0, exception.what(), {}};
  }
}

void PluginServer::stop() {
  impl_->acceptor.reset();
  impl_->sockets.clear();
}

}  // namespace lanwright::docker
