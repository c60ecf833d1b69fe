#include "agent/capture/switch.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "agent/capture/filter.h"
#include "agent/host/log.h"
#include "api/rest/pcap_file.h"
#include "reconcilers/vde/listener.h"

namespace lanwright::capture {
namespace {

constexpr const char* kCaptureName = "lanwright capture";

Error refusal(ErrorKind kind, const std::string& directory, std::string words, std::string hint = {}) {
  return {kind, "capture the packets of", directory, 0, std::move(words), std::move(hint)};
}

class SwitchCapture final : public Capture {
 public:
  SwitchCapture(std::unique_ptr<vde::Listener> listener, std::unique_ptr<FilterProgram> filter,
                std::string directory)
      : listener_(std::move(listener)), filter_(std::move(filter)), directory_(std::move(directory)) {}

  int descriptor() const override { return listener_->descriptor(); }

  Result<std::optional<Packet>> next() override {
    while (const auto frame = listener_->next()) {
      pcap_pkthdr head{};
      head.caplen = head.len = static_cast<bpf_u_int32>(frame->size());
      if (pcap_offline_filter(&filter_->code, &head, frame->data()) == 0) continue;
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are bytes
      const std::string_view bytes(reinterpret_cast<const char*>(frame->data()), frame->size());
      const auto now =
          std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
      return std::optional(Packet{now, head.len, bytes});
    }
    if (listener_->has_ended()) return refusal(ErrorKind::waiting, directory_, "the switch ended");
    return std::optional<Packet>();
  }

 private:
  std::unique_ptr<vde::Listener> listener_;
  std::unique_ptr<FilterProgram> filter_;
  std::string directory_;
};

Result<std::unique_ptr<FilterProgram>> compile(const std::string& directory, const std::string& filter) {
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> nowhere(pcap_open_dead(DLT_EN10MB, rest::kSnapLength),
                                                               pcap_close);
  return compile_filter(nowhere.get(), directory, filter);
}

}  // namespace

Result<std::unique_ptr<Capture>> capture_switch(const vde::SwitchPaths& paths, const std::string& filter) {
  const std::string& directory = paths.socket;
  auto program = compile(directory, filter);
  if (!program) return program.error();
  auto listener = vde::Listener::open(paths, kCaptureName);
  if (!listener) return listener.error();
  log::info("capture begun", {{"switch", directory}, {"filter", filter}});
  return std::unique_ptr<Capture>(
      std::make_unique<SwitchCapture>(std::move(*listener), std::move(*program), directory));
}

}  // namespace lanwright::capture
