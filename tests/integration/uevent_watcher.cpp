#include "tests/integration/uevent_watcher.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <sstream>

namespace lanwright::test {

UeventWatcher::UeventWatcher(const std::string& netns)
    : socket_(socket_in(netns, AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT)) {
  sockaddr_nl here{};
  here.nl_family = AF_NETLINK;
  here.nl_groups = 1;  // what the kernel says; 2 is what udev makes of it
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) != 0)
    fail_errno("bind socket of uevents");
}

std::vector<Uevent> UeventWatcher::take() {
  std::vector<Uevent> events;
  std::array<char, 8192> buffer{};
  while (true) {
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) return events;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail_errno("receive uevents");
    // "ACTION@DEVPATH", then KEY=VALUE, each ended by a zero.
    std::istringstream words(std::string(buffer.data(), static_cast<std::size_t>(size)));
    Uevent event;
    for (std::string word; std::getline(words, word, '\0');) {
      const auto equals = word.find('=');
      if (equals != std::string::npos && word.find('@') > equals)
        event[word.substr(0, equals)] = word.substr(equals + 1);
    }
    if (event["SUBSYSTEM"] == "net") events.push_back(std::move(event));
  }
}

}  // namespace lanwright::test
