#include "tests/integration/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

int milliseconds_until(Clock::time_point when) {
  const auto left = std::chrono::ceil<Milliseconds>(when - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

std::string netns_file(const std::string& netns) {
  return netns.starts_with('/') ? netns : "/run/netns/" + netns;
}

Fd open_netns(const std::string& netns) {
  const std::string path = netns_file(netns);
  return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open namespace " + path);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const auto& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// PATH is searched here because only async-signal-safe calls are allowed between fork and exec.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  std::istringstream path(std::string("/usr/sbin:/usr/bin:/sbin:/bin"));
  for (std::string directory; std::getline(path, directory, ':');) {
    std::string candidate = directory;
    candidate.append("/").append(name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  throw HarnessError("no program " + name + " in /usr/sbin:/usr/bin:/sbin:/bin");
}

struct Pipe {
  Fd read;
  Fd write;
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail_errno("pipe");
    read = Fd(ends[0]);
    write = Fd(ends[1]);
  }
};

// Feeds and drains a child's pipes until it has closed them and ended.
class Conversation {
 public:
  Conversation(pid_t pid, std::string input, Fd in, Fd out, Fd err)
      : pidfd_(open_pidfd(pid)),
        input_(std::move(input)),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)) {
    for (const Fd* fd : {&in_, &out_, &err_}) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
    if (input_.empty()) in_ = Fd();
  }

  // False when the limit passed. A grandchild that keeps a pipe open does not hold us up.
  bool until_ended(Clock::time_point deadline, Finished& result) {
    while (true) {
      std::array<pollfd, 4> fds{pollfd{pidfd_.get(), POLLIN, 0}, pollfd{out_.get(), POLLIN, 0},
                                pollfd{err_.get(), POLLIN, 0}, pollfd{in_.get(), POLLOUT, 0}};
      const int count = poll(fds.data(), fds.size(), milliseconds_until(deadline));
      if (count < 0 && errno != EINTR) fail_errno("poll");
      if (fds[1].revents != 0) drain(out_, result.out);
      if (fds[2].revents != 0) drain(err_, result.err);
      if (fds[3].revents != 0) feed();
      if (fds[0].revents != 0) {
        drain(out_, result.out);
        drain(err_, result.err);
        return true;
      }
      if (count == 0 && Clock::now() >= deadline) return false;
    }
  }

 private:
  static void drain(Fd& fd, std::string& text) {
    std::array<char, 65536> buffer{};
    while (fd) {
      const ssize_t size = read(fd.get(), buffer.data(), buffer.size());
      if (size > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(size));
      } else if (size == 0) {
        fd = Fd();
      } else {
        return;
      }
    }
  }

  void feed() {
    const ssize_t size = write(in_.get(), input_.data(), input_.size());
    if (size > 0) input_.erase(0, static_cast<std::size_t>(size));
    if (input_.empty() || (size < 0 && errno != EAGAIN)) in_ = Fd();
  }

  Fd pidfd_;
  std::string input_;
  Fd in_;
  Fd out_;
  Fd err_;
};

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

std::vector<std::string> ip_command(std::vector<std::string> options, const std::string& arguments) {
  options.insert(options.begin(), "ip");
  std::ranges::copy(words(arguments), std::back_inserter(options));
  return options;
}

void mount_or_fail(const char* source, const char* target, const char* type, unsigned long flags) {
  if (mount(source, target, type, flags, nullptr) != 0) fail_errno(std::string("mount ") + target);
}

// Every process of the caller's mount namespace but itself.
std::vector<pid_t> others_in_mount_namespace() {
  std::error_code failed;
  const auto own = std::filesystem::read_symlink("/proc/self/ns/mnt", failed);
  std::vector<pid_t> others;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == getpid()) continue;
    const auto its = std::filesystem::read_symlink(entry.path() / "ns" / "mnt", failed);
    if (!its.empty() && its == own) others.push_back(pid);  // empty: gone, or dead and not buried
  }
  return others;
}

// Ends what the test leaves running once it lets go of `alive`: daemons belong to nobody. `spared` is the
// test.
[[noreturn]] void be_undertaker(const Fd& alive, pid_t spared) {
  char never = 0;
  while (read(alive.get(), &never, 1) < 0 && errno == EINTR) continue;
  // Again until there are none: what is killed may just have started another one.
  for (bool found = true; found;) {
    found = false;
    for (const pid_t pid : others_in_mount_namespace()) {
      if (pid == spared) continue;
      found = true;
      ::kill(pid, SIGKILL);
    }
  }
  _exit(0);
}

}  // namespace

void fail_errno(const std::string& what) {
  throw HarnessError(what + ": " + std::generic_category().message(errno));
}

Fd::Fd(int fd, const std::string& what) : fd_(fd) {
  if (fd < 0) fail_errno(what);
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

// glibc 2.36 declares pidfd_open() without C linkage.
Fd open_pidfd(pid_t pid) {
  return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), "pidfd_open");
}

int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

std::string Finished::text() const {
  return "status " + std::to_string(status) + (timed_out ? " (timed out)" : "") + "\n" + out + err;
}

pid_t spawn(const Spawn& what) {
  const std::string program = find_program(what.arguments.at(0));
  const std::vector<char*> arguments = pointers(what.arguments);
  std::vector<std::string> variables = what.environment;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  const std::vector<char*> environment = pointers(variables);
  const Fd netns = what.netns.empty() ? Fd() : open_netns(what.netns);
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null");

  const pid_t pid = fork();
  if (pid < 0) fail_errno("fork");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (netns && setns(netns.get(), CLONE_NEWNET) != 0) _exit(126);
  dup2(what.in >= 0 ? what.in : null.get(), STDIN_FILENO);
  dup2(what.out >= 0 ? what.out : null.get(), STDOUT_FILENO);
  dup2(what.err >= 0 ? what.err : null.get(), STDERR_FILENO);
  execve(program.c_str(), arguments.data(), environment.data());
  _exit(127);
}

std::optional<int> wait_exit(pid_t pid, Milliseconds limit) {
  const Fd pidfd(open_pidfd(pid));
  const auto deadline = Clock::now() + limit;
  pollfd entry{pidfd.get(), POLLIN, 0};
  while (poll(&entry, 1, milliseconds_until(deadline)) <= 0) {
    if (Clock::now() >= deadline) return std::nullopt;
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) fail_errno("waitpid");
  return exit_status(status);
}

Finished run(const std::vector<std::string>& arguments, const RunOptions& options) {
  Pipe in;
  Pipe out;
  Pipe err;
  const pid_t pid =
      spawn({arguments, options.netns, options.environment, in.read.get(), out.write.get(), err.write.get()});
  in.read = Fd();
  out.write = Fd();
  err.write = Fd();
  Finished result;
  Conversation conversation(pid, options.input, std::move(in.write), std::move(out.read),
                            std::move(err.read));
  if (!conversation.until_ended(Clock::now() + options.limit, result)) {
    result.timed_out = true;
    ::kill(pid, SIGKILL);
  }
  result.status = wait_exit(pid, 10s).value_or(137);
  return result;
}

void in_netns(const std::string& netns, const std::function<void()>& action) {
  if (netns.empty()) return action();
  std::exception_ptr problem;
  std::thread([&] {
    try {
      const Fd target = open_netns(netns);
      if (setns(target.get(), CLONE_NEWNET) != 0) fail_errno("enter namespace " + netns);
      action();
    } catch (...) {
      problem = std::current_exception();
    }
  }).join();
  if (problem) std::rethrow_exception(problem);
}

Fd socket_in(const std::string& netns, int family, int type, int protocol) {
  Fd result;
  in_netns(netns, [&] { result = Fd(socket(family, type | SOCK_CLOEXEC, protocol), "socket"); });
  return result;
}

bool wait_until(const std::function<bool()>& condition, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

Sandbox::Sandbox() : old_directory_(std::filesystem::current_path()), directory_("/run/test") {
  if (geteuid() != 0) throw HarnessError("this test makes network namespaces: run it as root");
  old_net_ = Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open own network namespace");
  old_mount_ = Fd(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC), "open own mount namespace");
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) fail_errno("unshare network and mount namespace");
  mount_or_fail("none", "/", nullptr, MS_REC | MS_PRIVATE);
  mount_or_fail("tmpfs", "/run", "tmpfs", 0);
  std::filesystem::create_directory("/run/netns");
  std::filesystem::create_directory(directory_);
  ip("link set lo up");
  Pipe life;
  const pid_t test = getpid();
  undertaker_ = fork();
  if (undertaker_ < 0) fail_errno("fork");
  if (undertaker_ == 0) {
    setsid();
    life.write = Fd();
    be_undertaker(life.read, test);
  }
  alive_ = std::move(life.write);
  // Orphans come to the test, which buries them: not every machine has somebody who does.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Sandbox::~Sandbox() {
  alive_ = Fd();
  waitpid(undertaker_, nullptr, 0);
  while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
  // A thread that was joined may still share our root and working directory for a moment, which setns()
  // refuses. A failure would let the next test run in the wrong place: better no next test.
  if (unshare(CLONE_FS) != 0 || setns(old_net_.get(), CLONE_NEWNET) != 0 ||
      setns(old_mount_.get(), CLONE_NEWNS) != 0)
    std::abort();
  std::error_code ignored;  // a directory that is gone by now
  std::filesystem::current_path(old_directory_, ignored);
}

std::filesystem::path Sandbox::write_file(const std::string& name, const std::string& text) const {
  auto path = directory_ / name;
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw HarnessError("cannot write " + path.string());
  return path;
}

void Sandbox::add_netns(const std::string& name) const {
  ip("netns add " + name);
  ip("-n " + name + " link set lo up");
}

void Sandbox::delete_netns(const std::string& name) const {
  ip("netns delete " + name);
}

void Sandbox::ip(const std::string& arguments) const {
  const Finished result = run(ip_command({}, arguments));
  if (!result.ok()) throw HarnessError("ip " + arguments + ": " + result.text());
}

bool Sandbox::try_ip(const std::string& arguments) const {
  return run(ip_command({}, arguments)).ok();
}

Json Sandbox::ip_json(const std::string& arguments) const {
  const Finished result = run(ip_command({"-json", "-details"}, arguments));
  if (!result.ok()) throw HarnessError("ip " + arguments + ": " + result.text());
  return result.out.empty() ? Json::array() : Json::parse(result.out);
}

std::optional<Json> Sandbox::link(const std::string& name, const std::string& netns) const {
  const std::string place = netns.empty() ? "" : "-n " + netns + " ";
  const Finished result = run(ip_command({"-json", "-details"}, place + "address show dev " + name));
  if (result.err.find("does not exist") != std::string::npos) return std::nullopt;
  if (!result.ok()) throw HarnessError("ip address show dev " + name + ": " + result.text());
  return Json::parse(result.out).at(0);
}

std::vector<std::string> Sandbox::links(const std::string& netns) const {
  std::vector<std::string> names;
  for (const auto& link : ip_json((netns.empty() ? "" : "-n " + netns + " ") + "link show")) {
    if (link.at("ifname") != "lo") names.push_back(link.at("ifname"));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace lanwright::test
