#include "tests/integration/link_watcher.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kReceiveBuffer = 64 << 20;  // bytes

std::string name_of_link(const nlmsghdr* message) {
  int left = static_cast<int>(IFLA_PAYLOAD(message));
  const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  for (const rtattr* attribute = IFLA_RTA(link); RTA_OK(attribute, left);
       attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == IFLA_IFNAME) return static_cast<const char*>(RTA_DATA(attribute));
  }
  return {};
}

Notice notice_of(const nlmsghdr* message) {
  Notice notice{message->nlmsg_type, 0, 0, {}};
  if (message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK) {
    const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
    notice.family = link->ifi_family;
    notice.ifindex = link->ifi_index;
    notice.name = name_of_link(message);
  } else if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR) {
    const auto* address = static_cast<const ifaddrmsg*>(NLMSG_DATA(message));
    notice.family = address->ifa_family;
    notice.ifindex = static_cast<int>(address->ifa_index);
  }
  return notice;
}

}  // namespace

LinkWatcher::LinkWatcher(const std::string& netns)
    : socket_(socket_in(netns, AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl here{};  // an unbound socket hears nothing of what the kernel does by itself
  here.nl_family = AF_NETLINK;
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) != 0)
    fail_errno("bind netlink socket");
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
  for (const int group :
       {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE}) {
    if (setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      fail_errno("subscribe to rtnetlink group " + std::to_string(group));
    }
  }
}

std::vector<Notice> LinkWatcher::take() {
  std::vector<Notice> notices;
  alignas(nlmsghdr) std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) return notices;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail_errno("receive rtnetlink notifications");
    auto left = static_cast<unsigned>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      notices.push_back(notice_of(message));
    }
  }
}

bool LinkWatcher::wait_readable(Clock::time_point deadline) const {
  while (true) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd entry{socket_.get(), POLLIN, 0};
    if (poll(&entry, 1, static_cast<int>(left.count())) > 0) return true;
  }
}

bool LinkWatcher::wait_for(const std::function<bool(const Notice&)>& condition, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  do {
    const auto notices = take();
    if (std::ranges::any_of(notices, condition)) return true;
  } while (wait_readable(deadline));
  return false;
}

bool LinkWatcher::wait_until(const std::function<bool()>& condition, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (!condition()) {
    if (!wait_readable(deadline)) return condition();
    take();
  }
  return true;
}

}  // namespace lanwright::test
