#include "agent/host/systemd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lanwright::host {
namespace {

// As sd_notify(3), but never waits: a supervisor that does not read holds up nothing, and what it misses is
// told again with the next change or beat.
void tell(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name (unix(7))
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  sendto(descriptor, state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address), size);
  close(descriptor);
}

}  // namespace

Service::Service(boost::asio::io_context& io) : timer_(io) {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0) interval_ = std::chrono::microseconds(microseconds / 2);
}

void Service::ready(const std::string& status) {
  ready_ = true;
  this->status(status);
}
// That it is ready is said again each time, as it may not have been heard.
void Service::status(const std::string& status) {
  tell((ready_ ? "READY=1\nSTATUS=" : "STATUS=") + status);
}
void Service::stopping() {
  tell("STOPPING=1");
}

void Service::reloading() {
  ready_ = false;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

void Service::keep_alive(std::chrono::microseconds unwatched, std::function<void()> each_time) {
  each_time_ = std::move(each_time);
  if (interval_ || unwatched.count() > 0) beat(interval_.value_or(unwatched));
}

void Service::beat(std::chrono::microseconds interval) {
  if (interval_) tell(ready_ ? "READY=1\nWATCHDOG=1" : "WATCHDOG=1");
  each_time_();
  timer_.expires_after(interval);
  timer_.async_wait([this, interval](const boost::system::error_code& error) LANWRIGHT_ON_LOOP {
    if (!error) beat(interval);
  });
}

}  // namespace lanwright::host
