#include "reconcilers/vde/plug_client.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "reconcilers/os/process.h"

namespace lanwright::vde {
namespace {

constexpr std::string_view kAlive = "alive";

using Clock = std::chrono::steady_clock;

bool is_answer(const std::string& line) {
  return line == "ok" || line.starts_with("error ");
}

bool is_news(const std::string& line) {
  return line.starts_with("gone ") || line == "lost";
}

}  // namespace

Result<PlugClient> PlugClient::open(const std::string& socket) {
  auto connection = os::connect_unix(socket);
  if (!connection) return connection.error();
  PlugClient client;
  client.socket_ = std::move(*connection);
  client.path_ = socket;
  return client;
}

std::optional<std::string> PlugClient::take_line() {
  const std::size_t at = text_.find('\n');
  if (at == std::string::npos) return std::nullopt;
  std::string line = text_.substr(0, at);
  text_.erase(0, at + 1);
  if (line == kAlive) pinged_.reset();
  const bool is_late = asked_ && is_answer(line);
  if (is_late) asked_.reset();
  if (is_late || is_news(line)) told_ = true;
  return line;
}

// What has arrived between questions, where no answers are but late ones.
void PlugClient::take_in() {
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size == 0 || (size < 0 && errno != EAGAIN)) closed_ = true;
    if (size <= 0) break;
    text_.append(piece.data(), static_cast<std::size_t>(size));
  }
  while (take_line()) continue;
}

Result<std::string> PlugClient::next_line(Clock::time_point end, const std::string& tried) {
  for (;;) {
    if (auto line = take_line()) return std::move(*line);
    if (auto more = os::receive_more(socket_, text_, end, {tried, path_, "the plug"}); !more)
      return more.error();
  }
}

Result<void> PlugClient::send(const std::string& line, const os::Descriptor* descriptor,
                              const std::string& tried) {
  iovec piece{const_cast<char*>(line.data()), line.size()};  // NOLINT: iovec
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> extra{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (descriptor != nullptr) {
    message.msg_control = extra.data();
    message.msg_controllen = extra.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = descriptor->get();
    std::memcpy(CMSG_DATA(rights), &number, sizeof number);
  }
  if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(line.size()))
    return {};
  return error_from_errno(errno, tried, path_);
}

Result<std::vector<std::string>> PlugClient::ask(const std::string& command, Milliseconds patience,
                                                 const os::Descriptor* descriptor) {
  const std::string tried = command.substr(0, command.find(' '));
  if (asked_) take_in();
  if (asked_) return Error{ErrorKind::timeout, tried, path_, 0, "the plug does not answer", {}};
  if (auto sent = send(command + "\n", descriptor, tried); !sent) return sent.error();
  const auto begin = Clock::now();
  std::vector<std::string> data;
  for (;;) {
    auto answer = next_line(begin + patience, tried);
    if (!answer && answer.error().kind == ErrorKind::timeout) {
      asked_ = begin;
      ping();
      return answer.error();
    }
    if (!answer) {
      socket_ = {};
      return answer.error();
    }
    if (is_news(*answer) || *answer == kAlive) continue;
    if (*answer == "ok") return data;
    if (is_answer(*answer))
      return Error{ErrorKind::busy, tried, path_, 0, answer->substr(std::strlen("error ")), {}};
    data.push_back(std::move(*answer));
  }
}

Result<PlugClient::Ports> PlugClient::list(Milliseconds patience) {
  auto lines = ask("list", patience);
  if (!lines) return lines.error();
  Ports ports;
  for (const std::string& line : *lines) {
    if (auto port = plug::port_line_from(line)) ports.lines.push_back(std::move(*port));
    if (const auto shared = plug::shared_line_from(line)) ports.shared = *shared;
  }
  return ports;
}

Result<void> PlugClient::connect(Milliseconds patience) {
  auto answer = ask("connect", patience);
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::watch(Milliseconds patience) {
  auto answer = ask("watch", patience);
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::add(const PlugFact& plug, const os::Descriptor& descriptor, Milliseconds patience) {
  auto answer = ask("add " + text_of(plug::PortLine{plug, {}}), patience, &descriptor);
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::remove(const OwnerTag& mark, Milliseconds patience) {
  auto answer = ask("remove " + mark.text(), patience);
  if (!answer) return answer.error();
  return {};
}

PlugClient::News PlugClient::news() {
  take_in();
  return {std::exchange(told_, false), !closed_};
}

void PlugClient::ping() {
  constexpr std::string_view kWords = "ping\n";
  if (pinged_) return;
  pinged_ = Clock::now();
  // One whose queue is full has not read for long: it does not answer either.
  ::send(socket_.get(), kWords.data(), kWords.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Clock::duration PlugClient::silence() {
  if (pinged_) take_in();
  return pinged_ ? Clock::now() - *pinged_ : Clock::duration::zero();
}

Clock::duration PlugClient::debt() {
  if (asked_) take_in();
  return asked_ ? Clock::now() - *asked_ : Clock::duration::zero();
}

}  // namespace lanwright::vde
