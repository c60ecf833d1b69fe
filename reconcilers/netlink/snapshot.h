// The facts of one namespace: read whole from the kernel, and kept by its events.
#pragma once

#include <set>
#include <string>

#include "model/base/result.h"
#include "model/observed.h"
#include "reconcilers/netlink/link_codec.h"
#include "reconcilers/netlink/socket.h"

namespace lanwright::netlink {

// Links with their addresses, own routes and, where a bridge filters VLANs, port VLANs of the socket's
// namespace. Only `links()` is filled. An error when a list could not be had complete and consistent.
// Of the managed namespace those routes are left out that may be many (see RouteFact).
Result<NamespaceFacts> read_namespace(Socket& socket, bool managed);

// What events have shown to be out of date without telling the new state.
struct Stale {
  bool routes = false;       // IPv4 routes go without an event when their link goes down or loses an address
  bool rare_routes = false;  // default routes of protocols that are not looked for otherwise
  bool vlans = false;        // VLANs of ports
  std::set<int> links;  // links that are down: the kernel tells of no change of alias, group or attributes
  bool empty() const { return !routes && !rare_routes && !vlans && links.empty(); }
};

// Brings the facts of one namespace up to date, noting what was touched. Applying a message that is older
// than the facts does no lasting harm: whatever came later has a message of its own, or is noted in `stale`.
class FactsEditor {
 public:
  FactsEditor(const std::string& netns, NamespaceFacts& facts, ObservedChange& touched, Stale& stale)
      : netns_(netns), facts_(facts), touched_(touched), stale_(stale) {}

  void apply(const nlmsghdr& event);

  // Asks the kernel for what was noted as stale; nothing is, afterwards.
  Result<void> reread(const Stale& what, Socket& socket);

 private:
  void put_link(LinkFact fact);
  bool may_change_unheard(const LinkFact& fact, const LinkFact* known) const;
  void remove_link(int ifindex);
  void put_port(const PortFact& port);
  void put_address(const nlmsghdr& event);
  void remove_address(const nlmsghdr& event);
  void put_route(const nlmsghdr& event);
  void remove_route(const nlmsghdr& event);
  bool filters_vlans(int bridge) const;
  void touch(const LinkFact& fact);
  void touch_routes(const LinkFact& fact, const std::vector<RouteFact>& changed);
  bool is_watched(const RouteFact& route) const;
  Result<void> reread_routes(Socket& socket, bool rare);
  Result<void> reread_vlans(Socket& socket);
  Result<void> reread_links(const std::set<int>& links, Socket& socket);

  const std::string& netns_;
  NamespaceFacts& facts_;
  ObservedChange& touched_;
  Stale& stale_;
};

}  // namespace lanwright::netlink
