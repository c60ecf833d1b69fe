#include "api/rest/capture_stream.h"

#include <chrono>
#include <string>

#include "api/rest/pcap_file.h"

namespace lanwright::rest {
namespace {

constexpr std::size_t kBatch = 256U << 10U;  // bytes that are worth a write of their own

// What is there now, at most a batch; false when there will be no more.
bool collect(Capture& capture, std::string& out) {
  while (out.size() < kBatch) {
    const auto packet = capture.next();
    if (!packet) return false;
    if (!*packet) return true;
    append_record(out, **packet);
  }
  return true;
}

}  // namespace

void stream_capture(Capture& capture, const http::Connection& connection, const http::Write& write) {
  std::string records = pcap_header();  // at once, so that the reader knows that it has begun
  for (;;) {
    const bool goes_on = collect(capture, records);
    const bool full = records.size() >= kBatch;
    if (!records.empty() && !write(records)) return;
    records.clear();
    if (!goes_on || (full ? connection.cancelled() : connection.pause_for(capture.descriptor()))) return;
  }
}

}  // namespace lanwright::rest
