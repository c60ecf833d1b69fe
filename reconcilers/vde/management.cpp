#include "reconcilers/vde/management.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "reconcilers/processes/process.h"

namespace lanwright {
namespace {

constexpr std::string_view kPrompt = "\nvde$ ";
constexpr unsigned long kSuccess = 1000;  // and above it, an errno
constexpr std::chrono::milliseconds kFarewell(200);

}  // namespace

void say_goodbye(const Descriptor& console) {
  constexpr std::string_view kWords = "logout\n";
  if (::send(console.get(), kWords.data(), kWords.size(), MSG_NOSIGNAL) < 0) return;
  const auto end = std::chrono::steady_clock::now() + kFarewell;
  std::array<char, 4096> piece{};
  for (ssize_t size = 1; size > 0;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd state{console.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&state, 1, static_cast<int>(left.count())) <= 0) return;
    size = ::recv(console.get(), piece.data(), piece.size(), 0);
  }
}

Management::~Management() {
  if (socket_) say_goodbye(socket_);
}

Result<Management> Management::open(const std::string& socket, std::chrono::milliseconds patience) {
  auto connection = connect_unix(socket);
  if (!connection) return connection.error();
  Management management(std::move(*connection), socket, patience);
  auto banner = management.read_until_prompt("greet");
  if (!banner) return banner.error();
  return management;
}

Result<std::string> Management::read_until_prompt(const std::string& tried) {
  std::string text;
  const auto end = std::chrono::steady_clock::now() + patience_;
  while (!text.ends_with(kPrompt)) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd state{socket_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&state, 1, static_cast<int>(left.count())) <= 0)
      return Error{ErrorKind::timeout, tried, path_, 0, "the switch does not answer", {}};
    std::array<char, 4096> piece{};
    const ssize_t size = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (size == 0) return Error{ErrorKind::waiting, tried, path_, 0, "the switch ended", {}};
    if (size < 0) return error_from_errno(errno, tried, path_);
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Result<std::string> Management::ask(const std::string& command) {
  const std::string line = command + "\n";
  if (::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0)
    return error_from_errno(errno, command, path_);
  auto text = read_until_prompt(command);
  if (!text) return text.error();
  std::istringstream lines(*text);
  std::string data;
  bool in_data = false;
  for (std::string each; std::getline(lines, each);) {
    if (each.starts_with("0000 DATA")) {
      in_data = true;
    } else if (in_data && each == ".") {
      in_data = false;
    } else if (in_data) {
      data += each + "\n";
    } else if (each.starts_with("1")) {
      char* words = nullptr;
      const unsigned long code = std::strtoul(each.c_str(), &words, 10);
      if (code == kSuccess) return data;
      Error error = error_from_errno(static_cast<int>(code - kSuccess), command, "the switch at " + path_);
      error.words = words != nullptr && *words == ' ' ? words + 1 : words;
      return error;
    }
  }
  return Error{ErrorKind::internal, command, path_, 0, "the switch answered: " + *text, {}};
}

}  // namespace lanwright
