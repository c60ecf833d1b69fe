#include "tests/integration/open_vswitch.h"

#include <sys/socket.h>

#include <csignal>
#include <utility>

#include "tests/integration/daemon.h"

namespace lanwright::test {
namespace {

constexpr const char* kSchema = "/usr/share/openvswitch/vswitch.ovsschema";

void end_process(pid_t& pid) {
  if (pid < 0) return;
  ::kill(pid, SIGKILL);
  wait_exit(pid, 10s);
  pid = -1;
}

bool is_listening(const std::filesystem::path& path) {
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  UnixAddress address(path);
  return connect(socket.get(), address.get(), UnixAddress::size) == 0;
}

}  // namespace

OpenVswitch::OpenVswitch(const Sandbox& sandbox) : directory_(sandbox.directory() / "ovs") {
  std::filesystem::create_directories(directory_);
  empty_database();
  start_server();
  vsctl({"init"});
  start_vswitchd();
}

OpenVswitch::~OpenVswitch() {
  end_process(vswitchd_);
  end_process(server_);
}

std::vector<std::string> OpenVswitch::environment() const {
  std::vector<std::string> all;
  for (const char* name : {"OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"})
    all.push_back(std::string(name) + "=" + directory_.string());
  return all;
}

std::string OpenVswitch::run_tool(const std::vector<std::string>& command) const {
  RunOptions options;
  options.environment = environment();
  const Finished finished = run(command, options);
  if (!finished.ok()) throw HarnessError(command.front() + ": " + finished.text());
  return finished.out;
}

std::string OpenVswitch::vsctl(std::vector<std::string> words) const {
  words.insert(words.begin(), {"ovs-vsctl", "--db=unix:" + socket().string(), "--no-wait"});
  std::string out = run_tool(words);
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

void OpenVswitch::start_server() {
  const std::string log = "--log-file=" + (directory_ / "server.log").string();
  const std::string control = "--unixctl=" + (directory_ / "server.ctl").string();
  server_ = spawn(
      {{"ovsdb-server", database(), "--remote=punix:" + socket().string(), control, log, "-vconsole:off"},
       "",
       environment()});
  if (!wait_until([&] { return is_listening(socket()); }))
    throw HarnessError("ovsdb-server does not start: " + read_file(directory_ / "server.log"));
}

void OpenVswitch::start_vswitchd() {
  const std::string log = "--log-file=" + (directory_ / "vswitchd.log").string();
  const std::string control = "--unixctl=" + (directory_ / "vswitchd.ctl").string();
  vswitchd_ = spawn(
      {{"ovs-vswitchd", "unix:" + socket().string(), control, log, "-vconsole:off"}, "", environment()});
}

void OpenVswitch::kill_server() {
  end_process(server_);
}

void OpenVswitch::kill_vswitchd() {
  end_process(vswitchd_);
}

void OpenVswitch::signal_server(int signal) const {
  if (::kill(server_, signal) != 0) fail_errno("signal ovsdb-server");
}

void OpenVswitch::signal_vswitchd(int signal) const {
  if (::kill(vswitchd_, signal) != 0) fail_errno("signal ovs-vswitchd");
}

void OpenVswitch::empty_database() const {
  std::filesystem::remove(database());
  run_tool({"ovsdb-tool", "create", database(), kSchema});
}

void OpenVswitch::transact_offline(const std::string& operations) const {
  run_tool({"ovsdb-tool", "transact", database(), R"(["Open_vSwitch",)" + operations + "]"});
}

std::string OpenVswitch::vswitchd_log() const {
  return read_file(directory_ / "vswitchd.log");
}

LearningController::LearningController(const Sandbox& sandbox) {
  const std::string control = "--unixctl=" + (sandbox.directory() / "controller.ctl").string();
  pid_ = spawn({{"ovs-testcontroller", "ptcp:6653:127.0.0.1", control, "-vconsole:off"}, "", {}});
}

LearningController::~LearningController() {
  end_process(pid_);
}

}  // namespace lanwright::test
