// Holds the stand-in for Docker that other tests use (tests/integration/libnetwork.h) against the real one:
// both say the same to a driver, word for word, and leave the same in a container.
#include "tests/integration/libnetwork.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "tests/docker/host.h"
#include "tests/integration/kernel_facts.h"

namespace lanwright::test {
namespace {

constexpr const char* kRecorded = "recorded";  // driver "lanwright-recorded"

// A driver that hands on all that it is told to another one, and writes it down.
class RecordingPlugin {
 public:
  explicit RecordingPlugin(const AgentProcess& agent, const std::string& kind)
      : socket_(agent.docker_socket(std::string("lanwright-") + kRecorded)),
        forwarded_to_(agent.docker_socket("lanwright-" + kind)) {
    server_.Post("/.+", [this](const httplib::Request& request, httplib::Response& response) {
      const HttpAnswer answer = http(forwarded_to_, "POST", request.path, request.body);
      record(request.path, request.body);
      response.status = answer.status;
      response.set_content(answer.body, "application/vnd.docker.plugins.v1.2+json");
    });
    server_.set_address_family(AF_UNIX);
    server_.set_keep_alive_max_count(1);  // its end would wait for idle connections
    // The port is not used; zero would have the library ask which one it got.
    if (!server_.bind_to_port(socket_.c_str(), 80)) throw HarnessError("cannot bind " + socket_.string());
    thread_ = std::jthread([this] { server_.listen_after_bind(); });
  }
  ~RecordingPlugin() { server_.stop(); }
  RecordingPlugin(const RecordingPlugin&) = delete;
  RecordingPlugin& operator=(const RecordingPlugin&) = delete;

  // What was said so far of networks and endpoints, [[CALL, BODY], ...]. Ids and places of sandboxes are
  // numbered as they come. How an endpoint is counts once, as Docker asks it whenever somebody looks.
  Json calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  void record(const std::string& path, const std::string& body) {
    static const std::set<std::string> kOncePerDaemon{"/Plugin.Activate", "/NetworkDriver.GetCapabilities"};
    if (kOncePerDaemon.contains(path)) return;
    const std::lock_guard lock(mutex_);
    Json said = Json::parse(body);
    if (said.contains("SandboxKey")) said["SandboxKey"] = "of the container";  // another one at each start
    for (const char* key : {"NetworkID", "EndpointID"}) {
      if (!said.contains(key)) continue;
      const std::string id = said.at(key);
      said[key] = key + std::to_string(numbers_[key].try_emplace(id, numbers_[key].size()).first->second);
    }
    Json call{path, sorted(said)};
    const bool asks = path == "/NetworkDriver.EndpointOperInfo";
    if (asks && std::ranges::find(calls_, call) != calls_.end()) return;
    calls_.push_back(std::move(call));
  }
  // Members in no order.
  static Json sorted(const Json& json) { return Json(nlohmann::json::parse(json.dump())); }

  const std::filesystem::path socket_;
  const std::filesystem::path forwarded_to_;
  mutable std::mutex mutex_;  // of the two below
  Json calls_ = Json::array();
  std::map<std::string, std::map<std::string, std::size_t>> numbers_;
  httplib::Server server_;
  std::jthread thread_;
};

// What users have Docker do; `refused` is something of it that must fail.
class User {
 public:
  User() = default;
  User(const User&) = delete;
  User& operator=(const User&) = delete;
  virtual ~User() = default;

  virtual const Sandbox& sandbox() const = 0;
  virtual void create_network(const std::string& name, const NetworkRequest& request) = 0;
  virtual void remove_network(const std::string& name) = 0;
  virtual void run(const std::string& container, const std::string& network,
                   const EndpointRequest& request) = 0;
  virtual void connect(const std::string& network, const std::string& container,
                       const EndpointRequest& request) = 0;
  virtual void disconnect(const std::string& network, const std::string& container) = 0;
  virtual void start(const std::string& container) = 0;
  virtual void stop(const std::string& container) = 0;
  virtual void remove(const std::string& container) = 0;
  virtual void be_killed() = 0;
  // The container's namespace, as ip(8) and as others take it.
  virtual std::string ip_name(const std::string& container) const = 0;
  virtual std::string netns(const std::string& container) const = 0;
};

class UserOfDocker : public User {
 public:
  UserOfDocker(DockerHost& host) : host_(host) {}

  const Sandbox& sandbox() const override { return host_.sandbox(); }
  void create_network(const std::string& name, const NetworkRequest& request) override {
    Words options;
    const auto add = [&](const std::string& option, const std::string& value) {
      options.insert(options.end(), {option, value});
    };
    for (const NetworkPool& pool : request.pools) {
      if (pool.subnet.find(':') != std::string::npos) options.emplace_back("--ipv6");
      add("--subnet", pool.subnet);
      add("--gateway", pool.gateway);
      for (const auto& [kept, address] : pool.aux) add("--aux-address", kept + "=" + address);
    }
    for (const auto& [key, value] : request.options) add("-o", key + "=" + value);
    if (request.internal) options.emplace_back("--internal");
    host_.create(kRecorded, name, options);
  }
  void remove_network(const std::string& name) override { host_.remove_networks({name}); }
  void run(const std::string& container, const std::string& network,
           const EndpointRequest& request) override {
    host_.run(container, network, options_of(request));
  }
  void connect(const std::string& network, const std::string& container,
               const EndpointRequest& request) override {
    Words command{"network", "connect"};
    for (const std::string& option : options_of(request)) command.push_back(option);
    command.insert(command.end(), {network, container});
    host_.docker().ask(command);
  }
  void disconnect(const std::string& network, const std::string& container) override {
    host_.docker().ask({"network", "disconnect", network, container});
  }
  void start(const std::string& container) override { host_.docker().ask({"start", container}); }
  void stop(const std::string& container) override { host_.docker().ask({"stop", container}); }
  void remove(const std::string& container) override { host_.remove({container}); }
  void be_killed() override {
    host_.docker().kill();
    host_.docker().start();
  }
  std::string ip_name(const std::string& container) const override { return host_.ip_name(container); }
  std::string netns(const std::string& container) const override { return host_.netns(container); }

 private:
  static Words options_of(const EndpointRequest& request) {
    Words options;
    for (const std::string& address : request.addresses) {
      const bool v6 = address.find(':') != std::string::npos;
      options.insert(options.end(), {v6 ? "--ip6" : "--ip", address.substr(0, address.find('/'))});
    }
    if (!request.mac.empty()) options.insert(options.end(), {"--mac-address", request.mac});
    return options;
  }

  DockerHost& host_;
};

class UserOfStandIn : public User {
 public:
  UserOfStandIn(const Sandbox& sandbox, const std::filesystem::path& plugins, const Engine& engine)
      : sandbox_(sandbox), docker_(sandbox, plugins, engine) {}

  const Sandbox& sandbox() const override { return sandbox_; }
  void create_network(const std::string& name, const NetworkRequest& request) override {
    docker_.create_network(kRecorded, name, request);
  }
  void remove_network(const std::string& name) override { docker_.remove_network(name); }
  void run(const std::string& container, const std::string& network,
           const EndpointRequest& request) override {
    docker_.run(container, network, request);
  }
  void connect(const std::string& network, const std::string& container,
               const EndpointRequest& request) override {
    docker_.connect(network, container, request);
  }
  void disconnect(const std::string& network, const std::string& container) override {
    docker_.disconnect(network, container);
  }
  void start(const std::string& container) override { docker_.start(container); }
  void stop(const std::string& container) override { docker_.stop(container); }
  void remove(const std::string& container) override { docker_.remove(container); }
  void be_killed() override { docker_.be_killed(); }
  std::string ip_name(const std::string& container) const override { return container; }
  std::string netns(const std::string& container) const override { return container; }

 private:
  const Sandbox& sandbox_;
  Libnetwork docker_;
};

// Links, addresses and routes of the container, and what IPv6 may do in it.
Json seen_in(const User& user, const std::string& container) {
  Json facts = without_indexes(facts_of(user.sandbox(), user.ip_name(container)));
  for (Json& link : facts.at("links")) link.erase("ifalias");  // the endpoint's id is in it
  in_netns(user.netns(container), [&] {
    std::vector<std::string> places{"all", "default"};
    for (const auto& [name, link] : facts.at("links").items()) places.push_back(name);
    for (const std::string& place : places) {
      std::ifstream file("/proc/sys/net/ipv6/conf/" + place + "/disable_ipv6");
      std::string value;
      std::getline(file, value);
      facts["disable_ipv6"][place] = value;
    }
  });
  return facts;
}

bool is_refused(const std::function<void()>& work) {
  try {
    work();
    return false;
  } catch (const HarnessError&) {
    return true;
  }
}

// Whatever a driver is called for. Answers what was in the container after each step.
Json use_all(User& user) {
  Json seen = Json::array();
  const auto look = [&] { seen.push_back(seen_in(user, "c1")); };
  lay_cable(user.sandbox(), "p0", "router", {"10.5.0.1/24", "fd05::1/64"});
  lay_cable(user.sandbox(), "p1", "router1");
  lay_cable(user.sandbox(), "p2", "router2");
  const NetworkRequest one{
      .pools = {{"10.5.0.0/24", "10.5.0.1", {{"printer", "10.5.0.9"}}}, {"fd05::/64", "fd05::1"}},
      .options = {{"parent", "p0"}, {"com.docker.network.driver.mtu", "1400"}}};
  const NetworkRequest inside{
      .pools = {{"10.6.0.0/24", "10.6.0.1"}}, .options = {{"parent", "p1"}}, .internal = true};
  const NetworkRequest wrong{.pools = {{"10.7.0.0/24", "10.7.0.1"}}, .options = {{"parnet", "p2"}}};
  const NetworkRequest earlier{.pools = {{"10.8.0.0/24", "10.8.0.1"}}, .options = {{"parent", "p2"}}};
  const EndpointRequest at_earlier{.addresses = {"10.8.0.11/24"}};
  user.create_network("one", one);
  user.create_network("inside", inside);
  EXPECT_THROW(user.create_network("wrong", wrong), HarnessError);
  user.run("c1", "one", {.addresses = {"10.5.0.11/24", "fd05::11/64"}});
  look();
  user.connect("inside", "c1", {.addresses = {"10.6.0.11/24"}});
  look();
  user.disconnect("inside", "c1");
  look();
  // Its name is first, but it leads out for one family only.
  user.create_network("earlier", earlier);
  user.connect("earlier", "c1", at_earlier);
  look();
  user.disconnect("one", "c1");
  look();
  user.connect("one", "c1", {.addresses = {"10.5.0.12/24", "fd05::12/64"}});
  look();
  user.stop("c1");
  user.disconnect("earlier", "c1");  // of several, Docker connects in any order
  user.start("c1");
  look();
  user.sandbox().ip("link del p2");
  seen.push_back(is_refused([&] { user.connect("earlier", "c1", at_earlier); }));
  look();
  if (!seen.at(seen.size() - 2)) user.disconnect("earlier", "c1");
  user.be_killed();
  user.start("c1");
  look();
  user.remove("c1");
  for (const char* network : {"one", "inside", "earlier"}) user.remove_network(network);
  return seen;
}

class StandIn : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (tests_dockers_own()) GTEST_SKIP() << "Docker's own are not called by a socket";
    if (GetParam() != std::string("ipvlan")) return;
    const std::string lacking = lacking_kind(Sandbox());
    if (!lacking.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking;
  }
};

TEST_P(StandIn, SaysAndDoesWhatDockerSaysAndDoes) {
  Json said;
  Json seen;
  std::optional<Engine> engine;
  {
    DockerHost host;  // its daemon is killed
    engine = host.engine();
    const RecordingPlugin recorder(host.agent(), GetParam());
    UserOfDocker user(host);
    seen = use_all(user);
    said = recorder.calls();
  }
  const Sandbox sandbox;
  const AgentProcess agent(sandbox);
  const RecordingPlugin recorder(agent, GetParam());
  UserOfStandIn user(sandbox, agent.docker_socket("any").parent_path(), *engine);
  EXPECT_EQ(differences(seen, use_all(user)), "");
  EXPECT_EQ(differences(said, recorder.calls()), "") << "Docker said " << said.dump(1);
  EXPECT_GT(said.size(), 30U);
}

INSTANTIATE_TEST_SUITE_P(Docker, StandIn, testing::Values("bridge", "macvlan", "ipvlan"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace lanwright::test
