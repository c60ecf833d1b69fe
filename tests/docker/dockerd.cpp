#include "tests/docker/dockerd.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/docker/pid_namespace.h"
#include "tests/integration/agent_process.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBusybox = "/bin/busybox";

// What the packages of an engine are unpacked in; "" for the machine's own.
fs::path engine() {
  const char* directory = std::getenv("LANWRIGHT_TEST_DOCKER");
  return directory != nullptr ? directory : "";
}

// Debian's: what comes before these on PATH may be of another version.
fs::path program(const char* path) {
  return engine().string() + path;
}
fs::path daemon() {
  return program("/usr/sbin/dockerd");
}
fs::path client() {
  return program("/usr/bin/docker");
}

// An engine takes from the machine what its packages do not have.
std::string path() {
  const std::string own = engine();
  return "PATH=" + (own.empty() ? "" : own + "/usr/sbin:" + own + "/usr/bin:") +
         "/usr/sbin:/usr/bin:/sbin:/bin";
}

// dockerd changes the links, routes, sysctls and the firewall of the namespace that it runs in.
void refuse_the_machines_own_network() {
  own_cgroup();  // throws outside of in_pid_namespace()
  if (fs::read_symlink("/proc/self/ns/net") == fs::read_symlink("/proc/1/ns/net"))
    throw HarnessError("dockerd must not run in the machine's own network namespace");
}

// Where the kernel has AppArmor, dockerd would load a profile that stays.
void hide_apparmor() {
  if (fs::exists("/sys/kernel/security/apparmor") &&
      mount("none", "/sys/kernel/security", "tmpfs", MS_RDONLY, nullptr) != 0)
    fail_errno("hide AppArmor");
}

bool is_dockers(const OtherProcess& process) {
  constexpr std::array programs{"dockerd",      "containerd", "containerd-shim-runc-v2", "runc", "docker",
                                "docker-proxy", "docker-init"};
  if (std::ranges::find(programs, fs::path(process.program).filename()) != programs.end()) return true;
  const std::string cgroups = read_file("/proc/" + std::to_string(process.pid) + "/cgroup");
  return cgroups.find("/" + own_cgroup() + "/") != std::string::npos;
}

bool kill_all_of_docker() {
  bool found = false;
  for (const auto& process : other_processes()) {
    if (!is_dockers(process)) continue;
    found = true;
    ::kill(process.pid, SIGKILL);
  }
  return !found;
}

void run_or_fail(const std::vector<std::string>& arguments) {
  const Finished result = run(arguments);
  if (!result.ok()) throw HarnessError(arguments.at(0) + ": " + result.text());
}

// A program or library of this machine's own at its path there, as a file, whatever is a link here.
void copy_into(const fs::path& root, const fs::path& file) {
  const fs::path place = root / file.relative_path();
  fs::create_directories(place.parent_path());
  if (!fs::exists(place)) fs::copy_file(file, place);
}

// "NAME => PATH (ADDRESS)", and the loader as "PATH (ADDRESS)".
std::vector<fs::path> libraries_of(const std::string& program) {
  const Finished listed = run({"ldd", program});
  if (!listed.ok() || listed.out.find("not found") != std::string::npos)
    throw HarnessError("ldd " + program + ": " + listed.text());
  std::vector<fs::path> paths;
  std::istringstream words(listed.out);
  for (std::string word; words >> word;) {
    if (word.starts_with('/')) paths.emplace_back(word);
  }
  return paths;
}

void add_busybox(const fs::path& root) {
  fs::create_directories(root / "bin");
  fs::copy_file(kBusybox, root / "bin" / "busybox");
  std::istringstream names(run({kBusybox, "--list"}).out);
  for (std::string name; std::getline(names, name);) {
    if (name != "busybox") fs::create_symlink("busybox", root / "bin" / name);
  }
}

// An image as tar.
void write_image(const fs::path& tar, const fs::path& scratch, const Image& image) {
  for (const char* directory : {"dev", "etc", "proc", "sys", "tmp", "run", "root"})
    fs::create_directories(scratch / directory);
  add_busybox(scratch);
  for (const std::string& program : image.programs) {
    copy_into(scratch, program);
    for (const fs::path& library : libraries_of(program)) copy_into(scratch, library);
  }
  for (const auto& [path, text] : image.files) {
    const fs::path place = scratch / fs::path(path).relative_path();
    fs::create_directories(place.parent_path());
    std::ofstream file(place);
    if (!(file << text).flush()) fail_errno("write " + place.string());
  }
  run_or_fail({"tar", "-C", scratch, "-cf", tar, "."});
  fs::remove_all(scratch);
}

// RFC 9112, 7.1: sizes in hexadecimal, each before its piece.
std::string join_chunks(const std::string& text) {
  std::string body;
  for (std::size_t place = 0;;) {
    const std::size_t line_end = text.find("\r\n", place);
    if (line_end == std::string::npos) throw HarnessError("dockerd's answer breaks off: " + text);
    const std::size_t size = std::stoul(text.substr(place, line_end - place), nullptr, 16);
    if (size == 0) return body;
    body += text.substr(line_end + 2, size);
    place = line_end + 2 + size + 2;
  }
}

std::string body_of(const HttpAnswer& answer) {
  const auto coding = answer.headers.find("transfer-encoding");
  return coding != answer.headers.end() && coding->second == "chunked" ? join_chunks(answer.body)
                                                                       : answer.body;
}

}  // namespace

bool Dockerd::is_installed() {
  const std::array programs{daemon(), client(), fs::path(kBusybox)};
  return std::ranges::all_of(programs, [](const fs::path& program) { return fs::exists(program); });
}

Dockerd::Dockerd(const Sandbox& sandbox, DockerdOptions options)
    : sandbox_(sandbox),
      options_(std::move(options)),
      home_(sandbox.directory() / "docker"),
      socket_(socket_in(sandbox)),
      log_(home_ / "log") {
  refuse_the_machines_own_network();
  hide_apparmor();
  // The sandbox has its orphans come to the test, which buries them late: a new dockerd would wait for the
  // containerd of the one before. The first process of the namespace buries at once.
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  fs::create_directories(home_ / "client");
  notify_.emplace(home_ / "notify");
  start();
}

Dockerd::~Dockerd() {
  if (testing::Test::HasFailure())
    std::cerr << "--- the end of the log of dockerd:\n" << last_lines(log(), 100) << "\n---\n";
  // Again until there is none: what is killed may just have started another one.
  if (!wait_until(kill_all_of_docker)) ADD_FAILURE() << "cannot end\n" << list_of(other_processes());
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

fs::path Dockerd::socket_in(const Sandbox& sandbox) {
  return sandbox.directory() / "docker" / "docker.sock";
}

void Dockerd::forget_networks() const {
  if (pid_ > 0) throw HarnessError("dockerd runs");
  if (fs::remove_all(home_ / "data" / "network") == 0) throw HarnessError("dockerd keeps networks elsewhere");
}

fs::path Dockerd::write_config() const {
  Json config = options_.config;
  config["live-restore"] = options_.live_restore;
  return sandbox_.write_file("docker/daemon.json", config.dump());
}

void Dockerd::start() {
  if (pid_ > 0) throw HarnessError("dockerd runs already");
  Spawn what;
  what.arguments = {daemon(),
                    "--config-file=" + write_config().string(),
                    "--data-root=" + (home_ / "data").string(),
                    "--exec-root=/var/run/docker",  // its own default: /run by another name
                    "--pidfile=" + (home_ / "pid").string(),
                    "--host=unix://" + socket_.string(),
                    "--cgroup-parent=/" + own_cgroup(),
                    "--storage-driver=overlay2"};
  what.environment = {path(), "NOTIFY_SOCKET=" + (home_ / "notify").string()};
  const Fd output(open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600),
                  "open " + log_.string());
  what.out = what.err = output.get();
  pid_ = spawn(what);
  // Containers of plugins are made beside dockerd, not below --cgroup-parent.
  move_into_own_cgroup(pid_);
  wait_ready();
}

void Dockerd::start(DockerdOptions options) {
  options_ = std::move(options);
  start();
}

void Dockerd::wait_ready() {
  const bool ready = notify_->wait("READY=1", pid_, options_.ready_within);
  if (ready && http(socket_, "GET", "/_ping").status == 200) return;
  if (!wait_exit(pid_, 0s)) kill();
  pid_ = -1;
  throw HarnessError("dockerd did not become ready: " + last_lines(log(), 40));
}

int Dockerd::stop(Milliseconds limit) {
  if (pid_ <= 0) throw HarnessError("dockerd does not run");
  if (::kill(pid_, SIGTERM) != 0) fail_errno("kill");
  const auto status = wait_exit(pid_, limit);
  if (!status) throw HarnessError("dockerd does not stop on SIGTERM: " + last_lines(log(), 20));
  pid_ = -1;
  return *status;
}

void Dockerd::kill() {
  if (pid_ <= 0) throw HarnessError("dockerd does not run");
  const pid_t containerd = std::atoi(read_file("/var/run/docker/containerd/containerd.pid").c_str());
  if (containerd <= 0) throw HarnessError("dockerd does not say which containerd is its own");
  if (::kill(pid_, SIGKILL) != 0) fail_errno("kill");
  if (!wait_exit(pid_, 20s)) throw HarnessError("dockerd does not end on SIGKILL");
  pid_ = -1;
  // A dockerd that starts while it is dying takes it for one that runs, and waits for its socket in vain.
  if (!wait_until([&] { return ::kill(containerd, 0) != 0; }))
    throw HarnessError("containerd does not die with its dockerd");
}

void Dockerd::restart() {
  stop();
  start();
}

std::string Dockerd::log() const {
  return read_file(log_);
}

Finished Dockerd::docker(const std::vector<std::string>& arguments, const RunOptions& options) const {
  std::vector<std::string> command{client(), "--config", home_ / "client", "--host",
                                   "unix://" + socket_.string()};
  std::ranges::copy(arguments, std::back_inserter(command));
  RunOptions own = options;
  for (const char* name : {"DOCKER_TLS_VERIFY=", "DOCKER_API_VERSION="}) own.environment.emplace_back(name);
  return run(command, own);
}

std::string Dockerd::ask(const std::vector<std::string>& arguments) const {
  Finished result = docker(arguments);
  if (!result.ok()) throw HarnessError("docker " + arguments.at(0) + ": " + result.text());
  if (result.out.ends_with('\n')) result.out.pop_back();
  return result.out;
}

ApiAnswer Dockerd::api(const std::string& method, const std::string& path, const Json& body) const {
  const std::string sent = body.is_null() ? "" : body.dump();
  const HttpAnswer answer = http(socket_, method, path, sent, {"Content-Type: application/json"}, 120s);
  const std::string told = body_of(answer);
  return {answer.status, told.empty() ? Json(nullptr) : Json::parse(told)};
}

void Dockerd::import_image(const Image& image) const {
  const fs::path tar = sandbox_.directory() / (image.name + ".tar");
  if (!fs::exists(tar)) write_image(tar, sandbox_.directory() / image.name, image);
  ask({"import", "--change", R"(CMD ["sleep", "infinity"])", tar, image.name});
}

void Dockerd::import_busybox() const {
  import_image({.name = "busybox"});
}

void Dockerd::run_container(const std::string& name, const ContainerOptions& options) const {
  // The first process of a container ignores the signals that it has no handler for: with any other signal,
  // to stop it would take 10 s.
  std::vector<std::string> arguments{"run",    "--detach", "--stop-signal", "KILL",
                                     "--name", name,       "--network",     options.network};
  std::ranges::copy(options.more, std::back_inserter(arguments));
  arguments.emplace_back("busybox");
  std::ranges::copy(options.command, std::back_inserter(arguments));
  ask(arguments);
}

Json Dockerd::inspect(const std::string& name) const {
  for (const std::string& path : {"/containers/" + name + "/json", "/networks/" + name}) {
    const ApiAnswer answer = api("GET", path);
    if (answer.status == 200) return answer.body;
    if (answer.status != 404) throw HarnessError("GET " + path + ": " + answer.body.dump());
  }
  throw HarnessError("Docker has no container or network " + name);
}

bool Dockerd::is_running(const std::string& container) const {
  return inspect(container).at("State").at("Running");
}

std::string Dockerd::netns_of(const std::string& container) const {
  return inspect(container).at("NetworkSettings").at("SandboxKey");
}

std::string Dockerd::address_of(const std::string& container, const std::string& network) const {
  return inspect(container).at("NetworkSettings").at("Networks").at(network).at("IPAddress");
}

}  // namespace lanwright::test
