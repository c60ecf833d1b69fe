// Debian's dockerd as a process of its own in a sandbox, and what users and machines say to it. With
// LANWRIGHT_TEST_DOCKER=DIRECTORY in the environment it is another one, whose packages are unpacked there
// (tests/docker/engine.sh).
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/daemon.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

struct DockerdOptions {
  bool live_restore = false;
  Json config = Json::object();  // further keys of daemon.json
  Milliseconds ready_within = 120s;
};

struct ApiAnswer {
  int status = 0;
  Json body;  // null when there is none
};

// Debian's static busybox under all of its names, and what else is taken from this machine.
struct Image {
  std::string name;
  std::vector<std::string> programs = {};         // by their paths; with their libraries
  std::map<std::string, std::string> files = {};  // their text by their paths
};

// What a container is made of, beside its name.
struct ContainerOptions {
  std::string network;
  std::vector<std::string> more = {};     // further options of `docker run`
  std::vector<std::string> command = {};  // else it sleeps until it is stopped
};

// One at a time in a sandbox; its containerd is its own. Data is below directory()/docker of the sandbox and
// stays when the daemon ends, so that it continues where it stopped. Everything else of Docker is in the
// sandbox's private /run as on any host: plugins' sockets in /run/docker/plugins, namespaces of containers in
// /run/docker/netns.
//
// Needs in_pid_namespace() around the test. The destructor kills all that Docker runs and the containers; the
// sandbox must outlive it. After a failed expectation it prints the end of the daemon's log.
class Dockerd {
 public:
  explicit Dockerd(const Sandbox& sandbox, DockerdOptions options = {});  // starts it
  ~Dockerd();
  Dockerd(const Dockerd&) = delete;
  Dockerd& operator=(const Dockerd&) = delete;

  // Returns when it answers; throws with its log when it ends before, or does not within
  // options.ready_within.
  void start();
  void start(DockerdOptions options);
  int stop(Milliseconds limit = 60s);  // SIGTERM; answers the exit status, throws when the limit passed
  void kill();                         // SIGKILL, and waits; its containerd dies with it, containers do not
  void restart();                      // stop() and start()
  // What it keeps of networks is lost, as when its data root is. Not while it runs.
  void forget_networks() const;

  static bool is_installed();  // else `tests/packages.sh docker` does it

  pid_t pid() const { return pid_; }
  const std::filesystem::path& socket() const { return socket_; }
  static std::filesystem::path socket_in(const Sandbox& sandbox);  // the same, before it is started
  static std::filesystem::path plugin_directory() { return "/run/docker/plugins"; }
  std::string log() const;  // what it wrote so far

  // `docker ARGUMENTS`, the client of the same package.
  Finished docker(const std::vector<std::string>& arguments,
                  const RunOptions& options = {.limit = 120s}) const;
  // The same; throws unless it succeeds. Answers its output without the last line's end.
  std::string ask(const std::vector<std::string>& arguments) const;
  // One request to its socket, for what the client cannot say: api("POST", "/networks/create", {...}).
  ApiAnswer api(const std::string& method, const std::string& path, const Json& body = nullptr) const;

  // Its containers sleep, unless they are given a command; one that is made through api() is stopped without
  // delay when its "StopSignal" is "KILL".
  void import_image(const Image& image) const;
  void import_busybox() const;  // the image "busybox": nothing but that

  // Starts a container of "busybox" that `docker stop` kills; throws with Docker's words when it cannot. Its
  // network is there when this returns, its command may be about to begin.
  void run_container(const std::string& name, const ContainerOptions& options) const;
  Json inspect(const std::string& name) const;  // a container or network; throws when there is none
  bool is_running(const std::string& container) const;
  // The container's network namespace, as a path that RunOptions, ping() and Stream take.
  std::string netns_of(const std::string& container) const;
  std::string address_of(const std::string& container, const std::string& network) const;

 private:
  std::filesystem::path write_config() const;
  void wait_ready();

  const Sandbox& sandbox_;
  DockerdOptions options_;
  std::filesystem::path home_;
  std::filesystem::path socket_;
  std::filesystem::path log_;
  std::optional<NotifySocket> notify_;
  pid_t pid_ = -1;  // -1: not running
};

}  // namespace lanwright::test
