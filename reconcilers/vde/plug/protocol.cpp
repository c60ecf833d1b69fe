#include "reconcilers/vde/plug/protocol.h"

#include <sstream>

namespace lanwright::plug {
namespace {

std::ostream& operator<<(std::ostream& text, const PortCounters& counters) {
  return text << counters.received_frames << ' ' << counters.received_bytes << ' ' << counters.sent_frames
              << ' ' << counters.sent_bytes << ' ' << counters.dropped << ' ' << counters.too_long;
}

std::istream& operator>>(std::istream& text, PortCounters& counters) {
  return text >> counters.received_frames >> counters.received_bytes >> counters.sent_frames >>
         counters.sent_bytes >> counters.dropped >> counters.too_long;
}

}  // namespace

std::string text_of(const PortLine& line) {
  const auto& [plug, counters] = line;
  std::ostringstream text;
  text << "port " << plug.mark.text() << (plug.tap ? " tap " : " packet ") << plug.ifindex << ' '
       << plug.netns << ' ' << plug.port << ' ' << (plug.connected ? 1 : 0) << ' ' << counters;
  return text.str();
}

std::optional<PortLine> port_line_from(const std::string& text) {
  std::istringstream words(text);
  std::string head;
  std::string mark;
  std::string kind;
  PortLine line;
  auto& [plug, counters] = line;
  words >> head >> mark >> kind >> plug.ifindex >> plug.netns >> plug.port >> plug.connected >> counters;
  const auto parsed = OwnerTag::parse(mark);
  if (!words || head != "port" || !parsed || (kind != "tap" && kind != "packet")) return std::nullopt;
  plug.mark = *parsed;
  plug.tap = kind == "tap";
  return line;
}

std::string text_of(const SharedLine& line) {
  std::ostringstream text;
  text << "shared " << (line.connected ? 1 : 0) << ' ' << line.counters;
  return text.str();
}

std::optional<SharedLine> shared_line_from(const std::string& text) {
  std::istringstream words(text);
  std::string head;
  SharedLine line;
  words >> head >> line.connected >> line.counters;
  if (!words || head != "shared") return std::nullopt;
  return line;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream text(line);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

}  // namespace lanwright::plug
