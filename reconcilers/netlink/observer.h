// Keeps Observed like the kernel: one event socket hears the managed namespace and all others that have an id
// there. Owns the sockets of the managed namespace. One thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/observed.h"
#include "reconcilers/netlink/backend.h"
#include "reconcilers/netlink/snapshot.h"
#include "reconcilers/netlink/socket.h"

namespace lanwright::netlink {

// What the kernel says, as facts: read at first, then kept by its events. Its methods are ways to look (at
// all, at a namespace, at an event) and to keep who is watched; they work on one table, which is why they are
// one class.
class Observer {
 public:
  static Result<std::unique_ptr<Observer>> open(const NetlinkOptions& options);

  // As LinkBackend says.
  int event_fd() const { return events_.fd(); }
  ObservedChange drain(Observed& observed);
  Result<ObservedChange> resync(Observed& observed);
  ObservedChange watch(const std::set<std::string>& paths, Observed& observed);
  ObservedChange recheck(const std::string& path, Observed& observed);

  // For those who send changes.
  // The namespace that was observed under this path, and a socket in it, for the time of a call; `waiting`
  // when the path names another namespace by now.
  Result<os::Descriptor> reopen(const std::string& netns) const;
  Result<std::shared_ptr<Socket>> enter(const std::string& netns);
  // The next drain() reads this link again: what was changed on it makes no event.
  void look_again(const std::string& netns, int ifindex) { stale_[netns].links.insert(ifindex); }
  // The same of all its default routes, rare ones included.
  void look_for_default_routes(const std::string& netns) { stale_[netns].rare_routes = true; }

 private:
  // Who a watched path is. cookie 0: nobody.
  struct Identity {
    std::uint64_t cookie = 0;
    int nsid = -1;  // as the managed namespace numbers it, its own number included
  };
  struct Visited {
    os::NamespaceFile file;
    Socket socket;
  };

  Observer(os::NamespaceFile managed, Socket requests, Socket events)
      : managed_(std::move(managed)), requests_(std::move(requests)), events_(std::move(events)) {}

  Result<void> subscribe();
  Result<int> id_of(const os::Descriptor& netns);
  static Result<Visited> visit(const std::string& path);
  Result<Visited> visit_observed(const std::string& path) const;
  Result<NamespaceFacts> read(const std::string& path, Identity& identity);
  void look_at(const std::string& path, Observed& observed, ObservedChange& touched);
  void forget(const std::string& path);
  void touch(const std::string& path, ObservedChange& touched) const;
  void remember(const std::string& path, const Identity& identity);
  void discard_events();
  void apply(const Socket::Datagram& datagram, Observed& observed, ObservedChange& touched);
  void apply_to(const std::string& path, const nlmsghdr& event, Observed& observed, ObservedChange& touched);
  void suspect_end_of_moved(int ifindex, const Observed& observed);
  void suspect_end_of_new(const std::string& path, const LinkFact& end, const Observed& observed);
  void apply_id_event(const nlmsghdr& event);
  void settle(Observed& observed, ObservedChange& touched);
  Result<void> settle(const std::string& path, Observed& observed, ObservedChange& touched);

  os::NamespaceFile managed_;
  Socket requests_;
  Socket events_;
  std::map<std::string, Identity> watched_;  // by path, "" included
  std::unordered_map<int, std::vector<std::string>> paths_by_id_;
  std::map<std::string, Stale> stale_;  // by path
  std::set<std::string> gone_;          // paths whose namespace ended: they may name a new one
};

}  // namespace lanwright::netlink
