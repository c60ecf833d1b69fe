// Open vSwitch as a host has it, with a database and sockets of its own, in the sandbox: ovsdb-server, and
// ovs-vswitchd. Bridges of datapath `netdev` need nothing of the kernel but taps.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

class OpenVswitch {
 public:
  // An initialised, empty database, and both daemons running.
  explicit OpenVswitch(const Sandbox& sandbox);
  ~OpenVswitch();
  OpenVswitch(const OpenVswitch&) = delete;
  OpenVswitch& operator=(const OpenVswitch&) = delete;

  std::filesystem::path socket() const { return directory_ / "db.sock"; }
  std::filesystem::path database() const { return directory_ / "conf.db"; }

  // `ovs-vsctl WORDS`, without waiting for ovs-vswitchd; throws with its words when it fails.
  std::string vsctl(std::vector<std::string> words) const;

  void start_server();
  void kill_server();
  void start_vswitchd();
  void kill_vswitchd();
  void signal_server(int signal) const;
  void signal_vswitchd(int signal) const;
  // A database without a row, as before `ovs-vsctl init`. The server must not run.
  void empty_database() const;
  // Operations of a transaction, on the file. The server must not run.
  void transact_offline(const std::string& operations) const;

  std::string vswitchd_log() const;

 private:
  std::vector<std::string> environment() const;
  std::string run_tool(const std::vector<std::string>& command) const;

  std::filesystem::path directory_;
  pid_t server_ = -1;
  pid_t vswitchd_ = -1;
};

// A controller of OpenFlow that makes switches learn addresses, at 127.0.0.1:6653: ovs-testcontroller(8).
class LearningController {
 public:
  explicit LearningController(const Sandbox& sandbox);
  ~LearningController();
  LearningController(const LearningController&) = delete;
  LearningController& operator=(const LearningController&) = delete;

 private:
  pid_t pid_ = -1;
};

}  // namespace lanwright::test
