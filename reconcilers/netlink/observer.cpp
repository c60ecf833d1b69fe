#include "reconcilers/netlink/observer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "reconcilers/kinds/table.h"
#include "reconcilers/netlink/request.h"

namespace lanwright::netlink {

namespace {

constexpr int kRequestBuffer = 8 << 20;  // bytes; holds the answers to one window of requests
constexpr int kReceivesPerDrain =
    4096;  // a storm without end must not hold the loop; the rest stays readable
constexpr std::array kGroups{RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                             RTNLGRP_IPV6_ROUTE, RTNLGRP_NSID,        RTNLGRP_BRVLAN};

// Lets no route event pass but those of the agent's own protocol and of default routes: a host with a full
// table would drown the socket. Source: Documentation/networking/filter.rst; loads are in network byte order.
Result<void> drop_foreign_routes(int fd) {
  constexpr unsigned kType = offsetof(nlmsghdr, nlmsg_type);
  constexpr unsigned kLength = NLMSG_HDRLEN + offsetof(rtmsg, rtm_dst_len);
  constexpr unsigned kProtocol = NLMSG_HDRLEN + offsetof(rtmsg, rtm_protocol);
  std::array program{
      sock_filter BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kType),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 4),
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kLength),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kProtocol),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kOwnProtocol, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
      sock_filter BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0) return {};
  return error_from_errno(errno, "filter", "netlink events");
}

Message id_message(int type, const os::Descriptor& netns) {
  Message message(type, NLM_F_REQUEST | NLM_F_ACK, rtgenmsg{});
  message.put_s32(NETNSA_FD, netns.get());
  return message;
}

Error moved(const std::string& path) {
  return {ErrorKind::waiting,
          "enter network namespace",
          path,
          0,
          "the path names another namespace than before",
          ""};
}

}  // namespace

Result<std::unique_ptr<Observer>> Observer::open(const NetlinkOptions& options) {
  auto managed = os::open_namespace(options.netns);
  if (!managed) return managed.error();
  auto requests = Socket::open(managed->descriptor, kRequestBuffer);
  if (!requests) return requests.error();
  auto events = Socket::open(managed->descriptor, options.receive_buffer);
  if (!events) return events.error();
  std::unique_ptr<Observer> observer(
      new Observer(std::move(*managed), std::move(*requests), std::move(*events)));
  if (auto done = observer->subscribe(); !done) return done.error();
  // With an id of its own the managed namespace is told apart like every other one.
  auto id = observer->id_of(observer->managed_.descriptor);
  if (!id) return id.error();
  observer->remember("", {observer->requests_.cookie(), *id});
  return observer;
}

Result<void> Observer::subscribe() {
  if (auto done = drop_foreign_routes(events_.fd()); !done) return done;
  const int on = 1;
  if (::setsockopt(events_.fd(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) != 0) {
    return error_from_errno(errno, "listen to", "all network namespaces", "CAP_NET_BROADCAST is needed");
  }
  for (const int group : kGroups) {
    if (::setsockopt(events_.fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return error_from_errno(errno, "subscribe to", "netlink events");
    }
  }
  return {};
}

// The namespace's id as seen from the managed one, given now if it has none: without one it is not heard.
Result<int> Observer::id_of(const os::Descriptor& netns) {
  int id = -1;
  const auto read = [&id](const nlmsghdr& message) {
    id = Attributes(message, NLMSG_ALIGN(sizeof(rtgenmsg))).s32(NETNSA_NSID).value_or(-1);
  };
  Reply reply = perform_one(requests_, id_message(RTM_GETNSID, netns), read);
  if (reply.ok() && id < 0) {
    Message assign = id_message(RTM_NEWNSID, netns);
    assign.put_s32(NETNSA_NSID, -1);
    // EEXIST: somebody else was faster.
    reply = perform_one(requests_, std::move(assign));
    if (reply.ok() || reply.error == EEXIST) {
      reply = perform_one(requests_, id_message(RTM_GETNSID, netns), read);
    }
  }
  if (reply.ok() && id >= 0) return id;
  return error_from_errno(reply.error == 0 ? ENOENT : reply.error, "number", "a network namespace",
                          reply.words);
}

Result<Observer::Visited> Observer::visit(const std::string& path) {
  auto file = os::open_namespace(path);
  if (!file) return file.error();
  auto socket = Socket::open(file->descriptor, kRequestBuffer);
  if (!socket) return socket.error();
  return Visited{std::move(*file), std::move(*socket)};
}

Result<Observer::Visited> Observer::visit_observed(const std::string& path) const {
  auto visited = visit(path);
  if (!visited) return visited;
  const auto known = watched_.find(path);
  if (known == watched_.end() || known->second.cookie != visited->socket.cookie()) return moved(path);
  return visited;
}

Result<os::Descriptor> Observer::reopen(const std::string& netns) const {
  if (netns.empty()) {
    os::Descriptor copy(::fcntl(managed_.descriptor.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return error_from_errno(errno, "open", "the managed network namespace");
    return copy;
  }
  auto visited = visit_observed(netns);
  if (!visited) return visited.error();
  return std::move(visited->file.descriptor);
}

Result<std::shared_ptr<Socket>> Observer::enter(const std::string& netns) {
  if (netns.empty()) return std::shared_ptr<Socket>(std::shared_ptr<void>(), &requests_);
  auto visited = visit_observed(netns);
  if (!visited) return visited.error();
  return std::make_shared<Socket>(std::move(visited->socket));
}

void Observer::remember(const std::string& path, const Identity& identity) {
  watched_[path] = identity;
  if (identity.nsid >= 0) paths_by_id_[identity.nsid].push_back(path);
}

void Observer::forget(const std::string& path) {
  const auto known = watched_.find(path);
  if (known == watched_.end()) return;
  if (const auto found = paths_by_id_.find(known->second.nsid); found != paths_by_id_.end()) {
    std::erase(found->second, path);
    if (found->second.empty()) paths_by_id_.erase(found);
  }
  stale_.erase(path);
  watched_.erase(known);
}

// With all other paths that lead to the same namespace.
void Observer::touch(const std::string& path, ObservedChange& touched) const {
  touched.namespaces.insert(path);
  const auto known = watched_.find(path);
  const auto paths = known != watched_.end() ? paths_by_id_.find(known->second.nsid) : paths_by_id_.end();
  if (paths != paths_by_id_.end()) touched.namespaces.insert(paths->second.begin(), paths->second.end());
}

// The whole namespace at `path`. One that is not there is not an error but a fact.
Result<NamespaceFacts> Observer::read(const std::string& path, Identity& identity) {
  identity = {};
  if (path.empty()) {
    identity = watched_.at(path);
    auto facts = read_namespace(requests_, true);
    if (!facts) return facts;
    facts->present = true;
    facts->inode = managed_.inode;
    return facts;
  }
  auto visited = visit(path);
  if (!visited && visited.error().kind == ErrorKind::exhausted)
    return visited.error();  // it may well be there
  if (!visited) return NamespaceFacts{};
  // The id comes first: from then on its events are heard.
  auto id = id_of(visited->file.descriptor);
  if (!id) return id.error();
  auto facts = read_namespace(visited->socket, false);
  if (!facts) return facts;
  identity = {visited->socket.cookie(), *id};
  facts->present = true;
  facts->inode = visited->file.inode;
  facts->nsid = identity.cookie == requests_.cookie() ? -1 : identity.nsid;
  return facts;
}

void Observer::look_at(const std::string& path, Observed& observed, ObservedChange& touched) {
  Identity identity;
  auto facts = read(path, identity);
  touch(path, touched);
  if (!facts) {
    observed.complete = false;
    touched.overrun = true;
    return;
  }
  forget(path);
  remember(path, identity);
  touch(path, touched);
  observed.namespaces[path] = std::move(*facts);
}

Result<ObservedChange> Observer::resync(Observed& observed) {
  observed.complete = false;
  discard_events();
  std::map<std::string, std::pair<Identity, NamespaceFacts>> fresh;
  for (const auto& [path, known] : watched_) {
    auto& [identity, facts] = fresh[path];
    auto result = read(path, identity);
    if (!result) return result.error();
    facts = std::move(*result);
  }
  paths_by_id_.clear();
  stale_.clear();
  gone_.clear();
  observed.namespaces.clear();
  for (auto& [path, entry] : fresh) {
    remember(path, entry.first);
    observed.namespaces[path] = std::move(entry.second);
  }
  observed.complete = true;
  // What happened while the lists were read is waiting and is applied on top of them.
  ObservedChange touched = drain(observed);
  touched.full_resync = true;
  return touched;
}

// All of them are older than the lists that are read next.
void Observer::discard_events() {
  for (int i = 0; i < kReceivesPerDrain; ++i) {
    const int error = events_.receive([](const Socket::Datagram&) {});
    if (error != 0 && error != ENOBUFS) return;
  }
}

ObservedChange Observer::watch(const std::set<std::string>& paths, Observed& observed) {
  ObservedChange touched;
  std::vector<std::string> dropped;
  for (const auto& [path, known] : watched_) {
    if (!path.empty() && paths.count(path) == 0) dropped.push_back(path);
  }
  for (const std::string& path : dropped) {
    touch(path, touched);
    forget(path);
    observed.namespaces.erase(path);
  }
  for (const std::string& path : paths) {
    if (watched_.count(path) == 0) look_at(path, observed, touched);
  }
  return touched;
}

ObservedChange Observer::recheck(const std::string& path, Observed& observed) {
  ObservedChange touched;
  const auto known = watched_.find(path);
  if (path.empty() || known == watched_.end()) return touched;
  const auto visited = visit(path);
  const std::uint64_t cookie = visited ? visited->socket.cookie() : 0;
  if (cookie != known->second.cookie) look_at(path, observed, touched);
  return touched;
}

ObservedChange Observer::drain(Observed& observed) {
  ObservedChange touched;
  for (int i = 0; i < kReceivesPerDrain; ++i) {
    const int error =
        events_.receive([&](const Socket::Datagram& datagram) { apply(datagram, observed, touched); });
    if (error == EAGAIN) break;
    if (error == 0) continue;
    touched.overrun = true;
    if (error != ENOBUFS) break;
  }
  settle(observed, touched);
  if (touched.overrun) observed.complete = false;
  return touched;
}

void Observer::apply(const Socket::Datagram& datagram, Observed& observed, ObservedChange& touched) {
  if (datagram.truncated) touched.overrun = true;
  const int own_id = watched_.at("").nsid;
  const int id = datagram.nsid < 0 ? own_id : datagram.nsid;
  const auto paths = paths_by_id_.find(id);
  if (paths == paths_by_id_.end()) return;
  for_each_message(datagram.bytes, [&](const nlmsghdr& event) {
    ++touched.messages;
    if (event.nlmsg_type == RTM_DELNSID && id == own_id) return apply_id_event(event);
    for (const std::string& path : paths->second) apply_to(path, event, observed, touched);
  });
}

void Observer::apply_to(const std::string& path, const nlmsghdr& event, Observed& observed,
                        ObservedChange& touched) {
  NamespaceFacts& facts = observed.namespaces[path];
  FactsEditor editor(path, facts, touched, stale_[path]);
  const auto* head = fixed_part<ifinfomsg>(event);
  const bool deleted = event.nlmsg_type == RTM_DELLINK;
  if ((event.nlmsg_type != RTM_NEWLINK && !deleted) || head == nullptr || is_of_bridge(event)) {
    return editor.apply(event);
  }
  const LinkFact* before = facts.find(head->ifi_index);
  const bool moved = deleted && Attributes(event, sizeof *head).has(IFLA_NEW_NETNSID);
  if (moved && before != nullptr && kinds::kind_of(before->kind).paired)
    suspect_end_of_moved(head->ifi_index, observed);
  editor.apply(event);
  const LinkFact* after = before == nullptr ? facts.find(head->ifi_index) : nullptr;
  if (after != nullptr && kinds::kind_of(after->kind).paired) suspect_end_of_new(path, *after, observed);
}

// When one end of a veth moves to another namespace, the other end has no event, but another `parent` and
// `parent_nsid`. Ends name each other in numbers of their own namespaces: all that may be meant are asked.
void Observer::suspect_end_of_moved(int ifindex, const Observed& observed) {
  for (const auto& [path, facts] : observed.namespaces) {
    for (const auto& [other, fact] : facts.links()) {
      if (fact.parent == ifindex && kinds::kind_of(fact.kind).paired) stale_[path].links.insert(other);
    }
  }
}

// It may come from a namespace that is not watched. The other end matters here when it is in the managed
// namespace, or in the same.
void Observer::suspect_end_of_new(const std::string& path, const LinkFact& end, const Observed& observed) {
  const std::string place = end.parent_nsid < 0 ? path : std::string();
  const NamespaceFacts* facts = observed.find(place);
  const LinkFact* other = facts != nullptr ? facts->find(end.parent) : nullptr;
  if (other != nullptr && kinds::kind_of(other->kind).paired && other->parent != 0)
    stale_[place].links.insert(other->ifindex);
}

void Observer::apply_id_event(const nlmsghdr& event) {
  const auto id = Attributes(event, NLMSG_ALIGN(sizeof(rtgenmsg))).s32(NETNSA_NSID);
  const auto ended = id ? paths_by_id_.find(*id) : paths_by_id_.end();
  if (ended != paths_by_id_.end()) gone_.insert(ended->second.begin(), ended->second.end());
}

// What the events left open is read from the kernel now, so that the facts are whole when drain() returns.
void Observer::settle(Observed& observed, ObservedChange& touched) {
  for (const std::string& path : std::exchange(gone_, {})) {
    if (watched_.count(path) > 0) look_at(path, observed, touched);
  }
  std::vector<std::string> paths;
  for (const auto& [path, stale] : stale_) {
    if (!stale.empty()) paths.push_back(path);
  }
  for (const std::string& path : paths) {
    if (settle(path, observed, touched)) continue;
    // The namespace is another one by now, or would not be read: look at it as a whole.
    look_at(path, observed, touched);
  }
  stale_.clear();
}

Result<void> Observer::settle(const std::string& path, Observed& observed, ObservedChange& touched) {
  const Stale what = std::exchange(stale_[path], {});
  FactsEditor editor(path, observed.namespaces[path], touched, stale_[path]);
  if (path.empty()) return editor.reread(what, requests_);
  auto socket = enter(path);
  return socket ? editor.reread(what, **socket) : Result<void>(socket.error());
}

}  // namespace lanwright::netlink
