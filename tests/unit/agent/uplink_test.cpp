// Uplinks that are added and taken away one at a time, of networks that a file declares and that Docker made.
#include "tests/unit/agent/docker_fixture.h"

namespace lanwright {
namespace {

class UplinkChange : public DockerNetworks {
 protected:
  UplinkChange() {
    kernel([](test::MemoryKernel& host) {
      LinkFact second;
      second.name = "eth1";
      second.up = second.lower_up = true;
      second.mtu = 1500;
      host.add_link("", second);
    });
  }

  Result<ApplyOutcome> change(const std::string& network, const std::string& interface, bool remove = false) {
    UplinkRequest request;
    request.network = network;
    request.uplink.interface = interface;
    request.remove = remove;
    return api().change_uplink(request, soon());
  }

  std::vector<std::string> uplinks_of(const std::string& network) {
    return on_loop([&] {
      std::vector<std::string> names;
      const auto* object = reconciler().desired().find({Kind::network, network});
      for (const Uplink& uplink : std::get<NetworkSpec>(*object->object.spec).uplinks)
        names.push_back(uplink.interface);
      return names;
    });
  }

  bool is_port(const std::string& interface) {
    return eventually([&] {
      const LinkFact* link = in("", interface);
      return link != nullptr && link->master != 0;
    });
  }
  bool is_free(const std::string& interface) {
    return eventually([&] {
      const LinkFact* link = in("", interface);
      return link != nullptr && link->master == 0;
    });
  }
  static std::string result_of(const Result<ApplyOutcome>& outcome) {
    return outcome ? outcome->objects.at(0).result : outcome.error().text();
  }

  using Names = std::vector<std::string>;
};

TEST_F(UplinkChange, IsAPartOfWhatIsDeclared) {
  must(api().apply(campus(), soon()));
  const auto added = change("lab", "eth0");
  EXPECT_EQ(result_of(added), "changed");
  EXPECT_FALSE(added->plan.actions.empty());
  EXPECT_TRUE(is_port("eth0"));
  EXPECT_EQ(result_of(change("lab", "eth0")), "unchanged");
  EXPECT_EQ(change("lab", "eth0")->generation, added->generation);
  EXPECT_EQ(result_of(change("lab", "eth1")), "changed");
  EXPECT_EQ(result_of(change("lab", "eth0", true)), "changed");
  EXPECT_TRUE(is_free("eth0"));
  EXPECT_EQ(uplinks_of("lab"), Names{"eth1"});
  EXPECT_EQ(result_of(change("lab", "eth0", true)), "unchanged");
}

TEST_F(UplinkChange, OfDockersNetworkOutlivesWhatDockerSaysAgain) {
  must(docker_->create_network(network_of("bridge"), soon()));
  EXPECT_EQ(result_of(change(kName, "eth0")), "changed");
  EXPECT_TRUE(is_port("eth0"));
  must(docker_->create_network(network_of("bridge"), soon()));  // as after a lost answer
  EXPECT_EQ(uplinks_of(kName), Names{"eth0"});
  close();
  open();
  EXPECT_EQ(uplinks_of(kName), Names{"eth0"});
  kernel([](test::MemoryKernel& host) {
    host.change({"", "eth0"}, [](LinkFact& link) { link.master = 0; });
  });
  EXPECT_TRUE(is_port("eth0"));
  must(docker_->delete_network(kNetwork, soon()));
  EXPECT_TRUE(is_free("eth0"));
  EXPECT_TRUE(eventually([&] { return reconciler().desired().find({Kind::network, kName}) == nullptr; }));
}

TEST_F(UplinkChange, OfDockersNetworkMayBeTheOneThatDockerNamed) {
  DockerNetwork network = network_of("bridge");
  network.spec.uplinks.push_back({"eth0", std::nullopt, {}});
  must(docker_->create_network(network, soon()));
  EXPECT_EQ(result_of(change(kName, "eth0", true)), "changed");
  EXPECT_TRUE(is_free("eth0"));
  must(docker_->create_network(network, soon()));
  EXPECT_EQ(uplinks_of(kName), Names{});
}

TEST_F(UplinkChange, IsOnlyPlannedByADryRun) {
  must(docker_->create_network(network_of("bridge"), soon()));
  UplinkRequest request;
  request.network = kName;
  request.uplink.interface = "eth0";
  request.dry_run = true;
  const auto planned = api().change_uplink(request, soon());
  ASSERT_TRUE(planned);
  EXPECT_FALSE(planned->plan.actions.empty());
  EXPECT_EQ(uplinks_of(kName), Names{});
}

TEST_F(UplinkChange, IsRefusedAsApplyRefusesIt) {
  must(api().apply(campus(), soon()));
  must(docker_->create_network(network_of("bridge"), soon()));
  must(change("lab", "eth0"));
  ApplyRequest other;
  other.set.name = "other";
  other.set.networks["lab2"].driver = "bridge";
  must(api().apply(other, soon()));
  other.set.networks["lab2"].uplinks.push_back({"eth0", std::nullopt, {}});
  const auto applied = api().apply(other, soon());
  ASSERT_FALSE(applied);
  for (const std::string& network : {std::string("lab2"), std::string(kName)}) {
    const auto refused = change(network, "eth0");
    ASSERT_FALSE(refused) << network;
    EXPECT_EQ(refused.error().kind, applied.error().kind);
    EXPECT_EQ(refused.error().words, applied.error().words);
    EXPECT_EQ(uplinks_of(network), Names{});
  }
}

TEST_F(UplinkChange, IsRefusedWhereItCannotBe) {
  const auto refusal = [&](const std::string& network, const std::string& interface,
                           const Uplink& more = {}) -> std::string {
    UplinkRequest request;
    request.network = network;
    request.uplink = more;
    request.uplink.interface = interface;
    const auto outcome = api().change_uplink(request, soon());
    return outcome ? "" : outcome.error().text();
  };
  must(docker_->create_network(network_of("macvlan"), soon()));
  EXPECT_NE(refusal(kName, "eth1").find("its way out is its `parent`"), std::string::npos);
  must(api().apply(campus(), soon()));
  EXPECT_NE(refusal("lab", "lo").find("the loopback interface is no uplink"), std::string::npos);
  EXPECT_NE(refusal("lab", "a/b").find("is no name of an interface"), std::string::npos);
  Uplink tagged;
  tagged.vlans.pvid = 100;
  EXPECT_NE(refusal("lab", "eth1", tagged).find("vlan_filtering"), std::string::npos);
  EXPECT_NE(refusal("none", "eth1").find("there is no such network"), std::string::npos);
  UplinkRequest moved;
  moved.network = "lab";
  moved.uplink.interface = "eth1";
  moved.if_generation = 77;
  const auto outcome = api().change_uplink(moved, soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::conflict);
}

}  // namespace
}  // namespace lanwright
