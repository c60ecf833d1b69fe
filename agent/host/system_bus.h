// Calls on the system bus (D-Bus), on the loop: connecting, logging in and calling are done as the socket
// allows.
#pragma once

#include <systemd/sd-bus.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "model/base/loop_thread.h"
#include "model/base/result.h"

namespace lanwright::host {

struct BusMessageDeleter {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using BusMessage = std::unique_ptr<sd_bus_message, BusMessageDeleter>;

// Loop thread only. Has no deadline of its own: who asks drops it, and is not answered any more.
class SystemBus : public std::enable_shared_from_this<SystemBus> {
 public:
  // `name` is that of the D-Bus error: "" when it is none, such as a lost connection.
  using Answer = std::function<void(const Result<void>& result, const std::string& name)>;

  static Result<std::shared_ptr<SystemBus>> open(boost::asio::io_context& io);
  SystemBus(boost::asio::io_context& io, sd_bus* bus);
  ~SystemBus();
  SystemBus(const SystemBus&) = delete;
  SystemBus& operator=(const SystemBus&) = delete;

  // To be filled in; `method` of systemd's manager.
  Result<BusMessage> message(const char* method) const;
  // One at a time. `answer` is called once, also at once when nothing can be sent, and may drop the bus or
  // make the next call.
  void call(const BusMessage& message, Answer answer) LANWRIGHT_ON_LOOP;

 private:
  static int on_reply(sd_bus_message* reply, void* self, sd_bus_error* error);
  void pump() LANWRIGHT_ON_LOOP;
  void await(boost::asio::posix::stream_descriptor::wait_type event, bool& is_awaited) LANWRIGHT_ON_LOOP;
  void answer(const Result<void>& result, const std::string& name);

  boost::asio::io_context& io_;
  sd_bus* bus_;
  boost::asio::posix::stream_descriptor socket_;  // the bus's own descriptor
  bool awaits_input_ = false;
  bool awaits_output_ = false;
  bool is_pumping_ = false;
  std::string method_;
  Answer answer_;  // empty when nothing was asked, or it was answered
};

}  // namespace lanwright::host
