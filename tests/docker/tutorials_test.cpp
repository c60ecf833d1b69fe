// Commands of tutorials for Docker's macvlan and ipvlan drivers, as they are printed there: with our drivers,
// each does what its text says. In the guest, as most need 802.1Q, ipvlan or dummy.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <utility>

#include "tests/docker/host.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

// Words of a command line; quotes only group.
Words words_of(const std::string& line) {
  Words words;
  std::string word;
  char quote = 0;
  for (const char c : line + " ") {
    if (c == '"' || c == '\'') {
      quote = quote == 0 ? c : 0;
    } else if (c != ' ' || quote != 0) {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, ""));
    }
  }
  return words;
}

// What must differ from the printed line: the driver's name, and that nobody sits at the terminal.
Words adapted(Words words) {
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i - 1] == "-d" || words[i - 1] == "--driver") words[i] = driver(words[i]);
    if (words[i] == "-it") words[i] = "-itd";
    // Docker's own had this name of the option only before it was released.
    if (tests_dockers_own() && words[i].starts_with("host_iface=")) words[i].replace(0, 10, "parent");
  }
  return words;
}

// One host for all, as emulated processors take long to start Docker.
class Tutorials : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_ = std::make_unique<DockerHost>();
    for (const char* image : {"alpine", "centos", "ubuntu"}) host_->docker().ask({"tag", "busybox", image});
  }
  static void TearDownTestSuite() { host_.reset(); }

  void SetUp() override { before_ = host_->inventory(); }
  void TearDown() override {
    if (!IsSkipped()) clean_up();
  }

  // A line that a user types; answers what it prints: of `docker run`, the container's id.
  static std::string type(const std::string& line) {
    Words words = adapted(words_of(line));
    const std::string program = words.at(0);
    words.erase(words.begin());
    if (program == "docker") return host_->docker().ask(words);
    host_->sandbox().ip(line.substr(program.size() + 1));
    if (line.starts_with("ip link add ")) {
      const auto name = std::ranges::find(words, "name");
      made_.push_back(name == words.end() ? words.at(2) : *std::next(name));
    }
    return "";
  }
  // Two lines at the same time, as in two terminals.
  static std::pair<std::string, std::string> both(const std::string& one, const std::string& other) {
    auto printed = std::async(std::launch::async, type, other);
    std::string first = type(one);
    return {std::move(first), printed.get()};
  }
  // The same, of what Docker's client does not let through.
  static std::string type_in_vain(const std::string& line) {
    Words words = adapted(words_of(line));
    words.erase(words.begin());
    const Finished result = host_->docker().docker(words);
    EXPECT_FALSE(result.ok()) << line;
    return result.err;
  }

  // The host's interface, and what is at the other end of its cable.
  static void lay_cable(const std::string& interface, const Words& addresses) {
    host_->add_parent(interface, "world", addresses);
    made_.push_back(interface);
  }
  // A router's interface for a VLAN of the cable.
  static void add_router(const std::string& vid, const std::string& address) {
    const std::string name = "eth0." + vid;
    host_->sandbox().ip("-n world link add link eth0 name " + name + " type vlan id " + vid);
    host_->sandbox().ip("-n world addr add " + address + " dev " + name);
    host_->sandbox().ip("-n world link set " + name + " up");
  }

  static testing::AssertionResult reach_each_other(const std::string& one, const std::string& other,
                                                   const std::string& network) {
    return host_->reach_each_other(one, other, network);
  }
  static testing::AssertionResult reaches(const std::string& container, const std::string& address) {
    return ping(host_->netns(container), address);
  }
  static testing::AssertionResult does_not_reach(const std::string& container, const std::string& address) {
    return no_ping(host_->netns(container), address);
  }
  // As the container's own ping(8) has it, which sends to addresses of the link's scope without naming the
  // link.
  static testing::AssertionResult pings6(const std::string& container, const std::string& address) {
    Finished last;
    const auto try_once = [&] {
      last = host_->docker().docker({"exec", container, "ping", "-6", "-c", "1", "-W", "1", address});
      return last.ok();
    };
    if (wait_until(try_once, 20s)) return testing::AssertionSuccess();
    return testing::AssertionFailure() << last.text();
  }
  static std::string address6(const std::string& container, const std::string& network) {
    const Json networks = host_->docker().inspect(container).at("NetworkSettings").at("Networks");
    return networks.at(network).at("GlobalIPv6Address");
  }
  static std::string mode(const std::string& container) {
    const Json link = host_->ip_in(container, "link show dev eth0").at(0);
    return link.at("linkinfo").at("info_data").at("mode");
  }

  // Everything that Docker has is removed; then nothing is left but what the test made itself.
  void clean_up() {
    host_->remove_all();
    while (!made_.empty()) {
      EXPECT_TRUE(host_->sandbox().try_ip("link del " + made_.back()))
          << made_.back() << " was not Docker's to remove";
      made_.pop_back();
    }
    if (std::filesystem::exists("/run/netns/world")) host_->sandbox().delete_netns("world");
    EXPECT_TRUE(host_->is_as_before(before_));
  }

  static std::unique_ptr<DockerHost> host_;
  static Words made_;  // links, by the test itself
  Json before_;
};

std::unique_ptr<DockerHost> Tutorials::host_;
Words Tutorials::made_;

// --- on every kernel ---

TEST_F(Tutorials, ABridgeOfOnesOwn) {
  if (tests_dockers_own()) GTEST_SKIP() << "it has an address of the host's";
  type("docker network create custom_isolated_network --driver bridge --subnet 192.168.190.0/24");
  EXPECT_NE(type("docker network ls").find("custom_isolated_network"), std::string::npos);
  const auto [one, other] = both("docker run --net=custom_isolated_network -it --rm busybox",
                                 "docker run --net=custom_isolated_network -it --rm busybox");
  EXPECT_TRUE(reach_each_other(one, other, "custom_isolated_network"));
}

TEST_F(Tutorials, MacvlanOnTheHostsInterface) {
  lay_cable("eth0", {"10.0.0.1/24"});
  type("ip addr add 10.0.0.2/24 dev eth0");
  type(
      "docker network create --driver macvlan --subnet=10.0.0.0/24 --gateway=10.0.0.1  --opt parent=eth0 "
      "macvlanNetworkName");
  const auto [one, other] = both("docker run --net=macvlanNetworkName --ip=10.0.0.3 -it --rm busybox",
                                 "docker run --net=macvlanNetworkName --ip=10.0.0.4 -it --rm busybox");
  EXPECT_TRUE(reach_each_other(one, other, "macvlanNetworkName"));
  EXPECT_TRUE(reaches(one, "10.0.0.1"));
  EXPECT_TRUE(does_not_reach(one, "10.0.0.2"));
}

TEST_F(Tutorials, TheHostTalksToItsMacvlanContainers) {
  lay_cable("eno1", {"192.168.1.1/24"});
  type(
      "docker network create -d macvlan -o parent=eno1 --subnet 192.168.1.0/24 --gateway 192.168.1.1 "
      "--ip-range "
      "192.168.1.192/27 --aux-address 'host=192.168.1.223' mynet");
  type("ip link add mynet-aux link eno1 type macvlan mode bridge");
  type("ip addr add 192.168.1.223/32 dev mynet-aux");
  type("ip link set mynet-aux up");
  type("ip route add 192.168.1.192/27 dev mynet-aux");
  const std::string container = type("docker run --net=mynet -it --rm busybox");
  EXPECT_TRUE(host_->address(container, "mynet").starts_with("192.168.1."))
      << host_->address(container, "mynet");
  EXPECT_TRUE(ping("", host_->address(container, "mynet")));
  EXPECT_TRUE(reaches(container, "192.168.1.223"));
  EXPECT_TRUE(reaches(container, "192.168.1.1"));
}

TEST_F(Tutorials, MacvlanBridgeMode) {
  lay_cable("eth0", {"192.168.1.1/24"});
  type("ip addr add 192.168.1.251/24 dev eth0");
  for (const std::string mode_option : {"", "-o macvlan_mode=bridge "}) {
    type(
        "docker network  create  -d macvlan --subnet=192.168.1.0/24 --gateway=192.168.1.1 -o "
        "host_iface=eth0 " +
        mode_option + "macnet100");
    const auto [one, other] =
        both("docker  run --net=macnet100 -it --rm busybox", "docker  run --net=macnet100 -it --rm busybox");
    EXPECT_EQ(mode(one), "bridge");
    EXPECT_TRUE(reach_each_other(one, other, "macnet100"));
    EXPECT_TRUE(reaches(one, "192.168.1.1"));
    EXPECT_TRUE(does_not_reach(one, "192.168.1.251"));
    host_->remove({one, other});
    host_->remove_networks({"macnet100"});
  }
}

TEST_F(Tutorials, MacvlanWithIpv6) {
  lay_cable("eth0", {});
  // Docker does nothing about the subnet unless it is told --ipv6 nowadays.
  for (const std::string ipv6 : {"", "--ipv6 "}) {
    type("docker network create -d macvlan " + ipv6 +
         "--subnet=fe90::/64 --gateway=fe90::22 -o host_iface=eth0 macnetv6");
    const std::string one = type("docker run --net=macnetv6 -it --rm busybox");
    const std::string other = type("docker run --net=macnetv6 -it --rm busybox");
    EXPECT_TRUE(reach_each_other(one, other, "macnetv6"));
    if (!ipv6.empty()) {
      EXPECT_EQ(address6(one, "macnetv6"), "fe90::1");
      EXPECT_EQ(address6(other, "macnetv6"), "fe90::2");
      EXPECT_TRUE(pings6(other, "fe90::1"));
    }
    host_->remove({one, other});
    host_->remove_networks({"macnetv6"});
  }
}

// --- on Debian's kernel ---

class TutorialsOnVlans : public Tutorials {
 protected:
  static void SetUpTestSuite() { lacking_ = lacking_kind(Sandbox()); }
  void SetUp() override {
    if (!lacking_.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking_;
    if (host_ == nullptr) Tutorials::SetUpTestSuite();
    Tutorials::SetUp();
  }

  // A container that is started on the network, and what it says of both its neighbours.
  static void expect_vlan_works(const std::string& network, const std::string& image,
                                const std::string& first, const std::string& second,
                                const std::string& router) {
    both("docker run --net=" + network + " -it --name " + first + " --rm " + image,
         "docker run --net=" + network + " -it --name " + second + " --rm " + image);
    EXPECT_TRUE(reach_each_other(first, second, network));
    EXPECT_TRUE(reaches(first, router));
    EXPECT_EQ(host_->default_route(first), router);
  }

  static std::string lacking_;
};

std::string TutorialsOnVlans::lacking_;

TEST_F(TutorialsOnVlans, ContainersOfTwoVlans) {
  lay_cable("eth0", {});
  add_router("10", "10.0.10.1/24");
  add_router("20", "10.0.20.1/24");
  for (const std::string vid : {"10", "20"}) {
    type("ip link add link eth0 name eth0." + vid + " type vlan id " + vid);
    type("ip link set eth0." + vid + " up");
  }
  type(
      "docker network create --driver macvlan --subnet=10.0.10.0/24 --gateway=10.0.10.1  --opt "
      "parent=eth0.10 "
      "macvlan10");
  type(
      "docker network create --driver macvlan --subnet=10.0.20.0/24 --gateway=10.0.20.1  --opt "
      "parent=eth0.20  "
      "macvlan20");
  both(
      "docker run --name='container0' --hostname='container0' --net=macvlan10 --ip=10.0.10.2 --detach=true "
      "centos",
      "docker run --name='container1' --hostname='container1' --net=macvlan10 --ip=10.0.10.3 --detach=true "
      "centos");
  EXPECT_TRUE(reach_each_other("container0", "container1", "macvlan10"));
  EXPECT_TRUE(reaches("container0", "10.0.10.1"));
  EXPECT_TRUE(does_not_reach("container0", "10.0.20.3"));
  type("docker network connect --ip=10.0.20.3 macvlan20 container1");
  EXPECT_TRUE(reaches("container1", "10.0.20.1"));
}

TEST_F(TutorialsOnVlans, IpvlanL2) {
  lay_cable("eth0", {"192.168.1.1/24"});
  type("ip addr add 192.168.1.251/24 dev eth0");
  type(
      "docker network  create -d ipvlan --subnet=192.168.1.0/24 --gateway=192.168.1.1 -o host_iface=eth0 "
      "ipnet100");
  const auto [one, other] =
      both("docker  run --net=ipnet100 -it --rm busybox", "docker  run --net=ipnet100 -it --rm busybox");
  EXPECT_EQ(mode(one), "l2");
  EXPECT_EQ(host_->mac(one), host_->sandbox().link("eth0")->at("address"));
  EXPECT_TRUE(reach_each_other(one, other, "ipnet100"));
  EXPECT_TRUE(reaches(one, "192.168.1.1"));
  EXPECT_TRUE(does_not_reach(one, "192.168.1.251"));
}

TEST_F(TutorialsOnVlans, MacvlanTrunk) {
  lay_cable("eth0", {});
  add_router("50", "192.168.50.1/24");
  add_router("60", "192.168.60.1/24");
  type(
      "docker network  create  -d macvlan --subnet=192.168.50.0/24 --gateway=192.168.50.1 -o "
      "host_iface=eth0.50 "
      "macvlan50");
  expect_vlan_works("macvlan50", "busybox", "macvlan_test5", "macvlan_test6", "192.168.50.1");
  type(
      "docker network  create  -d macvlan  --subnet=192.168.60.0/24 --gateway=192.168.60.1 -o "
      "host_iface=eth0.60 "
      "-o --macvlan_mode=bridge macvlan60");
  expect_vlan_works("macvlan60", "ubuntu", "macvlan_test7", "macvlan_test8", "192.168.60.1");
  EXPECT_EQ(mode("macvlan_test7"), "bridge");
  EXPECT_TRUE(does_not_reach("macvlan_test5", host_->address("macvlan_test7", "macvlan60")));
  EXPECT_TRUE(host_->sandbox().link("eth0.50"));
}

TEST_F(TutorialsOnVlans, IpvlanTrunk) {
  lay_cable("eth0", {});
  add_router("20", "192.168.20.1/24");
  add_router("30", "192.168.30.1/24");
  add_router("40", "192.168.40.1/24");
  type(
      "docker network  create  -d ipvlan --subnet=192.168.20.0/24 --gateway=192.168.20.1 -o "
      "host_iface=eth0.20 "
      "ipvlan20");
  expect_vlan_works("ipvlan20", "busybox", "ivlan_test1", "ivlan_test2", "192.168.20.1");
  // Printed without its -o, which Docker's client never took.
  const std::string vlan30 =
      "docker network  create  -d ipvlan  --subnet=192.168.30.0/24 --gateway=192.168.30.1 -o "
      "host_iface=eth0.30 ";
  EXPECT_NE(type_in_vain(vlan30 + "--ipvlan_mode=l2 ipvlan30").find("unknown flag"), std::string::npos);
  type(vlan30 + "-o ipvlan_mode=l2 ipvlan30");
  expect_vlan_works("ipvlan30", "ubuntu", "ivlan_test3", "ivlan_test4", "192.168.30.1");
  EXPECT_EQ(mode("ivlan_test3"), "l2");

  type("ip link add link eth0 name eth0.40 type vlan id 40");
  type("ip link set eth0.40 up");
  type(
      "docker network  create  -d ipvlan  --subnet=192.168.40.0/24 --gateway=192.168.40.1 -o "
      "host_iface=eth0.40 "
      "ipvlan40");
  expect_vlan_works("ipvlan40", "ubuntu", "ivlan_test5", "ivlan_test6", "192.168.40.1");
  EXPECT_TRUE(does_not_reach("ivlan_test1", host_->address("ivlan_test3", "ipvlan30")));
}

TEST_F(TutorialsOnVlans, IpvlanL3) {
  lay_cable("eth0", {"192.168.1.251/24"});  // another host
  type("ip addr add 192.168.1.249/24 dev eth0");
  type(
      "docker network  create -d ipvlan --subnet=192.168.120.0/24 -o host_iface=eth0 -o ipvlan_mode=l3 "
      "ipvlan120");
  const auto [one, other] = both("docker run --net=ipvlan120 -it --rm busybox",
                                 "docker run --net=ipvlan120 --ip=192.168.120.10 -it --rm busybox");
  EXPECT_EQ(mode(one), "l3");
  EXPECT_TRUE(reach_each_other(one, other, "ipvlan120"));
  EXPECT_EQ(host_->default_route(one), "dev eth0");
  type("ip -n world route add 192.168.120.0/24 via 192.168.1.249");
  EXPECT_TRUE(ping("world", "192.168.120.10"));
  EXPECT_TRUE(reaches(other, "192.168.1.251"));
  if (!tests_dockers_own()) {  // that of this age lets one network have a parent
    type(
        "docker network  create -d ipvlan --subnet=192.168.130.0/24 -o host_iface=eth0 -o ipvlan_mode=l3 "
        "ipvlan130");
    const std::string third = type("docker run --net=ipvlan130 --ip=192.168.130.2 -it --rm busybox");
    type("ip -n world route add 192.168.130.0/24 via 192.168.1.249");
    EXPECT_TRUE(ping("world", "192.168.130.2"));
    EXPECT_TRUE(reaches(third, "192.168.120.10"));
  }
}

TEST_F(TutorialsOnVlans, WithoutAParentThereIsNoWayOut) {
  type("docker network create -d macvlan --subnet=192.168.242.0/24  macnet242");
  const auto [one, other] = both("docker run --net=macnet242 -itd  alpine /bin/sh",
                                 "docker run --net=macnet242 -itd  alpine /bin/sh");
  EXPECT_TRUE(reach_each_other(one, other, "macnet242"));
  // Printed with the name of the one before.
  EXPECT_NE(
      type_in_vain("docker network create -d macvlan --subnet=192.168.246.0/24 macnet242").find("already"),
      std::string::npos);
  type("docker network create -d macvlan --internal --subnet=192.168.246.0/24 macnet246");
  const auto [third, fourth] = both("docker run --net=macnet246 -itd  alpine /bin/sh",
                                    "docker run --net=macnet246 -itd  alpine /bin/sh");
  EXPECT_TRUE(reach_each_other(third, fourth, "macnet246"));
  EXPECT_EQ(host_->default_route(third), "");
  EXPECT_TRUE(does_not_reach(third, host_->address(one, "macnet242")));
}

// What Docker does nothing about, nowadays, unless it is told --ipv6.
std::string with_ipv6(std::string line) {
  const std::string create = "network create ";
  return line.insert(line.find(create) + create.size(), "--ipv6 ");
}

TEST_F(TutorialsOnVlans, ExcludedAddressesOfBothFamilies) {
  const std::string create =
      "docker network create -d macvlan --subnet=192.168.222.0/24 --subnet=192.168.224.0/24 "
      "--subnet=fd18::/64 "
      "--aux-address=\"exclude1=fd18::2\" --aux-address=\"exclude2=192.168.222.2\" "
      "--aux-address=\"exclude3=192.168.224.2\" --ip-range=192.168.222.0/25 --ip-range=192.168.224.0/25 "
      "-o macvlan_mode=bridge macnet222";
  type(create);
  host_->remove_networks({"macnet222"});
  type(with_ipv6(create));
  const auto [one, other] =
      both("docker run --net=macnet222 -itd alpine /bin/sh",
           "docker run --net=macnet222 --ip=192.168.222.10 --ip6=fd18::10 -itd alpine /bin/sh");
  const std::string third = type("docker run --net=macnet222 --ip6=fd18::11 -itd alpine /bin/sh");
  EXPECT_EQ(host_->address(other, "macnet222"), "192.168.222.10");
  for (const std::string& container : {one, third})
    EXPECT_NE(host_->address(container, "macnet222"), "192.168.222.2");
  EXPECT_NE(address6(one, "macnet222"), "fd18::2");
  EXPECT_TRUE(reach_each_other(one, other, "macnet222"));
  EXPECT_TRUE(reach_each_other(other, third, "macnet222"));
  EXPECT_TRUE(reaches(one, "fd18::10"));
  EXPECT_TRUE(reaches(other, "fd18::11"));
}

TEST_F(TutorialsOnVlans, SeveralSubnetsRoutedOnIpvlan) {
  lay_cable("eth0", {"192.168.131.254/24", "192.168.133.254/24"});
  const std::string start =
      "docker network create -d ipvlan --subnet=192.168.131.0/24 --subnet=192.168.133.0/24 ";
  const std::string rest =
      "--subnet=fd14::/64 --aux-address=\"exclude1=fd14::2\" --aux-address=\"exclude2=192.168.131.254\" "
      "--aux-address=\"exclude3=192.168.133.254\" --ip-range=192.168.131.0/25 --ip-range=192.168.133.0/25 "
      "-o host_iface=eth0 -o ipvlan_mode=l3 ipnet131";
  // Printed with the gateways as subnets.
  type_in_vain(start + "--subnet=192.168.131.1 --subnet=192.168.133.1 " + rest);
  const std::string create = start + "--gateway=192.168.131.1 --gateway=192.168.133.1 " + rest;
  type(create);
  host_->remove_networks({"ipnet131"});
  type(with_ipv6(create));
  const auto [one, other] = both("docker run --net=ipnet131 -itd alpine /bin/sh",
                                 "docker run --net=ipnet131 --ip=192.168.133.10 -itd alpine /bin/sh");
  EXPECT_EQ(host_->address(other, "ipnet131"), "192.168.133.10");
  EXPECT_TRUE(reach_each_other(one, other, "ipnet131"));
  EXPECT_EQ(host_->default_route(one), "dev eth0");
  EXPECT_TRUE(reaches(one, address6(other, "ipnet131")));
  EXPECT_EQ(host_->default_route(one, true), "dev eth0");
}

}  // namespace
}  // namespace lanwright::test
