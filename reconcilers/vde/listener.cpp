#include "reconcilers/vde/listener.h"

#include <sys/epoll.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "reconcilers/vde/management.h"
#include "reconcilers/vde/plug/endpoint.h"

namespace lanwright::vde {
namespace {

constexpr std::chrono::seconds kAnswerTimeout(3);
constexpr const char* kTried = "capture the packets of";

}  // namespace

Listener::Listener(std::unique_ptr<plug::SwitchEndpoint> port, os::Descriptor events)
    : port_(std::move(port)), events_(std::move(events)), buffer_(std::make_unique<plug::FrameBuffer>()) {}

Listener::~Listener() = default;

Result<std::unique_ptr<Listener>> Listener::open(const SwitchPaths& paths, const std::string& name) {
  // A switch that does not answer here would never answer below.
  if (auto answers = Management::open(paths.management(), kAnswerTimeout); !answers) return answers.error();
  std::string words;
  auto port = plug::SwitchEndpoint::open(paths.socket, 0, name, words);
  if (!port)
    return Error{ErrorKind::waiting,           kTried, paths.socket, 0, std::move(words),
                 "see: lanwright get switches"};
  os::Descriptor events(::epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {port->fd(), port->control_fd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (fd >= 0 && ::epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return error_from_errno(errno, kTried, paths.socket);
  }
  return std::unique_ptr<Listener>(new Listener(std::move(port), std::move(events)));
}

std::optional<std::span<const std::uint8_t>> Listener::next() {
  for (;;) {
    plug::Frame frame;
    const plug::Received received = port_->receive(*buffer_, frame);
    if (received == plug::Received::frame) return frame.bytes;
    if (received != plug::Received::skip) return std::nullopt;
  }
}

bool Listener::has_ended() const {
  return port_->has_ended();
}

}  // namespace lanwright::vde
