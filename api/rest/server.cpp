#include "api/rest/server.h"

#include <exception>
#include <optional>
#include <utility>

#include "api/http/acceptor.h"
#include "api/http/exchange.h"
#include "api/http/unix_listener.h"
#include "api/rest/routes.h"

namespace lanwright::rest {
namespace {

http::AcceptorOptions acceptor_options(const ServerOptions& options) {
  http::AcceptorOptions out;
  // Each event stream and each capture holds a worker; the others are left for everything else.
  out.workers = options.threads + options.event_streams + options.captures;
  out.limits.body = options.body_limit;
  out.patience = options.patience;
  return out;
}

rest::RoutesOptions routes_options(const ServerOptions& options) {
  rest::RoutesOptions out;
  out.event_streams = options.event_streams;
  out.captures = options.captures;
  // One worker stays for those that do not wait, so that the health of the agent can always be asked for.
  out.waiting = options.threads - 1;
  out.heartbeat = options.heartbeat;
  return out;
}

}  // namespace

struct Server::Impl {
  // In this order: what is last is stopped first.
  http::UnixListener socket;
  rest::Routes routes;
  std::optional<http::Acceptor> acceptor;

  Impl(http::UnixListener listening, AgentApi& agent, CaptureSource& packets, const Grammar& grammar,
       const ServerOptions& options)
      : socket(std::move(listening)), routes(agent, packets, grammar, routes_options(options)) {
    acceptor.emplace(
        std::vector{socket.descriptor()}, acceptor_options(options), [this](http::Connection& connection) {
          return http::serve_all(connection, [this](http::Connection& each) { return routes.respond(each); });
        });
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  stop();
}

Result<std::unique_ptr<Server>> Server::start(AgentApi& agent, CaptureSource& packets, const Grammar& grammar,
                                              const ServerOptions& options) {
  if (options.threads < 2) {
    return Error{.kind = ErrorKind::invalid,
                 .tried = "start the REST server",
                 .object = options.socket.string(),
                 .words = "it needs at least 2 threads",
                 .hint = {}};
  }
  auto socket = http::UnixListener::listen(options.socket, options.group, options.mode);
  if (!socket) return socket.error();
  try {
    auto impl = std::make_unique<Impl>(*std::move(socket), agent, packets, grammar, options);
    return std::unique_ptr<Server>(new Server(std::move(impl)));
  } catch (const std::exception& exception) {
    return Error{.kind = ErrorKind::exhausted,
                 .tried = "start the REST server",
                 .object = options.socket.string(),
                 .words = exception.what(),
                 .hint = {}};
  }
}

void Server::stop() {
  impl_->acceptor.reset();
  impl_->socket.close();
}

const std::string& Server::notice() const {
  return impl_->socket.notice();
}

}  // namespace lanwright::rest
