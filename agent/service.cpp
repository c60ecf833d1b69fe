#include "agent/service.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <chrono>
#include <utility>

namespace lanwright {
namespace {

void tell(const std::string& state) {
  sd_notify(0, state.c_str());
}

}  // namespace

Service::Service(boost::asio::io_context& io) : timer_(io) {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0) interval_ = std::chrono::microseconds(microseconds / 2);
}

void Service::ready(const std::string& status) {
  tell("READY=1\nSTATUS=" + status);
}
void Service::status(const std::string& status) {
  tell("STATUS=" + status);
}
void Service::stopping() {
  tell("STOPPING=1");
}

void Service::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

void Service::keep_alive(std::function<void()> each_time) {
  each_time_ = std::move(each_time);
  if (interval_) beat();
}

void Service::beat() {
  tell("WATCHDOG=1");
  each_time_();
  timer_.expires_after(*interval_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) beat();
  });
}

}  // namespace lanwright
