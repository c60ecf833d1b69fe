// Waits for descriptors and calls who cares (epoll(7), level-triggered). One thread. A handler may forget any
// descriptor, its own included.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "reconcilers/os/descriptor.h"

namespace lanwright::plug {

class Poller {
 public:
  using Handler = std::function<void(std::uint32_t events)>;

  Poller();
  void watch(int fd, std::uint32_t events, Handler handler);
  void change(int fd, std::uint32_t events);
  void forget(int fd);
  // Waits until something happens, and tells everybody whom it concerns.
  void turn();

 private:
  os::Descriptor epoll_;
  std::unordered_map<int, std::shared_ptr<Handler>> handlers_;
};

}  // namespace lanwright::plug
