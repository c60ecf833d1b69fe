#include "agent/host/system_bus.h"

#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "reconcilers/os/on_loop.h"

namespace lanwright::host {
namespace {

constexpr const char* kManager = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManagerInterface = "org.freedesktop.systemd1.Manager";

}  // namespace

Result<std::shared_ptr<SystemBus>> SystemBus::open(boost::asio::io_context& io) {
  sd_bus* bus = nullptr;
  if (const int number = sd_bus_open_system(&bus); number < 0) {
    Error error = error_from_errno(-number, "connect to", "the system bus");
    if (number == -ENOENT) error.hint = "install it: apt-get install dbus";
    return error;
  }
  return std::make_shared<SystemBus>(io, bus);
}

SystemBus::SystemBus(boost::asio::io_context& io, sd_bus* bus)
    : io_(io), bus_(bus), socket_(io, sd_bus_get_fd(bus)) {}

SystemBus::~SystemBus() {
  socket_.release();  // which the bus closes
  sd_bus_close_unref(bus_);
}

Result<BusMessage> SystemBus::message(const char* method) const {
  sd_bus_message* message = nullptr;
  const int error =
      sd_bus_message_new_method_call(bus_, &message, kManager, kManagerPath, kManagerInterface, method);
  if (error < 0) return error_from_errno(-error, "call", method);
  return BusMessage(message);
}

void SystemBus::call(const BusMessage& message, Answer answer) {
  method_ = sd_bus_message_get_member(message.get());
  answer_ = std::move(answer);
  constexpr auto kNoDeadline = std::numeric_limits<std::uint64_t>::max();
  const int error = sd_bus_call_async(bus_, nullptr, message.get(), on_reply, this, kNoDeadline);
  if (error < 0) return this->answer(error_from_errno(-error, "call", method_), {});
  if (!is_pumping_) pump();  // otherwise that goes on when the answer to the last call has been taken
}

int SystemBus::on_reply(sd_bus_message* reply, void* self, sd_bus_error* /*error*/) {
  auto* bus = static_cast<SystemBus*>(self);
  const sd_bus_error* refused = sd_bus_message_get_error(reply);
  if (refused == nullptr) {
    bus->answer({}, {});
  } else {
    const std::string words = refused->message != nullptr ? refused->message : refused->name;
    bus->answer(Error{ErrorKind::busy, "call", bus->method_, sd_bus_error_get_errno(refused), words, {}},
                refused->name);
  }
  return 0;
}

void SystemBus::answer(const Result<void>& result, const std::string& name) {
  if (const Answer answer = std::exchange(answer_, nullptr)) answer(result, name);
}

// Whatever can be done without waiting.
void SystemBus::pump() {
  const auto self = shared_from_this();
  int done = 1;
  is_pumping_ = true;
  while (done > 0 && answer_) done = sd_bus_process(bus_, nullptr);
  is_pumping_ = false;
  if (!answer_) return;
  if (done < 0) return answer(error_from_errno(-done, "talk to", "the system bus"), {});
  const int events = sd_bus_get_events(bus_);
  if (events < 0) return answer(error_from_errno(-events, "talk to", "the system bus"), {});
  if ((events & POLLIN) != 0) await(socket_.wait_read, awaits_input_);
  if ((events & POLLOUT) != 0) await(socket_.wait_write, awaits_output_);
}

void SystemBus::await(boost::asio::posix::stream_descriptor::wait_type event, bool& is_awaited) {
  if (std::exchange(is_awaited, true)) return;
  socket_.async_wait(
      event, [weak = weak_from_this(), &io = io_, &is_awaited](const boost::system::error_code& error) {
        os::assert_on_loop(io);
        const auto self = weak.lock();
        if (error || !self) return;
        is_awaited = false;
        self->pump();
      });
}

}  // namespace lanwright::host
