// What is, as the sources of observed state last told it. Kept incrementally; read by the planner as a value.
// Sources are netlink (links of every namespace that matters), the switch processes, and the database of Open
// vSwitch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/link.h"
#include "model/ovs.h"
#include "model/switches.h"

namespace lanwright {

// The links of one network namespace, with the indexes that the planner needs. Invariant: the indexes agree
// with `links`; only put() and erase() change them.
//
// A copy costs nothing: it shares the links with the original until one of the two changes, which then gets
// links of its own. Copies are made, changed and destroyed on the thread of the original; others may read
// one.
class NamespaceFacts {
 public:
  bool present = false;     // the path names a network namespace now
  std::uint64_t inode = 0;  // of the nsfs file: tells a namespace from its successor under the same path
  int nsid = -1;            // as the managed namespace numbers it; -1 for the managed one itself

  const LinkFact* find(int ifindex) const;
  const LinkFact* find(const std::string& name) const;  // by name, then by alternative name
  const LinkFact* find(const OwnerTag& mark) const;
  std::vector<const LinkFact*> marked(
      const ObjectUid& uid) const;              // all links with this uid, whatever their role
  std::vector<int> ports_of(int master) const;  // ifindexes, ascending; O(links)

  void put(LinkFact fact);  // adds, or replaces the link with this ifindex
  void erase(int ifindex);
  void clear();
  // Changes a link in place when only its addresses, routes or VLANs change; nullptr when it is not there. To
  // be used before the next copy is made.
  LinkFact* edit(int ifindex);

  const std::unordered_map<int, LinkFact>& links() const { return tables_->links; }

 private:
  struct Tables {
    std::unordered_map<int, LinkFact> links;
    std::unordered_map<std::string, int> by_name;
    std::unordered_multimap<ObjectUid, int> by_uid;

    void index(const LinkFact& fact);
    void unindex(const LinkFact& fact);
  };
  Tables& own();  // to be changed

  std::shared_ptr<Tables> tables_ = std::make_shared<Tables>();
};

// A network namespace, whichever path leads to it: its inode, or its path while nothing is there.
struct NamespaceId {
  std::uint64_t inode = 0;
  std::string path;
  auto operator<=>(const NamespaceId&) const = default;
  bool operator==(const NamespaceId&) const = default;
};

struct Observed {
  // By netns path; "" is the managed namespace, always there once the first dump is complete. A namespace is
  // here once for each path that leads to it.
  std::map<std::string, NamespaceFacts> namespaces;
  std::map<std::string, SwitchFact> switches;  // by network; what runs, and what holds a place that is wanted
  OvsFacts ovs;                                // of Open vSwitch, as long as somebody wants a bridge of it
  // False after an overrun or an interrupted dump until a complete re-read: nothing is removed meanwhile.
  bool complete = false;

  const NamespaceFacts* find(const std::string& netns) const;
  const LinkFact* find(const LinkName& where) const;
  NamespaceId id_of(const std::string& netns) const;
  bool is_same_namespace(const std::string& a, const std::string& b) const {
    return a == b || id_of(a) == id_of(b);
  }
};

// What moved since the last look. Only says where to look again.
struct ObservedChange {
  std::set<LinkName> links;  // changed, appeared or went (under each name it had)
  std::set<ObjectUid> uids;  // of the tags that those links carried
  // Appeared, went, or were read anew; and by which other paths these were, or are, the same ones. Others'
  // default routes there changed.
  std::set<std::string> namespaces;
  std::set<std::string> switches;     // networks in whose place somebody came or went
  std::set<std::string> ovs_bridges;  // of Open vSwitch: came, went, or have another owner or id
  std::set<std::string> ovs_ports;    // the same of ports and bridges, and what changed otherwise: by name
  bool ovs_state = false;             // Open vSwitch came, was initialised, or was lost
  bool full_resync = false;           // a full re-read happened
  bool overrun = false;               // the socket overran: the source is stale until resync()
  std::size_t messages = 0;
};

}  // namespace lanwright
