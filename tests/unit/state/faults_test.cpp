// The store under kill -9, a full disk, a failing disk; and what it has on the disk when it answers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <random>
#include <string>

#include "tests/unit/state/fixture.h"

namespace {
int syncs = 0;          // calls of fdatasync and fsync in this process
int failing_syncs = 0;  // that fail with EIO, from now on

int sync_with(long number, int descriptor) {
  ++syncs;
  if (failing_syncs > 0) {
    --failing_syncs;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(number, descriptor));
}
}  // namespace

// SQLite is a shared library: the program's own functions come before the C library's.
extern "C" int fdatasync(int descriptor) {
  return sync_with(SYS_fdatasync, descriptor);
}
extern "C" int fsync(int descriptor) {
  return sync_with(SYS_fsync, descriptor);
}

namespace lanwright {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;

TEST(StateDurability, ACommitIsOnTheDiskAndARecordIsNot) {
  Directory directory;
  auto opened = must_open(directory.path());
  state::Store& store = *opened.store;
  must(store.commit(put({network("lab")})));

  const auto syncs_of = [](const auto& call) {
    const int before = syncs;
    must(call());
    return syncs - before;
  };
  const auto commit = [&] { return store.commit(put({network("lab")})); };
  const auto record = [&] { return store.record({event("DriftSeen")}); };
  const auto nth = [](int i) {
    return state::HeldFinalizer{"0123456789abcdef", Finalizer::port("e" + std::to_string(i))};
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(syncs_of(commit), 1);
    EXPECT_EQ(syncs_of(record), 0);
    EXPECT_EQ(syncs_of(record), 0);
    EXPECT_EQ(syncs_of([&] { return store.add_finalizers({nth(i)}); }), 1);
    EXPECT_EQ(syncs_of(record), 0);
    EXPECT_EQ(syncs_of([&] { return store.drop_finalizers({nth(i)}); }), 1);
  }
  state::StoreChange until_boot = put({network("lab")});
  until_boot.until_boot = true;
  EXPECT_EQ(syncs_of([&] { return store.commit(until_boot); }), 0);
  EXPECT_EQ(syncs_of(commit), 1);
  AddressPool pool;
  pool.id = pool.space = "p";
  pool.cidr = *IpPrefix::parse("10.0.0.0/24");
  const IpAddress address = *IpAddress::parse("10.0.0.1");
  EXPECT_EQ(syncs_of([&] { return store.add_address_pool(pool); }), 1);
  EXPECT_EQ(syncs_of(record), 0);
  EXPECT_EQ(syncs_of([&] { return store.give_address("p", {{address, 24}, address}); }), 1);
  EXPECT_EQ(syncs_of(record), 0);
  EXPECT_EQ(syncs_of([&] { return store.take_address_back("p", address); }), 1);
  EXPECT_EQ(syncs_of([&] { return store.drop_address_pool("p"); }), 1);
}

TEST(StateDurability, AFailingDiskIsAnErrorAndChangesNothing) {
  Directory directory;
  auto opened = must_open(directory.path());
  must(opened.store->commit(put({network("lab")})));
  failing_syncs = 1;
  const auto failed = opened.store->commit(put({network("other")}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::internal);
  EXPECT_EQ(failed.error().number, EIO);
  EXPECT_EQ(failed.error().object, directory.database());
  EXPECT_EQ(failing_syncs, 0);
  EXPECT_EQ(opened.store->generation(), 1U);
  EXPECT_EQ(must(opened.store->objects()).size(), 1U);
  must(opened.store->commit(put({network("third")})));
  EXPECT_EQ(opened.store->generation(), 2U);
  opened.store.reset();
  EXPECT_EQ(must(must_open(directory.path()).store->objects()).size(), 2U);
}

TEST(StateDurability, AFailingDiskWhileOpeningIsNoDamage) {
  Directory directory;
  failing_syncs = 1;
  const auto failed = state::Store::open(directory.path());
  failing_syncs = 0;
  EXPECT_FALSE(failed);
  EXPECT_FALSE(must_open(directory.path()).set_aside);
}

// ---- kill -9
// -----------------------------------------------------------------------------------------------

constexpr int kObjects = 20;

std::string spec_of(std::uint64_t generation) {
  return R"({"generation":)" + std::to_string(generation) + "}";
}

// What every commit leaves: kObjects objects and one claim that all carry its generation, and an event.
void commit_next(state::Store& store) {
  const std::uint64_t next = store.generation() + 1;
  std::vector<state::StoredObject> objects;
  objects.reserve(kObjects);
  for (int i = 0; i < kObjects; ++i) objects.push_back(network("n" + std::to_string(i), spec_of(next)));
  state::StoreChange change = put(std::move(objects));
  change.events = {event("Applied", std::to_string(next))};
  must(store.commit(std::move(change)));
}

// Commits until it is killed, and tells each generation that was answered as done.
[[noreturn]] void commit_for_ever(const fs::path& directory, int acknowledge) {
  try {
    auto opened = must_open(directory);
    for (;;) {
      commit_next(*opened.store);
      const std::uint64_t done = opened.store->generation();
      if (::write(acknowledge, &done, sizeof done) != sizeof done) ::_exit(1);
      must(opened.store->record({event("DriftSeen"), event("Repaired")}));
    }
  } catch (const std::exception& failed) {
    (void)std::fprintf(stderr, "%s\n", failed.what());
  }
  ::_exit(2);
}

// Lets a child commit and kills it after `life`, counted from its first acknowledgement or from its start.
// Returns the last generation that it acknowledged; none when it ended by itself.
std::optional<std::uint64_t> commit_and_kill(const fs::path& directory, bool after_first, microseconds life) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) commit_for_ever(directory, ends[1]);
  ::close(ends[1]);
  pollfd wait{ends[0], POLLIN, 0};
  if (after_first) ::poll(&wait, 1, 10'000);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(life);
  const timespec pause{seconds.count(), std::chrono::nanoseconds(life - seconds).count()};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  std::uint64_t last = 0;
  for (std::uint64_t told = 0; ::read(ends[0], &told, sizeof told) == sizeof told;) last = told;
  ::close(ends[0]);
  if (!WIFSIGNALED(status)) return std::nullopt;
  return last;
}

void expect_whole(state::Store& store, std::uint64_t acknowledged) {
  const std::uint64_t generation = store.generation();
  EXPECT_GE(generation, acknowledged) << "what was answered as done is lost";
  EXPECT_LE(generation, acknowledged + 1);
  const auto objects = must(store.objects());
  ASSERT_EQ(objects.size(), generation == 0 ? 0U : static_cast<std::size_t>(kObjects));
  for (const auto& object : objects) {
    EXPECT_EQ(object.spec, spec_of(generation)) << object.id.text() << " is half of a commit";
    EXPECT_EQ(object.generation, generation);
  }
  std::string applied = "0";
  for (const auto& past : must(store.history(std::nullopt, 5))) {
    if (past.type != "Applied") continue;
    applied = past.message;
    break;
  }
  EXPECT_EQ(applied, std::to_string(generation));
}

TEST(StateCrash, NothingAcknowledgedIsLostIn50Kills) {
  Directory directory;
  std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> life(0, 30'000);
  std::uint64_t known = 0;
  for (int round = 0; round < 50; ++round) {
    const microseconds lives(life(random));
    SCOPED_TRACE("round " + std::to_string(round) + ", killed " + std::to_string(lives.count()) + " us in");
    const auto last = commit_and_kill(directory.path(), true, lives);
    ASSERT_TRUE(last) << "the child failed by itself";
    ASSERT_GT(*last, known) << "the child did nothing";
    auto opened = must_open(directory.path());
    EXPECT_FALSE(opened.set_aside);
    expect_whole(*opened.store, *last);
    known = opened.store->generation();
    if (HasFatalFailure()) return;
  }
}

TEST(StateCrash, ACreationThatWasKilledIsBegunAgain) {
  std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> life(0, 15'000);
  for (int round = 0; round < 40; ++round) {
    Directory directory;
    const microseconds lives(life(random));
    SCOPED_TRACE("round " + std::to_string(round) + ", killed " + std::to_string(lives.count()) + " us in");
    const auto last = commit_and_kill(directory.path(), false, lives);
    ASSERT_TRUE(last) << "the child failed by itself";
    auto opened = must_open(directory.path());
    EXPECT_FALSE(opened.set_aside) << opened.damage;
    expect_whole(*opened.store, *last);
    if (HasFatalFailure()) return;
  }
}

// ---- Full disk
// ---------------------------------------------------------------------------------------------

#define REQUIRE(condition, detail)                                                                        \
  do {                                                                                                    \
    if (!(condition)) {                                                                                   \
      (void)std::fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, std::string(detail).c_str()); \
      ::_exit(1);                                                                                         \
    }                                                                                                     \
  } while (false)

void require_exhausted(const Error& error, const fs::path& database) {
  REQUIRE(error.kind == ErrorKind::exhausted, error.text());
  REQUIRE(error.number == ENOSPC, error.text());
  REQUIRE(error.object == database, error.text());
  REQUIRE(error.hint == "free space on the file system of " + database.string(), error.text());
  REQUIRE(!error.words.empty(), error.text());
}

// Takes all free space of the file system.
void fill_up(const fs::path& filler) {
  const int descriptor = ::open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(descriptor >= 0, filler.string());
  const std::string page(4096, 'x');
  while (::write(descriptor, page.data(), page.size()) > 0) continue;
  REQUIRE(errno == ENOSPC, std::to_string(errno));
  ::close(descriptor);
}

// A file system of 1 MiB that nobody else sees and that ends with the process.
void mount_small(const fs::path& where) {
  const int flags = CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
  REQUIRE(::unshare(flags) == 0, "a private mount namespace is needed");
  REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, std::to_string(errno));
  REQUIRE(::mount("small", where.c_str(), "tmpfs", 0, "size=1m") == 0, std::to_string(errno));
}

state::StoreChange large_change() {
  std::vector<state::StoredObject> objects;
  objects.reserve(50);
  for (int i = 0; i < 50; ++i) objects.push_back(network("big" + std::to_string(i), std::string(1000, 'y')));
  state::StoreChange change = put(std::move(objects));
  change.events = {event("Applied")};
  return change;
}

[[noreturn]] void live_through_a_full_disk(const fs::path& directory) {
  mount_small(directory);
  const fs::path state = directory / "state";
  const fs::path database = state / "lanwright.db";
  auto opened = must_open(state);
  state::Store& store = *opened.store;
  must(store.commit(put({network("lab")})));
  must(store.add_finalizers({{"0123456789abcdef", Finalizer::port("eth0")}}));

  for (int round = 1; round <= 3; ++round) {
    fill_up(directory / "filler");
    const auto full = store.commit(large_change());
    REQUIRE(!full, "there should be no room");
    require_exhausted(full.error(), database);
    // Small writes fit into what the log has already; events fail as well once it is used up.
    Result<void> recorded;
    for (int i = 0; i < 100 && recorded; ++i)
      recorded = store.record({event("DriftSeen", std::string(5000, 'z'))});
    REQUIRE(!recorded, "there should be no room");
    require_exhausted(recorded.error(), database);
    REQUIRE(store.generation() == 1, std::to_string(store.generation()));
    REQUIRE(must(store.objects()).size() == 1, "what was there is there");
    REQUIRE(must(store.finalizers()).size() == 1, "what was there is there");
    REQUIRE(fs::remove(directory / "filler"), "filler");
  }
  must(store.commit(large_change()));
  REQUIRE(store.generation() == 2, "after freeing, commits work again");
  const std::uint64_t last_event = store.last_event_id();
  opened.store.reset();
  auto again = must_open(state);
  REQUIRE(!again.set_aside, again.damage);
  REQUIRE(again.store->generation() == 2, "");
  REQUIRE(must(again.store->objects()).size() == 51, "");
  REQUIRE(again.store->last_event_id() == last_event, "");
  ::_exit(0);
}

[[noreturn]] void begin_on_a_full_disk(const fs::path& directory) {
  mount_small(directory);
  fill_up(directory / "filler");
  const auto full = state::Store::open(directory);
  REQUIRE(!full, "there should be no room");
  REQUIRE(full.error().kind == ErrorKind::exhausted, full.error().text());
  REQUIRE(!fs::exists(directory / "lanwright.db"), "nothing half is left");
  REQUIRE(fs::remove(directory / "filler"), "filler");
  REQUIRE(!must_open(directory).set_aside, "");
  ::_exit(0);
}

TEST(StateFullDiskDeathTest, RefusesWhatDoesNotFitAndWorksAfterwards) {
  Directory directory;
  EXPECT_EXIT(live_through_a_full_disk(directory.path()), ::testing::ExitedWithCode(0), "");
}

TEST(StateFullDiskDeathTest, IsNoDamage) {
  Directory directory;
  EXPECT_EXIT(begin_on_a_full_disk(directory.path()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace lanwright
