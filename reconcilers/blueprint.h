// Everything that is wanted, compiled to links, with the indexes that tell whom a change concerns. A value:
// cheap to copy (what did not change is shared), so that a request is tried on a copy and kept or thrown
// away.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/desired.h"
#include "model/ids.h"
#include "model/link.h"
#include "model/result.h"
#include "reconcilers/driver.h"

namespace lanwright {

struct WantedObject {
  ResourceId id;
  std::string set;  // empty: nobody declared it; a VLAN link made on demand, for networks that name it
  Uid uid;
  std::uint64_t generation = 0;
  bool deleting = false;
  bool adopt = false;
  std::shared_ptr<const ObjectSpec> spec;
  std::vector<IpPrefix> leases{};  // addresses assigned from the subnets of an attachment's network

  bool on_demand() const { return set.empty(); }
};

// A place where an object once had links, as a claim: it is looked at until nothing of the object is left
// there.
inline constexpr std::string_view kPlaceClaim = "netns:";

class Depths;

class Blueprint {
 public:
  // An object, and the network that it is plugged into, as they were declared together.
  struct Entry {
    WantedObject object;
    std::shared_ptr<const Entry> network;  // of an attachment, when there is such a network
    // What it wants, compiled from the above: kept by nobody, as thousands of objects at rest need little
    // room. While deleting: what it used to want.
    Parts parts() const;
  };

  // Adds an object or replaces the one with this id. Order does not matter: what depends on it is compiled
  // anew.
  void put(WantedObject object);
  void erase(const ResourceId& id);
  void set_claims(const Uid& uid, std::set<std::string> links);

  // The first thing that cannot be, naming both sides: two objects that want one link, an attachment whose
  // network is missing, a link that stands on itself. Looks at these objects; at all when absent.
  Result<void> check(const std::set<ResourceId>* changed = nullptr) const;

  const Entry* find(const ResourceId& id) const;
  const Entry* find_uid(const Uid& uid) const;
  const std::map<ResourceId, std::shared_ptr<const Entry>>& entries() const { return entries_; }
  // Whose link this is, by its wanted name. Of an object that is being deleted only when nobody else wants
  // it.
  const Entry* owner_of(const LinkName& link) const;
  // VLAN links that networks name as their parent ("eth0.50") and that nobody declares, with their names.
  std::map<std::string, VlanSpec> demanded_vlans() const;
  // Objects that use this link without owning it: as uplink, master or parent.
  std::vector<const Entry*> users_of(const LinkName& link) const;
  // Objects with links in this namespace, by path.
  std::vector<const Entry*> in_namespace(const std::string& netns) const;
  std::set<std::string> namespaces() const;  // all but the managed one
  std::vector<ResourceId> attachments_of(const std::string& network) const;
  const std::set<std::string>& claims_of(const Uid& uid) const;

 private:
  // Entries are shared with copies of the blueprint, each of which keeps alive what its indexes point to.
  template <class Key>
  using Index = std::map<Key, std::set<const Entry*>>;
  struct ByUid {
    using is_transparent = void;
    static const Uid& key(const Entry* entry) { return entry->object.uid; }
    static const Uid& key(const Uid& uid) { return uid; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return key(a) < key(b);
    }
  };

  Result<void> check(const Entry& entry, Depths& depths) const;
  Result<void> check_sharing(const Entry& entry, const Parts& parts) const;
  Result<void> check_passthru(const Entry& entry) const;
  Result<void> check_room(const Entry& entry, const Parts& parts) const;
  void place(WantedObject object);
  void index(const Entry& entry);
  void unindex(const Entry& entry);
  std::vector<const Entry*> owners_of(const LinkName& link) const;

  std::map<ResourceId, std::shared_ptr<const Entry>> entries_;
  std::set<const Entry*, ByUid> by_uid_;
  std::multimap<LinkName, const Entry*> owners_;  // rarely more than one: check() refuses it
  Index<LinkName> users_;
  Index<std::string> by_namespace_;
  Index<std::string> by_network_;  // attachments
  std::map<Uid, std::set<std::string>> claims_;
};

// The order of creation: 0 for what stands on nothing of ours, otherwise one above what it stands on.
// Remembers what it found; for one blueprint that does not change meanwhile.
class Depths {
 public:
  static constexpr int kDeepest = 64;  // and what stands on itself; the kernel itself allows 8 (MAX_NEST_DEV)

  explicit Depths(const Blueprint& blueprint) : blueprint_(blueprint) {}
  int of(const Blueprint::Entry& entry);

 private:
  const Blueprint& blueprint_;
  std::map<const Blueprint::Entry*, int> known_;
};

}  // namespace lanwright
