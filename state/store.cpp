#include "state/store.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "state/database_file.h"
#include "state/sqlite.h"

namespace lanwright::state {
namespace {

using sqlite::Connection;
using sqlite::Row;
using sqlite::Statement;

constexpr std::uint64_t kHistory = 10'000;
constexpr std::uint64_t kTrimEvery = 1'000;  // events; trimming after each one would double its cost
constexpr std::array kKinds{Kind::vlan, Kind::network, Kind::attachment};

WallTime now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::int64_t to_column(WallTime time) {
  return time.time_since_epoch().count();
}
WallTime to_time(std::int64_t column) {
  return WallTime(std::chrono::milliseconds(column));
}

Result<ObjectUid> random_uid() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    return error_from_errno(errno, "draw a random uid", "getrandom(2)");
  }
  std::array<char, 17> text{};
  (void)std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(bits));
  return ObjectUid(text.data());
}

bool is_uid(const ObjectUid& uid) {
  return uid.size() == 16 && uid.find_first_not_of("0123456789abcdef") == ObjectUid::npos;
}

Error refused(std::string object, std::string words, std::string hint = {}) {
  return {ErrorKind::invalid, "store the change", std::move(object), 0, std::move(words), std::move(hint)};
}

StoredObject read_object(Kind kind, const Row& row) {
  StoredObject object;
  object.id = {kind, row.text(0)};
  object.set = row.text(1);
  object.uid = row.text(2);
  object.generation = static_cast<std::uint64_t>(row.integer(3));
  object.deleting = row.integer(4) != 0;
  object.adopt = row.integer(5) != 0;
  object.created = to_time(row.integer(6));
  object.spec = row.text(7);
  object.allocations = row.text(8);
  return object;
}

Event read_event(const Row& row) {
  Event event;
  event.id = static_cast<std::uint64_t>(row.integer(0));
  event.time = to_time(row.integer(1));
  event.type = row.text(2);
  if (const auto kind = kind_from(row.text(3))) event.object = ResourceId{*kind, row.text(4)};
  event.set = row.text(5);
  event.message = row.text(6);
  if (!row.null(7)) {
    event.peer = Peer{row.integer(7), static_cast<std::uint32_t>(row.integer(8)),
                      static_cast<std::uint32_t>(row.integer(9))};
  }
  return event;
}

std::string text_of(const std::optional<IpAddress>& address) {
  return address ? address->text() : "";
}

Result<AddressPool> read_pool(const Row& row) {
  AddressPool pool;
  pool.id = row.text(0);
  pool.space = row.text(1);
  const auto cidr = IpPrefix::parse(row.text(2));
  pool.range = IpPrefix::parse(row.text(3));
  pool.last = IpAddress::parse(row.text(4));
  const bool right =
      cidr && pool.range.has_value() != row.text(3).empty() && pool.last.has_value() != row.text(4).empty();
  if (!right)
    return Error{ErrorKind::internal, "load the address pools", pool.id, 0, "the row is not understood", {}};
  pool.cidr = *cidr;
  return pool;
}

bool same_content(const StoredObject& stored, const StoredObject& wanted) {
  return !stored.deleting && stored.set == wanted.set && stored.adopt == wanted.adopt &&
         stored.spec == wanted.spec && stored.allocations == wanted.allocations;
}

// What must be right before the first row is written, with the object's name in the error.
Result<void> check(const StoreChange& change) {
  for (const auto& name : change.put_sets) {
    if (name.empty()) return refused("set", "its name is empty");
    if (std::find(change.drop_sets.begin(), change.drop_sets.end(), name) != change.drop_sets.end()) {
      return refused("set " + name, "it is both put and dropped");
    }
  }
  for (const auto& object : change.put_objects) {
    if (object.id.name.empty()) return refused(object.id.text(), "its name is empty");
    if (!object.uid.empty() && !is_uid(object.uid)) {
      return refused(object.id.text(), "uid `" + object.uid + "` is not 16 lower-case hex digits");
    }
  }
  return {};
}

struct Statements {
  Statement find_object, put_object, end_adoption, mark_deleting, forget_object, objects;
  Statement sets, put_set, drop_set, wanted_of_set;
  Statement raise_generation;
  Statement finalizers, add_finalizer, drop_finalizer;
  Statement put_event, trim_events, all_history, object_history;
  Statement address_pools, add_address_pool, drop_address_pool;
  Statement annexes, put_annex, drop_annex;
  Statement pool_addresses, give_address, move_last, take_address_back;
};

// A table of all statements, and a loop over it.
Result<Statements> prepare(Connection& connection) {
  struct Line {
    Statement* statement;
    const char* tried;
    const char* sql;
  };
  Statements made;
  const std::array lines{
      Line{&made.find_object, "look up an object",
           "SELECT name, set_name, uid, generation, deleting, adopt, created, spec, leases FROM objects "
           "WHERE kind = ? AND name = ?"},
      Line{&made.put_object, "store an object",
           "INSERT INTO objects (kind, name, set_name, uid, generation, deleting, adopt, created, spec, "
           "leases) "
           "VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET set_name = "
           "excluded.set_name, "
           "generation = excluded.generation, deleting = 0, adopt = excluded.adopt, created = "
           "excluded.created, "
           "spec = excluded.spec, leases = excluded.leases"},
      Line{&made.mark_deleting, "mark an object as deleting",
           "UPDATE objects SET deleting = 1 WHERE kind = ? AND name = ? AND NOT deleting RETURNING set_name"},
      Line{&made.end_adoption, "end an adoption", "UPDATE objects SET adopt = 0 WHERE kind = ? AND name = ?"},
      Line{&made.forget_object, "forget an object",
           "DELETE FROM objects WHERE kind = ? AND name = ? AND deleting"},
      Line{&made.objects, "load the objects",
           "SELECT name, set_name, uid, generation, deleting, adopt, created, spec, leases FROM objects "
           "WHERE kind = ? ORDER BY name"},
      Line{&made.sets, "load the sets", "SELECT name, generation, applied FROM sets"},
      Line{&made.put_set, "store a set",
           "INSERT INTO sets (name, generation, applied) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
           "SET generation = excluded.generation, applied = excluded.applied"},
      Line{&made.drop_set, "drop a set", "DELETE FROM sets WHERE name = ?"},
      Line{&made.wanted_of_set, "look for objects of a set",
           "SELECT kind || ' ' || name FROM objects WHERE wanted_by = ? LIMIT 1"},
      Line{&made.raise_generation, "raise the generation", "UPDATE meta SET generation = ?"},
      // Their table is named as the first version had it.
      Line{&made.finalizers, "load the finalizers", "SELECT uid, link FROM claims ORDER BY uid, link"},
      Line{&made.add_finalizer, "store a finalizer",
           "INSERT INTO claims (uid, link) VALUES (?, ?) ON CONFLICT DO NOTHING"},
      Line{&made.drop_finalizer, "drop a finalizer", "DELETE FROM claims WHERE uid = ? AND link = ?"},
      Line{&made.put_event, "store an event",
           "INSERT INTO events (id, time, type, kind, name, set_name, message, pid, uid, gid) "
           "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      Line{&made.trim_events, "trim the history", "DELETE FROM events WHERE id <= ?"},
      Line{&made.all_history, "read the history",
           "SELECT id, time, type, kind, name, set_name, message, pid, uid, gid FROM events "
           "WHERE id > ? ORDER BY id DESC LIMIT ?"},
      Line{&made.object_history, "read an object's history",
           "SELECT id, time, type, kind, name, set_name, message, pid, uid, gid FROM events "
           "WHERE id > ? AND kind = ? AND name = ? ORDER BY id DESC LIMIT ?"},
      Line{&made.address_pools, "load the address pools",
           "SELECT id, space, cidr, range, last FROM address_pools ORDER BY id"},
      Line{&made.add_address_pool, "store an address pool",
           "INSERT INTO address_pools (id, space, cidr, range, last) VALUES (?, ?, ?, ?, ?)"},
      Line{&made.drop_address_pool, "drop an address pool", "DELETE FROM address_pools WHERE id = ?"},
      Line{&made.annexes, "load a controller's records",
           "SELECT id, body FROM annexes WHERE controller = ? ORDER BY id"},
      Line{&made.put_annex, "store a controller's record",
           "INSERT INTO annexes (controller, id, body) VALUES (?, ?, ?) ON CONFLICT (controller, id) DO "
           "UPDATE "
           "SET body = excluded.body"},
      Line{&made.drop_annex, "drop a controller's record",
           "DELETE FROM annexes WHERE controller = ? AND id = ?"},
      Line{&made.pool_addresses, "load the addresses of a pool",
           "SELECT address FROM pool_addresses WHERE pool = ?"},
      Line{&made.give_address, "store an address",
           "INSERT INTO pool_addresses (space, cidr, address, pool) SELECT space, cidr, ?, id FROM "
           "address_pools WHERE id = ?"},
      Line{&made.move_last, "store an address",
           "UPDATE address_pools SET last = ? WHERE id = ? RETURNING id"},
      Line{&made.take_address_back, "take an address back",
           "DELETE FROM pool_addresses WHERE pool = ? AND address = ?"},
  };
  for (const Line& line : lines) {
    auto statement = connection.prepare(line.tried, line.sql);
    if (!statement) return statement.error();
    *line.statement = std::move(*statement);
  }
  return made;
}

}  // namespace

struct Store::Impl {
  // How much of a commit must be on the disk before it is answered.
  enum class Durability : std::uint8_t { full, relaxed };

  // What the caches become when the transaction that is being made is committed.
  struct Draft {
    std::uint64_t generation = 0;
    std::uint64_t last_event = 0;
    WallTime time{};
    std::map<std::string, StoredSet> sets;
    std::set<std::string> touched;  // sets whose objects changed
  };

  Impl(Connection opened, Statements prepared)
      : connection(std::move(opened)), statements(std::move(prepared)) {}

  Result<void> load();
  Draft draft() const { return {generation + 1, last_event, now(), sets, {}}; }
  Result<void> transaction(Durability wanted, const std::string& tried,
                           const std::function<Result<void>()>& body);

  Result<void> write(StoreChange& change, Draft& draft);
  Result<void> put(StoredObject& object, Draft& draft);
  Result<void> mark_deleting(const ResourceId& id, Draft& draft);
  Result<void> write_sets(const StoreChange& change, Draft& draft);
  Result<void> drop_set(const std::string& name, Draft& draft);
  Result<void> write_events(const std::vector<Event>& events, std::uint64_t& last, WallTime time);

  Connection connection;
  Statements statements;  // after the connection: finalised before it is closed
  Durability durability = Durability::full;
  std::uint64_t generation = 0;
  std::uint64_t last_event = 0;
  std::map<std::string, StoredSet> sets;
};

Result<void> Store::Impl::load() {
  if (auto set = connection.execute("choose durability", "PRAGMA synchronous = FULL"); !set) return set;
  const auto stored = connection.integer("load the generation", "SELECT generation FROM meta");
  if (!stored) return stored.error();
  const auto event = connection.integer("load the history", "SELECT ifnull(max(id), 0) FROM events");
  if (!event) return event.error();
  generation = static_cast<std::uint64_t>(*stored);
  last_event = static_cast<std::uint64_t>(*event);
  return statements.sets.each([&](const Row& row) {
    StoredSet set{row.text(0), static_cast<std::uint64_t>(row.integer(1)), to_time(row.integer(2))};
    sets.insert_or_assign(set.name, set);
  });
}

// With NORMAL, a commit is in the log but the log not yet on the disk; the next FULL commit writes back both.
// The level is that of the connection, can only be changed between transactions, and is a cheap call.
Result<void> Store::Impl::transaction(Durability wanted, const std::string& tried,
                                      const std::function<Result<void>()>& body) {
  if (durability != wanted) {
    const bool full = wanted == Durability::full;
    auto set = connection.execute(tried, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    if (!set) return set;
    durability = wanted;
  }
  return connection.transaction(Connection::Lock::immediate, tried, body);
}

Result<void> Store::Impl::put(StoredObject& object, Draft& draft) {
  std::optional<StoredObject> stored;
  auto looked =
      statements.find_object.each([&](const Row& row) { stored = read_object(object.id.kind, row); },
                                  name_of(object.id.kind), object.id.name);
  if (!looked) return looked;
  if (stored && same_content(*stored, object)) {
    object = std::move(*stored);
    return {};
  }
  if (!object.set.empty()) draft.touched.insert(object.set);
  object.generation = draft.generation;
  object.deleting = false;
  if (stored) {
    if (!stored->set.empty()) draft.touched.insert(stored->set);
    object.uid = stored->uid;
    if (!stored->deleting) object.created = stored->created;
  } else if (object.uid.empty()) {
    auto uid = random_uid();
    if (!uid) return uid.error();
    object.uid = std::move(*uid);
  }
  if (object.created == WallTime{}) object.created = draft.time;
  return statements.put_object.run(name_of(object.id.kind), object.id.name, object.set, object.uid,
                                   object.generation, object.adopt, to_column(object.created), object.spec,
                                   object.allocations);
}

Result<void> Store::Impl::mark_deleting(const ResourceId& id, Draft& draft) {
  return statements.mark_deleting.each([&](const Row& row) { draft.touched.insert(row.text(0)); },
                                       name_of(id.kind), id.name);
}

// A foreign key forbids this too, at the end and without a name.
Result<void> Store::Impl::drop_set(const std::string& name, Draft& draft) {
  std::optional<std::string> wanted;
  auto looked = statements.wanted_of_set.each([&](const Row& row) { wanted = row.text(0); }, name);
  if (!looked) return looked;
  if (wanted) return refused("set " + name, *wanted + " still belongs to it", "delete its objects with it");
  draft.sets.erase(name);
  return statements.drop_set.run(name);
}

Result<void> Store::Impl::write_sets(const StoreChange& change, Draft& draft) {
  std::set<std::string> changed = draft.touched;
  for (const auto& name : change.put_sets) {
    draft.sets.try_emplace(name, StoredSet{name, draft.generation, {}}).first->second.applied = draft.time;
    changed.insert(name);
  }
  for (const auto& name : changed) {
    const auto found = draft.sets.find(name);
    if (found == draft.sets.end()) continue;  // dropped earlier, while objects of it were being deleted
    StoredSet& set = found->second;
    if (draft.touched.contains(name)) set.generation = draft.generation;
    if (auto done = statements.put_set.run(name, set.generation, to_column(set.applied)); !done) return done;
  }
  for (const auto& name : change.drop_sets) {
    if (auto done = drop_set(name, draft); !done) return done;
  }
  for (const auto& object : change.put_objects) {
    if (object.set.empty() || draft.sets.contains(object.set)) continue;
    return refused(object.id.text(), "its set `" + object.set + "` does not exist", "put the set with it");
  }
  return {};
}

Result<void> Store::Impl::write_events(const std::vector<Event>& events, std::uint64_t& last, WallTime time) {
  const std::uint64_t before = last;
  for (const Event& event : events) {
    std::optional<std::string_view> kind;
    std::optional<std::string_view> name;
    if (event.object) {
      kind = name_of(event.object->kind);
      name = event.object->name;
    }
    std::optional<std::int64_t> pid;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    if (event.peer) {
      pid = event.peer->pid;
      uid = event.peer->uid;
      gid = event.peer->gid;
    }
    const WallTime when = event.time == WallTime{} ? time : event.time;
    auto done = statements.put_event.run(++last, to_column(when), event.type, kind, name, event.set,
                                         event.message, pid, uid, gid);
    if (!done) return done;
  }
  const bool due = last / kTrimEvery != before / kTrimEvery && last > kHistory;
  return due ? statements.trim_events.run(last - kHistory) : Result<void>();
}

Result<void> Store::Impl::write(StoreChange& change, Draft& draft) {
  for (auto& object : change.put_objects) {
    if (auto done = put(object, draft); !done) return done;
  }
  for (const auto& id : change.mark_deleting) {
    if (auto done = mark_deleting(id, draft); !done) return done;
  }
  for (const auto& [uid, finalizer] : change.add_finalizers) {
    if (auto done = statements.add_finalizer.run(uid, finalizer.text()); !done) return done;
  }
  for (const auto& annex : change.put_annexes) {
    if (auto done = statements.put_annex.run(annex.controller, annex.id, annex.body); !done) return done;
  }
  for (const auto& annex : change.drop_annexes) {
    if (auto done = statements.drop_annex.run(annex.controller, annex.id); !done) return done;
  }
  if (auto done = write_sets(change, draft); !done) return done;
  if (auto done = write_events(change.events, draft.last_event, draft.time); !done) return done;
  return statements.raise_generation.run(draft.generation);
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<Store::Opened> Store::open(const std::filesystem::path& directory) {
  auto file = open_database(directory);
  if (!file) return file.error();
  auto statements = prepare(file->connection);
  if (!statements) return statements.error();
  auto impl = std::make_unique<Impl>(std::move(file->connection), std::move(*statements));
  if (auto loaded = impl->load(); !loaded) return loaded.error();
  Opened opened;
  opened.store.reset(new Store(std::move(impl)));
  opened.set_aside = std::move(file->set_aside);
  opened.damage = std::move(file->damage);
  return opened;
}

std::uint64_t Store::generation() const {
  return impl_->generation;
}
std::uint64_t Store::last_event_id() const {
  return impl_->last_event;
}

std::vector<StoredSet> Store::sets() const {
  std::vector<StoredSet> all;
  all.reserve(impl_->sets.size());
  for (const auto& [name, set] : impl_->sets) all.push_back(set);
  return all;
}

Result<std::vector<StoredObject>> Store::objects() const {
  std::vector<StoredObject> all;
  for (const Kind kind : kKinds) {
    auto done = impl_->statements.objects.each([&](const Row& row) { all.push_back(read_object(kind, row)); },
                                               name_of(kind));
    if (!done) return done.error();
  }
  return all;
}

Result<std::vector<HeldFinalizer>> Store::finalizers() const {
  std::vector<HeldFinalizer> all;
  auto done = impl_->statements.finalizers.each([&](const Row& row) {
    all.push_back({row.text(0), Finalizer::parse(row.text(1))});
  });
  if (!done) return done.error();
  return all;
}

Result<std::vector<StoredObject>> Store::commit(StoreChange change) {
  if (auto right = check(change); !right) return right.error();
  Impl::Draft draft = impl_->draft();
  auto done = impl_->transaction(change.until_boot ? Impl::Durability::relaxed : Impl::Durability::full,
                                 "commit generation " + std::to_string(draft.generation),
                                 [&] { return impl_->write(change, draft); });
  if (!done) return done.error();
  impl_->generation = draft.generation;
  impl_->last_event = draft.last_event;
  impl_->sets = std::move(draft.sets);
  return std::move(change.put_objects);
}

Result<void> Store::end_adoption(const std::set<ResourceId>& objects) {
  return impl_->transaction(Impl::Durability::full, "end adoptions", [&]() -> Result<void> {
    for (const auto& id : objects) {
      if (auto done = impl_->statements.end_adoption.run(name_of(id.kind), id.name); !done) return done;
    }
    return {};
  });
}

Result<void> Store::forget(const std::vector<ResourceId>& objects) {
  if (objects.empty()) return {};
  return impl_->transaction(Impl::Durability::relaxed, "forget objects", [&]() -> Result<void> {
    for (const auto& id : objects) {
      if (auto done = impl_->statements.forget_object.run(name_of(id.kind), id.name); !done) return done;
    }
    return {};
  });
}

Result<void> Store::add_finalizers(const std::vector<HeldFinalizer>& finalizers) {
  if (finalizers.empty()) return {};
  return impl_->transaction(Impl::Durability::full, "store finalizers", [&]() -> Result<void> {
    for (const auto& [uid, finalizer] : finalizers) {
      if (auto done = impl_->statements.add_finalizer.run(uid, finalizer.text()); !done) return done;
    }
    return {};
  });
}

Result<void> Store::drop_finalizers(const std::vector<HeldFinalizer>& finalizers) {
  if (finalizers.empty()) return {};
  return impl_->transaction(Impl::Durability::full, "drop finalizers", [&]() -> Result<void> {
    for (const auto& [uid, finalizer] : finalizers) {
      if (auto done = impl_->statements.drop_finalizer.run(uid, finalizer.text()); !done) return done;
    }
    return {};
  });
}

Result<std::vector<Annex>> Store::annexes(const std::string& controller) const {
  std::vector<Annex> annexes;
  auto done = impl_->statements.annexes.each(
      [&](const Row& row) {
        annexes.push_back({controller, row.text(0), row.text(1)});
      },
      controller);
  if (!done) return done.error();
  return annexes;
}

Result<std::vector<AddressPool>> Store::address_pools() const {
  std::vector<AddressPool> pools;
  std::optional<Error> wrong;
  auto done = impl_->statements.address_pools.each([&](const Row& row) {
    auto pool = read_pool(row);
    if (pool) return pools.push_back(*std::move(pool));
    if (!wrong) wrong = pool.error();
  });
  if (!done) return done.error();
  for (AddressPool& pool : pools) {
    done = impl_->statements.pool_addresses.each(
        [&](const Row& row) {
          const auto address = IpAddress::parse(row.text(0));
          if (address) pool.given.insert(*address);
          if (!address)
            wrong = Error{ErrorKind::internal,
                          "load the addresses of pool",
                          pool.id,
                          0,
                          row.text(0) + " is no address",
                          {}};
        },
        pool.id);
    if (!done) return done.error();
  }
  if (wrong) return *std::move(wrong);
  return pools;
}

Result<void> Store::add_address_pool(const AddressPool& pool) {
  return impl_->transaction(Impl::Durability::full, "store address pool " + pool.id, [&] {
    return impl_->statements.add_address_pool.run(pool.id, pool.space, pool.cidr.text(),
                                                  pool.range ? pool.range->text() : "", text_of(pool.last));
  });
}

Result<void> Store::drop_address_pool(const std::string& pool) {
  return impl_->transaction(Impl::Durability::full, "drop address pool " + pool,
                            [&] { return impl_->statements.drop_address_pool.run(pool); });
}

Result<void> Store::give_address(const std::string& pool, const AddressGrant& grant) {
  const std::string address = grant.address.address.text();
  return impl_->transaction(
      Impl::Durability::full, "store address " + address + " of pool " + pool, [&]() -> Result<void> {
        bool known = false;
        auto moved =
            impl_->statements.move_last.each([&](const Row&) { known = true; }, text_of(grant.last), pool);
        if (!moved) return moved;
        if (!known)
          return Error{ErrorKind::not_found, "give an address of pool", pool, 0, "there is no such pool", {}};
        return impl_->statements.give_address.run(address, pool);
      });
}

Result<void> Store::take_address_back(const std::string& pool, const IpAddress& address) {
  return impl_->transaction(Impl::Durability::full,
                            "take address " + address.text() + " of pool " + pool + " back",
                            [&] { return impl_->statements.take_address_back.run(pool, address.text()); });
}

Result<void> Store::record(const std::vector<Event>& events) {
  if (events.empty()) return {};
  std::uint64_t last = impl_->last_event;
  auto done = impl_->transaction(Impl::Durability::relaxed, "record events",
                                 [&] { return impl_->write_events(events, last, now()); });
  if (done) impl_->last_event = last;
  return done;
}

Result<std::vector<Event>> Store::history(std::optional<ResourceId> object, std::size_t limit) const {
  std::vector<Event> found;
  const auto take = [&](const Row& row) { found.push_back(read_event(row)); };
  // Trimming happens now and then only; what it would take away is not shown before.
  const std::uint64_t last = impl_->last_event;
  const std::uint64_t after = last > kHistory ? last - kHistory : 0;
  const std::size_t most = std::min<std::size_t>(limit, kHistory);
  auto done =
      object ? impl_->statements.object_history.each(take, after, name_of(object->kind), object->name, most)
             : impl_->statements.all_history.each(take, after, most);
  if (!done) return done.error();
  return found;
}

}  // namespace lanwright::state
