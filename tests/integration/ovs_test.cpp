// Bridges of Open vSwitch, planned and made on a real one. Witness: ovs-vsctl(8).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "reconcilers/ovs/backend.h"
#include "reconcilers/ovs/planner.h"
#include "tests/integration/open_vswitch.h"

namespace lanwright::ovs {
namespace {

using namespace std::chrono_literals;

constexpr const char* kUid = "0123456789abcdef";
constexpr const char* kOther = "fedcba9876543210";

class OvsBridges : public ::testing::Test {
  boost::asio::io_context io_;  // outlives the backend

 public:
  ~OvsBridges() override { events_.release(); }

 protected:
  OvsBridges() : events_(io_) {
    os::claim_loop_thread();
    ovsdb::SessionOptions options;
    options.socket = ovs.socket();
    auto opened = Backend::open(io_, options);
    if (!opened) throw test::HarnessError(opened.error().text());
    backend = std::move(*opened);
    events_.assign(backend->event_fd());
    listen();
    if (!until([&] { return observed.live && observed.initialised; })) throw test::HarnessError("not live");
  }
  template <class Condition>
  bool until(const Condition& condition, std::chrono::milliseconds limit = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (io_.run_one_until(deadline) == 0) return condition();
    }
    return true;
  }

  // One plan, stage by stage; the errors that there were.
  std::vector<Error> carry_out(const Plan& plan) {
    os::claim_loop_thread();
    std::vector<Error> errors;
    for (std::size_t at = 0; at < plan.actions.size();) {
      std::vector<const Action*> stage;
      for (const int number = plan.actions[at].stage;
           at < plan.actions.size() && plan.actions[at].stage == number; ++at)
        stage.push_back(&plan.actions[at]);
      for (const auto& result : backend->execute(stage, observed)) {
        if (!result) errors.push_back(result.error());
      }
      moved.merge(backend->drain(observed).bridges);
    }
    return errors;
  }
  // The same, until nothing is under way any more.
  std::vector<Error> carry_out_to_the_end(const Plan& plan) {
    for (;;) {
      std::vector<Error> errors = carry_out(plan);
      if (std::none_of(errors.begin(), errors.end(), [](const Error& error) {
            return error.words.find("not taken it up yet") != std::string::npos;
          }))
        return errors;
    }
  }
  // Plans and acts until nothing is left to do.
  ::testing::AssertionResult converge(const Wanted& wanted) {
    std::string log;
    for (int round = 0; round < 5; ++round) {
      const Plan made = plan(wanted, observed);
      if (made.actions.empty() && made.blocked.empty()) return ::testing::AssertionSuccess();
      for (const Action& action : made.actions) log += bridge_of(action.step) + ": " + action.reason + "\n";
      for (const Blocked& each : made.blocked) log += each.why.text() + "\n";
      for (const Error& error : carry_out(made)) log += error.text() + "\n";
      until([&] {
        const Plan next = plan(wanted, observed);
        return next == Plan() || (!next.actions.empty() && next.actions != made.actions);
      });
    }
    return ::testing::AssertionFailure() << log << ovs.vswitchd_log();
  }
  void add_veth(const std::string& name) const {
    sandbox.ip("link add " + name + " up type veth peer name x" + name);
  }
  // With a veth for each port.
  BridgeSpec bridge(const std::vector<std::string>& ports) const {
    BridgeSpec spec;
    spec.uid = kUid;
    spec.datapath_type = "netdev";
    for (const std::string& port : ports) spec.ports[port] = {{kUid, port}, std::nullopt, {}};
    return spec;
  }
  std::int64_t configurations() const {
    return std::stoll(ovs.vsctl({"get", "Open_vSwitch", ".", "next_cfg"}));
  }

  test::Sandbox sandbox;
  test::OpenVswitch ovs{sandbox};
  Observed observed;
  std::set<std::string> moved;
  std::unique_ptr<Backend> backend;

 private:
  void listen() {
    events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                         if (error) return;
                         os::assert_on_loop(io_);
                         moved.merge(backend->drain(observed).bridges);
                         listen();
                       });
  }

  boost::asio::posix::stream_descriptor events_;
};

TEST_F(OvsBridges, AreMadeAsWantedAndThenLeftAlone) {
  for (const char* name : {"v1", "v2", "v3"}) add_veth(name);
  BridgeSpec spec = bridge({"v1", "v2", "v3"});
  spec.datapath_id = "000000000000002a";
  spec.ports["v1"].ofport = 11;
  spec.ports["v2"].vlans = {10, {}};
  spec.ports["v3"].vlans = {10, {20, 30}};
  spec.controllers = std::vector<ControllerSpec>{ControllerSpec{"tcp:127.0.0.1:16653", 1000}};
  const Wanted wanted{{{"br0", spec}}, {}};
  ASSERT_TRUE(converge(wanted));
  EXPECT_EQ(configurations(), 2) << "the bridge with its ports, then its controller";

  const BridgeFact& is = observed.bridges.at("br0");
  EXPECT_EQ(is.mark, (OwnerTag{kUid, {}}));
  EXPECT_EQ(is.running_id, "000000000000002a");
  EXPECT_TRUE(is.has_local);
  EXPECT_EQ(is.ports.at("v1").ofport, 11);
  EXPECT_EQ(is.ports.at("v3").vlans, (PortVlans{10, {20, 30}}));
  EXPECT_EQ(ovs.vsctl({"get-controller", "br0"}), "tcp:127.0.0.1:16653");
  EXPECT_EQ(ovs.vsctl({"get-fail-mode", "br0"}), "secure");
  EXPECT_EQ(ovs.vsctl({"get", "Interface", "v1", "ofport"}), "11");
  EXPECT_EQ(ovs.vsctl({"get", "Port", "v2", "tag"}), "10");
  EXPECT_EQ(ovs.vsctl({"get", "Bridge", "br0", "other_config:disable-in-band"}), "\"true\"");
}

TEST_F(OvsBridges, DriftIsRepairedAndOthersKeysAreKept) {
  for (const char* name : {"v1", "v2", "theirs"}) add_veth(name);
  BridgeSpec spec = bridge({"v1", "v2"});
  spec.datapath_id = "000000000000002a";
  spec.controllers = std::vector<ControllerSpec>{ControllerSpec{"tcp:127.0.0.1:16653", {}}};
  const Wanted wanted{{{"br0", spec}}, {}};
  ASSERT_TRUE(converge(wanted));
  moved.clear();
  ovs.vsctl({"set-fail-mode",
             "br0",
             "standalone",
             "--",
             "set",
             "Bridge",
             "br0",
             "other_config:datapath-id=0000000000000007",
             "other_config:theirs=1",
             "external_ids:theirs=2",
             "--",
             "remove",
             "Bridge",
             "br0",
             "other_config",
             "disable-in-band",
             "--",
             "set-controller",
             "br0",
             "tcp:127.0.0.1:1",
             "--",
             "del-port",
             "v1",
             "--",
             "add-port",
             "br0",
             "theirs",
             "--",
             "set",
             "Port",
             "v2",
             "tag=7"});
  ASSERT_TRUE(until([&] { return !plan(wanted, observed).actions.empty(); }));
  EXPECT_TRUE(moved.contains("br0"));
  ASSERT_TRUE(converge(wanted));
  EXPECT_EQ(ovs.vsctl({"get", "Bridge", "br0", "other_config:theirs"}), "\"1\"");
  EXPECT_EQ(ovs.vsctl({"get", "Bridge", "br0", "external_ids:theirs"}), "\"2\"");
  EXPECT_EQ(ovs.vsctl({"get-controller", "br0"}), "tcp:127.0.0.1:16653");
  EXPECT_EQ(ovs.vsctl({"list-ports", "br0"}), "theirs\nv1\nv2");
  EXPECT_EQ(ovs.vsctl({"get", "Port", "v2", "tag"}), "[]");
}

TEST_F(OvsBridges, PortsAndBridgesGoWhenTheyAreNotWanted) {
  for (const char* name : {"v1", "v2"}) add_veth(name);
  ASSERT_TRUE(converge({{{"br0", bridge({"v1", "v2"})}}, {}}));
  ASSERT_TRUE(converge({{{"br0", bridge({"v2"})}}, {}}));
  EXPECT_EQ(ovs.vsctl({"list-ports", "br0"}), "v2");
  // Under another name: its ports go with it.
  ASSERT_TRUE(converge({{{"br1", bridge({"v1", "v2"})}}, {}}));
  EXPECT_EQ(ovs.vsctl({"list-br"}), "br1");
  EXPECT_EQ(ovs.vsctl({"list-ports", "br1"}), "v1\nv2");
  ovs.vsctl({"add-br", "theirs"});
  ASSERT_TRUE(converge({{}, {kUid}}));
  EXPECT_EQ(ovs.vsctl({"list-br"}), "theirs");
  EXPECT_TRUE(until([&] { return observed.bridges.size() == 1; }));
}

TEST_F(OvsBridges, SomebodyElsesAreLeftAlone) {
  ovs.vsctl({"add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev"});
  ASSERT_TRUE(until([&] { return observed.bridges.contains("br0"); }));
  const Plan made = plan({{{"br0", bridge({})}}, {}}, observed);
  EXPECT_TRUE(made.actions.empty());
  ASSERT_EQ(made.blocked.size(), 1U);
  EXPECT_EQ(made.blocked[0].why.kind, ErrorKind::conflict);
}

// What was planned is not done when the mark has changed meanwhile, seen or not.
TEST_F(OvsBridges, AMarkThatChangedStopsWhatWasPlanned) {
  ASSERT_TRUE(converge({{{"br0", bridge({})}}, {}}));
  const Plan removal = plan({{}, {kUid}}, observed);
  ASSERT_EQ(removal.actions.size(), 1U);
  ovs.vsctl({"set", "Bridge", "br0", std::string("external_ids:lanwright=\"lanwright:") + kOther + "\""});
  const std::vector<Error> errors = carry_out_to_the_end(removal);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].kind, ErrorKind::conflict) << errors[0].text();
  EXPECT_EQ(ovs.vsctl({"list-br"}), "br0");
}

TEST_F(OvsBridges, AMissingDeviceIsAnErrorUntilItComes) {
  add_veth("v1");
  const Wanted wanted{{{"br0", bridge({"v1", "v2"})}}, {}};
  const std::vector<Error> errors = carry_out_to_the_end(plan(wanted, observed));
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].words.find("could not open network device v2"), std::string::npos) << errors[0].text();
  const Plan next = plan(wanted, observed);
  EXPECT_TRUE(next.actions.empty()) << "nothing helps but the device";
  ASSERT_EQ(next.blocked.size(), 1U);
  EXPECT_EQ(next.blocked[0].port, "v2");
  EXPECT_EQ(next.blocked[0].why.kind, ErrorKind::waiting);
  add_veth("v2");
  EXPECT_TRUE(until([&] { return plan(wanted, observed) == Plan(); }));
}

TEST_F(OvsBridges, AVswitchdThatHangsIsNotWaitedForNorAskedTwice) {
  const Wanted wanted{{{"br0", bridge({})}}, {}};
  const Plan made = plan(wanted, observed);
  const std::int64_t before = configurations();
  ovs.signal_vswitchd(SIGSTOP);
  for (int i = 0; i < 3; ++i) {
    const std::vector<Error> errors = carry_out(made);
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0].kind, ErrorKind::waiting) << errors[0].text();
  }
  EXPECT_EQ(configurations(), before + 1);
  ovs.signal_vswitchd(SIGCONT);
  EXPECT_TRUE(until(
      [&] { return plan(wanted, observed) == Plan() && !observed.bridges.at("br0").running_id.empty(); }));
}

TEST_F(OvsBridges, AreWaitedForWithoutTheDatabaseAndMadeAgainInAnEmptyOne) {
  add_veth("v1");
  const Wanted wanted{{{"br0", bridge({"v1"})}}, {}};
  ASSERT_TRUE(converge(wanted));
  ovs.kill_server();
  ASSERT_TRUE(until([&] { return !observed.live; }));
  ASSERT_EQ(plan(wanted, observed).blocked.size(), 1U);
  EXPECT_TRUE(plan(wanted, observed).actions.empty());
  ovs.empty_database();
  ovs.start_server();
  ASSERT_TRUE(until([&] { return observed.live && !observed.initialised; }));
  ovs.vsctl({"init"});
  ASSERT_TRUE(until([&] { return observed.initialised; }));
  ASSERT_TRUE(converge(wanted));
  EXPECT_EQ(ovs.vsctl({"list-ports", "br0"}), "v1");
}

}  // namespace
}  // namespace lanwright::ovs
