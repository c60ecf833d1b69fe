// The session with Open vSwitch's database: with a real ovsdb-server and ovs-vswitchd, and with a server that
// says what the test wants. Witness: ovs-vsctl(8).
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <csignal>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "reconcilers/ovsdb/message.h"
#include "reconcilers/ovsdb/session.h"
#include "tests/integration/daemon.h"
#include "tests/integration/open_vswitch.h"

namespace lanwright::ovsdb {
namespace {

using namespace std::chrono_literals;
using test::Fd;
using test::HarnessError;

constexpr std::int64_t kLocalPort = 65534;  // OFPP_LOCAL, as OVSDB has it

Value text(const std::string& value) {
  return value_of(Atom(value));
}

// A session on a loop that does nothing but what the session's descriptor and timer ask for.
class Loop {
 public:
  explicit Loop(SessionOptions options) : events_(io_) {
    os::claim_loop_thread();
    auto opened = Session::open(io_, std::move(options));
    if (!opened) throw HarnessError(opened.error().text());
    session_ = std::move(*opened);
    events_.assign(session_->event_fd());
    listen();
  }
  ~Loop() { events_.release(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Turns until it is so; false when the limit passed first.
  template <class Condition>
  bool until(const Condition& condition, std::chrono::milliseconds limit = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (io_.run_one_until(deadline) == 0) return condition();
    }
    return true;
  }
  bool until_live() {
    return until([&] { return session_->is_live(); });
  }
  // Turns for this long; how many times there was something to do.
  std::size_t turns_within(std::chrono::milliseconds time) { return io_.run_for(time); }

  // Turns until nothing was to be done for a while.
  void settle() {
    for (int i = 0; i < 50 && turns_within(100ms) != 0;) ++i;
  }

  // What became of it, by way of the loop.
  Result<Outcome> commit(Transaction transaction) {
    os::claim_loop_thread();
    const auto result = std::make_shared<std::optional<Result<Outcome>>>();
    const auto sent = session_->commit(std::move(transaction),
                                       [result](Result<Outcome> done) { *result = std::move(done); });
    if (!sent) return sent.error();
    if (!until([&] { return result->has_value(); }, 15s)) throw HarnessError("a transaction without an end");
    return **result;
  }

  std::string trouble() const { return session_->trouble() ? session_->trouble()->text() : ""; }
  bool is_in_trouble(const std::string& words) {
    return until([&] { return trouble().find(words) != std::string::npos; });
  }
  Session& operator*() { return *session_; }
  Session* operator->() { return session_.get(); }
  const Tables& tables() const { return session_->tables(); }
  template <class Row>
  const Row* find(const std::string& name) const {
    return tables().of<Row>().find(name);
  }

  RowChanges changes;  // since the test cleared them

 private:
  void listen() {
    events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                         if (error) return;
                         os::assert_on_loop(io_);
                         changes.add(session_->drain().rows);
                         listen();
                       });
  }

  boost::asio::io_context io_;
  std::unique_ptr<Session> session_;
  boost::asio::posix::stream_descriptor events_;
};

class WithOpenVswitch : public ::testing::Test {
 protected:
  test::Sandbox sandbox;
  test::OpenVswitch ovs{sandbox};

  SessionOptions options() const {
    SessionOptions options;
    options.socket = ovs.socket();
    return options;
  }
  void add_veth(const std::string& name) const {
    sandbox.ip("link add " + name + " up type veth peer name x" + name);
  }
};

// A port and its interface, in the transaction.
NamedUuid insert_port(Transaction& transaction, const std::string& name, Columns interface = {}) {
  interface.emplace("name", text(name));
  const NamedUuid row = transaction.insert("Interface", interface);
  transaction.await_port(name);
  return transaction.insert("Port", {{"name", text(name)}, {"interfaces", value_of(Atom(row))}});
}

Transaction bridge_with_ports(const Tables& tables, const std::string& name,
                              const std::vector<std::string>& ports) {
  Transaction transaction("create bridge", name);
  transaction.expect_no_row("Bridge", name);
  Set rows{insert_port(transaction, name, {{"type", text("internal")}})};
  for (const std::string& port : ports) rows.insert(insert_port(transaction, port));
  const NamedUuid bridge =
      transaction.insert("Bridge", {{"name", text(name)},
                                    {"datapath_type", text("netdev")},
                                    {"fail_mode", text("secure")},
                                    {"ports", rows},
                                    {"external_ids", value_of(StringMap{{"lanwright", "uid1"}})}});
  transaction.add_to("Open_vSwitch", *tables.root_uuid(), "bridges", value_of(Atom(bridge)));
  return transaction;
}

Transaction port_on(const Tables& tables, const std::string& bridge, const std::string& port,
                    const Columns& interface = {}) {
  Transaction transaction("plug in", port);
  const NamedUuid row = insert_port(transaction, port, interface);
  transaction.add_to("Bridge", *tables.of<BridgeRow>().uuid_of(bridge), "ports", value_of(Atom(row)));
  return transaction;
}

::testing::AssertionResult done(const Result<Outcome>& result) {
  if (!result) return ::testing::AssertionFailure() << result.error().text();
  if (result->failed.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result->failed.begin()->second.text();
}

::testing::AssertionResult refused(const Result<Outcome>& result, ErrorKind kind, const std::string& words) {
  if (result) return ::testing::AssertionFailure() << "it was done";
  const std::string is = result.error().text();
  if (result.error().kind == kind && is.find(words) != std::string::npos)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << name_of(result.error().kind) << ": " << is;
}

TEST_F(WithOpenVswitch, MakesABridgeWithPorts) {
  for (const char* name : {"v1", "v2", "v3"}) add_veth(name);
  Loop loop(options());
  ASSERT_TRUE(loop.until_live()) << loop.trouble();
  loop.changes = {};
  const auto made = loop.commit(bridge_with_ports(loop.tables(), "br0", {"v1", "v2", "v3"}));
  ASSERT_TRUE(done(made)) << ovs.vswitchd_log();
  ASSERT_EQ(made->ofports.size(), 4U);
  EXPECT_EQ(made->ofports.at("br0"), kLocalPort);
  std::set<std::int64_t> numbers;
  for (const char* name : {"v1", "v2", "v3"}) {
    numbers.insert(made->ofports.at(name));
    EXPECT_EQ(ovs.vsctl({"get", "Interface", name, "ofport"}), std::to_string(made->ofports.at(name)));
    EXPECT_TRUE(loop.changes.has<InterfaceRow>(name) && loop.changes.has<PortRow>(name));
  }
  EXPECT_EQ(numbers, (std::set<std::int64_t>{1, 2, 3}));
  EXPECT_TRUE(loop.changes.has<BridgeRow>("br0"));

  const BridgeRow* bridge = loop.find<BridgeRow>("br0");
  ASSERT_NE(bridge, nullptr);
  EXPECT_EQ(bridge->fail_mode, "secure");
  EXPECT_EQ(bridge->datapath_type, "netdev");
  EXPECT_EQ(bridge->ports.size(), 4U);
  EXPECT_EQ(bridge->external_ids, (StringMap{{"lanwright", "uid1"}}));
  EXPECT_EQ(ovs.vsctl({"list-ports", "br0"}), "v1\nv2\nv3");
  EXPECT_EQ(ovs.vsctl({"get-fail-mode", "br0"}), "secure");
  EXPECT_TRUE(sandbox.link("br0")) << "its local port";
}

TEST_F(WithOpenVswitch, FollowsWhatOthersDo) {
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  ovs.vsctl({"add-br", "br1", "--", "set", "Bridge", "br1", "datapath_type=netdev", "--", "set-controller",
             "br1", "tcp:127.0.0.1:6653"});
  ASSERT_TRUE(loop.until([&] { return loop.find<ControllerRow>("tcp:127.0.0.1:6653") != nullptr; }));
  EXPECT_TRUE(loop.changes.has<BridgeRow>("br1"));
  loop.changes = {};
  ovs.vsctl({"set", "Bridge", "br1", "fail_mode=standalone"});
  ASSERT_TRUE(loop.until([&] { return loop.find<BridgeRow>("br1")->fail_mode == "standalone"; }));
  EXPECT_TRUE(loop.changes.has<BridgeRow>("br1"));
  ovs.vsctl({"del-br", "br1"});
  ASSERT_TRUE(loop.until([&] { return loop.find<BridgeRow>("br1") == nullptr; }));
  EXPECT_TRUE(loop.tables().of<ControllerRow>().rows().empty());
}

TEST_F(WithOpenVswitch, AMissingDeviceFailsInTheWordsOfOvsVswitchd) {
  add_veth("v1");
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  const auto made = loop.commit(bridge_with_ports(loop.tables(), "br0", {"v1", "nosuch"}));
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_TRUE(made->ofports.contains("v1"));
  ASSERT_TRUE(made->failed.contains("nosuch"));
  const Error& error = made->failed.at("nosuch");
  EXPECT_EQ(error.kind, ErrorKind::waiting);
  EXPECT_NE(error.words.find("could not open network device nosuch (No such device)"), std::string::npos)
      << error.text();

  loop.changes = {};
  add_veth("nosuch");
  ASSERT_TRUE(loop.until([&] { return ofport_of(loop.tables(), "nosuch").ok(); }));
  EXPECT_TRUE(loop.changes.has<InterfaceRow>("nosuch"));
}

TEST_F(WithOpenVswitch, AnOpenFlowPortThatIsTakenIsFoundOut) {
  add_veth("v1");
  add_veth("v2");
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {}))));
  const Columns seven{{"ofport_request", value_of(Atom(std::int64_t{7}))}};
  ASSERT_TRUE(done(loop.commit(port_on(loop.tables(), "br0", "v1", seven))));
  const auto second = loop.commit(port_on(loop.tables(), "br0", "v2", seven));
  ASSERT_TRUE(second) << second.error().text();
  ASSERT_TRUE(second->failed.contains("v2"));
  EXPECT_NE(second->failed.at("v2").words.find("OpenFlow port 7 was requested"), std::string::npos);
}

// The host's kernel has no such datapath here: nothing is said of it but that there is no port.
TEST_F(WithOpenVswitch, APortWithoutANumberHasFailed) {
  if (std::filesystem::exists("/sys/module/openvswitch")) GTEST_SKIP() << "the kernel has the datapath";
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  Transaction transaction("create bridge", "br0");
  const NamedUuid port = insert_port(transaction, "br0", {{"type", text("internal")}});
  const NamedUuid bridge =
      transaction.insert("Bridge", {{"name", text("br0")}, {"ports", value_of(Atom(port))}});
  transaction.add_to("Open_vSwitch", *loop.tables().root_uuid(), "bridges", value_of(Atom(bridge)));
  const auto made = loop.commit(std::move(transaction));
  ASSERT_TRUE(made) << made.error().text();
  ASSERT_TRUE(made->failed.contains("br0"));
  EXPECT_EQ(made->failed.at("br0").kind, ErrorKind::unsupported);
}

TEST_F(WithOpenVswitch, WhatTheServerRefusesIsNotDone) {
  add_veth("v1");
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {"v1"}))));
  const std::int64_t before = loop.tables().root()->next_cfg;

  EXPECT_TRUE(refused(loop.commit(port_on(loop.tables(), "br0", "v2", {{"colour", text("red")}})),
                      ErrorKind::unsupported, "plug in v2: insert Interface v2: unknown column"));
  EXPECT_TRUE(
      refused(loop.commit(port_on(loop.tables(), "br0", "v1")), ErrorKind::conflict, "constraint violation"));
  EXPECT_TRUE(refused(loop.commit(bridge_with_ports(loop.tables(), "br0", {})), ErrorKind::conflict,
                      "expect no Bridge br0: timed out"));

  const Uuid bridge = *loop.tables().of<BridgeRow>().uuid_of("br0");
  Transaction expecting("change", "br0");
  expecting.expect("Bridge", bridge, {{"fail_mode", text("standalone")}});
  expecting.update("Bridge", bridge, {{"fail_mode", value_of(std::optional<std::string>())}});
  EXPECT_TRUE(refused(loop.commit(std::move(expecting)), ErrorKind::conflict, "timed out"));

  Transaction missing("change", "br7");
  missing.update("Bridge", Uuid{"00000000-0000-0000-0000-000000000007"}, {{"fail_mode", text("secure")}});
  EXPECT_TRUE(refused(loop.commit(std::move(missing)), ErrorKind::conflict, "expect Bridge 00000000"));

  EXPECT_TRUE(loop->is_live()) << "nothing of this concerns the connection";
  EXPECT_EQ(ovs.vsctl({"get-fail-mode", "br0"}), "secure");
  EXPECT_EQ(ovs.vsctl({"list-ports", "br0"}), "v1");
  EXPECT_EQ(ovs.vsctl({"get", "Open_vSwitch", ".", "next_cfg"}), std::to_string(before));
}

TEST_F(WithOpenVswitch, ChangesAndRemovesWhatThereIs) {
  add_veth("v1");
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {"v1"}))));
  const Uuid bridge = *loop.tables().of<BridgeRow>().uuid_of("br0");
  Transaction change("change", "br0");
  change.expect("Bridge", bridge, {{"fail_mode", text("secure")}, {"name", text("br0")}});
  change.update("Bridge", bridge, {{"fail_mode", text("standalone")}});
  change.remove_from("Bridge", bridge, "ports", value_of(Atom(*loop.tables().of<PortRow>().uuid_of("v1"))));
  ASSERT_TRUE(done(loop.commit(std::move(change))));
  EXPECT_EQ(ovs.vsctl({"get-fail-mode", "br0"}), "standalone");
  EXPECT_EQ(ovs.vsctl({"list-ports", "br0"}), "");
  EXPECT_EQ(loop.find<InterfaceRow>("v1"), nullptr);

  Transaction removal("remove bridge", "br0");
  removal.remove_from("Open_vSwitch", *loop.tables().root_uuid(), "bridges", value_of(Atom(bridge)));
  ASSERT_TRUE(done(loop.commit(std::move(removal))));
  EXPECT_EQ(ovs.vsctl({"list-br"}), "");
  EXPECT_TRUE(loop.tables().of<InterfaceRow>().rows().empty());
}

TEST_F(WithOpenVswitch, ReadsAllAnewAfterTheServerWasKilled) {
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {}))));
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br1", {}))));
  loop.changes = {};
  ovs.kill_server();
  ASSERT_TRUE(loop.until([&] { return !loop->is_live(); }));
  ASSERT_TRUE(loop.is_in_trouble("Connection refused")) << loop.trouble();
  EXPECT_TRUE(loop.changes.empty()) << "what was known stays";
  EXPECT_NE(loop.find<BridgeRow>("br0"), nullptr);
  EXPECT_TRUE(refused(loop.commit(bridge_with_ports(loop.tables(), "br2", {})), ErrorKind::waiting,
                      "Connection refused"));

  ovs.transact_offline(
      R"({"op":"update","table":"Bridge","where":[["name","==","br1"]],"row":{"fail_mode":"standalone"}})");
  ovs.start_server();
  ASSERT_TRUE(loop.until_live()) << loop.trouble();
  EXPECT_EQ(loop.find<BridgeRow>("br1")->fail_mode, "standalone");
  EXPECT_TRUE(loop.changes.has<BridgeRow>("br1"));
  EXPECT_FALSE(loop.changes.names.contains("Port")) << "nothing that is as it was";
  EXPECT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br2", {}))));
}

TEST_F(WithOpenVswitch, AnEmptyDatabaseIsWaitedFor) {
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {}))));
  ovs.kill_server();
  ASSERT_TRUE(loop.until([&] { return !loop->is_live(); }));
  const Transaction late = bridge_with_ports(loop.tables(), "br2", {});
  ovs.empty_database();
  ovs.start_server();
  ASSERT_TRUE(loop.until_live()) << loop.trouble();
  EXPECT_EQ(loop.tables().root(), nullptr);
  EXPECT_EQ(loop.find<BridgeRow>("br0"), nullptr);
  EXPECT_TRUE(refused(loop.commit(late), ErrorKind::waiting, "not initialised"));

  ovs.vsctl({"init"});
  ASSERT_TRUE(loop.until([&] { return loop.tables().root() != nullptr; }));
  EXPECT_TRUE(refused(loop.commit(late), ErrorKind::conflict, "expect Open_vSwitch"))
      << "it was made for the old one";
  EXPECT_EQ(ovs.vsctl({"list-br"}), "");
  EXPECT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {}))));
}

TEST_F(WithOpenVswitch, AVswitchdThatHangsIsATimeout) {
  SessionOptions brief = options();
  brief.commit_limit = 500ms;
  Loop loop(brief);
  ASSERT_TRUE(loop.until_live());
  const std::int64_t before = loop.tables().root()->next_cfg;
  ovs.signal_vswitchd(SIGSTOP);
  const auto made = loop.commit(bridge_with_ports(loop.tables(), "br0", {}));
  ovs.signal_vswitchd(SIGCONT);
  EXPECT_TRUE(refused(made, ErrorKind::timeout, "of " + std::to_string(before + 1)));
  EXPECT_TRUE(loop->is_live());
  ASSERT_TRUE(loop.until([&] { return loop.tables().root()->cur_cfg > before; })) << "it goes on";
  EXPECT_TRUE(ofport_of(loop.tables(), "br0"));
}

TEST_F(WithOpenVswitch, AServerThatHangsIsLeft) {
  SessionOptions brief = options();
  brief.probe_after = 200ms;
  Loop loop(brief);
  ASSERT_TRUE(loop.until_live());
  ovs.signal_server(SIGSTOP);
  const auto made = loop.commit(bridge_with_ports(loop.tables(), "br0", {}));
  EXPECT_TRUE(refused(made, ErrorKind::waiting, "ovsdb-server does not answer"));
  EXPECT_FALSE(loop->is_live());
  ovs.signal_server(SIGCONT);
  EXPECT_TRUE(loop.until_live()) << loop.trouble();
}

TEST_F(WithOpenVswitch, NobodyIsWokenUpWhileNothingHappens) {
  SessionOptions brief = options();
  brief.probe_after = 50ms;
  Loop loop(brief);
  ASSERT_TRUE(loop.until_live());
  ASSERT_TRUE(done(loop.commit(bridge_with_ports(loop.tables(), "br0", {}))));
  loop.settle();  // what ovs-vswitchd still writes of the new bridge
  EXPECT_EQ(loop.turns_within(1s), 0U);
}

// ---- a server that does what the test says

class FakeServer {
 public:
  // The script runs on a thread of its own.
  template <class Script>
  FakeServer(const std::filesystem::path& path, Script script)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket") {
    test::UnixAddress address(path);
    if (bind(listener_.get(), address.get(), test::UnixAddress::size) != 0 || listen(listener_.get(), 8) != 0)
      test::fail_errno("listen at " + path.string());
    limit(listener_);
    script_ = std::async(std::launch::async, [this, script] { script(*this); });
  }
  ~FakeServer() { EXPECT_NO_THROW(script_.get()); }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  void accept() {
    client_ = Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept");
    limit(client_);
    framer_ = Framer();
    requests_.clear();
  }
  Json next_request() {
    std::array<char, 65536> piece{};
    std::vector<Json> messages;
    while (requests_.empty()) {
      const ssize_t size = recv(client_.get(), piece.data(), piece.size(), 0);
      if (size < 0) test::fail_errno("read a request");
      if (size == 0) throw HarnessError("the client has gone");
      const auto fed = framer_.feed({piece.data(), static_cast<std::size_t>(size)}, messages);
      if (!fed) throw HarnessError(fed.error().text());
      requests_.insert(requests_.end(), messages.begin(), messages.end());
      messages.clear();
    }
    Json request = std::move(requests_.front());
    requests_.pop_front();
    return request;
  }
  void send(const std::string& bytes, std::size_t piece = std::string::npos) {
    for (std::size_t at = 0; at < bytes.size(); at += std::min(piece, bytes.size())) {
      const std::string part = bytes.substr(at, piece);
      if (::send(client_.get(), part.data(), part.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(part.size()))
        test::fail_errno("send an answer");
    }
  }
  bool waits_for_end() {
    char byte = 0;
    return recv(client_.get(), &byte, 1, 0) == 0;
  }
  void close() { client_ = Fd(); }

  // Accepts, and answers that there is an initialised database.
  void greet() {
    accept();
    send(monitor_answer(next_request()));
  }
  static std::string monitor_answer(const Json& asked) { return reply(asked["id"], rows(1)); }
  static Json rows(std::int64_t current) {
    return Json::parse(
        R"({"Open_vSwitch":{"00000000-0000-0000-0000-000000000001":{"new":{"bridges":["set",[]],
      "next_cfg":9,"cur_cfg":)" +
        std::to_string(current) + R"(,"ovs_version":"fake","other_config":["map",[]]}}}})");
  }
  static std::string update(const Json& updates) {
    return Json({{"id", nullptr}, {"method", "update"}, {"params", Json::array({"lanwright", updates})}})
        .dump();
  }

 private:
  static void limit(const Fd& socket) {
    const timeval time{10, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  }

  Fd listener_;
  Fd client_;
  Framer framer_;
  std::deque<Json> requests_;
  std::future<void> script_;
};

class WithFakeServer : public ::testing::Test {
 protected:
  test::Sandbox sandbox;
  const std::filesystem::path socket = sandbox.directory() / "db.sock";

  SessionOptions options() const {
    SessionOptions options;
    options.socket = socket;
    return options;
  }
  static Transaction small() { return {"change", "nothing"}; }
};

TEST_F(WithFakeServer, MessagesMayComeInPiecesOrTogether) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::string::npos}) {
    std::filesystem::remove(socket);
    FakeServer server(socket, [&](FakeServer& fake) {
      fake.accept();
      const std::string asks = Json({{"id", "e"}, {"method", "echo"}, {"params", {"here"}}}).dump();
      fake.send(FakeServer::monitor_answer(fake.next_request()) + FakeServer::update(FakeServer::rows(2)) +
                    FakeServer::update(FakeServer::rows(3)) + asks,
                piece);
      const Json echoed = fake.next_request();
      EXPECT_EQ(echoed, Json::parse(R"({"id":"e","result":["here"],"error":null})"));
      fake.send(FakeServer::update(FakeServer::rows(4)));
      EXPECT_TRUE(fake.waits_for_end());
    });
    Loop loop(options());
    EXPECT_TRUE(loop.until([&] { return loop->is_live() && loop.tables().root()->cur_cfg == 4; }))
        << loop.trouble();
  }
}

TEST_F(WithFakeServer, RequestsThatItDoesNotKnowAreRefused) {
  FakeServer server(socket, [](FakeServer& fake) {
    fake.greet();
    fake.send(R"({"id":5,"method":"dance","params":[]}{"id":null,"method":"stolen","params":["x"]})");
    EXPECT_EQ(fake.next_request(), Json::parse(R"({"id":5,"result":null,"error":"unknown method"})"));
    fake.send(FakeServer::update(FakeServer::rows(4)));
    EXPECT_TRUE(fake.waits_for_end());
  });
  Loop loop(options());
  EXPECT_TRUE(loop.until([&] { return loop->is_live() && loop.tables().root()->cur_cfg == 4; }));
}

// What a server says after it was asked for the rows; the session says what was wrong, and begins anew.
class HostileServer : public WithFakeServer,
                      public ::testing::WithParamInterface<std::pair<std::string, std::string>> {};

TEST_P(HostileServer, IsLeftAndTriedAgain) {
  const auto& [says, words] = GetParam();
  FakeServer server(socket, [says = says](FakeServer& fake) {
    fake.accept();
    fake.next_request();
    fake.send(says);
    if (says.empty()) fake.close();
    EXPECT_TRUE(says.empty() || fake.waits_for_end());
    fake.greet();
    EXPECT_TRUE(fake.waits_for_end());
  });
  SessionOptions patient = options();
  patient.first_retry = 100ms;
  Loop loop(patient);
  EXPECT_TRUE(loop.is_in_trouble(words)) << loop.trouble();
  EXPECT_TRUE(loop.until_live()) << loop.trouble();
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileServer,
    ::testing::Values(
        std::pair("", "ended the connection"), std::pair("SSH-2.0-OpenSSH\n", "`S` where a message begins"),
        std::pair("{}", "neither a request nor a reply"),
        std::pair(R"({"id":77,"result":{},"error":null})", "an answer to nothing that was asked: 77"),
        std::pair(R"({"id":1,"result":[],"error":null})", "no object of tables"),
        std::pair(R"({"id":1,"result":null,"error":{"error":"unknown database"}})", "unknown database"),
        std::pair(R"({"id":1,"result":{"Bridge":{"x":{"new":{}}}},"error":null})", "no UUID"),
        std::pair(R"({"id":null,"method":"update","params":["lanwright",{}]})", "an update before the rows"),
        std::pair(R"({"id":1,"result":{},"error":null}{"id":null,"method":"update","params":["other",{}]})",
                  "an update that was not asked for"),
        std::pair(R"({"id":1,"result":)" + std::string(100, '['), "nested deeper")));

TEST_F(WithFakeServer, AMessageThatIsTooLongEndsTheConnection) {
  FakeServer server(socket, [](FakeServer& fake) {
    fake.accept();
    fake.next_request();
    fake.send(R"({"id":1,"result":")" + std::string(5000, 'x'));
    EXPECT_TRUE(fake.waits_for_end());
  });
  SessionOptions small_limit = options();
  small_limit.limits.bytes = 4096;
  small_limit.first_retry = 60s;
  Loop loop(small_limit);
  EXPECT_TRUE(loop.is_in_trouble("longer than 4096 bytes")) << loop.trouble();
}

TEST_F(WithFakeServer, NobodyKnowsWhatBecameOfARequestThatWasNotAnswered) {
  FakeServer server(socket, [](FakeServer& fake) {
    fake.greet();
    fake.next_request();
    fake.send(R"({"id":2,"resu)");
    fake.close();
  });
  SessionOptions patient = options();
  patient.first_retry = 60s;
  Loop loop(patient);
  ASSERT_TRUE(loop.until_live());
  EXPECT_TRUE(refused(loop.commit(small()), ErrorKind::waiting, "whether it was done is not known"));
  EXPECT_NE(loop.trouble().find("within a message"), std::string::npos) << loop.trouble();
}

TEST_F(WithFakeServer, IsAskedForASignOfLifeOnlyWhileItOwesAnAnswer) {
  std::promise<void> quiet;
  FakeServer server(socket, [asleep = quiet.get_future().share()](FakeServer& fake) {
    fake.greet();
    asleep.wait_for(10s);  // all that came meanwhile would stand before this:
    EXPECT_EQ(fake.next_request()["method"], "transact");
    for (int i = 0; i < 3; ++i) {
      const Json probe = fake.next_request();
      EXPECT_EQ(probe["method"], "echo");
      fake.send(reply(probe["id"], probe["params"]));
    }
    EXPECT_EQ(fake.next_request()["method"], "echo");
    EXPECT_TRUE(fake.waits_for_end());
  });
  SessionOptions brief = options();
  brief.probe_after = 50ms;
  brief.first_retry = 60s;
  Loop loop(brief);
  ASSERT_TRUE(loop.until_live());
  loop.settle();  // what is left of the timer
  EXPECT_EQ(loop.turns_within(300ms), 0U);
  quiet.set_value();
  EXPECT_TRUE(refused(loop.commit(small()), ErrorKind::waiting, "ovsdb-server does not answer"));
}

TEST_F(WithFakeServer, MayTakeItsTimeToRead) {
  const std::string much(std::size_t{4} << 20U, 'x');
  std::promise<void> sent;
  FakeServer server(socket, [&much, begun = sent.get_future().share()](FakeServer& fake) {
    fake.greet();
    begun.wait_for(10s);
    const Json asked = fake.next_request();
    EXPECT_EQ(asked["params"][1]["row"]["name"], much);
    fake.send(reply(asked["id"], Json::parse(R"([{},{},{"count":1},{"rows":[{"next_cfg":1}]},{}])")));
    EXPECT_TRUE(fake.waits_for_end());
  });
  Loop loop(options());
  ASSERT_TRUE(loop.until_live());
  Transaction transaction("insert", "much");
  transaction.insert("Interface", {{"name", text(much)}});
  std::optional<Result<Outcome>> result;
  os::claim_loop_thread();
  ASSERT_TRUE(loop->commit(std::move(transaction), [&](Result<Outcome> done) { result = std::move(done); }));
  sent.set_value();
  ASSERT_TRUE(loop.until([&] { return result.has_value(); }));
  EXPECT_TRUE(*result) << result->error().text();
}

TEST_F(WithFakeServer, IsFoundAsSoonAsItsSocketAppears) {
  SessionOptions patient = options();
  patient.socket = sandbox.directory() / "later" / "db.sock";
  patient.first_retry = 60s;
  Loop loop(patient);
  ASSERT_TRUE(loop.is_in_trouble("No such file")) << loop.trouble();
  EXPECT_NE(loop.trouble().find("systemctl start openvswitch-switch"), std::string::npos) << loop.trouble();
  std::filesystem::create_directory(sandbox.directory() / "later");
  // Made beside it, and put in its place when it listens: so the first try is good.
  FakeServer server(sandbox.directory() / "beside", [](FakeServer& fake) { fake.greet(); });
  std::filesystem::rename(sandbox.directory() / "beside", patient.socket);
  EXPECT_TRUE(loop.until_live()) << loop.trouble();
}

TEST_F(WithFakeServer, ThatBreaksOffEveryTimeIsTriedLessAndLessOften) {
  constexpr int kTries = 5;
  FakeServer server(socket, [](FakeServer& fake) {
    for (int i = 0; i < kTries; ++i) {
      fake.greet();
      fake.close();
    }
    fake.greet();
    fake.send(FakeServer::update(FakeServer::rows(4)));
    EXPECT_TRUE(fake.waits_for_end());
  });
  const auto start = std::chrono::steady_clock::now();
  Loop loop(options());
  EXPECT_TRUE(loop.until([&] { return loop->is_live() && loop.tables().root()->cur_cfg == 4; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, (20 + 40 + 80 + 160 + 320) * 1ms);
}

}  // namespace
}  // namespace lanwright::ovsdb
