#include "tests/integration/daemon.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

bool has_line(const std::string& text, const std::string& wanted) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == wanted) return true;
  }
  return false;
}

}  // namespace

UnixAddress::UnixAddress(const std::filesystem::path& path) {
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path) throw HarnessError("too long: " + path.string());
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
}

NotifySocket::NotifySocket(const std::filesystem::path& path)
    : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket") {
  unlink(path.c_str());
  UnixAddress address(path);
  if (bind(fd_.get(), address.get(), UnixAddress::size) != 0) fail_errno("bind " + path.string());
}

bool NotifySocket::wait(const std::string& state, pid_t process, Milliseconds limit) {
  const Fd ended(open_pidfd(process));
  const auto deadline = Clock::now() + limit;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size >= 0) {
      if (has_line(std::string(buffer.data(), static_cast<std::size_t>(size)), state)) return true;
      continue;
    }
    std::array<pollfd, 2> fds{pollfd{fd_.get(), POLLIN, 0}, pollfd{ended.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (fds[0].revents == 0 && fds[1].revents != 0) return false;
  }
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string last_lines(const std::string& text, std::size_t count) {
  std::size_t start = text.size();
  while (count > 0 && start != std::string::npos && start > 0) {
    start = text.rfind('\n', start - 1);
    --count;
  }
  return start == std::string::npos ? text : text.substr(start);
}

}  // namespace lanwright::test
