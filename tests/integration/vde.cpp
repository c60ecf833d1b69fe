#include "tests/integration/vde.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <utility>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLength = 2;  // bytes before each frame in vde_plug's streams, the higher one first

std::pair<Fd, Fd> connected_pair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail_errno("socketpair");
  return {Fd(ends[0]), Fd(ends[1])};
}

void end_process(pid_t& pid, int signal) {
  if (pid < 0) return;
  ::kill(pid, signal);
  if (!wait_exit(pid, 10s)) {
    ::kill(pid, SIGKILL);
    wait_exit(pid, 10s);
  }
  pid = -1;
}

}  // namespace

SwitchProcesses switch_of(const AgentProcess& agent, const std::string& network) {
  const Json told = agent.get_json("/v1/switches/" + network);
  return {told.at("pid"), told.at("plugPid"), told.at("connected"), told.at("socket").get<std::string>()};
}

bool is_alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const auto state = text.rfind(") ");  // the name before may contain anything
  return state != std::string::npos && text.at(state + 2) != 'Z' && text.at(state + 2) != 'X';
}

VdeClient::VdeClient(const std::filesystem::path& socket, std::vector<std::string> under) {
  auto [mine, its] = connected_pair();
  stream_ = std::move(mine);
  under.insert(under.end(), {"vde_plug", "vde://" + socket.string()});
  pid_ = spawn({std::move(under), "", {}, its.get(), its.get(), STDERR_FILENO});
  its = Fd();  // so that its end can be read
  reader_ = std::jthread([this] { read_all(); });
}

VdeClient::~VdeClient() {
  end_process(pid_, SIGTERM);
}

void VdeClient::kill() {
  end_process(pid_, SIGKILL);
}

void VdeClient::send(const std::string& frame) {
  const std::string text{static_cast<char>(frame.size() >> 8U), static_cast<char>(frame.size())};
  const std::string whole = text + frame;
  if (::send(stream_.get(), whole.data(), whole.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(whole.size()))
    fail_errno("send to vde_plug");
}

std::optional<std::string> VdeClient::receive(Milliseconds limit) {
  std::unique_lock lock(mutex_);
  news_.wait_for(lock, limit, [&] { return !frames_.empty() || ended_; });
  if (frames_.empty() && ended_) throw HarnessError("vde_plug has ended");
  if (frames_.empty()) return std::nullopt;
  std::string frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

void VdeClient::read_all() {
  std::string text;
  std::array<char, 65536> piece{};
  for (ssize_t size = 1; size > 0;) {
    size = recv(stream_.get(), piece.data(), piece.size(), 0);
    if (size > 0) text.append(piece.data(), static_cast<std::size_t>(size));
    const std::lock_guard lock(mutex_);
    for (; text.size() >= kLength; news_.notify_one()) {
      const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(text[0])) << 8U |
                                 static_cast<unsigned char>(text[1]);
      if (text.size() < kLength + length) break;
      frames_.push_back(text.substr(kLength, length));
      text.erase(0, kLength + length);
    }
    ended_ = size <= 0;
    if (ended_) news_.notify_one();
  }
}

ForeignSwitch::ForeignSwitch(const std::filesystem::path& directory) {
  auto [mine, its] = connected_pair();
  in_ = std::move(mine);
  pid_ = spawn({{"vde_switch", "--sock", directory, "--rcfile", "/dev/null"}, "", {}, its.get(), -1, -1});
  if (!wait_until([&] { return std::filesystem::is_socket(directory / "ctl"); }))
    throw HarnessError("vde_switch does not start at " + directory.string());
}

ForeignSwitch::~ForeignSwitch() {
  end_process(pid_, SIGTERM);
}

void ForeignSwitch::end(int signal) {
  end_process(pid_, signal);
}

}  // namespace lanwright::test
