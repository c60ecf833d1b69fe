#include "tests/integration/event_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

Fd connect_to(const std::filesystem::path& path) {
  Fd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    fail_errno("connect " + path.string());
  return connection;
}

std::uint64_t newest_event(const AgentProcess& agent) {
  const Json events = agent.get_json("/v1/events?limit=1");
  return events.empty() ? 0 : events.back().at("id").get<std::uint64_t>();
}

std::string object_text(const Json& event) {
  const auto object = event.find("object");
  if (object == event.end() || !object->is_object()) return {};
  return object->at("kind").get<std::string>() + " " + object->at("name").get<std::string>();
}

// Moves the complete chunks of `raw` to `text` (RFC 9112, 7.1).
void dechunk(std::string& raw, std::string& text) {
  while (true) {
    const std::size_t line = raw.find("\r\n");
    if (line == std::string::npos) return;
    const std::size_t size = std::stoul(raw.substr(0, line), nullptr, 16);
    if (raw.size() < line + 2 + size + 2) return;
    text.append(raw, line + 2, size);
    raw.erase(0, line + 2 + size + 2);
  }
}

}  // namespace

EventStream::EventStream(const AgentProcess& agent)
    : agent_(agent), connection_(connect_to(agent.socket())), since_(newest_event(agent)) {
  const std::string request =
      "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: " +
      std::to_string(since_) + "\r\n\r\n";
  if (send(connection_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    fail_errno("ask for events");
}

bool EventStream::read_more(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
  pollfd entry{connection_.get(), POLLIN, 0};
  if (left.count() <= 0 || poll(&entry, 1, static_cast<int>(left.count())) <= 0) return false;
  std::array<char, 65536> buffer{};
  const ssize_t size = recv(connection_.get(), buffer.data(), buffer.size(), 0);
  if (size <= 0) throw HarnessError("the agent ended the stream of events; " + told());
  raw_.append(buffer.data(), static_cast<std::size_t>(size));
  if (!head_read_) {
    const std::size_t end = raw_.find("\r\n\r\n");
    if (end == std::string::npos) return true;
    std::string head = raw_.substr(0, end);
    std::ranges::transform(head, head.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!head.starts_with("http/1.1 200 ")) throw HarnessError("no stream of events: " + raw_);
    chunked_ = head.find("transfer-encoding: chunked") != std::string::npos;
    head_read_ = true;
    raw_.erase(0, end + 4);
  }
  if (chunked_)
    dechunk(raw_, text_);
  else
    text_ += std::exchange(raw_, {});
  take_lines();
  return true;
}

// The agent writes an event's data on one line.
void EventStream::take_lines() {
  for (std::size_t end = 0; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1)) {
    const std::string line = text_.substr(0, end);
    if (line.starts_with("data:")) {
      Json event = Json::parse(line.substr(5));
      if (event.at("id").get<std::uint64_t>() > since_) seen_.push_back(std::move(event));
    }
  }
}

Json EventStream::expect(const std::string& type, const std::string& object, const std::string& text,
                         std::uint64_t after, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  const auto wanted = [&](const Json& event) {
    return event.at("id").get<std::uint64_t>() > after && event.at("type") == type &&
           (object.empty() || object_text(event) == object) &&
           event.at("message").get<std::string>().find(text) != std::string::npos;
  };
  while (true) {
    const auto found = std::ranges::find_if(seen_, wanted);
    if (found != seen_.end()) return *found;
    if (!read_more(deadline))
      throw HarnessError("no event " + type + " of \"" + object + "\" with \"" + text + "\"; " + told());
  }
}

void EventStream::pass_over() {
  since_ = newest_event(agent_);
  std::erase_if(seen_, [&](const Json& event) { return event.at("id").get<std::uint64_t>() <= since_; });
}

std::string EventStream::told() const {
  std::string text = std::to_string(seen_.size()) + " other events came";
  const std::size_t first = seen_.size() > 30 ? seen_.size() - 30 : 0;
  for (std::size_t i = first; i < seen_.size(); ++i) text += "\n  " + seen_[i].dump();
  return text;
}

}  // namespace lanwright::test
