// Networks and endpoints that Docker forgot: found by asking something that answers as Docker does, over a
// kernel in memory; and what it takes to remove them.
#include <mutex>

#include "tests/unit/agent/cli_fake.h"
#include "tests/unit/agent/docker_fixture.h"

namespace lanwright {
namespace {

// Lists what a test says.
class FakeDocker {
 public:
  explicit FakeDocker(const std::string& socket) : server_(socket) {
    server_.on_get("/networks", [this](const httplib::Request&, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      response.set_content(list_, "application/json");
    });
  }

  void has(const std::vector<std::string>& networks) {
    std::string list = R"([{"Id":"none"})";
    for (const std::string& id : networks) list += R"(,{"Id":")" + id + R"("})";
    says(list + "]");
  }
  void says(const std::string& list) {
    const std::lock_guard lock(mutex_);
    list_ = list;
  }
  void has_endpoints(const std::string& network, const std::vector<std::string>& endpoints,
                     const std::string& address = "") {
    std::string containers;
    for (const std::string& id : endpoints)
      containers += (containers.empty() ? "" : ",") + ("\"ep-" + id) + R"(":{"EndpointID":")" + id +
                    R"(","IPv4Address":")" + address + R"("})";
    server_.on_get("/networks/" + network, R"({"Containers":{)" + containers + "}}");
  }
  std::size_t asked() const { return server_.seen().size(); }

 private:
  std::mutex mutex_;
  std::string list_ = R"([{"Id":"none"}])";
  FakeAgent server_;
};

class DockerOrphans : public DockerNetworks {
 protected:
  // A new agent: what it finds stored counts as old.
  void restart(std::chrono::seconds young = 30s) {
    close();
    open();
    on_loop([&] { docker_->audit().open(socket(), young); });
    ask();
  }
  // What is given of the agent's pools.
  std::map<std::string, std::set<std::string>> given() {
    return on_loop([this] {
      std::map<std::string, std::set<std::string>> all;
      for (const AddressPool& pool : must(world_->store().address_pools())) {
        auto& addresses = all[pool.id];
        for (const IpAddress& address : pool.given) addresses.insert(address.text());
      }
      return all;
    });
  }
  // A pool of ours, with its gateway and these addresses given.
  void give(const std::string& cidr, const std::vector<std::string>& addresses) {
    const auto pool = must(docker_->request_pool({kLocalAddressSpace, cidr, "", false}, soon()));
    must(docker_->request_address(pool.id, std::nullopt, AddressUse::gateway, soon()));
    for (const std::string& address : addresses)
      must(docker_->request_address(pool.id, IpAddress::parse(address), AddressUse::interface, soon()));
  }
  static DockerNetwork network_of_ours() {
    DockerNetwork network = network_of("bridge");
    network.pools.front().space = kLocalAddressSpace;
    network.pools.front().auxiliary["printer"] = prefix("10.0.0.9/24");
    return network;
  }
  void ask() {
    on_loop([this] { docker_->audit().ask_now(); });
  }
  std::string socket() const { return (directory_.path() / "docker.sock").string(); }

  bool orphaned(const std::string& name = kName) {
    return must(api().describe({Kind::network, name}, soon())).object->status.orphaned;
  }
  bool becomes_orphaned(bool expected = true) {
    const auto end = soon();
    std::uint64_t last = 0;
    while (orphaned() != expected) {  // each change of it is an event
      const auto news = api().events_after(last, 1000, end);
      if (news.empty()) return false;
      last = news.back().id;
    }
    return true;
  }
  std::vector<Event> events(const std::string& type) {
    auto all = api().recent_events(1000);
    std::erase_if(all, [&](const Event& event) { return event.type != type; });
    return all;
  }
  // Docker has answered once more, and what it said was taken in.
  bool is_asked_again(const FakeDocker& docker) {
    const std::size_t before = docker.asked();
    ask();
    return eventually([&] { return docker.asked() > before && !is_open(); });
  }
  bool is_open() const { return docker_->audit().question() == docker_agent::Audit::Question::open; }
  bool has_none() const { return docker_->audit().question() == docker_agent::Audit::Question::none; }
  Result<ApplyOutcome> remove(const std::string& name = kName) {
    return api().remove({ResourceId{Kind::network, name}, std::nullopt, std::nullopt, {}}, soon());
  }
  bool knows(const std::string& network) const {
    return reconciler().desired().find({Kind::network, network}) != nullptr;
  }
  std::size_t records() {
    return on_loop([this] { return must(world_->store().annexes(docker_agent::kController)).size(); });
  }
};

TEST_F(DockerOrphans, AreToldOnceAndShownUntilDockerKnowsThem) {
  FakeDocker docker(socket());
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_network(network_of("macvlan", kOther), soon()));
  docker.has({kOther});
  restart();
  ASSERT_TRUE(becomes_orphaned());
  EXPECT_FALSE(orphaned(kOther.substr(0, 12)));
  ASSERT_TRUE(is_asked_again(docker));
  ASSERT_EQ(events("Orphaned").size(), 1U);
  EXPECT_EQ(events("Orphaned")[0].object, (ResourceId{Kind::network, kName}));
  EXPECT_NE(events("Orphaned")[0].message.find("lanwright delete network aaaaaaaaaaaa"), std::string::npos);
  docker.has({kNetwork, kOther});
  ask();
  EXPECT_TRUE(becomes_orphaned(false));
  EXPECT_EQ(events("Found").size(), 1U);
  EXPECT_TRUE(has_network()) << "nothing is removed by itself";
}

TEST_F(DockerOrphans, WhatDockerCallsForItKnows) {
  FakeDocker docker(socket());
  must(docker_->create_network(network_of("bridge"), soon()));
  restart();
  ASSERT_TRUE(becomes_orphaned());
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  EXPECT_FALSE(orphaned());
}

TEST_F(DockerOrphans, AreNotWhatDockerIsStillMaking) {
  FakeDocker docker(socket());
  restart();
  must(docker_->create_network(network_of("bridge"), soon()));
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_FALSE(orphaned());
  EXPECT_TRUE(events("Orphaned").empty());
}

TEST_F(DockerOrphans, AreNotKnownWithoutAnAnswer) {
  FakeDocker docker(socket());
  must(docker_->create_network(network_of("bridge"), soon()));
  docker.says("[]");
  restart();
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_FALSE(orphaned());
  docker.has({});
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_TRUE(orphaned());
  docker.says("[]");
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_TRUE(orphaned()) << "nobody said otherwise";
}

TEST_F(DockerOrphans, NobodyIsAskedWhenNothingIsDockers) {
  FakeDocker docker(socket());
  docker.has({kNetwork});
  restart();
  ASSERT_TRUE(eventually([this] { return has_none(); }));
  EXPECT_EQ(docker.asked(), 0U);
}

TEST_F(DockerOrphans, ReasonsToAskAreHeard) {
  FakeDocker docker(socket());
  must(docker_->create_network(network_of("bridge"), soon()));
  docker.has({kNetwork});
  close();
  open();
  on_loop([this] { docker_->audit().open(""); });
  docker_->on_dockerd_connected();
  ask();
  on_loop([this] { EXPECT_TRUE(has_none()) << "there is nobody to ask"; });
  const auto is_asked = [&](const std::function<void()>& reason) {
    const std::size_t before = docker.asked();
    reason();
    return eventually([&] { return has_none() && docker.asked() > before; });
  };
  EXPECT_TRUE(is_asked([this] { on_loop([this] { docker_->audit().open(socket()); }); })) << "it has begun";
  EXPECT_TRUE(is_asked([this] { docker_->on_dockerd_connected(); }));
  EXPECT_TRUE(is_asked([this] { docker_->on_call_failed(); }));
  EXPECT_TRUE(is_asked([this] { ask(); }));
}

// The agent ended when it was asked to remove one, and Docker repeats that without saying which.
TEST_F(DockerOrphans, WhatDockerRemovedWhileTheAgentEndedIsRemoved) {
  FakeDocker docker(socket());
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_network(network_of("macvlan", kOther), soon()));
  docker.has({kOther});
  restart();
  docker_->on_deletion_lost();
  EXPECT_TRUE(eventually([this] { return !knows(kName); }));
  EXPECT_TRUE(has_network(kOther.substr(0, 12)));
  EXPECT_EQ(records(), 1U);
}

TEST_F(DockerOrphans, OfSeveralThatDockerDoesNotKnowNoneIsTakenForTheOneThatItRemoved) {
  FakeDocker docker(socket());
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_network(network_of("macvlan", kOther), soon()));
  restart();
  docker_->on_deletion_lost();
  ASSERT_TRUE(eventually([this] { return has_none(); }));
  EXPECT_TRUE(orphaned());
  EXPECT_TRUE(orphaned(kOther.substr(0, 12)));
}

TEST_F(DockerOrphans, PeopleAreToldOfThoseThatDockerMayHaveRemovedWhereItIsNotAsked) {
  start_container("bridge");
  must(docker_->create_network(network_of("macvlan", kOther), soon()));
  close();
  open();
  on_loop([this] { docker_->audit().open(""); });
  docker_->on_deletion_lost();
  const std::string advice = "lanwright delete network " + kOther.substr(0, 12);
  const auto told = [&] {
    auto all = warnings();
    std::erase_if(
        all, [](const std::string& words) { return words.find("was removing a network") == words.npos; });
    return all;
  };
  ASSERT_TRUE(eventually([&] { return !told().empty(); }));
  EXPECT_EQ(told().size(), 1U) << "a container is on the other";
  EXPECT_NE(told().at(0).find(advice), std::string::npos) << told().at(0);
  EXPECT_TRUE(has_network(kOther.substr(0, 12))) << "it may be another one";
}

// Docker takes what an agent does not answer, because it ends, for a failure.
TEST_F(DockerOrphans, ANetworkThatDockerWasNotToldOfIsRemovedByTheNextAgent) {
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_network(network_of("macvlan", kOther), soon()));
  on_loop([this] {
    docker_agent::DockerRecord record;
    for (const state::Annex& annex : must(world_->store().annexes(docker_agent::kController))) {
      if (annex.id == kNetwork) record = must(docker_agent::docker_record_from(annex.body));
    }
    EXPECT_TRUE(record.answered);
    record.answered = false;
    reconcile::ChangeRequest change = docker_agent::change_of(*docker_);
    change.beside.put_annexes.push_back({docker_agent::kController, kNetwork, text_of(record)});
    must(reconciler().submit(std::move(change)));
  });
  close();
  open();
  EXPECT_TRUE(eventually([this] { return !knows(kName); }));
  EXPECT_TRUE(has_network(kOther.substr(0, 12)));
  EXPECT_EQ(records(), 1U);
}

TEST_F(DockerOrphans, AViewIsTold) {
  ApplyRequest request = campus();
  must(api().apply(request, soon()));
  const DockerNetwork view = view_of_lab();
  must(docker_->create_network(view, soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  FakeDocker docker(socket());
  restart();
  ASSERT_TRUE(eventually([this] { return !events("Orphaned").empty(); }));
  EXPECT_EQ(events("Orphaned")[0].object, (ResourceId{Kind::network, "lab"}));
  EXPECT_NE(events("Orphaned")[0].message.find(kName), std::string::npos);
  const std::string advice = "`lanwright delete attachment NAME`: eeeeeeeeeeee";
  EXPECT_NE(events("Orphaned")[0].message.find(advice), std::string::npos);
  EXPECT_FALSE(orphaned("lab")) << "it is declared";
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_EQ(records(), 1U);
  // With its last endpoint it is forgotten.
  DeleteRequest removal;
  removal.object = ResourceId{Kind::attachment, kEndpoint.substr(0, 12)};
  must(api().remove(removal, soon()));
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_EQ(records(), 0U);
  EXPECT_TRUE(forwards_.rules().empty());
  EXPECT_TRUE(has_network("lab"));
  must(docker_->create_network(view, soon()));
}

// ---- endpoints that were never joined

TEST_F(DockerOrphans, EndpointsThatDockerForgotAreCollected) {
  FakeDocker docker(socket());
  docker.has({kNetwork});
  docker.has_endpoints(kNetwork, {kNewer});
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.3/24", kNewer), soon()));
  restart();
  ASSERT_TRUE(eventually([this] { return attachment() == nullptr; }));
  on_loop([this] { EXPECT_NE(attachment(kNewer), nullptr) << "Docker lists it"; });
  const auto told = events("Deleted");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].object, (ResourceId{Kind::attachment, kEndpoint.substr(0, 12)}));
}

TEST_F(DockerOrphans, EndpointsStayWhileNobodyCanTell) {
  FakeDocker docker(socket());
  docker.has_endpoints(kNetwork, {kEndpoint});
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  restart();
  ASSERT_TRUE(becomes_orphaned()) << "Docker does not know the network";
  on_loop([this] { EXPECT_NE(attachment(), nullptr); });
  // One that it knows, with an endpoint that has just been made.
  docker.has({kNetwork});
  must(docker_->create_endpoint(endpoint_with("10.0.0.3/24", kNewer), soon()));
  ASSERT_TRUE(is_asked_again(docker));
  on_loop([this] {
    EXPECT_NE(attachment(), nullptr);
    EXPECT_NE(attachment(kNewer), nullptr);
  });
}

TEST_F(DockerOrphans, AnEndpointWithASandboxIsItsSandboxs) {
  FakeDocker docker(socket());
  docker.has({kNetwork});
  docker.has_endpoints(kNetwork, {});
  start_container("macvlan");
  restart();
  ASSERT_TRUE(is_asked_again(docker));
  on_loop([this] { EXPECT_NE(attachment(), nullptr); });
}

// `docker network disconnect` while the agent was away: the link is back on the host, the sandbox goes on.
TEST_F(DockerOrphans, AnEndpointThatWasTakenOutOfItsSandboxIsCollected) {
  FakeDocker docker(socket());
  docker.has({kNetwork});
  docker.has_endpoints(kNetwork, {});
  const DockerJoin join = start_container("bridge");
  kernel([&](test::MemoryKernel& host) { host.move_link({kSandbox, "eth0"}, {"", join.interface}, false); });
  restart();
  EXPECT_TRUE(eventually([this] { return attachment() == nullptr; }));
  EXPECT_TRUE(eventually([&] { return in("", join.interface) == nullptr; }));
}

TEST_F(DockerOrphans, AnEndpointThatIsJoinedWhileDockerIsAskedStays) {
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  std::promise<void> asked;
  std::promise<void> release;
  auto released = release.get_future().share();
  FakeAgent docker(socket());
  docker.on_get("/networks", R"([{"Id":")" + kNetwork + R"("}])");
  docker.on_get("/networks/" + kNetwork, [&](const httplib::Request&, httplib::Response& response) {
    asked.set_value();
    released.wait();
    response.set_content(R"({"Containers":{}})", "application/json");
  });
  restart();
  asked.get_future().wait();
  must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  release.set_value();
  ASSERT_TRUE(eventually([this] { return !is_open(); }));
  on_loop([this] { EXPECT_NE(attachment(), nullptr); });
}

// ---- pools and addresses that Docker gave up while nobody listened

TEST_F(DockerOrphans, AddressesThatNobodyHasAreTakenBack) {
  FakeDocker docker(socket());
  docker.has({kNetwork});
  docker.has_endpoints(kNetwork, {kNewer}, "10.0.0.4/24");
  give("10.0.0.0/24", {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9"});
  must(docker_->create_network(network_of_ours(), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
  kernel([](test::MemoryKernel& host) { host.add_namespace(kSandbox); });
  restart();
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_EQ(given().begin()->second.size(), 5U) << "Docker may be about to list it";
  restart(0s);
  const std::set<std::string> used{"10.0.0.1", "10.0.0.4", "10.0.0.9"};
  // Of the endpoint, which Docker does not list, too, when that is gone.
  EXPECT_TRUE(eventually([&] { return attachment() == nullptr; }));
  for (const auto end = soon(); given().begin()->second != used && std::chrono::steady_clock::now() < end;) {
  }
  EXPECT_EQ(given(), (std::map<std::string, std::set<std::string>>{{"lanwright/10.0.0.0/24", used}}));
}

TEST_F(DockerOrphans, AddressesStayWhileNobodyCanTell) {
  FakeDocker docker(socket());
  give("10.0.0.0/24", {"10.0.0.3"});
  must(docker_->create_network(network_of_ours(), soon()));
  restart(0s);
  ASSERT_TRUE(becomes_orphaned()) << "Docker does not know the network";
  EXPECT_EQ(given().begin()->second.size(), 2U);
  // A pool that is Docker's own is another one.
  docker.has({kNetwork});
  docker.has_endpoints(kNetwork, {});
  must(remove());
  EXPECT_TRUE(eventually([&] { return reconciler().desired().entries().empty(); }));
  give("10.0.1.0/24", {"10.0.1.3"});
  DockerNetwork of_another_ipam = network_of_ours();
  of_another_ipam.pools.front().space = "LocalDefault";
  of_another_ipam.pools.front().cidr = prefix("10.0.1.0/24");
  of_another_ipam.pools.front().gateway.reset();
  of_another_ipam.pools.front().auxiliary.clear();
  must(docker_->create_network(of_another_ipam, soon()));
  docker.says(R"([{"Id":")" + kNetwork + R"(","IPAM":{"Config":[{"Subnet":"10.0.1.0/24"}]}}])");
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_EQ(given().at("lanwright/10.0.1.0/24").size(), 2U);
}

TEST_F(DockerOrphans, PoolsThatNoNetworkHasAreTakenBack) {
  FakeDocker docker(socket());
  give("10.0.0.0/24", {});
  give("10.0.1.0/24", {});
  docker.says(R"([{"Id":"x","IPAM":{"Config":[{"Subnet":"10.0.1.0/24"}]}}])");  // another driver's network
  restart();
  ASSERT_TRUE(eventually(
      [this] { return has_none() || docker_->audit().question() == docker_agent::Audit::Question::due; }));
  EXPECT_EQ(given().size(), 2U) << "Docker may be about to make a network of it";
  restart(0s);
  ASSERT_TRUE(is_asked_again(docker));
  EXPECT_EQ(given().size(), 1U);
  EXPECT_TRUE(given().contains("lanwright/10.0.1.0/24"));
}

TEST_F(DockerOrphans, AnOrphanTakesItsPoolAlong) {
  FakeDocker docker(socket());
  give("10.0.0.0/24", {});
  must(docker_->create_network(network_of_ours(), soon()));
  restart(0s);
  ASSERT_TRUE(becomes_orphaned());
  EXPECT_EQ(given().size(), 1U);
  must(remove());
  for (const auto end = soon(); !given().empty() && std::chrono::steady_clock::now() < end;) {
  }
  EXPECT_TRUE(given().empty());
}

// ---- removing a network of Docker's

TEST_F(DockerOrphans, ANetworkTakesItsEndpointsAlong) {
  must(docker_->create_network(network_of("bridge"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.2/24"), soon()));
  must(docker_->create_endpoint(endpoint_with("10.0.0.3/24", kNewer), soon()));
  must(docker_->join(kNetwork, kNewer, kSandbox, soon()));  // and killed before there was a sandbox
  ASSERT_EQ(records(), 1U);
  EXPECT_EQ(must(remove()).objects.size(), 3U);
  EXPECT_EQ(records(), 0U) << "at once";
  EXPECT_TRUE(eventually([this] { return reconciler().desired().entries().empty(); }));
  on_loop([this] { EXPECT_EQ(kernel_.real().namespaces.at("").links().size(), 2U) << "lo and eth0"; });
  must(docker_->create_network(network_of("macvlan"), soon()));  // of the same id, and another one
  must(docker_->delete_network(kNetwork, soon()));
}

TEST_F(DockerOrphans, NotFromUnderAContainer) {
  start_container("macvlan");
  const auto refused = remove();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  for (const std::string& word : {std::string("attachment eeeeeeeeeeee"), std::string(kSandbox),
                                  std::string("stop the container or disconnect it")})
    EXPECT_NE(refused.error().text().find(word), std::string::npos) << refused.error().text();
  EXPECT_FALSE(
      api().remove({ResourceId{Kind::attachment, "eeeeeeeeeeee"}, std::nullopt, std::nullopt, {}}, soon()));
  EXPECT_EQ(records(), 1U);
  on_loop([this] { EXPECT_NE(attachment(), nullptr); });
  kernel([](test::MemoryKernel& host) {  // its link, which comes back with its parent
    host.delete_link({kSandbox, "eth0"});
    host.delete_link({"", "eth0"});
  });
  EXPECT_FALSE(remove());
  EXPECT_FALSE(api().remove({std::nullopt, std::string(kDockerSet), std::nullopt, {}}, soon()));
  kernel([](test::MemoryKernel& host) { host.drop_namespace(kSandbox); });
  ASSERT_TRUE(eventually([this] { return attachment() == nullptr; }));
  must(remove());
  EXPECT_EQ(records(), 0U);
}

TEST_F(DockerOrphans, NorOneThatSomebodyDeclaredOnto) {
  must(docker_->create_network(network_of("bridge"), soon()));
  ApplyRequest request;
  request.set.name = "campus";
  request.set.attachments["r1"].network = kName;
  request.set.attachments["r1"].netns = "r1";
  request.set.attachments["r1"].interface = "eth0";
  must(api().apply(request, soon()));
  const auto refused = remove();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("attachment r1"), std::string::npos) << refused.error().text();
  EXPECT_EQ(records(), 1U);
}

TEST_F(DockerOrphans, TheRecordsGoWithTheSet) {
  must(docker_->create_network(network_of("bridge"), soon()));
  must(api().remove({std::nullopt, std::string(kDockerSet), std::nullopt, {}}, soon()));
  EXPECT_EQ(records(), 0U);
}

}  // namespace
}  // namespace lanwright
