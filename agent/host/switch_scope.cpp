#include "agent/host/switch_scope.h"

#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <utility>

#include "agent/host/log.h"
#include "agent/host/system_bus.h"

namespace lanwright::host {
namespace {

using namespace std::chrono_literals;

constexpr const char* kScope = "lanwright-switches.scope";
constexpr auto kAnswerTime = 10s;  // of systemd's, which may be reading all units anew
// From the answer until they are looked at: systemd moves them afterwards. Doubled each time that it has not.
constexpr std::chrono::milliseconds kFirstPause = 1s;
constexpr std::chrono::milliseconds kLongestPause = 5min;

// A scope that is just beginning or ending takes nobody in.
constexpr unsigned kToldAfter = 2;  // failures in a row

using Ask = int (*)(pid_t, char**);

// What sd_pid_get_unit(3) and the like say; "" when they cannot.
std::string ask_of(Ask ask, pid_t pid) {
  char* text = nullptr;
  if (ask(pid, &text) < 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> owner(text, std::free);
  return text;
}

// Not what a shell in such a service starts: that has its own to outlive it, which ends as its user wants.
bool is_main_process() {
  const char* pid = std::getenv("SYSTEMD_EXEC_PID");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return pid != nullptr && pid == std::to_string(::getpid());
}

Result<BusMessage> finished(BusMessage message, int error) {
  if (error < 0) return error_from_errno(-error, "write", "a message to systemd");
  return message;
}

int append(sd_bus_message* message, const std::vector<std::uint32_t>& pids) {
  return sd_bus_message_append_array(message, 'u', pids.data(), pids.size() * sizeof pids.front());
}

int append_property(sd_bus_message* message, const char* name, const std::vector<std::uint32_t>& pids) {
  for (const int error :
       {sd_bus_message_open_container(message, 'r', "sv"), sd_bus_message_append(message, "s", name),
        sd_bus_message_open_container(message, 'v', "au"), append(message, pids),
        sd_bus_message_close_container(message)}) {
    if (error < 0) return error;
  }
  return sd_bus_message_close_container(message);
}

// Delegated: systemd lets only such a unit be given more processes, and by default kills the others of an
// undelegated one when one of them is killed for memory. No controllers: nothing is divided up below it.
int append_properties(sd_bus_message* message, const std::string& unit, const std::string& slice,
                      const std::vector<std::uint32_t>& pids) {
  constexpr auto kNoLimit = std::numeric_limits<std::uint64_t>::max();
  for (const int error : {sd_bus_message_open_container(message, 'a', "(sv)"),
                          sd_bus_message_append(message, "(sv)", "Description", "s",
                                                "VDE switches of lanwright, and their plugs"),
                          sd_bus_message_append(message, "(sv)", "Slice", "s", slice.c_str()),
                          sd_bus_message_append(message, "(sv)", "Before", "as", 1, unit.c_str()),
                          sd_bus_message_append(message, "(sv)", "CollectMode", "s", "inactive-or-failed"),
                          sd_bus_message_append(message, "(sv)", "DelegateControllers", "as", 0),
                          sd_bus_message_append(message, "(sv)", "DevicePolicy", "s", "closed"),
                          sd_bus_message_append(message, "(sv)", "TasksMax", "t", kNoLimit),
                          append_property(message, "PIDs", pids)}) {
    if (error < 0) return error;
  }
  return sd_bus_message_close_container(message);
}

Result<BusMessage> start_message(const SystemBus& bus, const std::string& unit, const std::string& slice,
                                 const std::vector<std::uint32_t>& pids) {
  auto message = bus.message("StartTransientUnit");
  if (!message) return message;
  int error = sd_bus_message_append(message->get(), "ss", kScope, "fail");
  if (error >= 0) error = append_properties(message->get(), unit, slice, pids);
  if (error >= 0) error = sd_bus_message_append(message->get(), "a(sa(sv))", 0);  // no units beside it
  return finished(std::move(*message), error);
}

Result<BusMessage> attach_message(const SystemBus& bus, const std::vector<std::uint32_t>& pids) {
  auto message = bus.message("AttachProcessesToUnit");
  if (!message) return message;
  int error = sd_bus_message_append(message->get(), "ss", kScope, "");
  if (error >= 0) error = append(message->get(), pids);
  return finished(std::move(*message), error);
}

}  // namespace

SwitchScope::SwitchScope(boost::asio::io_context& io)
    : io_(io),
      ask_timer_(io, [this]() LANWRIGHT_ON_LOOP { ask(); }),
      patience_(io,
                [this]() LANWRIGHT_ON_LOOP {
                  failed({ErrorKind::timeout, "talk to", "systemd", ETIMEDOUT, "it does not answer", {}});
                }),
      pause_(kFirstPause) {
  if (sd_booted() <= 0 || !is_main_process()) {
    why_not_ = "the agent is no service of systemd's";
    return;
  }
  unit_ = ask_of(sd_pid_get_unit, 0);
  slice_ = ask_of(sd_pid_get_slice, 0);
  if (unit_.empty() || slice_.empty())
    why_not_ = "systemd's unit of the agent cannot be told from its control group";
}

SwitchScope::~SwitchScope() = default;

void SwitchScope::take(pid_t pid) {
  if (unit_.empty() || slice_.empty()) {
    if (!why_not_.empty())
      log::info("switches stay in the control group of the agent: " + std::exchange(why_not_, {}));
    return;
  }
  if (!is_ours(pid) || !waiting_.insert(pid).second) return;
  has_asked_ = false;
  if (!bus_ && failures_ == 0) ask_timer_.set_in(0ms);  // with others that are started in this turn
}

bool SwitchScope::is_ours(pid_t pid) const {
  return ask_of(sd_pid_get_unit, pid) == unit_;
}

// One that has ended is in no unit; who was given its number since and is in ours would do no harm in the
// scope.
void SwitchScope::forget_those_moved() {
  std::erase_if(waiting_, [this](pid_t pid) { return !is_ours(pid); });
}

std::vector<std::uint32_t> SwitchScope::pids() const {
  return {waiting_.begin(), waiting_.end()};
}

void SwitchScope::ask() {
  forget_those_moved();
  if (waiting_.empty()) {
    if (std::exchange(failures_, 0) >= kToldAfter) log::info(std::string("switches are in ") + kScope);
    pause_ = kFirstPause;
    return;
  }
  if (has_asked_)
    return failed({ErrorKind::busy, "move switches to", kScope, 0,
                   "systemd accepted the request and has not carried it out",
                   std::string("see: journalctl -u ") + kScope});
  auto bus = SystemBus::open(io_);
  if (!bus) return failed(bus.error());
  bus_ = std::move(*bus);
  has_asked_ = true;
  patience_.set_in(kAnswerTime);
  const auto message = start_message(*bus_, unit_, slice_, pids());
  if (!message) return failed(message.error());
  bus_->call(*message, [this](const Result<void>& result, const std::string& name) LANWRIGHT_ON_LOOP {
    if (result) return asked();
    if (name == "org.freedesktop.systemd1.UnitExists") return attach();
    failed(result.error());
  });
}

void SwitchScope::attach() {
  const auto message = attach_message(*bus_, pids());
  if (!message) return failed(message.error());
  bus_->call(*message, [this](const Result<void>& result, const std::string& /*name*/) LANWRIGHT_ON_LOOP {
    if (result) return asked();
    failed(result.error());
  });
}

void SwitchScope::asked() {
  hang_up();
  ask_timer_.set_in(has_asked_ ? pause_ : 0ms);
}

void SwitchScope::failed(const Error& error) {
  hang_up();
  has_asked_ = false;
  if (++failures_ == kToldAfter)
    log::warning(std::string("switches are not in ") + kScope +
                 ", and systemd calls them left over when the agent starts again: " + error.text());
  ask_timer_.set_in(pause_);
  pause_ = std::min(2 * pause_, kLongestPause);
}

void SwitchScope::hang_up() {
  patience_.cancel();
  bus_.reset();
}

}  // namespace lanwright::host
