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

bool is_news(const std::string& line) {
  return line.starts_with("gone ") || line == "lost";
}

}  // namespace

Result<PlugClient> PlugClient::open(const std::string& socket, std::chrono::milliseconds patience) {
  auto connection = os::connect_unix(socket);
  if (!connection) return connection.error();
  PlugClient client;
  client.socket_ = std::move(*connection);
  client.path_ = socket;
  client.patience_ = patience;
  return client;
}

std::optional<std::string> PlugClient::take_line() {
  const std::size_t at = text_.find('\n');
  if (at == std::string::npos) return std::nullopt;
  std::string line = text_.substr(0, at);
  text_.erase(0, at + 1);
  if (line == kAlive) asked_.reset();
  if (is_news(line)) told_ = true;
  return line;
}

Result<std::string> PlugClient::next_line(std::chrono::steady_clock::time_point end,
                                          const std::string& tried) {
  for (;;) {
    if (auto line = take_line()) return std::move(*line);
    if (auto more = os::receive_more(socket_, text_, end, {tried, path_, "the plug"}); !more)
      return more.error();
  }
}

Result<std::vector<std::string>> PlugClient::ask(const std::string& command,
                                                 const os::Descriptor* descriptor) {
  const std::string line = command + "\n";
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
  const std::string tried = command.substr(0, command.find(' '));
  if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return error_from_errno(errno, tried, path_);
  const auto end = std::chrono::steady_clock::now() + patience_;
  std::vector<std::string> data;
  for (;;) {
    auto answer = next_line(end, tried);
    if (!answer) {
      socket_ = {};  // a late answer would be taken for that to another question
      return answer.error();
    }
    if (is_news(*answer) || *answer == kAlive) continue;
    if (*answer == "ok") {
      return data;
    } else if (answer->starts_with("error ")) {
      return Error{ErrorKind::busy, tried, path_, 0, answer->substr(std::strlen("error ")), {}};
    } else {
      data.push_back(std::move(*answer));
    }
  }
}

Result<PlugClient::Ports> PlugClient::list() {
  auto lines = ask("list");
  if (!lines) return lines.error();
  Ports ports;
  for (const std::string& line : *lines) {
    if (auto port = plug::port_line_from(line)) ports.lines.push_back(std::move(*port));
    if (const auto shared = plug::shared_line_from(line)) ports.shared = *shared;
  }
  return ports;
}

Result<void> PlugClient::connect() {
  auto answer = ask("connect");
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::watch() {
  auto answer = ask("watch");
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::add(const PlugFact& plug, const os::Descriptor& descriptor) {
  auto answer = ask("add " + text_of(plug::PortLine{plug, {}}), &descriptor);
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::remove(const OwnerTag& mark) {
  auto answer = ask("remove " + mark.text());
  if (!answer) return answer.error();
  return {};
}

PlugClient::News PlugClient::news() {
  News news;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size == 0 || (size < 0 && errno != EAGAIN)) news.alive = false;
    if (size <= 0) break;
    text_.append(piece.data(), static_cast<std::size_t>(size));
  }
  // Between commands there are no answers: whatever came says "look again".
  while (take_line()) continue;
  news.any = std::exchange(told_, false);
  return news;
}

void PlugClient::ping() {
  constexpr std::string_view kWords = "ping\n";
  if (asked_) return;
  asked_ = std::chrono::steady_clock::now();
  // One whose queue is full has not read for long: it does not answer either.
  ::send(socket_.get(), kWords.data(), kWords.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::chrono::steady_clock::duration PlugClient::silence() const {
  return asked_ ? std::chrono::steady_clock::now() - *asked_ : std::chrono::steady_clock::duration::zero();
}

bool PlugClient::answers_within(std::chrono::milliseconds patience) {
  ping();
  const auto end = std::chrono::steady_clock::now() + patience;
  while (asked_) {
    if (!next_line(end, "ping")) return false;
  }
  return true;
}

}  // namespace lanwright::vde
