// The durable desired state: one SQLite file. Owned and called by the loop thread only. Every method that
// changes something has committed when it returns success, and changed nothing when it returns an error. What
// is committed survives the end of the program at any moment (WAL), and, but where it says otherwise, of the
// machine (synchronous=FULL).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/address_pools.h"
#include "model/base/ids.h"
#include "model/base/loop_thread.h"
#include "model/base/result.h"
#include "model/desired.h"
#include "model/finalizer.h"
#include "model/status.h"

namespace lanwright::state {

// An object as stored. The spec is its JSON (model/format/json.h).
struct StoredObject {
  ResourceId id;
  std::string set;
  ObjectUid uid;
  std::uint64_t generation = 0;  // of the store when the spec last changed
  bool deleting = false;         // no longer wanted; kept until nothing of it is left in the kernel
  bool adopt = false;            // may take over foreign links with its names
  WallTime created{};
  std::string spec;
  std::string allocations;  // addresses given to an attachment that declares none, as text
};

struct StoredSet {
  std::string name;
  std::uint64_t generation = 0;  // of the store when the set was last changed
  WallTime applied{};
};

// A finalizer with the object that it is of, which need not be there any more.
struct HeldFinalizer {
  ObjectUid uid;
  Finalizer finalizer;
  auto operator<=>(const HeldFinalizer&) const = default;
  bool operator==(const HeldFinalizer&) const = default;
};

// What a controller keeps beside the objects: its own record by an id of its own, in a form that only it
// reads.
struct Annex {
  std::string controller;
  std::string id;
  std::string body;
  bool operator==(const Annex&) const = default;
};

// One commit. Everything in it happens or nothing does. The store raises its generation by one and stamps it
// on the sets and objects in `put_*` whose content differs from what is stored, and on every other set that
// an object joined, left or began to leave. Objects are put before objects are marked, both before sets are
// dropped. An object whose set does not exist afterwards, and a dropped set with an object that stays, are
// errors. An object that nobody declared (see Declaration) has no set: its name is empty.
struct StoreChange {
  std::vector<std::string> put_sets;   // made when missing; `applied` becomes now
  std::vector<std::string> drop_sets;  // unknown ones are ignored; its deleting objects stay until forget()
  // An object that exists keeps its uid and its time of creation; one that was deleting is wanted again, with
  // its old uid. A new one is given a uid when it has none, and now as its time of creation when it has none.
  std::vector<StoredObject> put_objects;
  std::vector<ResourceId> mark_deleting;      // unknown ones are ignored
  std::vector<HeldFinalizer> add_finalizers;  // those that are there already are ignored
  std::vector<Event> events;                  // history that must not be lost (who applied what)
  std::vector<Annex> put_annexes;
  std::vector<Annex> drop_annexes;  // by controller and id; unknown ones are ignored
  // Of things that do not outlive the machine's boot: it may be forgotten if that comes at once, and nobody
  // waits for the disk.
  bool until_boot = false;
};

class Store {
 public:
  struct Opened;

  // Opens DIR/lanwright.db, creating or migrating it (all in one transaction with user_version), after
  // PRAGMA integrity_check. A damaged file is moved to DIR/lanwright.db.damaged-TIME together with its -wal
  // and -shm, a new one is begun, and Opened::set_aside says where the old one is: its kernel links then
  // carry uids that the new store does not know, so nothing of them is ever removed. A file from a newer
  // version of the program is an error. So are a directory that cannot be written and a lock held by somebody
  // else.
  static Result<Opened> open(const std::filesystem::path& directory);

  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::uint64_t generation() const LANWRIGHT_ON_LOOP;
  std::vector<StoredSet> sets() const LANWRIGHT_ON_LOOP;
  Result<std::vector<StoredObject>> objects() const LANWRIGHT_ON_LOOP;  // ascending by id
  Result<std::vector<HeldFinalizer>> finalizers() const LANWRIGHT_ON_LOOP;

  // Returns the objects of `put_objects` as they are stored now (uid and generation filled in).
  Result<std::vector<StoredObject>> commit(StoreChange change) LANWRIGHT_ON_LOOP;
  // Deleting objects of which nothing is left. One that is wanted again meanwhile stays. After the machine's
  // sudden end they may be there again, as deleting ones, and are forgotten again.
  Result<void> forget(const std::vector<ResourceId>& objects) LANWRIGHT_ON_LOOP;
  // From now on these may not take over foreign links; their generation stays. Unknown ones are ignored.
  Result<void> end_adoption(const std::set<ResourceId>& objects) LANWRIGHT_ON_LOOP;
  Result<void> add_finalizers(const std::vector<HeldFinalizer>& finalizers) LANWRIGHT_ON_LOOP;
  Result<void> drop_finalizers(const std::vector<HeldFinalizer>& finalizers) LANWRIGHT_ON_LOOP;

  // Those of a controller, ascending by id.
  Result<std::vector<Annex>> annexes(const std::string& controller) const LANWRIGHT_ON_LOOP;

  // Ascending by id, each with what was given of it.
  Result<std::vector<AddressPool>> address_pools() const LANWRIGHT_ON_LOOP;
  // A new one, of which nothing is given; an error when there is one of its id.
  Result<void> add_address_pool(const AddressPool& pool) LANWRIGHT_ON_LOOP;
  Result<void> drop_address_pool(const std::string& pool)
      LANWRIGHT_ON_LOOP;  // with what was given of it; unknown ones ignored
  // An error when the pool is unknown, and when the address was given already of any pool of its space and
  // cidr.
  Result<void> give_address(const std::string& pool, const AddressGrant& grant) LANWRIGHT_ON_LOOP;
  Result<void> take_address_back(const std::string& pool,
                                 const IpAddress& address) LANWRIGHT_ON_LOOP;  // unknown ones ignored

  // History that may lose its last second in a power failure (drift, repairs). The newest 10,000 are kept.
  // Here and in commit() the store gives the ids, one after the other, so that the last one is
  // last_event_id() afterwards, and now as the time of an event that has none.
  Result<void> record(const std::vector<Event>& events) LANWRIGHT_ON_LOOP;
  Result<std::vector<Event>> history(std::optional<ResourceId> object,
                                     std::size_t limit) const LANWRIGHT_ON_LOOP;  // newest first
  std::uint64_t last_event_id() const LANWRIGHT_ON_LOOP;                          // 0 when there is none

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Store::Opened {
  std::unique_ptr<Store> store;
  std::optional<std::filesystem::path> set_aside;
  std::string
      damage;  // what was wrong with it, in SQLite's words; empty when it was set aside by an earlier start
};

}  // namespace lanwright::state
