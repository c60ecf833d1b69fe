#include "reconcilers/vde/plug/poller.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace lanwright::plug {
namespace {

void control(int epoll, int operation, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, operation, fd, &event) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

void Poller::watch(int fd, std::uint32_t events, Handler handler) {
  control(epoll_.get(), EPOLL_CTL_ADD, fd, events);
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
}

void Poller::change(int fd, std::uint32_t events) {
  control(epoll_.get(), EPOLL_CTL_MOD, fd, events);
}

void Poller::forget(int fd) {
  if (handlers_.erase(fd) > 0) control(epoll_.get(), EPOLL_CTL_DEL, fd, 0);
}

void Poller::turn() {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
  if (count < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "epoll_wait");
  for (int i = 0; i < count; ++i) {
    const auto found = handlers_.find(events[static_cast<std::size_t>(i)].data.fd);
    if (found == handlers_.end()) continue;  // forgotten by a handler before it
    const auto handler = found->second;      // stays alive if it forgets itself
    (*handler)(events[static_cast<std::size_t>(i)].events);
  }
}

}  // namespace lanwright::plug
