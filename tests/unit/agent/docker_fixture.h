// An agent over a kernel in memory that Docker has networks and endpoints of, and short ways to say what.
#pragma once

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "agent/docker/docker_agent.h"
#include "tests/support/agent_world.h"
#include "tests/support/memory_firewall.h"
#include "tests/unit/state/fixture.h"

namespace lanwright {

using namespace std::chrono_literals;

inline const std::string kNetwork(64, 'a');
inline const std::string kOther(64, 'b');
inline const std::string kEndpoint(64, 'e');
inline const std::string kNewer(64, 'f');
constexpr const char* kName = "aaaaaaaaaaaa";
constexpr const char* kSandbox = "/run/docker/netns/1234";

inline Deadline soon() {
  return std::chrono::steady_clock::now() + 20s;
}
inline IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}

inline DockerNetwork network_of(const std::string& driver, const std::string& id = kNetwork) {
  DockerNetwork network;
  network.id = id;
  network.spec.driver = driver;
  if (driver == "macvlan" || driver == "ipvlan") network.spec.parent = "eth0";
  DockerPool pool;
  pool.cidr = prefix("10.0.0.0/24");
  pool.gateway = prefix("10.0.0.1/24");
  network.pools.push_back(pool);
  Subnet subnet;
  subnet.cidr = pool.cidr;
  subnet.gateway = pool.gateway->address;
  network.spec.subnets.push_back(subnet);
  return network;
}

inline DockerEndpoint endpoint_with(const std::string& address, const std::string& id = kEndpoint) {
  DockerEndpoint endpoint;
  endpoint.network = kNetwork;
  endpoint.id = id;
  if (!address.empty()) endpoint.addresses.push_back(prefix(address));
  return endpoint;
}

// A declared bridge `lab` of the set `campus`, and Docker's view of it.
inline ApplyRequest campus() {
  ApplyRequest request;
  request.set.name = "campus";
  request.set.networks["lab"].driver = "bridge";
  return request;
}
inline DockerNetwork view_of_lab(const std::string& id = kNetwork) {
  DockerNetwork view;
  view.id = id;
  view.view_of = "lab";
  return view;
}

class DockerNetworks : public testing::Test {
 public:
  ~DockerNetworks() override { close(); }

 protected:
  DockerNetworks() {
    LinkFact parent;
    parent.name = "eth0";
    parent.up = parent.lower_up = true;
    parent.mtu = 1500;
    kernel_.add_link("", parent);
    open();
  }

  template <class Work>
  auto on_loop(Work work) {
    return world_->on_loop(std::move(work));
  }

  void open() {
    world_ = std::make_unique<test::AgentWorld>(kernel_, directory_.path());
    ASSERT_TRUE(reconciler().start());
    docker_ = must(docker_agent::DockerAgent::open(world_->io(), reconciler(), world_->store(), forwards_));
    world_->run();
  }
  // Docker's part ends before what it looks at.
  void close() {
    if (!world_) return;
    on_loop([this] {
      reconciler().stop();
      docker_.reset();
    });
    world_.reset();
  }
  AgentApi& api() { return world_->api(); }
  reconcile::Reconciler& reconciler() const { return world_->reconciler(); }

  void kernel(const std::function<void(test::MemoryKernel&)>& work) {
    on_loop([&] { work(kernel_); });
  }
  bool eventually(const std::function<bool()>& condition) {
    for (const auto end = soon(); std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(1ms)) {
      if (on_loop(condition)) return true;
    }
    return false;
  }

  // Whether the link of the endpoint is there now.
  const LinkFact* in(const std::string& netns, const std::string& name) const {
    return kernel_.real().find(LinkName{netns, name});
  }
  bool is_whole() const {
    const LinkFact* link = in(kSandbox, "eth0");
    return link != nullptr && link->up && link->addresses.size() == 1 && link->group == kOwnGroup;
  }
  const AttachmentSpec* attachment(const std::string& id = kEndpoint) const {
    const auto* entry = reconciler().desired().find({Kind::attachment, id.substr(0, 12)});
    if (entry == nullptr || entry->object.deleting) return nullptr;
    return std::get_if<AttachmentSpec>(entry->object.spec.get());
  }
  bool has_network(const std::string& name = kName) {
    return on_loop([&] { return reconciler().desired().find({Kind::network, name}) != nullptr; });
  }

  // Of the only attachment.
  std::string phase_of_endpoint() {
    const auto snapshot = must(api().snapshot(soon()));
    for (const auto& object : snapshot->objects)
      if (object->id.kind == Kind::attachment)
        return std::string(name_of(object->status.phase)) + " " + object->status.message;
    return "none";
  }
  bool endpoint_becomes(const std::string& words) {
    for (const auto end = soon(); std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(1ms))
      if (phase_of_endpoint().find(words) != std::string::npos) return true;
    return false;
  }
  std::vector<std::string> warnings() {
    std::vector<std::string> words;
    for (const Event& event : api().recent_events(1000))
      if (event.type == "Warning") words.push_back(event.object->text() + ": " + event.message);
    return words;
  }

  // As Docker does it where the endpoint leads out.
  static void lead_out(test::MemoryKernel& host, const IpAddress& gateway) {
    host.change({kSandbox, "eth0"}, [&](LinkFact& link) {
      link.routes.push_back({{prefix("0.0.0.0/0"), gateway, std::nullopt}, RTPROT_BOOT});
    });
  }
  // As a container is started: the link is in the sandbox as eth0.
  DockerJoin start_container(const std::string& driver, const std::string& address = "10.0.0.2/24") {
    must(docker_->create_network(network_of(driver), soon()));
    must(docker_->create_endpoint(endpoint_with(address), soon()));
    DockerJoin join = must(docker_->join(kNetwork, kEndpoint, kSandbox, soon()));
    kernel([&](test::MemoryKernel& host) {
      host.add_namespace(kSandbox);
      host.move_link({"", join.interface}, {kSandbox, "eth0"}, true);
      if (join.gateway) lead_out(host, *join.gateway);
    });
    EXPECT_TRUE(eventually([&] {
      return attachment() != nullptr && attachment()->interface == "eth0" &&
             attachment()->endpoint->default_route == join.gateway.has_value();
    }));
    return join;
  }

  Directory directory_;
  test::MemoryKernel kernel_;
  test::MemoryFirewall forwards_;
  std::unique_ptr<test::AgentWorld> world_;
  std::unique_ptr<docker_agent::DockerAgent> docker_;
};

}  // namespace lanwright
