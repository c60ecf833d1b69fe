// Networks and endpoints of Docker's, over a kernel in memory: what becomes of each call, and of what Docker
// does behind our back.
#include "tests/support/builders.h"
#include "tests/unit/agent/docker_fixture.h"

namespace lanwright {
namespace {

class DockerDrivers : public DockerNetworks, public testing::WithParamInterface<const char*> {};

TEST_P(DockerDrivers, LiveAsLongAsDockerSays) {
  must(docker_->create_network(network_of(GetParam()), soon()));
  EXPECT_TRUE(has_network());
  const auto answer = must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const bool own_mac = std::string(GetParam()) != "ipvlan";
  EXPECT_EQ(answer.mac ? answer.mac->text() : "", own_mac ? "02:42:0a:00:00:02" : "");
  const DockerJoin join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  EXPECT_EQ(join.prefix, "eth");
  EXPECT_EQ(join.gateway ? join.gateway->text() : "", "10.0.0.1");
  EXPECT_FALSE(join.disable_gateway_service);
  on_loop([&] {
    const LinkFact* link = in("", join.interface);
    ASSERT_NE(link, nullptr) << join.interface;
    EXPECT_FALSE(link->up) << "Docker sets it up";
    if (own_mac) {
      EXPECT_EQ(link->mac, answer.mac);
    }
  });
  kernel([&](test::MemoryKernel& host) {
    host.add_namespace(kSandbox);
    host.move_link({"", join.interface}, {kSandbox, "eth0"}, true);
  });
  ASSERT_TRUE(eventually([this] { return attachment()->interface == "eth0"; }));
  on_loop([&] { EXPECT_EQ(kernel_.announced, (std::vector<LinkName>{{kSandbox, "eth0"}})); });
  must(docker_->leave(kNetwork, kEndpoint, soon()));
  on_loop([&] { EXPECT_NE(in(kSandbox, "eth0"), nullptr) << "Docker takes it out"; });
  kernel([&](test::MemoryKernel& host) { host.move_link({kSandbox, "eth0"}, {"", join.interface}, false); });
  must(docker_->delete_endpoint(kNetwork, kEndpoint, soon()));
  on_loop([&] { EXPECT_EQ(in("", join.interface), nullptr); });
  must(docker_->delete_network(kNetwork, soon()));
  EXPECT_FALSE(has_network());
  on_loop([&] { EXPECT_EQ(kernel_.real().namespaces.at("").links().size(), 2U) << "lo and eth0"; });
}

TEST_P(DockerDrivers, ALinkThatIsLostIsMadeAgainInTheSandbox) {
  start_container(GetParam());
  const auto before = on_loop([this] { return *in(kSandbox, "eth0"); });
  kernel([](test::MemoryKernel& host) { host.delete_link({kSandbox, "eth0"}); });
  ASSERT_TRUE(eventually([this] {
    const LinkFact* link = in(kSandbox, "eth0");
    return link != nullptr && link->up && link->addresses.size() == 1 && link->routes.size() == 1;
  }));
  on_loop([&] {
    const LinkFact* link = in(kSandbox, "eth0");
    EXPECT_NE(link->ifindex, before.ifindex);
    EXPECT_EQ(link->mac, before.mac);
    EXPECT_EQ(link->addresses.front().prefix.text(), "10.0.0.2/24");
    EXPECT_EQ(link->routes.front().route.via->text(), "10.0.0.1");
  });
}

// Where a container has several networks, Docker chooses the one that leads out, and changes its mind as
// networks come and go.
TEST_P(DockerDrivers, ALinkThatDidNotLeadOutDoesNotDoSoWhenItIsMadeAgain) {
  start_container(GetParam());
  kernel([](test::MemoryKernel& host) {
    host.change({kSandbox, "eth0"}, [](LinkFact& link) { link.routes.clear(); });
  });
  ASSERT_TRUE(eventually([this] { return !attachment()->endpoint->default_route; }));
  kernel([](test::MemoryKernel& host) { host.delete_link({kSandbox, "eth0"}); });
  ASSERT_TRUE(eventually([this] { return is_whole(); }));
  on_loop([this] { EXPECT_TRUE(in(kSandbox, "eth0")->routes.empty()); });
}

TEST_P(DockerDrivers, ALinkThatIsMadeAgainDoesNotQuarrelWithTheOneThatLeadsOutNow) {
  start_container(GetParam());
  kernel([](test::MemoryKernel& host) {
    host.delete_link({kSandbox, "eth0"});
    LinkFact other;
    other.name = "eth1";
    other.up = true;
    other.routes.push_back({{prefix("0.0.0.0/0"), prefix("10.9.0.1/32").address, std::nullopt}, RTPROT_BOOT});
    host.add_link(kSandbox, other);
  });
  ASSERT_TRUE(eventually([this] { return is_whole(); }));
  on_loop([this] { EXPECT_TRUE(in(kSandbox, "eth0")->routes.empty()); });
  EXPECT_TRUE(eventually([this] { return !attachment()->endpoint->default_route; })) << "and that is kept";
}

// Also when the agent is killed in between: the kernel keeps that it is not done.
TEST_P(DockerDrivers, WhatIsMadeAgainInPartIsFinished) {
  start_container(GetParam());
  const auto refuse_address = [](test::MemoryKernel& host) {
    host.before_action = [&host](const Action& action) {
      const bool address = std::holds_alternative<AddAddress>(action.step);
      host.refuse("eth0", !address ? nullptr : test::MemoryKernel::Refusal([] {
                    return error_from_errno(EPERM, "add", "an address");
                  }));
    };
  };
  const auto heal = [](test::MemoryKernel& host) {
    host.before_action = nullptr;
    host.refuse("eth0", nullptr);
  };
  for (const bool killed : {false, true}) {
    SCOPED_TRACE(killed);
    kernel([&](test::MemoryKernel& host) {
      refuse_address(host);
      host.delete_link({kSandbox, "eth0"});
    });
    const auto phase = [this] {
      const auto snapshot = must(api().snapshot(soon()));
      for (const auto& object : snapshot->objects)
        if (object->id.kind == Kind::attachment) return object->status.phase;
      return Phase::deleting;
    };
    for (const auto end = soon(); phase() != Phase::retrying && std::chrono::steady_clock::now() < end;) {
    }
    EXPECT_EQ(phase(), Phase::retrying);
    on_loop([this] { EXPECT_EQ(in(kSandbox, "eth0")->group, kIncompleteGroup); });
    if (killed) close();
    if (killed) {
      heal(kernel_);
      open();
    } else {
      kernel(heal);
    }
    ASSERT_TRUE(eventually([this] { return is_whole(); }));
    on_loop([this] { EXPECT_EQ(in(kSandbox, "eth0")->routes.size(), 1U); });
    EXPECT_EQ(phase(), Phase::ready);
  }
}

TEST_P(DockerDrivers, AreReadyWhereTheContainerHasThemOnly) {
  must(docker_->create_network(network_of(GetParam()), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const DockerJoin join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  EXPECT_TRUE(endpoint_becomes("Pending make the interface in " + std::string(kSandbox)));
  EXPECT_TRUE(endpoint_becomes("there is no network namespace")) << phase_of_endpoint();
  kernel([&](test::MemoryKernel& host) {
    host.add_namespace(kSandbox);
    host.move_link({"", join.interface}, {kSandbox, "eth0"}, true);
  });
  EXPECT_TRUE(endpoint_becomes("Ready")) << phase_of_endpoint();
  must(docker_->leave(kNetwork, kEndpoint, soon()));
  EXPECT_TRUE(endpoint_becomes("Pending make eth0 in " + std::string(kSandbox))) << phase_of_endpoint();
  EXPECT_TRUE(endpoint_becomes("Docker takes it out of the sandbox")) << phase_of_endpoint();
  kernel([&](test::MemoryKernel& host) {
    host.move_link({kSandbox, "eth0"}, {"", join.interface}, false);
    host.drop_namespace(kSandbox);
  });
  EXPECT_EQ(must(api().difference("docker", soon())).actions.size(), 0U);
  EXPECT_TRUE(endpoint_becomes("Docker takes it out of the sandbox")) << "Docker was killed before the rest";
  must(docker_->delete_endpoint(kNetwork, kEndpoint, soon()));
  EXPECT_EQ(phase_of_endpoint(), "none");
}

TEST_P(DockerDrivers, WhatDockerChangesIsNotFought) {
  start_container(GetParam());
  const auto writes = on_loop([this] { return kernel_.writes(); });
  kernel([](test::MemoryKernel& host) {
    host.change({kSandbox, "eth0"}, [](LinkFact& link) {
      link.up = false;
      link.name = "eth7";
      link.mac = MacAddress::parse("02:00:00:00:00:77");
    });
  });
  EXPECT_EQ(must(api().difference("docker", soon())).actions.size(), 0U);
  EXPECT_EQ(on_loop([this] { return kernel_.writes(); }), writes);
}

INSTANTIATE_TEST_SUITE_P(Each, DockerDrivers, testing::Values("bridge", "macvlan", "ipvlan"),
                         [](const auto& driver) { return std::string(driver.param); });

TEST_F(DockerNetworks, NothingIsMadeOfALinkThatDockerHasInItsHands) {
  must(docker_->create_network(network_of("macvlan"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const DockerJoin join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  const auto writes = on_loop([this] { return kernel_.writes(); });
  kernel([&](test::MemoryKernel& host) { host.delete_link({"", join.interface}); });
  EXPECT_EQ(must(api().difference("docker", soon())).actions.size(), 0U) << "it may be between namespaces";
  must(docker_->leave(kNetwork, kEndpoint, soon()));
  EXPECT_EQ(must(api().difference("docker", soon())).actions.size(), 0U);
  EXPECT_EQ(on_loop([this] { return kernel_.writes(); }), writes);
  must(docker_->delete_endpoint(kNetwork, kEndpoint, soon()));
}

// What is read of the sandbox may be newer than what is known of the host.
TEST_F(DockerNetworks, ALinkThatIsSeenInBothPlacesWhileItMovesIsLeftAlone) {
  must(docker_->create_network(network_of("macvlan"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const DockerJoin join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  const std::uint64_t writes = on_loop([this] { return kernel_.writes(); });
  kernel([&](test::MemoryKernel& host) {
    LinkFact moved = *in("", join.interface);
    moved.name = "eth0";
    host.add_namespace(kSandbox);
    host.add_link(kSandbox, moved);
  });
  EXPECT_TRUE(eventually([&] {
    return reconciler().observed().find(LinkName{kSandbox, "eth0"}) != nullptr;
  }));
  EXPECT_TRUE(must(api().difference(std::nullopt, soon())).empty());
  on_loop([&] {
    EXPECT_NE(in(kSandbox, "eth0"), nullptr);
    EXPECT_NE(in("", join.interface), nullptr);
    EXPECT_EQ(kernel_.writes(), writes);
  });
}

TEST_F(DockerNetworks, CallsMayBeRepeated) {
  for (int i = 0; i < 2; ++i) must(docker_->create_network(network_of("bridge"), soon()));
  auto another = network_of("bridge");
  another.pools.clear();
  EXPECT_EQ(docker_->create_network(another, soon()).error().kind, ErrorKind::conflict);
  another = network_of("bridge");
  another.spec.mtu = 1400;
  EXPECT_EQ(docker_->create_network(another, soon()).error().kind, ErrorKind::conflict);
  const auto first = must(docker_->create_endpoint(endpoint_with(""), soon()));
  ASSERT_TRUE(first.mac);
  EXPECT_EQ(must(docker_->create_endpoint(endpoint_with(""), soon())), first);
  EXPECT_EQ(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()).error().kind, ErrorKind::conflict);
  const auto joined = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  EXPECT_EQ(must(docker_->join(kNetwork, kEndpoint, kSandbox, soon())), joined);
  EXPECT_TRUE(joined.disable_gateway_service) << "no address, no gateway";
  for (int i = 0; i < 2; ++i) {
    must(docker_->leave(kNetwork, kEndpoint, soon()));
    must(docker_->delete_endpoint(kNetwork, kEndpoint, soon()));
  }
  for (int i = 0; i < 2; ++i) must(docker_->delete_network(kNetwork, soon()));
}

TEST_F(DockerNetworks, WhatIsNotKnownIsTold) {
  EXPECT_EQ(docker_->create_endpoint(endpoint_with(""), soon()).error().kind, ErrorKind::not_found);
  EXPECT_NE(docker_->join(kNetwork, kEndpoint, kSandbox, soon()).error().text().find("docker network rm"),
            std::string::npos);
  must(docker_->create_network(network_of("bridge"), soon()));
  EXPECT_EQ(docker_->join(kNetwork, kEndpoint, kSandbox, soon()).error().kind, ErrorKind::not_found);
  EXPECT_EQ(docker_->endpoint_info(kNetwork, kEndpoint, soon()).error().kind, ErrorKind::not_found);
  must(docker_->leave(kNetwork, kEndpoint, soon()));
}

TEST_F(DockerNetworks, AreKnownAfterARestart) {
  start_container("macvlan");
  const auto writes = on_loop([this] { return kernel_.writes(); });
  close();
  open();
  EXPECT_EQ(must(api().difference("docker", soon())).actions.size(), 0U);
  EXPECT_EQ(on_loop([this] { return kernel_.writes(); }), writes);
  must(docker_->create_endpoint(endpoint_with("10.0.0.3/24", kNewer), soon()));
  must(docker_->delete_endpoint(kNetwork, kEndpoint, soon()));
  must(docker_->delete_network(kNetwork, soon()));
  EXPECT_FALSE(has_network());
}

TEST_F(DockerNetworks, AnEndpointWhoseSandboxIsGoneIsCollected) {
  start_container("macvlan");
  kernel([](test::MemoryKernel& host) { host.drop_namespace(kSandbox); });
  EXPECT_TRUE(eventually([this] {
    return reconciler().desired().find({Kind::attachment, kEndpoint.substr(0, 12)}) == nullptr;
  }));
  EXPECT_TRUE(has_network());
}

// A host boots: nothing of it happens that the agent could hear of.
TEST_F(DockerNetworks, AnEndpointWhoseSandboxWentWhileTheAgentWasAwayIsCollected) {
  start_container("macvlan");
  close();
  kernel_.drop_namespace(kSandbox);
  kernel_.delete_link({"", "eth0"});  // so that there is nothing to do
  open();
  EXPECT_TRUE(eventually([this] {
    return reconciler().desired().find({Kind::attachment, kEndpoint.substr(0, 12)}) == nullptr;
  }));
  EXPECT_TRUE(has_network());
}

TEST_F(DockerNetworks, AnEndpointThatDockerForgotMakesRoomForTheNextWithItsAddress) {
  start_container("macvlan");
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24", kNewer), soon()));
  on_loop([this] {
    EXPECT_EQ(attachment(), nullptr);
    EXPECT_NE(attachment(kNewer), nullptr);
  });
}

TEST_F(DockerNetworks, WhatFailsIsTakenBack) {
  auto network = network_of("macvlan");
  network.spec.parent = "nope";
  const auto refused = docker_->create_network(network, soon());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("nope"), std::string::npos) << refused.error().text();
  EXPECT_FALSE(has_network());
  must(docker_->create_network(network_of("macvlan"), soon()));
  kernel([](test::MemoryKernel& host) {
    host.before_action = [&host](const Action& action) {
      host.refuse(action.target().name, [] { return error_from_errno(EPERM, "create", "link"); });
    };
  });
  const auto failed = docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().number, EPERM) << failed.error().text();
  on_loop([this] { EXPECT_EQ(attachment(), nullptr); });
  EXPECT_TRUE(has_network());
}

TEST_F(DockerNetworks, AViewLeavesTheDeclaredNetworkAlone) {
  const DockerNetwork view = view_of_lab();
  EXPECT_EQ(docker_->create_network(view, soon()).error().kind, ErrorKind::not_found);
  ApplyRequest request = campus();
  must(api().apply(request, soon()));
  must(docker_->create_network(view, soon()));
  must(docker_->create_endpoint(endpoint_with(""), soon()));
  on_loop([this] { EXPECT_EQ(attachment()->network, "lab"); });
  close();
  open();
  must(docker_->delete_network(kNetwork, soon()));
  on_loop([this] { EXPECT_EQ(attachment(), nullptr); });
  EXPECT_TRUE(has_network("lab"));
}

TEST_F(DockerNetworks, AViewIsMadeByAPluginOfItsDriver) {
  ApplyRequest request = campus();
  must(api().apply(request, soon()));
  DockerNetwork view = view_of_lab();
  view.spec.driver = "macvlan";
  const auto refused = docker_->create_network(view, soon());
  ASSERT_FALSE(refused);
  for (const char* words : {"driver bridge", "driver macvlan only", "lanwright-bridge"})
    EXPECT_NE(refused.error().text().find(words), std::string::npos) << refused.error().text();
  view.spec.driver = "bridge";
  must(docker_->create_network(view, soon()));
}

TEST_F(DockerNetworks, AViewGivesNobodysAddressAway) {
  ApplyRequest request = campus();
  Subnet subnet;
  subnet.cidr = prefix("10.0.0.0/24");
  subnet.gateway = prefix("10.0.0.1/24").address;
  subnet.reserved["printer"] = prefix("10.0.0.9/24").address;
  request.set.networks["lab"].subnets = {subnet};
  AttachmentSpec& host = request.set.attachments["h1"];
  host.network = "lab";
  host.netns = "r1";
  host.interface = "eth0";
  must(api().apply(request, soon()));
  const auto allocations = [this] {
    return on_loop([this] {
      return reconciler().desired().find({Kind::attachment, "h1"})->object.allocations;
    });
  };
  const std::vector<IpPrefix> its{prefix("10.0.0.2/24")};
  ASSERT_EQ(allocations(), its);
  const DockerNetwork view = view_of_lab();
  must(docker_->create_network(view, soon()));
  for (const auto& [address, words] :
       std::map<std::string, std::string>{{"10.0.0.2/24", "held by attachment h1"},
                                          {"10.0.0.9/24", "reserved"},
                                          {"10.0.0.1/24", "reserved"}}) {
    const auto refused = docker_->create_endpoint(endpoint_with(address), soon());
    ASSERT_FALSE(refused) << address;
    EXPECT_NE(refused.error().text().find(words), std::string::npos) << refused.error().text();
    EXPECT_NE(refused.error().text().find("--ip-range"), std::string::npos) << refused.error().text();
  }
  must(docker_->create_endpoint(endpoint_with("10.0.0.3/24"), soon()));
  EXPECT_EQ(allocations(), its);
  request.set.attachments["h2"] = host;
  request.set.attachments["h2"].interface = "eth1";
  must(api().apply(request, soon()));
  EXPECT_EQ(allocations(), its);
  on_loop([this] {
    EXPECT_EQ(reconciler().desired().find({Kind::attachment, "h2"})->object.allocations,
              std::vector<IpPrefix>{prefix("10.0.0.4/24")});
  });
}

TEST_F(DockerNetworks, AViewWhoseNetworkIsGoneSaysSo) {
  ApplyRequest request = campus();
  must(api().apply(request, soon()));
  const DockerNetwork view = view_of_lab();
  must(docker_->create_network(view, soon()));
  must(api().remove({std::nullopt, std::string("campus"), std::nullopt, {}}, soon()));
  const auto refused = docker_->create_endpoint(endpoint_with(""), soon());
  ASSERT_FALSE(refused);
  for (const char* word : {"network lab", "not declared any more", "lanwright apply"})
    EXPECT_NE(refused.error().text().find(word), std::string::npos) << refused.error().text();
  must(api().apply(request, soon()));
  must(docker_->create_endpoint(endpoint_with(""), soon()));
}

TEST_F(DockerNetworks, TheirBridgesAreLetThroughAsLongAsTheyAreDockers) {
  const auto bridges = [this] {
    std::set<std::string> names;
    for (const ForwardRule& rule : forwards_.rules()) names.insert(rule.bridge);
    return names;
  };
  using Names = std::set<std::string>;
  ApplyRequest request = campus();
  must(api().apply(request, soon()));
  EXPECT_EQ(bridges(), Names{}) << "Docker has nothing to do with it";
  must(docker_->create_network(network_of("bridge"), soon()));
  const DockerNetwork view = view_of_lab(std::string(64, 'e'));
  must(docker_->create_network(view, soon()));
  const Names both{"lw-" + std::string(kName), "lw-lab"};
  EXPECT_EQ(bridges(), both);
  close();
  forwards_.want({}, {});
  open();
  EXPECT_EQ(bridges(), both);
  EXPECT_EQ(forwards_.networks().size(), 2U);
  must(docker_->delete_network(view.id, soon()));
  EXPECT_EQ(bridges(), Names{"lw-" + std::string(kName)});
  // Whoever removes it.
  DeleteRequest removal;
  removal.object = ResourceId{Kind::network, kName};
  must(api().remove(removal, soon()));
  EXPECT_EQ(bridges(), Names{});
  // What fails at the firewall has not been made.
  forwards_.fail(Error{ErrorKind::busy, "let through", {}, 0, "iptables: no", {}});
  const auto failed = docker_->create_network(network_of("bridge"), soon());
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text().find("iptables: no"), std::string::npos);
  EXPECT_EQ(bridges(), Names{});
  must(docker_->create_network(network_of("macvlan"), soon()));  // which needs none of it
  must(docker_->delete_network(kNetwork, soon()));
}

// Whether frames are dropped nobody knows there: it is made, and says so.
TEST_F(DockerNetworks, ABridgeIsMadeWhereNobodyCanLetItThroughAndSaysSo) {
  forwards_.fail(Error{ErrorKind::unsupported, "let through", {}, 0, "there is no program iptables", {}});
  must(docker_->create_network(network_of("bridge"), soon()));
  const auto described = api().describe({Kind::network, kName}, soon());
  ASSERT_TRUE(described);
  EXPECT_TRUE(std::any_of(described->history.begin(), described->history.end(), [](const Event& event) {
    return event.type == "Failed" && event.message.find("there is no program iptables") != std::string::npos;
  }));
}

// The network itself has nothing in the kernel; what it stands on is made for it.
TEST_F(DockerNetworks, AParentThatCannotBeMadeIsTold) {
  auto network = network_of("macvlan");
  network.spec.parent = "eth0.50";
  kernel([](test::MemoryKernel& host) {
    host.refuse("eth0.50", [] { return error_from_errno(EOPNOTSUPP, "create", "the VLAN"); });
  });
  const auto refused = docker_->create_network(network, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number, EOPNOTSUPP) << refused.error().text();
  EXPECT_FALSE(has_network());
  kernel([](test::MemoryKernel& host) { host.refuse("eth0.50", nullptr); });
  must(docker_->create_network(network, soon()));
  on_loop([this] { EXPECT_NE(in("", "eth0.50"), nullptr); });
  must(docker_->delete_network(kNetwork, soon()));
  EXPECT_TRUE(eventually([this] { return in("", "eth0.50") == nullptr; }));
}

TEST_F(DockerNetworks, NobodyElseDeclaresIntoTheirSet) {
  ApplyRequest request;
  request.set.name = kDockerSet;
  EXPECT_EQ(api().apply(request, soon()).error().kind, ErrorKind::conflict);
}

TEST_F(DockerNetworks, AnAgentThatStopsHoldsNobodyUp) {
  must(docker_->create_network(network_of("bridge"), soon()));
  on_loop([this] { reconciler().stop(); });
  EXPECT_EQ(docker_->create_endpoint(endpoint_with(""), soon()).error().kind, ErrorKind::busy);
  EXPECT_EQ(docker_->create_network(network_of("bridge"), soon()).error().kind, ErrorKind::busy);
}

TEST_F(DockerNetworks, TheWayOutIsTheDrivers) {
  auto routed = network_of("ipvlan");
  routed.spec.settings["mode"] = std::string("l3");
  must(docker_->create_network(routed, soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const auto join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  EXPECT_FALSE(join.gateway);
  EXPECT_TRUE(join.disable_gateway_service);
  EXPECT_EQ(join.routes, (std::vector<DockerRoute>{{prefix("0.0.0.0/0"), std::nullopt}}));
  must(docker_->delete_network(kNetwork, soon()));
  auto closed = network_of("macvlan");
  closed.internal = closed.spec.internal = true;
  must(docker_->create_network(closed, soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const auto inside = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  EXPECT_FALSE(inside.gateway);
  EXPECT_TRUE(inside.routes.empty());
}

// Nobody has a gateway that was chosen where none was named, unless on a LAN that the parent leads to.
TEST_P(DockerDrivers, AGatewayThatTheAgentChoseIsNobodys) {
  const bool nobody = std::string(GetParam()) == "bridge";
  auto network = network_of(GetParam());
  const std::string pool =
      must(docker_->request_pool({kLocalAddressSpace, "10.0.0.0/24", "", false}, soon())).id;
  network.pools.front().space = kLocalAddressSpace;
  must(docker_->request_address(pool, std::nullopt, AddressUse::gateway, soon()));
  must(docker_->create_network(network, soon()));
  must(docker_->create_network(network, soon()));
  EXPECT_TRUE(warnings().empty()) << warnings().front();
  close();
  open();
  must(docker_->create_network(network, soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  const auto join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  EXPECT_EQ(join.gateway.has_value(), !nobody);
  EXPECT_EQ(join.disable_gateway_service, nobody);
  must(docker_->delete_network(kNetwork, soon()));

  // One that is named, somebody has.
  must(docker_->release_address(pool, prefix("10.0.0.1/32").address, soon()));
  must(docker_->request_address(pool, prefix("10.0.0.1/32").address, AddressUse::gateway, soon()));
  must(docker_->create_network(network, soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  EXPECT_TRUE(must(docker_->join(kNetwork, kEndpoint, kSandbox, soon())).gateway);
}

// Docker's own IPAM before version 28 does not say which it chose.
TEST_P(DockerDrivers, AGatewayThatMayBeNobodysIsTold) {
  const bool nobody = std::string(GetParam()) == "bridge";
  const auto told_of = [&](const DockerNetwork& network) {
    const std::size_t before = warnings().size();
    must(docker_->create_network(network, soon()));
    must(docker_->create_network(network, soon()));
    must(docker_->delete_network(network.id, soon()));
    return warnings().size() - before;
  };
  EXPECT_EQ(told_of(network_of(GetParam())), nobody ? 1U : 0U);
  if (nobody) {
    EXPECT_EQ(warnings().front().find("network " + std::string(kName) +
                                      ": containers get a default route via 10.0.0.1"),
              0U);
  }
  auto named = network_of(GetParam());
  named.gateways_named = true;
  EXPECT_EQ(told_of(named), 0U);
  auto internal = network_of(GetParam());
  internal.internal = true;
  EXPECT_EQ(told_of(internal), 0U);
  auto other = network_of(GetParam());
  other.pools.front().gateway = prefix("10.0.0.254/24");
  EXPECT_EQ(told_of(other), 0U) << "Docker would have chosen the first";
}

TEST_F(DockerNetworks, ParallelCallsDoNotDisturbEachOther) {
  must(docker_->create_network(network_of("bridge"), soon()));
  auto second = network_of("macvlan", kOther);
  second.pools.clear();
  second.spec.subnets.clear();
  must(docker_->create_network(second, soon()));
  std::vector<std::thread> callers;
  std::atomic<int> made = 0;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      auto endpoint = endpoint_with("", std::string(63, 'c') + static_cast<char>('0' + i));
      endpoint.id = std::to_string(i) + endpoint.id.substr(1);
      if (i % 2 == 1) endpoint.network = kOther;
      const bool done = docker_->create_endpoint(endpoint, soon()) &&
                        docker_->join(endpoint.network, endpoint.id, kSandbox, soon()) &&
                        docker_->leave(endpoint.network, endpoint.id, soon()) &&
                        docker_->delete_endpoint(endpoint.network, endpoint.id, soon());
      if (done) ++made;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(made, 8);
  on_loop([this] { EXPECT_TRUE(reconciler().desired().attachments_of(kName).empty()); });
}

// ---- what a declared network has already

TEST_F(DockerNetworks, TheUplinkOfADeclaredNetworkIsNoParent) {
  ApplyRequest request = campus();
  request.set.networks["lab"].uplinks.push_back({"eth0", std::nullopt, {}});
  ASSERT_TRUE(api().apply(request, soon()).ok());
  const auto refused = docker_->create_network(network_of("macvlan"), soon());
  ASSERT_FALSE(refused.ok());
  for (const char* word : {"eth0", "network lab", "set campus"})
    EXPECT_NE(refused.error().text().find(word), std::string::npos) << refused.error().text();
  EXPECT_FALSE(has_network());
}

TEST_F(DockerNetworks, AMacThatADeclaredAttachmentHasOnTheParentIsRefused) {
  ApplyRequest request = campus();
  request.set.networks["lab"].driver = "macvlan";
  request.set.networks["lab"].parent = "eth0";
  AttachmentSpec host = test::attachment("lab", "r1");
  host.mac = MacAddress::parse("02:00:00:00:00:01");
  host.no_addresses = true;
  request.set.attachments["host"] = host;
  ASSERT_TRUE(api().apply(request, soon()).ok());
  must(docker_->create_network(network_of("macvlan"), soon()));
  DockerEndpoint endpoint = endpoint_with("10.0.0.2/24");
  endpoint.mac = host.mac;
  endpoint.mac_given = true;
  const auto refused = docker_->create_endpoint(endpoint, soon());
  ASSERT_FALSE(refused.ok());
  for (const char* word : {"02:00:00:00:00:01", "attachment host", "eth0"})
    EXPECT_NE(refused.error().text().find(word), std::string::npos) << refused.error().text();
  EXPECT_EQ(on_loop([this] { return attachment(); }), nullptr);
}

TEST_F(DockerNetworks, ASubnetThatNoInterfaceCanBeInIsRefused) {
  DockerNetwork network = network_of("bridge");
  network.pools.front().cidr = prefix("224.0.0.0/24");
  network.pools.front().gateway.reset();
  network.spec.subnets.front() = {};
  network.spec.subnets.front().cidr = prefix("224.0.0.0/24");
  const auto refused = docker_->create_network(network, soon());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find("multicast"), std::string::npos) << refused.error().text();
}

}  // namespace
}  // namespace lanwright
