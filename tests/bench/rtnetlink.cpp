#include "tests/bench/rtnetlink.h"

#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kReceiveBuffer = 64 << 20;  // bytes
constexpr auto kBystanderPause = 1ms;

LinkEvent event_of(const nlmsghdr* message) {
  const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  LinkEvent event;
  event.removed = message->nlmsg_type == RTM_DELLINK;
  event.ifindex = link->ifi_index;
  int left = static_cast<int>(IFLA_PAYLOAD(message));
  for (const rtattr* attribute = IFLA_RTA(link); RTA_OK(attribute, left);
       attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == IFLA_IFNAME) event.name = static_cast<const char*>(RTA_DATA(attribute));
    if (attribute->rta_type == IFLA_MASTER)
      std::memcpy(&event.master, RTA_DATA(attribute), sizeof event.master);
  }
  return event;
}

bool is_link_event(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return false;
  return static_cast<const ifinfomsg*>(NLMSG_DATA(message))->ifi_family == AF_UNSPEC;  // not a bridge's own
}

void throw_error(const nlmsghdr* message) {
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(message));
  if (error->error == 0) return;
  errno = -error->error;
  test::fail_errno("rtnetlink request");
}

}  // namespace

int ifindex_of(const std::string& name) {
  const unsigned index = if_nametoindex(name.c_str());
  if (index == 0) test::fail_errno("link " + name);
  return static_cast<int>(index);
}

LinkRequest::LinkRequest(std::uint16_t type, std::uint16_t flags, int ifindex, bool up)
    : bytes_(NLMSG_LENGTH(sizeof(ifinfomsg))) {
  nlmsghdr head{};
  head.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  ifinfomsg link{};
  link.ifi_index = ifindex;
  link.ifi_flags = up ? static_cast<unsigned>(IFF_UP) : 0U;
  link.ifi_change = up ? static_cast<unsigned>(IFF_UP) : 0U;
  std::memcpy(bytes_.data(), &head, sizeof head);
  std::memcpy(bytes_.data() + NLMSG_HDRLEN, &link, sizeof link);
}

LinkRequest& LinkRequest::put(std::uint16_t attribute, std::string_view bytes) {
  const std::size_t nest = begin(attribute);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  end(nest);
  return *this;
}

LinkRequest& LinkRequest::put_text(std::uint16_t attribute, const std::string& text) {
  return put(attribute, {text.c_str(), text.size() + 1});
}

std::size_t LinkRequest::begin(std::uint16_t attribute) {
  const std::size_t place = bytes_.size();
  const rtattr head{0, attribute};
  bytes_.resize(place + RTA_LENGTH(0));
  std::memcpy(bytes_.data() + place, &head, sizeof head);
  return place;
}

void LinkRequest::end(std::size_t nest) {
  const auto length = static_cast<std::uint16_t>(bytes_.size() - nest);
  std::memcpy(bytes_.data() + nest, &length, sizeof length);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  const auto whole = static_cast<std::uint32_t>(bytes_.size());
  std::memcpy(bytes_.data(), &whole, sizeof whole);
}

RouteSocket::RouteSocket(Hear what)
    : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE), "socket") {
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
  sockaddr_nl here{};
  here.nl_family = AF_NETLINK;
  here.nl_groups = what == Hear::links ? RTMGRP_LINK : 0;
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) != 0)
    test::fail_errno("bind netlink socket");
}

void RouteSocket::send(const std::vector<char>& requests) const {
  if (::send(socket_.get(), requests.data(), requests.size(), 0) < 0) test::fail_errno("send to rtnetlink");
}

void RouteSocket::change(const LinkRequest& request) {
  send(request.bytes());
  alignas(nlmsghdr) std::array<char, 4096> buffer{};
  while (true) {
    if (!wait(Clock::now() + 120s)) throw test::HarnessError("no answer of rtnetlink within 120 s");
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) test::fail_errno("receive from rtnetlink");
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (message->nlmsg_type == NLMSG_ERROR) return throw_error(message);
  }
}

std::vector<LinkEvent> RouteSocket::take() {
  std::vector<LinkEvent> events;
  alignas(nlmsghdr) std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) return events;
    if (size < 0) test::fail_errno("receive from rtnetlink");
    auto left = static_cast<unsigned>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_ERROR) throw_error(message);
      if (is_link_event(message)) events.push_back(event_of(message));
    }
    if (!events.empty()) return events;  // whoever measures wants them now
  }
}

bool RouteSocket::wait(Clock::time_point deadline) const {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd entry{socket_.get(), POLLIN, 0};
    if (poll(&entry, 1, static_cast<int>(left.count())) > 0) return true;
  }
}

BareRepairer::BareRepairer(Bridges bridges)
    : bridges_(std::move(bridges)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

BareRepairer::~BareRepairer() {
  thread_.request_stop();
  eventfd_write(wake_.get(), 1);
}

void BareRepairer::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> fds{pollfd{socket_.fd(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    poll(fds.data(), fds.size(), -1);
    if (fds[0].revents == 0) continue;
    for (const LinkEvent& event : socket_.take()) {
      const auto bridge = bridges_.find(event.name);
      if (event.removed && bridge != bridges_.end()) repair(bridge->first, bridge->second);
    }
  }
}

void BareRepairer::repair(const std::string& name, const std::vector<int>& ports) {
  const int ifindex = next_ifindex_++;
  LinkRequest bridge(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifindex, true);
  bridge.put_text(IFLA_IFNAME, name).put_number<std::uint32_t>(IFLA_MTU, 1500);
  const std::size_t info = bridge.begin(IFLA_LINKINFO);
  bridge.put_text(IFLA_INFO_KIND, "bridge");
  bridge.end(info);
  std::vector<char> requests = bridge.bytes();
  for (const int port : ports) {
    LinkRequest plug(RTM_NEWLINK, 0, port);
    plug.put_number(IFLA_MASTER, ifindex);
    requests.insert(requests.end(), plug.bytes().begin(), plug.bytes().end());
  }
  socket_.send(requests);
}

Bystander::Bystander() {
  LinkRequest create(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, 0, true);
  create.put_text(IFLA_IFNAME, "bystander");
  const std::size_t info = create.begin(IFLA_LINKINFO);
  create.put_text(IFLA_INFO_KIND, "veth");
  create.end(info);
  socket_.change(create);
  ifindex_ = ifindex_of("bystander");
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Bystander::~Bystander() {
  if (thread_.joinable()) stop();
  try {
    socket_.change(LinkRequest(RTM_DELLINK, NLM_F_ACK, ifindex_));
  } catch (const test::HarnessError&) {  // its namespace goes, too
  }
}

double Bystander::stop() {
  thread_.request_stop();
  thread_.join();
  return longest_;
}

void Bystander::run(const std::stop_token& stop) {
  for (std::uint32_t mtu = 1400; !stop.stop_requested(); mtu = mtu == 1400 ? 1300 : 1400) {
    const auto start = Clock::now();
    socket_.change(LinkRequest(RTM_NEWLINK, NLM_F_ACK, ifindex_).put_number(IFLA_MTU, mtu));
    longest_ = std::max(longest_, std::chrono::duration<double>(Clock::now() - start).count());
    std::this_thread::sleep_for(kBystanderPause);
  }
}

void wait_for_quiet_kernel() {
  constexpr auto kWatch = 300ms;
  constexpr double kQuick = 0.02;
  constexpr auto kAnswerTimeout = 2min;
  const auto deadline = Clock::now() + kAnswerTimeout;
  double longest = 1;
  while (longest > kQuick && Clock::now() < deadline) {
    Bystander bystander;
    std::this_thread::sleep_for(kWatch);
    longest = bystander.stop();
  }
}

}  // namespace lanwright::bench
