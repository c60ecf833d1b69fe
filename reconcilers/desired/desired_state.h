// Everything that is desired, with the indexes that say whom a change concerns. Changed in place; changeset.h
// puts a change back that cannot be kept. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/abandoned.h"
#include "model/base/ids.h"
#include "model/base/result.h"
#include "model/desired.h"
#include "model/finalizer.h"
#include "model/link.h"
#include "model/observed.h"
#include "reconcilers/drivers/driver.h"

namespace lanwright::desired {

struct Declaration {
  ResourceId id;
  std::string set;  // empty: nobody declared it; a VLAN link made on demand, for networks that name it
  ObjectUid uid;
  std::uint64_t generation = 0;
  bool deleting = false;
  bool adopt = false;
  std::shared_ptr<const ObjectSpec> spec;
  std::vector<IpPrefix> allocations{};  // addresses assigned from the subnets of an attachment's network

  bool implicit() const { return set.empty(); }
};

class Depths;
class HostNames;

// A routing table has one place for a destination by a metric.
struct RoutePlace {
  std::string netns;  // path
  IpPrefix to;
  std::uint32_t metric = 0;
  auto operator<=>(const RoutePlace&) const = default;
};

// An object, and the network that it is plugged into, as they were declared together.
struct DesiredObject {
  Declaration object;
  std::shared_ptr<const DesiredObject> network;  // of an attachment, when there is such a network
  // What it wants, compiled from the above: kept by nobody, as thousands of objects at rest need little
  // room. While deleting: what it used to want.
  drivers::Resources compile() const;
};

class DesiredState {
 public:
  // All that a desired state is made of: cheap to copy on its thread, and as it was then, for any thread.
  struct Parts {
    std::vector<std::shared_ptr<const DesiredObject>> objects;
    std::map<ObjectUid, std::set<Finalizer>> finalizers;
  };

  DesiredState() = default;
  explicit DesiredState(Parts parts);
  Parts parts() const;

  // Adds an object or replaces the one with this id. Order does not matter: what depends on it is compiled
  // anew.
  void put(Declaration object);
  void erase(const ResourceId& id);
  void set_finalizers(const ObjectUid& uid, std::set<Finalizer> finalizers);

  // The first thing that cannot be, naming both sides: two objects that want one link or one route, an
  // attachment whose network is missing, a link that stands on itself. Looks at these objects; at all when
  // absent. With the facts of the managed namespace also what two objects mean by different names of one
  // link. One that is given up finds nothing.
  Result<void> check(const std::set<ResourceId>* changed = nullptr, const NamespaceFacts* host = nullptr,
                     const Abandoned& abandoned = {}) const;

  const DesiredObject* find(const ResourceId& id) const;
  // Stays as it is while somebody holds it, whatever is put in its place.
  std::shared_ptr<const DesiredObject> share(const ResourceId& id) const;
  const DesiredObject* find_uid(const ObjectUid& uid) const;
  const std::map<ResourceId, std::shared_ptr<const DesiredObject>>& entries() const { return entries_; }
  // Whose link this is, by its wanted name. Of an object that is being deleted only when nobody else wants
  // it.
  const DesiredObject* owner_of(const LinkName& link) const;
  // Objects that are to be compared anew: owners and users of what moved, and those whose tag it carries.
  std::set<ResourceId> concerned_by(const ObservedChange& change) const;
  // Somebody who stands on the links of this object and is not among those that leave. What is implicit does
  // not count: it leaves with its last user.
  const DesiredObject* user_outside(const DesiredObject& object, const std::set<ResourceId>& leaving) const;
  // VLAN links that networks name as their parent ("eth0.50") and that nobody declares, with their names.
  std::map<std::string, VlanSpec> implicit_vlans() const;
  // Objects that use this link without owning it: as uplink, master or parent.
  std::vector<const DesiredObject*> users_of(const LinkName& link) const;
  // Objects with links in this namespace, by path.
  std::vector<const DesiredObject*> in_namespace(const std::string& netns) const;
  std::set<std::string> namespaces() const;  // all but the managed one
  // Those of which there are networks, or that have left something of one.
  std::set<std::string> drivers() const;
  std::vector<ResourceId> attachments_of(const std::string& network) const;
  const std::set<Finalizer>& finalizers_of(const ObjectUid& uid) const;

 private:
  // What the indexes point to is kept alive by `entries_`.
  template <class Key>
  using Index = std::map<Key, std::set<const DesiredObject*>>;
  struct ByUid {
    using is_transparent = void;
    static const ObjectUid& key(const DesiredObject* entry) { return entry->object.uid; }
    static const ObjectUid& key(const ObjectUid& uid) { return uid; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return key(a) < key(b);
    }
  };

  Result<void> check(const DesiredObject& entry, Depths& depths, const HostNames& names) const;
  Result<void> check_subnets(const DesiredObject& entry) const;
  Result<void> check_vlan(const DesiredObject& entry, const HostNames& names) const;
  Result<void> check_mac(const DesiredObject& entry, const drivers::Resources& resources,
                         const HostNames& names) const;
  Result<void> check_mtu(const DesiredObject& entry, const drivers::Resources& resources) const;
  Result<void> check_sole_use(const DesiredObject& entry, const drivers::Resources& resources) const;
  Result<void> check_routes(const DesiredObject& entry, const drivers::Resources& resources) const;
  Result<void> check_room(const DesiredObject& entry, const drivers::Resources& resources) const;
  Result<void> check_openflow(const DesiredObject& entry, const drivers::Resources& resources) const;
  void add_choosers_of_datapath_ids(std::set<ResourceId>& ids) const;
  void add_users_of_ovs(std::set<ResourceId>& ids) const;
  void place(Declaration object);
  void index(const DesiredObject& entry);
  void unindex(const DesiredObject& entry);
  std::vector<const DesiredObject*> owners_of(const LinkName& link) const;

  std::map<ResourceId, std::shared_ptr<const DesiredObject>> entries_;
  std::set<const DesiredObject*, ByUid> by_uid_;
  std::multimap<LinkName, const DesiredObject*> owners_;  // rarely more than one: check() refuses it
  Index<LinkName> users_;
  Index<std::string> by_namespace_;
  Index<std::string> by_network_;   // attachments
  Index<std::string> by_vlan_;      // networks with a NAME.VID as their parent or an uplink
  Index<MacAddress> by_mac_;        // attachments that name their MAC address
  Index<RoutePlace> routes_;        // who declares this route
  Index<RoutePlace> connected_;     // whose address brings it
  Index<std::string> by_driver_;    // networks
  Index<std::string> by_openflow_;  // who chose this datapath id, or this port of a bridge
  std::map<ObjectUid, std::set<Finalizer>> finalizers_;
  std::set<ObjectUid> has_left_bridges_;  // of Open vSwitch
};

// The order of creation: 0 for what stands on nothing of ours, otherwise one above what it stands on.
// Remembers what it found; for one desired state that does not change meanwhile.
class Depths {
 public:
  static constexpr int kDeepest = 64;  // and what stands on itself; the kernel itself allows 8 (MAX_NEST_DEV)

  explicit Depths(const DesiredState& desired) : desired_(desired) {}
  int of(const DesiredObject& entry);

 private:
  const DesiredState& desired_;
  std::map<const DesiredObject*, int> known_;
};

}  // namespace lanwright::desired
