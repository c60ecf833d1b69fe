#include "agent/capture/source.h"

#include <fcntl.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "agent/capture/filter.h"
#include "agent/capture/switch.h"
#include "agent/host/log.h"
#include "api/rest/pcap_file.h"

namespace lanwright::capture {
namespace {

using Opened = Result<std::unique_ptr<Capture>>;

constexpr int kBufferSize = 8 << 20;  // bytes that the kernel keeps for one capture while its reader is slow
// How long the kernel gathers packets before it wakes the reader. Not "immediate mode", in which libpcap
// makes each place of the buffer as long as the longest packet: there would be room for 32.
constexpr int kGatherMs = 20;

struct CloseHandle {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using Handle = std::unique_ptr<pcap_t, CloseHandle>;

Error refusal(ErrorKind kind, const std::string& link, std::string words, std::string hint = {}) {
  return {kind, "capture the packets of", link, 0, std::move(words), std::move(hint)};
}

// Why libpcap could not begin, in its own words.
Error activation_error(int status, pcap_t* handle, const std::string& link) {
  std::string words = pcap_geterr(handle);
  if (words.empty()) words = pcap_statustostr(status);
  switch (status) {
    case PCAP_ERROR_NO_SUCH_DEVICE:
    case PCAP_ERROR_IFACE_NOT_UP:
      return refusal(ErrorKind::waiting, link, std::move(words), "see: lanwright describe network NAME");
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
      return refusal(ErrorKind::denied, link, std::move(words), "lanwrightd needs CAP_NET_RAW");
    default:
      return refusal(ErrorKind::busy, link, std::move(words));
  }
}

// Everything that a link sends and receives, and what others say to each other past it.
class LinkCapture final : public Capture {
 public:
  LinkCapture(Handle handle, std::string link) : handle_(std::move(handle)), link_(std::move(link)) {}
  ~LinkCapture() override {
    pcap_stat counts{};
    if (pcap_stats(handle_.get(), &counts) != 0) return;  // of a link that is gone there are none
    log::info("capture ended", {{"link", link_},
                                {"packets", std::to_string(counts.ps_recv)},
                                {"dropped", std::to_string(counts.ps_drop)}});
  }
  LinkCapture(const LinkCapture&) = delete;
  LinkCapture& operator=(const LinkCapture&) = delete;

  int descriptor() const override { return pcap_get_selectable_fd(handle_.get()); }

  Result<std::optional<Packet>> next() override {
    pcap_pkthdr* head = nullptr;
    const u_char* bytes = nullptr;
    const int got = pcap_next_ex(handle_.get(), &head, &bytes);
    if (got == 0) return std::optional<Packet>();
    if (got < 0) return refusal(ErrorKind::waiting, link_, pcap_geterr(handle_.get()));
    const std::chrono::microseconds since =
        std::chrono::seconds(head->ts.tv_sec) + std::chrono::microseconds(head->ts.tv_usec);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are bytes
    return std::optional(Packet{std::chrono::sys_time<std::chrono::microseconds>(since),
                                head->len,
                                {reinterpret_cast<const char*>(bytes), head->caplen}});
  }

 private:
  Handle handle_;
  std::string link_;
};

Result<void> set_filter(pcap_t* handle, const std::string& link, const std::string& filter) {
  auto program = compile_filter(handle, link, filter);
  if (!program) return program.error();
  if (pcap_setfilter(handle, &(*program)->code) != 0)
    return refusal(ErrorKind::busy, link, pcap_geterr(handle));
  return {};
}

// Not inherited by switch processes, which outlive the agent.
void keep_to_ourselves(pcap_t* handle, const std::string& link) {
  if (fcntl(pcap_get_selectable_fd(handle), F_SETFD, FD_CLOEXEC) != 0)
    log::warning("the socket of a capture cannot be kept from child processes",
                 {{"link", link}, {"error", error_from_errno(errno, "set", "FD_CLOEXEC").text()}});
}

// Settings of a handle that is not active yet; these calls cannot fail then.
void configure(pcap_t* handle) {
  pcap_set_snaplen(handle, rest::kSnapLength);
  pcap_set_promisc(handle, 1);  // a bridge shows what passes between its ports to nobody else
  pcap_set_timeout(handle, kGatherMs);
  pcap_set_buffer_size(handle, kBufferSize);
}

Opened capture_link(const std::string& link, const std::string& filter) {
  std::array<char, PCAP_ERRBUF_SIZE> words{};
  Handle handle(pcap_create(link.c_str(), words.data()));
  if (!handle) return refusal(ErrorKind::busy, link, words.data());
  configure(handle.get());
  const int status = pcap_activate(handle.get());
  if (status < 0) return activation_error(status, handle.get(), link);
  if (status > 0) log::warning("capture", {{"link", link}, {"libpcap", pcap_geterr(handle.get())}});
  keep_to_ourselves(handle.get(), link);
  // libpcap also knows names that are no links of the kernel ("any", "nflog"): they do not give Ethernet
  // frames.
  if (pcap_datalink(handle.get()) != DLT_EN10MB)
    return refusal(ErrorKind::unsupported, link, "its packets are no Ethernet frames");
  if (auto set = set_filter(handle.get(), link, filter); !set) return set.error();
  if (pcap_setnonblock(handle.get(), 1, words.data()) != 0)
    return refusal(ErrorKind::busy, link, words.data());
  log::info("capture begun", {{"link", link}, {"filter", filter}});
  return Opened(std::make_unique<LinkCapture>(std::move(handle), link));
}

// The link that carries the network: by its mark, not by its name, which a link of somebody else may have.
Opened capture_own_link(const Description& network, const std::string& filter) {
  for (const LinkReport& report : network.links) {
    if (report.wanted.is_host_bridge() && report.found) return capture_link(report.found->name, filter);
    if (report.wanted.borrowed || !report.wanted.role.empty() || !report.found) continue;
    if (report.found->alias != OwnerTag{network.object->uid, {}}.text()) continue;
    return capture_link(report.found->name, filter);
  }
  return refusal(ErrorKind::waiting, network.object->id.text(), "it has no link now",
                 "see: lanwright describe network " + network.object->id.name);
}

const NetworkSpec& spec_of(const Description& network) {
  return std::get<NetworkSpec>(*network.object->spec);
}

// Links on a parent send to each other by way of it; a network without one has a dummy of its own.
Opened capture_parent(const Description& network, const std::string& filter) {
  const std::string& parent = spec_of(network).parent;
  return parent.empty() ? capture_own_link(network, filter) : capture_link(parent, filter);
}

class PcapSource final : public CaptureSource {
 public:
  PcapSource(std::filesystem::path run_dir, const Grammar& drivers)
      : run_dir_(std::move(run_dir)), drivers_(drivers) {}

  Opened open(const Description& network, const std::string& filter) override {
    const std::string& name = spec_of(network).driver;
    const auto driver = std::ranges::find(drivers_, name, &DriverSchema::name);
    if (driver == drivers_.end())
      return refusal(ErrorKind::unsupported, network.object->id.text(),
                     "networks of driver " + name + " cannot be captured");
    switch (driver->capture) {
      case CapturePoint::link:
        return capture_own_link(network, filter);
      case CapturePoint::parent:
        return capture_parent(network, filter);
      case CapturePoint::vswitch:
        break;
    }
    return capture_own_switch(network, filter);
  }

 private:
  // By whose it is, not by its name, which a switch of somebody else may have.
  Opened capture_own_switch(const Description& network, const std::string& filter) const {
    const std::string& name = network.object->id.name;
    const vde::SwitchPaths paths = vde::switch_paths(run_dir_, name);
    const auto owner = vde::read_switch_owner(paths);
    if (!owner || !*owner || (*owner)->uid != network.object->uid)
      return refusal(ErrorKind::waiting, network.object->id.text(), "it has no switch now",
                     "see: lanwright describe network " + name);
    return capture_switch(paths, filter);
  }

  std::filesystem::path run_dir_;
  const Grammar& drivers_;
};

}  // namespace

std::unique_ptr<CaptureSource> open_capture_source(const std::filesystem::path& run_dir,
                                                   const Grammar& drivers) {
  return std::make_unique<PcapSource>(run_dir, drivers);
}

}  // namespace lanwright::capture
