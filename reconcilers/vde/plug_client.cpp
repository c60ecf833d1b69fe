#include "reconcilers/vde/plug_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "reconcilers/processes/process.h"

namespace lanwright {
namespace {

bool is_news(const std::string& line) {
  return line.starts_with("gone ") || line == "lost";
}

}  // namespace

Result<PlugClient> PlugClient::open(const std::string& socket, std::chrono::milliseconds patience) {
  auto connection = connect_unix(socket);
  if (!connection) return connection.error();
  PlugClient client;
  client.socket_ = std::move(*connection);
  client.path_ = socket;
  client.patience_ = patience;
  return client;
}

Result<std::string> PlugClient::next_line(std::chrono::steady_clock::time_point end,
                                          const std::string& tried) {
  for (;;) {
    const std::size_t at = text_.find('\n');
    if (at != std::string::npos) {
      std::string line = text_.substr(0, at);
      text_.erase(0, at + 1);
      return line;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd state{socket_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&state, 1, static_cast<int>(left.count())) <= 0)
      return Error{ErrorKind::timeout, tried, path_, 0, "the plug does not answer", {}};
    std::array<char, 65536> piece{};
    const ssize_t size = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (size == 0) return Error{ErrorKind::waiting, tried, path_, 0, "the plug ended", {}};
    if (size < 0) return error_from_errno(errno, tried, path_);
    text_.append(piece.data(), static_cast<std::size_t>(size));
  }
}

Result<std::vector<std::string>> PlugClient::ask(const std::string& command, const Descriptor* descriptor) {
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
    if (!answer) return answer.error();
    if (is_news(*answer)) {
      told_ = true;
    } else if (*answer == "ok") {
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
    if (line == "connected") ports.connected = true;
    if (auto port = plug::port_line_from(line)) ports.lines.push_back(std::move(*port));
  }
  return ports;
}

Result<void> PlugClient::connect() {
  auto answer = ask("connect");
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::add(const PlugFact& plug, const Descriptor& descriptor) {
  auto answer = ask("add " + text_of(plug::PortLine{plug, {}}), &descriptor);
  if (!answer) return answer.error();
  return {};
}

Result<void> PlugClient::remove(const Mark& mark) {
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
  news.any = std::exchange(told_, false) || text_.find('\n') != std::string::npos;
  text_.erase(0, text_.rfind('\n') == std::string::npos ? 0 : text_.rfind('\n') + 1);
  return news;
}

}  // namespace lanwright
