// lanwrightd: wires the store, the kernel, the loop and the REST server together.
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "agent/capture/source.h"
#include "agent/docker/docker_agent.h"
#include "agent/host/directories.h"
#include "agent/host/instance_lock.h"
#include "agent/host/log.h"
#include "agent/host/managers.h"
#include "agent/host/privileges.h"
#include "agent/host/switch_scope.h"
#include "agent/host/systemd.h"
#include "agent/reconcile/forwarding.h"
#include "agent/service/core.h"
#include "api/docker/plugin_server.h"
#include "api/rest/server.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/netfilter/iptables_backend.h"
#include "reconcilers/netlink/backend.h"
#include "reconcilers/os/on_loop.h"
#include "reconcilers/ovs/backend.h"
#include "reconcilers/vde/backend.h"
#include "reconcilers/vde/paths.h"
#include "state/store.h"

namespace {

using namespace lanwright;
namespace asio = boost::asio;

struct Options {
  std::filesystem::path state_dir = "/var/lib/lanwright";
  std::filesystem::path run_dir = "/run/lanwright";
  std::filesystem::path api_socket;                                 // RUN_DIR/api.sock when empty
  std::filesystem::path docker_socket_dir = "/run/docker/plugins";  // none when empty
  std::vector<std::string> docker_aliases;
  std::string docker_api_socket = "/run/docker.sock";  // Docker is never asked when empty
  std::filesystem::path docker_switch_dir;             // none when empty
  std::filesystem::path ovs_db = "/run/openvswitch/db.sock";
  std::string group = "lanwright";
  std::string netns;
  std::string log_level = "info";
  unsigned audit_minutes = 10;
  int receive_buffer = 32 << 20;
};

void declare(CLI::App& app, Options& options) {
  app.set_version_flag("--version", "lanwrightd " LANWRIGHT_VERSION);
  app.add_option("--state-dir", options.state_dir, "directory of the database")->capture_default_str();
  app.add_option("--run-dir", options.run_dir, "directory of sockets")->capture_default_str();
  app.add_option("--api-socket", options.api_socket, "path of the REST socket (default RUN_DIR/api.sock)");
  app.add_option("--docker-socket-dir", options.docker_socket_dir,
                 "where Docker looks for plugins; '' for no sockets")
      ->capture_default_str();
  app.add_option("--docker-alias", options.docker_aliases,
                 "NAME=DRIVER: one more name by which Docker may call a driver; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--docker-api-socket", options.docker_api_socket,
                 "where Docker is asked which networks it still knows; '' for never")
      ->capture_default_str();
  app.add_option(
      "--docker-switch-dir", options.docker_switch_dir,
      "directory in which kt-ID/ctl leads to the switch of Docker's network ID, as Kathara wants it");
  app.add_option("--ovs-db", options.ovs_db, "socket of Open vSwitch's database")->capture_default_str();
  app.add_option("--group", options.group, "group that may use the REST socket")->capture_default_str();
  app.add_option("--netns", options.netns,
                 "manage this network namespace (a path) instead of the current one");
  app.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--audit-minutes", options.audit_minutes,
                 "read the whole kernel state anew this often (with a beat of the watchdog, where there is "
                 "one; 0: never)")
      ->capture_default_str();
  app.add_option("--netlink-buffer", options.receive_buffer, "bytes of kernel events that may wait")
      ->capture_default_str()
      ->check(CLI::Range(4096, 1 << 30));
  app.set_config("--config", "", "file with any of these options as `name = value` lines");
  app.allow_config_extras(CLI::config_extras_mode::error);
}

[[noreturn]] void die(const Error& error) {
  log::error("cannot start: " + error.text());
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): before any thread
}

template <class T>
T must(Result<T> result) {
  if (!result) die(result.error());
  return std::move(*result);
}

Result<void> enter_namespace(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return error_from_errno(errno, "open network namespace", path);
  const int entered = setns(descriptor, CLONE_NEWNET);
  const int number = errno;
  close(descriptor);
  if (entered == 0) return {};
  Error error = error_from_errno(number, "enter network namespace", path);
  error.hint = "the path must name a network namespace (ip netns list), and CAP_SYS_ADMIN is needed";
  return error;
}

// nullptr when no sockets are wanted.
Result<std::unique_ptr<docker::PluginServer>> serve_docker(DockerApi& agent, const Options& options) {
  docker::PluginServerOptions plugins;
  auto sockets = docker_agent::docker_sockets(options.docker_aliases);
  if (!sockets) return sockets.error();
  if (options.docker_socket_dir.empty()) return std::unique_ptr<docker::PluginServer>();
  plugins.directory = options.docker_socket_dir;
  plugins.sockets = *std::move(sockets);
  return docker::PluginServer::start(agent, drivers::driver_grammar(), plugins);
}

std::string summary(bool converged) {
  return converged ? "converged" : "working";
}

// Rereads what can change while running: only the log level so far; everything else needs a restart, and says
// so.
void reload(int argc, char** argv, const Options& running) {
  CLI::App app;
  Options fresh;
  declare(app, fresh);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    log::error("the configuration cannot be read again; the old one stays", {{"error", error.what()}});
    return;
  }
  log::Level level{};
  if (log::parse_level(fresh.log_level, level)) log::set_level(level);
  if (fresh.state_dir != running.state_dir || fresh.run_dir != running.run_dir ||
      fresh.api_socket != running.api_socket || fresh.group != running.group ||
      fresh.netns != running.netns || fresh.docker_socket_dir != running.docker_socket_dir ||
      fresh.docker_aliases != running.docker_aliases ||
      fresh.docker_api_socket != running.docker_api_socket ||
      fresh.docker_switch_dir != running.docker_switch_dir || fresh.ovs_db != running.ovs_db)
    log::warning("directories, sockets, group and namespace change with a restart only");
}

std::unique_ptr<LinkBackend> open_links(const Options& options) {
  netlink::NetlinkOptions netlink;
  netlink.receive_buffer = options.receive_buffer;
  return must(netlink::open_netlink_backend(netlink));
}

std::unique_ptr<SwitchBackend> open_switches(asio::io_context& io, const Options& options,
                                             host::SwitchScope& scope) {
  return must(vde::open_vde_backend(io, {options.run_dir, vde::find_plug_program(),
                                         [&scope](pid_t pid) LANWRIGHT_ON_LOOP { scope.take(pid); }}));
}

std::unique_ptr<Source> open_open_vswitch(asio::io_context& io, const Options& options) {
  ovsdb::SessionOptions session;
  session.socket = std::filesystem::absolute(options.ovs_db).string();
  return must(ovs::Backend::open(io, std::move(session)));
}

std::unique_ptr<FirewallBackend> open_firewall(const Options& options) {
  return must(netfilter::open_iptables_backend(options.run_dir / "forward-rules", [](const Error& error) {
    log::warning("the host's firewall and what bridges forward", {{"error", error.text()}});
  }));
}

std::string notice_of(const state::Store::Opened& opened) {
  if (!opened.set_aside) return {};
  std::string notice =
      "the database was damaged and is kept as " + opened.set_aside->string() +
      "; this one began empty. Nothing in the kernel was removed: apply your files again with --adopt";
  log::error(notice);
  return notice;
}

service::AgentService::Options service_options(const state::Store::Opened& opened) {
  service::AgentService::Options options;
  options.store_notice = notice_of(opened);
  return options;
}

// Everything that runs, in the order of construction.
class Daemon {
 public:
  Daemon(const Options& options, std::function<void()> reread_configuration)
      : Daemon(options, std::move(reread_configuration), must(state::Store::open(options.state_dir))) {}

  void run() LANWRIGHT_ON_LOOP {
    await_reload();
    await_stop();
    audit();
    log::info("ready", {{"socket", server_options_.socket.string()}, {"state", options_.state_dir.string()}});
    systemd_.ready("ready");
    io_.run();
    if (stopper_.joinable()) stopper_.join();
    log::info("stopped");
  }

 private:
  Daemon(const Options& options, std::function<void()> reread_configuration, state::Store::Opened opened)
      : options_(options),
        reread_configuration_(std::move(reread_configuration)),
        systemd_(io_),
        switch_scope_(io_),
        core_(io_, std::move(opened.store), open_links(options), open_switches(io_, options, switch_scope_),
              open_open_vswitch(io_, options), service_options(opened)),
        firewall_(open_firewall(options)),
        docker_(start_docker()),
        plugins_(must(serve_docker(*docker_, options))),
        packets_(capture::open_capture_source(options.run_dir, drivers::driver_grammar())),
        server_options_{options.api_socket.empty() ? options.run_dir / "api.sock" : options.api_socket,
                        options.group},
        server_(must(
            rest::Server::start(core_.service(), *packets_, drivers::driver_grammar(), server_options_))) {
    if (!server_->notice().empty()) log::warning(server_->notice());
  }

  std::unique_ptr<docker_agent::DockerAgent> start_docker() LANWRIGHT_ON_LOOP {
    reconcile::Reconciler& reconciler = core_.reconciler();
    reconciler.on_converged = [this](bool converged)
                                  LANWRIGHT_ON_LOOP { systemd_.status(summary(converged)); };
    // What others say of the host's links is of the host's own namespace.
    if (options_.netns.empty())
      reconciler.remedy_for_uplink = [](const std::string& link, int ifindex) {
        return host::remedy_for_uplink(link, ifindex);
      };
    if (auto started = reconciler.start(); !started) die(started.error());
    forwarding_.emplace(reconciler.desired(), *firewall_);
    reconciler.on_committed = [this](const std::set<ResourceId>& concerned)
                                  LANWRIGHT_ON_LOOP { forwarding_->look_at(concerned); };
    auto docker = must(docker_agent::DockerAgent::open(io_, reconciler, core_.store(), *firewall_));
    firewall_->begin();
    if (auto searched = docker->search_for(must(docker_agent::docker_sockets(options_.docker_aliases)));
        !searched)
      die(searched.error());
    docker->audit().open(options_.docker_api_socket);
    if (!docker->awaits_lost_networks()) firewall_->sweep();  // otherwise it does so then
    if (options_.docker_switch_dir.empty()) return docker;
    const auto socket_of = [this](const std::string& network) {
      return vde::switch_paths(options_.run_dir, network).socket;
    };
    if (auto linked = docker->link_switches(options_.docker_switch_dir, socket_of); !linked)
      die(linked.error());
    return docker;
  }

  void reread() LANWRIGHT_ON_LOOP {
    core_.reconciler().resync();
    firewall_->look_again();
  }

  void await_reload() LANWRIGHT_ON_LOOP {
    reload_signal_.async_wait([this](const boost::system::error_code& error, int) LANWRIGHT_ON_LOOP {
      if (error) return;
      systemd_.reloading();
      log::info("reloading");
      reread_configuration_();
      reread();
      docker_->audit().ask_now();
      systemd_.ready("reloaded");
      await_reload();
    });
  }

  void await_stop() LANWRIGHT_ON_LOOP {
    stop_signals_.async_wait([this](const boost::system::error_code& error, int signal) LANWRIGHT_ON_LOOP {
      if (error) return;
      log::info("stopping; the data path stays as it is", {{"signal", strsignal(signal)}});
      systemd_.stopping();
      systemd_.cancel();
      core_.reconciler().stop();
      stop_servers();
    });
  }

  // The servers' threads may be waiting for this loop: it turns until they are joined. Where there is no
  // thread to do that, they are left to their deadlines.
  void stop_servers() LANWRIGHT_ON_LOOP {
    try {
      stopper_ = std::thread([this] {
        server_->stop();
        if (plugins_) plugins_->stop();
        asio::post(io_, [this] { io_.stop(); });
      });
    } catch (const std::system_error& error) {
      log::warning("stopping without a thread for it, which takes longer", {{"error", error.what()}});
      io_.stop();
    }
  }

  // With the watchdog's beat, which saves a timer.
  void audit() LANWRIGHT_ON_LOOP {
    const std::chrono::minutes interval(options_.audit_minutes);
    systemd_.keep_alive(
        interval, [this, interval, last = std::chrono::steady_clock::now()]() LANWRIGHT_ON_LOOP mutable {
          const auto now = std::chrono::steady_clock::now();
          if (interval.count() == 0 || now - last < interval) return;
          last = now;
          reread();
        });
  }

  const Options& options_;
  std::function<void()> reread_configuration_;
  asio::io_context io_{1};
  host::Service systemd_;
  host::SwitchScope switch_scope_;
  service::Core core_;
  std::unique_ptr<FirewallBackend> firewall_;
  std::optional<reconcile::Forwarding> forwarding_;
  std::unique_ptr<docker_agent::DockerAgent> docker_;
  std::unique_ptr<docker::PluginServer> plugins_;
  std::unique_ptr<CaptureSource> packets_;
  rest::ServerOptions server_options_;
  std::unique_ptr<rest::Server> server_;
  asio::signal_set reload_signal_{io_, SIGHUP};
  asio::signal_set stop_signals_{io_, SIGTERM, SIGINT};
  std::thread stopper_;
};

int serve(const Options& options, int argc, char** argv) {
  if (auto allowed = host::check_privileges(); !allowed) die(allowed.error());
  if (!options.netns.empty()) {
    if (auto entered = enter_namespace(options.netns); !entered) die(entered.error());
  }
  for (const auto& [directory, mode] :
       {std::pair(options.state_dir, 0700), std::pair(options.run_dir, 0755)}) {
    if (auto taken = host::take_directory(directory, static_cast<mode_t>(mode)); !taken) die(taken.error());
  }
  const host::InstanceLock lock = must(host::InstanceLock::take(options.state_dir));
  host::allow_many_descriptors();
  os::claim_loop_thread();
  Daemon daemon(options, [&options, argc, argv] { reload(argc, argv, options); });
  daemon.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Keeps the networks that are declared on this host as they are declared.", "lanwrightd");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  // One heap for the few threads that there are: what the loop frees, the next request uses.
  mallopt(M_ARENA_MAX, 1);
  ::unsetenv("VDEPLUGIN_PATH");  // NOLINT(concurrency-mt-unsafe): before any thread; libvdeplug loads code
                                 // from there
  log::Level level = log::Level::info;
  log::parse_level(options.log_level, level);
  log::set_level(level);
  try {
    return serve(options, argc, argv);
  } catch (const std::exception& error) {
    log::error(std::string("stopping after an unexpected error: ") + error.what());
    return 1;
  }
}
