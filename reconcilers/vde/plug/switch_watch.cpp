#include "reconcilers/vde/plug/switch_watch.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lanwright::plug {
namespace {

constexpr std::string_view kPrompt = "vde$ ";
// What the switch tells by itself: `debug/list` on its console.
constexpr std::string_view kPortCame = "3021";
constexpr std::string_view kEndpointCame = "3031";
constexpr const char* kCount = "port/print";
constexpr std::size_t kSpare = 8;  // ports that are kept free
constexpr std::size_t kStep = 16;

}  // namespace

SwitchWatch::SwitchWatch(Poller& poller, std::string management_socket, int own_pid)
    : poller_(poller), path_(std::move(management_socket)), own_("pid=" + std::to_string(own_pid)) {}

SwitchWatch::~SwitchWatch() {
  disconnect();
}

void SwitchWatch::disconnect() {
  if (socket_) poller_.forget(socket_.get());
  socket_ = {};
  text_.clear();
  commands_.clear();
  busy_ = others_ = true;
  changed_ = counting_ = false;
  room_ = 0;
}

std::string SwitchWatch::connect() {
  disconnect();
  os::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return "connect to " + path_ + ": " + std::strerror(errno);  // NOLINT(concurrency-mt-unsafe): one thread
  socket_ = std::move(socket);
  poller_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { on_readable(); });
  ask("debug/add port");  // tells of every port and endpoint that comes or goes
  changed_ = true;
  return {};
}

void SwitchWatch::ask(std::string command) {
  commands_.push_back(std::move(command));
}

void SwitchWatch::on_readable() {
  std::array<char, 4096> piece{};
  const ssize_t size = ::recv(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return disconnect();
  text_.append(piece.data(), static_cast<std::size_t>(size));
  for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
    const std::string line = text_.substr(0, end);
    text_.erase(0, end + 1);
    take_line(line);
  }
  if (text_ == kPrompt) {
    text_.clear();
    busy_ = false;
    answered();
  }
  if (!busy_ && commands_.empty() && std::exchange(changed_, false)) {
    ask("port/showinfo");  // others may have made it larger meanwhile
    ask(kCount);
  }
  if (busy_ || commands_.empty()) return;
  const std::string command = commands_.front() + "\n";
  counting_ = commands_.front() == kCount;
  if (counting_) endpoints_ = strangers_ = 0;
  commands_.pop_front();
  busy_ = true;
  if (::send(socket_.get(), command.data(), command.size(), MSG_NOSIGNAL) < 0) disconnect();
}

void SwitchWatch::take_line(const std::string& full) {
  // What is told meanwhile may follow the prompt on its line.
  std::string_view line = full;
  if (line.starts_with(kPrompt)) {
    line.remove_prefix(kPrompt.size());
    busy_ = false;
    answered();
  }
  if (line.starts_with(kPortCame) || line.starts_with(kEndpointCame))
    others_ = true;  // until they are counted
  if (line.starts_with("302") || line.starts_with("303")) changed_ = true;
  if (line.starts_with("Numports="))
    room_ = std::strtoul(line.data() + std::strlen("Numports="), nullptr, 10);
  if (!counting_ || line.find("-- endpoint ID") == std::string_view::npos) return;
  ++endpoints_;
  if (!line.ends_with(own_)) ++strangers_;
}

void SwitchWatch::answered() {
  if (!std::exchange(counting_, false)) return;
  others_ = strangers_ > 0;
  if (room_ == 0 || endpoints_ + kSpare < room_) return;
  room_ = endpoints_ + kSpare + kStep;
  ask("port/setnumports " + std::to_string(room_));
}

}  // namespace lanwright::plug
