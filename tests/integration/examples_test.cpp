// Every file of examples/, applied to a host that has what the file needs: the traffic that it promises
// flows, the traffic that it excludes does not, and applying it again does nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "model/format/set_reader.h"
#include "reconcilers/drivers/registry.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/open_vswitch.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> example_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(SOURCE_DIR) / "examples")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_ovs(const NetworkSpec& network) {
  return network.driver == "ovs";
}

bool filters_vlans(const NetworkSpec& network) {
  const auto found = network.settings.find("vlan_filtering");
  return found != network.settings.end() && std::get<bool>(found->second);
}

// Routed by its parent: no neighbour beyond it answers without a route.
bool is_routed(const NetworkSpec& network) {
  const auto found = network.settings.find("mode");
  return network.driver == "ipvlan" && found != network.settings.end() &&
         std::get<std::string>(found->second) != "l2";
}

// By what the network leaves the host.
std::vector<std::string> ways_out(const NetworkSpec& network) {
  std::vector<std::string> names;
  for (const auto& uplink : network.uplinks) names.push_back(uplink.interface);
  if (!network.parent.empty()) names.push_back(network.parent);
  return names;
}

// An attachment with an address, as a place that traffic starts and ends at.
struct Host {
  std::string name;
  const AttachmentSpec* spec;
};

std::string host_part(const IpPrefix& prefix) {
  const std::string text = prefix.text();
  return text.substr(0, text.find('/'));
}

// The address of `other` that `one` reaches without a router.
std::optional<std::string> address_for(const AttachmentSpec& one, const AttachmentSpec& other,
                                       std::size_t size) {
  for (const IpPrefix& own : one.addresses) {
    for (const IpPrefix& remote : other.addresses) {
      if (own.address.size() == size && remote.address.size() == size && own.length == remote.length)
        return host_part(remote);
    }
  }
  return std::nullopt;
}

class Example : public testing::TestWithParam<fs::path> {
 protected:
  void SetUp() override {
    const ReadOutcome outcome =
        read_set(text_of(GetParam()), GetParam().filename(), drivers::driver_grammar());
    for (const Diagnostic& diagnostic : outcome.diagnostics) ADD_FAILURE() << diagnostic.text();
    ASSERT_TRUE(outcome.ok());
    set_ = outcome.set;
    vlans_ = set_.vlans;
    for (const auto& [name, network] : set_.networks) {
      if (const auto vlan = vlan_named(network.parent)) vlans_.emplace(network.parent, *vlan);
      for (const Uplink& uplink : network.uplinks)
        if (const auto vlan = vlan_named(uplink.interface)) vlans_.emplace(uplink.interface, *vlan);
    }
    skip_what_the_kernel_lacks();
    if (!IsSkipped() && !HasFatalFailure()) build_host();
  }

  void skip_what_the_kernel_lacks() {
    std::string lacking;
    const bool filtering =
        std::ranges::any_of(set_.networks, [](const auto& each) { return filters_vlans(each.second); });
    const bool ipvlan =
        std::ranges::any_of(set_.networks, [](const auto& each) { return each.second.driver == "ipvlan"; });
    sandbox_.ip("link add try0 type bridge");
    if (!vlans_.empty() && !sandbox_.try_ip("link add link try0 name try0.2 type vlan id 2"))
      lacking = "VLAN links (8021q)";
    if (filtering && !sandbox_.try_ip("link add try1 type bridge vlan_filtering 1"))
      lacking = "VLAN filtering of bridges";
    if (ipvlan && !sandbox_.try_ip("link add link try0 name try2 type ipvlan")) lacking = "ipvlan links";
    for (const std::string& link : sandbox_.links()) sandbox_.try_ip("link del " + link);
    if (lacking.empty()) return;
    const char* guest = std::getenv("LANWRIGHT_GUEST");
    ASSERT_TRUE(guest == nullptr || *guest == '\0') << "the guest's kernel must have " << lacking;
    GTEST_SKIP() << "this kernel has no " << lacking;
  }

  // Namespaces, and a cable with its far end in the namespace `switch` for every interface that the host has
  // to bring along.
  void build_host() {
    sandbox_.add_netns("switch");
    std::set<std::string> namespaces;
    for (const auto& [name, attachment] : set_.attachments) {
      if (!attachment.netns.empty()) namespaces.insert(attachment.netns);
    }
    for (const std::string& netns : namespaces) sandbox_.add_netns(netns);
    std::set<std::string> interfaces;
    for (const auto& [name, vlan] : vlans_) interfaces.insert(vlan.parent);
    for (const auto& [name, network] : set_.networks) {
      for (const std::string& interface : ways_out(network)) interfaces.insert(interface);
    }
    for (const auto& [name, vlan] : vlans_) interfaces.erase(name);
    for (const std::string& name : interfaces) {
      sandbox_.ip("link add " + name + " mtu 9100 up type veth peer name " + name + " mtu 9100 netns switch");
      sandbox_.ip("-n switch link set " + name + " up");
    }
    if (std::ranges::any_of(set_.networks, [](const auto& each) { return is_ovs(each.second); })) {
      ovs_.emplace(sandbox_);
      controller_.emplace(sandbox_);
    }
    namespaces_.assign(namespaces.begin(), namespaces.end());
    namespaces_.emplace_back("");
    foreign_ = sandbox_.links();
  }

  // What was left to the agent to choose.
  void learn_leases(const AgentProcess& agent) {
    for (auto& [name, spec] : set_.attachments) {
      for (const Json& lease : object_of(agent, "attachments", name).value("leases", Json::array()))
        spec.addresses.push_back(IpPrefix::parse(lease.get<std::string>()).value());
    }
  }

  std::vector<Host> hosts_on(const std::string& network) const {
    std::vector<Host> hosts;
    for (const auto& [name, spec] : set_.attachments) {
      if (spec.network == network && !spec.netns.empty() && !spec.addresses.empty())
        hosts.push_back({name, &spec});
    }
    return hosts;
  }

  static void expect_traffic(const Host& one, const Host& other, bool separated) {
    SCOPED_TRACE(one.name + " to " + other.name);
    const std::string& from = one.spec->netns;
    const std::string& to = other.spec->netns;
    for (const std::size_t size : {std::size_t{4}, std::size_t{16}}) {
      const auto address = address_for(*one.spec, *other.spec, size);
      if (!address) continue;
      if (separated) {
        EXPECT_TRUE(no_ping(from, *address));
        continue;
      }
      EXPECT_TRUE(ping(from, *address));
      EXPECT_TRUE(tcp(from, to, *address));
    }
  }

  void expect_traffic_within(const std::string& network) const {
    const bool filtering = filters_vlans(set_.networks.at(network)) || is_ovs(set_.networks.at(network));
    const auto hosts = hosts_on(network);
    for (const Host& one : hosts) {
      for (const Host& other : hosts) {
        if (one.spec->netns == other.spec->netns) continue;
        const bool isolated = one.spec->isolated && other.spec->isolated;
        const bool other_vlan = filtering && one.spec->vlans.pvid != other.spec->vlans.pvid;
        expect_traffic(one, other, isolated || other_vlan);
      }
    }
    for (const auto& [name, spec] : set_.attachments) {
      if (spec.network != network || !spec.tap || hosts.empty()) continue;
      const std::string tap = spec.tap->name.empty() ? "lw-" + name : spec.tap->name;
      EXPECT_TRUE(tap_talks_to(tap, hosts.front().spec->netns, hosts.front().spec->interface));
    }
  }

  // Networks that one parent routes reach each other, and nobody else's.
  void expect_traffic_between(const std::string& network, const std::string& other) const {
    const NetworkSpec& one = set_.networks.at(network);
    const NetworkSpec& two = set_.networks.at(other);
    const auto from = hosts_on(network);
    const auto to = hosts_on(other);
    if (network == other || from.empty() || to.empty() || one.parent.empty() || two.parent.empty()) return;
    const std::string address = host_part(to.front().spec->addresses.front());
    if (one.parent == two.parent && is_routed(one) && is_routed(two))
      EXPECT_TRUE(ping(from.front().spec->netns, address)) << network << " to " << other;
    else
      EXPECT_TRUE(no_ping(from.front().spec->netns, address)) << network << " to " << other;
  }

  void expect_traffic_with_host(const std::string& network) const {
    const auto& host = set_.networks.at(network).host_interface;
    if (!host) return;
    for (const Host& each : hosts_on(network)) {
      EXPECT_TRUE(ping("", host_part(each.spec->addresses.front())));
      EXPECT_TRUE(ping(each.spec->netns, host_part(host->addresses.front())));
    }
  }

  // Makes the far end of an interface, with the tags that the set puts on it, and answers its name in
  // `switch`.
  std::string far_end_of(const std::string& interface) {
    const auto vlan = vlans_.find(interface);
    if (vlan == vlans_.end()) return interface;
    const std::string below = far_end_of(vlan->second.parent);
    if (std::ranges::find(far_, interface) == far_.end()) {
      const bool provider = vlan->second.protocol == VlanProtocol::dot1ad;
      sandbox_.ip("-n switch link add link " + below + " name " + interface + " up type vlan protocol " +
                  (provider ? "802.1ad" : "802.1Q") + " id " + std::to_string(vlan->second.id));
      far_.push_back(interface);
    }
    return interface;
  }

  // A neighbour beyond each uplink answers.
  void expect_traffic_through_uplinks(const std::string& network) {
    const auto hosts = hosts_on(network);
    if (hosts.empty() || is_routed(set_.networks.at(network))) return;
    const Host& host = hosts.front();
    const IpPrefix& own = host.spec->addresses.front();
    if (own.address.size() != 4 || own.length > 24) return;
    const std::string address = host_part(own);
    const std::string beyond = address.substr(0, address.rfind('.')) + ".250";
    for (const std::string& interface : ways_out(set_.networks.at(network))) {
      const std::string netns = "far" + std::to_string(neighbours_++);
      const std::string far = far_end_of(interface);
      sandbox_.add_netns(netns);
      sandbox_.ip("-n switch link set " + far + " netns " + netns);
      sandbox_.ip("-n " + netns + " addr add " + beyond + "/" + std::to_string(own.length) + " dev " + far);
      sandbox_.ip("-n " + netns + " link set " + far + " up");
      EXPECT_TRUE(ping(host.spec->netns, beyond)) << "through " << interface;
      EXPECT_TRUE(tcp(host.spec->netns, netns, beyond)) << "through " << interface;
    }
  }

  void expect_nothing_left() const {
    // ovs-vswitchd takes away a device of its own some time after the last bridge.
    EXPECT_TRUE(wait_until([this] { return sandbox_.links() == foreign_; }, ovs_ ? 10s : 0s))
        << testing::PrintToString(sandbox_.links()) << " instead of " << testing::PrintToString(foreign_);
    for (const std::string& netns : namespaces_) {
      const Json facts = facts_of(sandbox_, netns);
      for (const auto& [name, link] : facts.at("links").items()) {
        EXPECT_FALSE(link.value("ifalias", "").starts_with("lanwright:")) << name << " in " << netns;
      }
      if (netns.empty()) continue;
      EXPECT_EQ(sandbox_.links(netns), std::vector<std::string>{}) << netns;
    }
  }

  Sandbox sandbox_;
  std::optional<OpenVswitch> ovs_;
  std::optional<LearningController> controller_;
  SetSpec set_;
  std::map<std::string, VlanSpec> vlans_;  // with those that are made on demand
  std::vector<std::string> namespaces_;
  std::vector<std::string> foreign_;
  std::vector<std::string> far_;
  int neighbours_ = 0;
};

TEST_P(Example, Works) {
  AgentOptions options;
  if (ovs_) options.more = {"--ovs-db", ovs_->socket().string()};
  const AgentProcess agent(sandbox_, options);
  const std::string file = GetParam();
  const Finished applied = agent.cli({"apply", "-f", file, "--wait=30s"}, {.limit = 60s});
  ASSERT_TRUE(applied.ok()) << applied.text();
  learn_leases(agent);
  for (const auto& [name, network] : set_.networks) {
    SCOPED_TRACE("network " + name);
    expect_traffic_within(name);
    expect_traffic_with_host(name);
    expect_traffic_through_uplinks(name);
    for (const auto& [other, spec] : set_.networks) expect_traffic_between(name, other);
  }

  ASSERT_TRUE(converges(agent));
  const auto writes = agent.metric("netlink_writes_total");
  EXPECT_EQ(agent.cli_json({"plan", "-f", file}).at("actions"), Json::array());
  const Json again = agent.cli_json({"apply", "-f", file, "--wait"});
  for (const Json& object : again.at("objects")) EXPECT_EQ(object.at("result"), "unchanged") << object;
  EXPECT_EQ(agent.cli({"diff"}).status, 0);

  const Finished exported = agent.cli({"export", "--set", set_.name});
  ASSERT_TRUE(exported.ok()) << exported.text();
  const Finished imported = agent.cli({"apply", "-f", "-", "-o", "json", "--wait"}, {.input = exported.out});
  ASSERT_TRUE(imported.ok()) << imported.text() << exported.out;
  const Json repeated = Json::parse(imported.out);
  for (const Json& object : repeated.at("objects")) EXPECT_EQ(object.at("result"), "unchanged") << object;
  ASSERT_TRUE(converges(agent));
  EXPECT_EQ(agent.metric("netlink_writes_total"), writes) << "there was nothing to write";

  const Finished removed = agent.cli({"delete", "-f", file, "--wait"}, {.limit = 60s});
  EXPECT_TRUE(removed.ok()) << removed.text();
  expect_nothing_left();
  EXPECT_EQ(agent.get_json("/v1/sets"), Json::array());
}

INSTANTIATE_TEST_SUITE_P(Files, Example, testing::ValuesIn(example_files()), [](const auto& example) {
  std::string name = example.param.stem();
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST(Examples, AreThere) {
  EXPECT_GE(example_files().size(), 13U);
}

}  // namespace
}  // namespace lanwright::test
