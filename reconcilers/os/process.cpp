#include "reconcilers/os/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>

namespace lanwright::os {
namespace {

constexpr unsigned kFirstFree = 3;      // descriptor behind the standard ones
constexpr unsigned kCapabilities = 64;  // <linux/capability.h>: two words of them

// What the child needs, made before fork(): after it, only system calls are safe.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  int input = -1;
  int input_end = -1;
  int log = -1;
  int news = -1;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));  // NOLINT: execve(2)
  list.push_back(nullptr);
  return list;
}

// As many as may be, where not all of them may; false then.
bool raise_descriptors(std::uint64_t wanted) {
  const rlimit all{wanted, wanted};
  if (::setrlimit(RLIMIT_NOFILE, &all) == 0) return true;
  rlimit possible{};
  if (::getrlimit(RLIMIT_NOFILE, &possible) != 0) return false;
  possible.rlim_cur = std::min<rlim_t>(possible.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &possible);
  return possible.rlim_cur == wanted;
}

constexpr std::string_view kKeptPrivileges =
    "lanwrightd: this process keeps capabilities that it does not need: CAP_SETPCAP is missing\n";
constexpr std::string_view kFewDescriptors =
    "lanwrightd: fewer descriptors than wanted: raise the hard limit of RLIMIT_NOFILE (LimitNOFILE=)\n";

void say_in_log(std::string_view words) {
  if (::write(STDERR_FILENO, words.data(), words.size()) < 0) return;  // nobody is left to tell
}

// In the child. Never returns: executes, or tells errno and ends.
[[noreturn]] void become(const SpawnSpec& spec, const Prepared& prepared) {
  ::setsid();
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  bool dropped = true;
  for (unsigned each = 0; each < kCapabilities; ++each) {
    if ((spec.capabilities >> each & 1U) != 0) continue;
    // EINVAL: the kernel has fewer of them.
    if (::prctl(PR_CAPBSET_DROP, each, 0, 0, 0) != 0 && errno != EINVAL) dropped = false;
  }
  const bool enough = raise_descriptors(spec.descriptors);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(0077);
  const bool moved = ::chdir("/") == 0 && ::dup2(prepared.input, 0) == 0 && ::dup2(prepared.log, 1) == 1 &&
                     ::dup2(prepared.log, 2) == 2;
  if (!dropped) say_in_log(kKeptPrivileges);
  if (!enough) say_in_log(kFewDescriptors);
  // Above all that is moved; the writing end of its own input stays open in it.
  const int news = ::fcntl(prepared.news, F_DUPFD_CLOEXEC, 16);
  const int input_end = ::fcntl(prepared.input_end, F_DUPFD, 17);
  ::dup2(input_end, static_cast<int>(kFirstFree));
  ::syscall(SYS_close_range, kFirstFree + 1, static_cast<unsigned>(news) - 1, 0);
  ::syscall(SYS_close_range, static_cast<unsigned>(news) + 1, ~0U, 0);
  if (moved) ::execve(prepared.arguments.front(), prepared.arguments.data(), prepared.environment.data());
  const int error = errno;
  const ssize_t told = ::write(news, &error, sizeof error);
  ::_exit(told == sizeof error ? 126 : 127);
}

Error failed(const SpawnSpec& spec, int number, const char* what) {
  return error_from_errno(number, std::string("start: ") + what, spec.command.front());
}

}  // namespace

Result<Process> spawn(const SpawnSpec& spec) {
  std::array<int, 2> input{-1, -1};
  std::array<int, 2> news{-1, -1};
  if (::pipe2(input.data(), O_CLOEXEC) != 0) return failed(spec, errno, "pipe");
  const Descriptor input_read(input[0]);
  const Descriptor input_write(input[1]);
  if (::pipe2(news.data(), O_CLOEXEC) != 0) return failed(spec, errno, "pipe");
  const Descriptor news_read(news[0]);
  Descriptor news_write(news[1]);
  const Descriptor log(::open(spec.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return failed(spec, errno, "open its log");

  Prepared prepared{
      pointers(spec.command), pointers(spec.environment), input[0], input[1], log.get(), news[1]};
  const pid_t child = ::fork();
  if (child < 0) return failed(spec, errno, "fork");
  if (child == 0) become(spec, prepared);
  Process process{child, Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)))};
  const int number = errno;
  news_write = {};
  int error = 0;
  const bool told = ::read(news_read.get(), &error, sizeof error) == sizeof error;
  if (told) {
    ::waitpid(child, nullptr, 0);
    return failed(spec, error, "execute");
  }
  if (!process.handle) return failed(spec, number, "pidfd_open");
  return process;
}

Result<Process> process_behind(const Descriptor& connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return error_from_errno(errno, "ask for the peer of", "a Unix socket");
  Process process{peer.pid, Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)))};
  // That the connection still stands shows that the pid was not given away before we had a hold on it.
  pollfd state{connection.get(), 0, 0};
  const bool stands = ::poll(&state, 1, 0) == 0;
  if (!process.handle || !stands)
    return Error{ErrorKind::waiting, "find", "the process behind a Unix socket", ESRCH, "it has ended", {}};
  return process;
}

bool has_ended(const Process& process) {
  return await_end(process, std::chrono::milliseconds(0));
}

bool await_end(const Process& process, std::chrono::milliseconds time) {
  pollfd state{process.handle.get(), POLLIN, 0};
  if (::poll(&state, 1, static_cast<int>(time.count())) <= 0) return false;
  siginfo_t info{};
  // Fails with ECHILD for one that an earlier agent started: init takes care of those.
  ::waitid(P_PIDFD, static_cast<id_t>(process.handle.get()), &info, WEXITED | WNOHANG);
  return true;
}

Result<void> end(const Process& process, std::chrono::milliseconds grace) {
  constexpr std::chrono::seconds kAfterKill(2);
  for (const int signal : {SIGTERM, SIGKILL}) {
    if (::syscall(SYS_pidfd_send_signal, process.handle.get(), signal, nullptr, 0) != 0 && errno != ESRCH)
      return error_from_errno(errno, "end", "process " + std::to_string(process.pid));
    if (await_end(process, signal == SIGTERM ? grace : kAfterKill)) return {};
  }
  return Error{ErrorKind::timeout,
               "end",
               "process " + std::to_string(process.pid),
               0,
               "it does not end, even by SIGKILL",
               "see its state: ps -o pid,stat,wchan,cmd"};
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): never set by this program
  std::istringstream paths(path != nullptr && *path != '\0' ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string place; std::getline(paths, place, ':');) {
    std::string candidate = std::filesystem::path(place) / name;
    if (place.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

Result<Descriptor> connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{ErrorKind::invalid,
                 "connect to",
                 path,
                 ENAMETOOLONG,
                 "a socket's path has at most " + std::to_string(sizeof address.sun_path - 1) + " bytes",
                 "choose a shorter run directory or name"};
  path.copy(address.sun_path, path.size());
  // To one that accepts nobody any more it would block as soon as its queue is full.
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::fcntl(socket.get(), F_SETFL, O_RDWR) == 0)
    return socket;
  Error error = error_from_errno(errno, "connect to", path);
  if (error.number == EAGAIN) error.kind = ErrorKind::timeout;
  if (error.number == ENOENT) error.kind = ErrorKind::not_found;
  if (error.number == ECONNREFUSED) error.kind = ErrorKind::waiting;
  return error;
}

Result<void> receive_more(const Descriptor& connection, std::string& text,
                          std::chrono::steady_clock::time_point end, const Asked& asked) {
  for (;;) {
    const auto now = std::chrono::steady_clock::now();  // `end` may be long ago: what is there is taken
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(now, end) - now);
    pollfd state{connection.get(), POLLIN, 0};
    const int ready = ::poll(&state, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0)
      return Error{ErrorKind::timeout, asked.tried, asked.path, 0, asked.who + " does not answer", {}};
    std::array<char, 65536> piece{};
    const ssize_t size = ::recv(connection.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0 && errno != ECONNRESET) return error_from_errno(errno, asked.tried, asked.path);
    if (size <= 0) return Error{ErrorKind::waiting, asked.tried, asked.path, 0, asked.who + " ended", {}};
    text.append(piece.data(), static_cast<std::size_t>(size));
    return {};
  }
}

}  // namespace lanwright::os
