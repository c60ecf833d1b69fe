#include "agent/capture/switch.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "agent/host/log.h"
#include "api/rest/pcap_file.h"
#include "reconcilers/vde/management.h"
#include "reconcilers/vde/plug/endpoint.h"

namespace lanwright::capture {
namespace {

using plug::Frame;
using plug::FrameBuffer;
using plug::Received;
using plug::SwitchEndpoint;

constexpr std::chrono::seconds kAnswerTimeout(3);  // with a switch
constexpr const char* kCaptureName = "lanwright capture";

Error refusal(ErrorKind kind, const std::string& directory, std::string words, std::string hint = {}) {
  return {kind, "capture the packets of", directory, 0, std::move(words), std::move(hint)};
}

class SwitchCapture final : public Capture {
 public:
  SwitchCapture(std::unique_ptr<SwitchEndpoint> port, std::unique_ptr<FilterProgram> filter,
                os::Descriptor events, std::string directory)
      : port_(std::move(port)),
        filter_(std::move(filter)),
        events_(std::move(events)),
        directory_(std::move(directory)) {}

  int descriptor() const override { return events_.get(); }

  Result<std::optional<Packet>> next() override {
    for (;;) {
      Frame frame;
      const Received received = port_->receive(*buffer_, frame);
      if (received == Received::skip) continue;
      if (received != Received::frame) break;
      pcap_pkthdr head{};
      head.caplen = head.len = static_cast<bpf_u_int32>(frame.bytes.size());
      if (pcap_offline_filter(&filter_->code, &head, frame.bytes.data()) == 0) continue;
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are bytes
      const std::string_view bytes(reinterpret_cast<const char*>(frame.bytes.data()), frame.bytes.size());
      const auto now =
          std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
      return std::optional(Packet{now, head.len, bytes});
    }
    if (port_->has_ended()) return refusal(ErrorKind::waiting, directory_, "the switch ended");
    return std::optional<Packet>();
  }

 private:
  std::unique_ptr<SwitchEndpoint> port_;
  std::unique_ptr<FilterProgram> filter_;
  os::Descriptor events_;  // epoll: frames, or the end of the switch
  std::string directory_;
  std::unique_ptr<FrameBuffer> buffer_ = std::make_unique<FrameBuffer>();
};

Result<std::unique_ptr<FilterProgram>> compile(const std::string& directory, const std::string& filter) {
  auto program = std::make_unique<FilterProgram>();
  pcap_t* nowhere = pcap_open_dead(DLT_EN10MB, rest::kSnapLength);
  const int status = pcap_compile(nowhere, &program->code, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN);
  const std::string words = status != 0 ? pcap_geterr(nowhere) : "";
  pcap_close(nowhere);
  if (status == 0) return program;
  return refusal(ErrorKind::invalid, directory, words, "the filter is written as in: man pcap-filter");
}

}  // namespace

Result<std::unique_ptr<Capture>> capture_switch(const vde::SwitchPaths& paths, const std::string& filter) {
  const std::string& directory = paths.socket;
  auto program = compile(directory, filter);
  if (!program) return program.error();
  // A switch that does not answer here would never answer below.
  if (auto answers = vde::Management::open(paths.management(), kAnswerTimeout); !answers)
    return answers.error();
  std::string words;
  auto port = SwitchEndpoint::open(directory, 0, kCaptureName, words);
  if (!port) return refusal(ErrorKind::waiting, directory, words, "see: lanwright get switches");
  os::Descriptor events(::epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {port->fd(), port->control_fd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (fd >= 0 && ::epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return error_from_errno(errno, "wait for the packets of", directory);
  }
  log::info("capture begun", {{"switch", directory}, {"filter", filter}});
  return std::unique_ptr<Capture>(
      std::make_unique<SwitchCapture>(std::move(port), std::move(*program), std::move(events), directory));
}

}  // namespace lanwright::capture
