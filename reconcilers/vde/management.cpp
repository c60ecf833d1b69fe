#include "reconcilers/vde/management.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "reconcilers/os/process.h"

namespace lanwright::vde {
namespace {

constexpr std::string_view kPrompt = "\nvde$ ";
constexpr unsigned long kSuccess = 1000;  // and above it, an errno
constexpr std::chrono::milliseconds kFarewell(200);

bool send_logout(const os::Descriptor& console) {
  constexpr std::string_view kWords = "logout\n";
  return ::send(console.get(), kWords.data(), kWords.size(), MSG_NOSIGNAL) >= 0;
}

}  // namespace

void say_goodbye(const os::Descriptor& console) {
  if (!send_logout(console)) return;
  const auto end = std::chrono::steady_clock::now() + kFarewell;
  std::string rest;
  while (os::receive_more(console, rest, end, {"log out", "the console", "the switch"})) rest.clear();
}

PendingProbe::Answer PendingGreeting::look() {
  for (;;) {
    if (!leaving_ && text_.ends_with(kPrompt)) leaving_ = send_logout(socket_);
    const auto more = os::receive_more(socket_, text_, {}, {"greet", path_, "the switch"});
    if (more) continue;
    if (more.error().kind == ErrorKind::timeout) return Answer::none;
    return leaving_ ? Answer::alive : Answer::ended;
  }
}

Management::~Management() {
  if (!socket_) return;
  if (answers_)
    say_goodbye(socket_);
  else
    send_logout(socket_);
}

Result<Management> Management::open(const std::string& socket, std::chrono::milliseconds patience) {
  auto connection = os::connect_unix(socket);
  if (!connection) return connection.error();
  Management management(std::move(*connection), socket, patience);
  auto banner = management.read_until_prompt("greet");
  if (!banner) return banner.error();
  return management;
}

Result<std::string> Management::read_until_prompt(const std::string& tried) {
  std::string text;
  answers_ = false;
  const auto end = std::chrono::steady_clock::now() + patience_;
  while (!text.ends_with(kPrompt)) {
    if (auto more = os::receive_more(socket_, text, end, {tried, path_, "the switch"}); !more)
      return more.error();
  }
  answers_ = true;
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
  if (in_data)
    return Error{ErrorKind::exhausted,
                 command,
                 path_,
                 0,
                 "the switch cuts off its answer: it has more ports and VLANs than its console can list",
                 "declare fewer VLANs"};
  return Error{ErrorKind::internal, command, path_, 0, "the switch answered: " + *text, {}};
}

}  // namespace lanwright::vde
