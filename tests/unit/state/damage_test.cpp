// Files that are not what they should be: what is set aside, and what is an error instead.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/unit/state/fixture.h"

namespace lanwright {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class StateDamage : public ::testing::Test {
 protected:
  // A closed database of some 100 pages.
  void fill() {
    auto opened = must_open(directory.path());
    std::vector<state::StoredObject> objects;
    objects.reserve(1000);
    for (int i = 0; i < 1000; ++i) {
      objects.push_back(
          network("network-" + std::to_string(i),
                  R"({"driver":"bridge","n":)" + std::to_string(i) + std::string(300, ' ') + "}"));
    }
    must(opened.store->commit(put(std::move(objects))));
  }

  // A copy of an open store's files: as after a power failure, with a log that is not yet written back.
  void fill_and_crash() {
    Directory running;
    auto opened = must_open(running.path());
    must(opened.store->commit(put({network("lab")})));
    for (const char* part : {"", "-wal", "-shm"}) {
      fs::copy_file(running.database().string() + part, directory.database().string() + part);
    }
  }

  // The damaged file is beside the new one, byte for byte, and the new one works.
  void expect_set_aside(const std::string& before) {
    {
      auto opened = state::Store::open(directory.path());
      ASSERT_TRUE(opened) << opened.error().text();
      ASSERT_TRUE(opened->set_aside);
      EXPECT_FALSE(opened->damage.empty());
      EXPECT_EQ(opened->set_aside->parent_path(), directory.path());
      EXPECT_EQ(opened->set_aside->filename().string().rfind("lanwright.db.damaged-2", 0), 0U);
      EXPECT_EQ(content_of(*opened->set_aside), before) << "evidence is left as it was found";
      EXPECT_EQ(opened->store->generation(), 0U);
      EXPECT_TRUE(must(opened->store->objects()).empty());
      must(opened->store->commit(put({network("new")})));
    }
    auto again = must_open(directory.path());
    EXPECT_FALSE(again.set_aside) << "it is told once";
    EXPECT_EQ(must(again.store->objects()).size(), 1U);
  }

  Directory directory;
};

TEST_F(StateDamage, ASoundFileIsNotSetAside) {
  fill();
  auto opened = must_open(directory.path());
  EXPECT_FALSE(opened.set_aside);
  EXPECT_EQ(must(opened.store->objects()).size(), 1000U);
}

TEST_F(StateDamage, TextIsSetAside) {
  const std::string text = "# not a database\n" + std::string(5000, 'x');
  write(directory.database(), text);
  expect_set_aside(text);
}

TEST_F(StateDamage, AFewBytesAreSetAside) {
  write(directory.database(), "SQL");
  expect_set_aside("SQL");
}

TEST_F(StateDamage, AnEmptyFileIsSetAside) {
  write(directory.database(), "");
  expect_set_aside("");
}

TEST_F(StateDamage, AZeroedHeaderIsSetAside) {
  fill();
  std::string content = content_of(directory.database());
  std::fill_n(content.begin(), 4096, '\0');
  write(directory.database(), content);
  expect_set_aside(content);
}

TEST_F(StateDamage, TruncatedFilesAreSetAside) {
  fill();
  const std::string whole = content_of(directory.database());
  ASSERT_GT(whole.size(), 50U * 4096U);
  for (const std::size_t size : {whole.size() - 1, whole.size() - 4096, whole.size() / 2, std::size_t{4096},
                                 std::size_t{100}, std::size_t{1}}) {
    SCOPED_TRACE(size);
    write(directory.database(), whole.substr(0, size));
    expect_set_aside(whole.substr(0, size));
  }
}

TEST_F(StateDamage, EveryZeroedPageIsFound) {
  fill();
  const std::string whole = content_of(directory.database());
  const std::size_t pages = whole.size() / 4096;
  for (std::size_t page = 0; page < pages; page += 7) {
    SCOPED_TRACE(page);
    std::string content = whole;
    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(page * 4096), 4096, '\0');
    write(directory.database(), content);
    expect_set_aside(content);
  }
}

TEST_F(StateDamage, AnIndexThatDisagreesWithItsTableIsFound) {
  fill();
  Shell shell(directory.database());
  shell.run(
      "PRAGMA writable_schema = ON; "
      "UPDATE sqlite_schema SET sql = replace(sql, 'ON objects (wanted_by)', 'ON objects (created)') "
      "WHERE name = 'objects_by_set'");
  shell.run("PRAGMA wal_checkpoint(TRUNCATE)");
  expect_set_aside(content_of(directory.database()));
}

TEST_F(StateDamage, TheLogGoesWithTheFile) {
  fill_and_crash();
  // Nothing of the file is left, and of the log nothing that could stand in for it.
  const std::string log = content_of(directory.database().string() + "-wal").substr(0, 32);
  write(directory.database(), content_of(directory.database()).substr(0, 100));
  write(directory.database().string() + "-wal", log);
  auto opened = must_open(directory.path());
  ASSERT_TRUE(opened.set_aside);
  EXPECT_EQ(content_of(opened.set_aside->string() + "-wal"), log);
  EXPECT_TRUE(fs::exists(opened.set_aside->string() + "-shm"));
}

TEST_F(StateDamage, ALogWithoutItsFileIsSetAside) {
  fill_and_crash();
  fs::remove(directory.database());
  auto opened = must_open(directory.path());
  ASSERT_TRUE(opened.set_aside);
  EXPECT_TRUE(fs::exists(*opened.set_aside)) << *opened.set_aside;
  EXPECT_EQ(opened.store->generation(), 0U) << "the old log must not get into the new file";
}

TEST_F(StateDamage, ACommittedLogIsReplayed) {
  fill_and_crash();
  auto opened = must_open(directory.path());
  EXPECT_FALSE(opened.set_aside);
  EXPECT_EQ(opened.store->generation(), 1U);
  EXPECT_EQ(must(opened.store->objects()).size(), 1U);
}

TEST_F(StateDamage, ACrashBetweenSettingAsideAndBeginningAnewIsToldLater) {
  write(directory.path() / "lanwright.db.damaged-20260101T000000Z", "older");
  write(directory.path() / "lanwright.db.damaged-20260202T000000Z", "newer");
  write(directory.path() / "lanwright.db.damaged-20260202T000000Z-wal", "log");
  auto opened = must_open(directory.path());
  ASSERT_TRUE(opened.set_aside);
  EXPECT_EQ(opened.set_aside->filename(), "lanwright.db.damaged-20260202T000000Z");
}

TEST_F(StateDamage, TwoDamagedFilesInOneSecondAreBothKept) {
  for (int i = 0; i < 3; ++i) {
    write(directory.database(), "damage " + std::to_string(i));
    must_open(directory.path());
  }
  EXPECT_EQ(directory.files("lanwright.db.damaged-").size(), 3U);
}

TEST_F(StateDamage, ALeftOverOfAnInterruptedCreationIsNoDamage) {
  write(directory.database().string() + ".new", "half");
  write(directory.database().string() + ".new-journal", "half");
  EXPECT_FALSE(must_open(directory.path()).set_aside);
  EXPECT_TRUE(directory.files("lanwright.db.new").empty());
}

TEST_F(StateDamage, AForeignDatabaseIsAnErrorAndUntouched) {
  Shell(directory.database()).run("CREATE TABLE bookmarks (url); PRAGMA application_id = 42");
  const std::string before = content_of(directory.database());
  const auto refused = state::Store::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_EQ(refused.error().object, directory.database());
  EXPECT_NE(refused.error().words.find("0x0000002a"), std::string::npos) << refused.error().text();
  EXPECT_EQ(content_of(directory.database()), before);
  EXPECT_TRUE(directory.files("lanwright.db.damaged-").empty());
}

TEST_F(StateDamage, ALockIsAnErrorNamingTheFile) {
  fill();
  for (const char* lock : {"BEGIN IMMEDIATE", "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"}) {
    SCOPED_TRACE(lock);
    Shell shell(directory.database());
    shell.run(lock);
    const auto refused = state::Store::open(directory.path());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::busy) << refused.error().text();
    EXPECT_EQ(refused.error().object, directory.database());
    EXPECT_NE(refused.error().hint.find("fuser"), std::string::npos);
    EXPECT_TRUE(directory.files("lanwright.db.damaged-").empty());
  }
  EXPECT_TRUE(state::Store::open(directory.path()));
}

TEST_F(StateDamage, SomebodyElsesTransactionFailsOneCommitOnly) {
  auto opened = must_open(directory.path());
  {
    Shell shell(directory.database());
    shell.run("BEGIN IMMEDIATE");
    const auto refused = opened.store->commit(put({network("lab")}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::busy);
    EXPECT_EQ(opened.store->generation(), 0U);
  }
  EXPECT_TRUE(opened.store->commit(put({network("lab")})));
}

TEST_F(StateDamage, WhatIsNoFileIsAnError) {
  fs::create_directory(directory.database());
  const auto refused = state::Store::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(fs::is_directory(directory.database()));

  write(directory.path() / "file", "");
  const auto no_directory = state::Store::open(directory.path() / "file");
  ASSERT_FALSE(no_directory);
  EXPECT_NE(no_directory.error().object.find("/file"), std::string::npos) << no_directory.error().text();
}

TEST_F(StateDamage, AMissingGenerationIsNotTakenForZero) {
  fill();
  Shell(directory.database()).run("DELETE FROM meta");
  const auto refused = state::Store::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tried, "load the generation");
}

// Permissions do not stop root, so a child gives up being root first.
[[noreturn]] void open_as_nobody(const fs::path& directory) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(10);
  const auto refused = state::Store::open(directory);
  if (refused) ::_exit(11);
  if (refused.error().kind != ErrorKind::denied) {
    (void)::write(STDERR_FILENO, refused.error().text().c_str(), refused.error().text().size());
    ::_exit(12);
  }
  ::_exit(refused.error().object.find("lanwright.db") == std::string::npos ? 13 : 0);
}

TEST_F(StateDamage, MissingPermissionIsAnError) {
  fill();
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  EXPECT_EXIT(open_as_nobody(directory.path()), ::testing::ExitedWithCode(0), "") << "unreadable file";
  ASSERT_EQ(::chmod(directory.database().c_str(), 0444), 0);
  EXPECT_EXIT(open_as_nobody(directory.path()), ::testing::ExitedWithCode(0), "") << "read-only file";
  fs::remove(directory.database());
  EXPECT_EXIT(open_as_nobody(directory.path()), ::testing::ExitedWithCode(0), "") << "read-only directory";
  EXPECT_TRUE(directory.files("lanwright.db").empty());
}

// What is answered as done must be there after a crash.
TEST(StateFile, ADeletedFileIsToldInsteadOfWrittenTo) {
  Directory directory;
  auto opened = must_open(directory.path());
  must(opened.store->commit(put({network("lab")})));
  const fs::path aside = directory.path() / "aside";
  fs::rename(directory.database(), aside);
  const auto lost = opened.store->commit(put({network("other")}));
  ASSERT_FALSE(lost);
  EXPECT_NE(lost.error().text().find("deleted or moved"), std::string::npos) << lost.error().text();
  fs::rename(aside, directory.database());
  must(opened.store->commit(put({network("other")})));
  EXPECT_EQ(must(opened.store->objects()).size(), 2U);
}

}  // namespace
}  // namespace lanwright
