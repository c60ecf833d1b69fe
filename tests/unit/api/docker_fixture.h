// Docker's plugin sockets over an agent in memory, and a client that speaks as dockerd does.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "api/docker/plugin_server.h"
#include "tests/unit/api/fixture.h"

namespace lanwright {

// Gives from pools in memory, keeps what is made, or fails as the test says.
class MemoryDocker final : public DockerApi {
 public:
  Result<AddressPool> request_pool(const PoolRequest& request, Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    last_pool_request = request;
    last_deadline = deadline;
    if (throws) throw std::runtime_error("out of order");
    if (failure) return *failure;
    auto pool = pools_.choose_pool(request);
    if (pool) pools_.put(*pool);
    return pool;
  }
  Result<IpPrefix> request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                   AddressUse use, Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    last_use = use;
    if (failure) return *failure;
    auto grant = pools_.choose_address(pool, wanted, use);
    if (!grant) return grant.error();
    pools_.give(pool, *grant);
    return grant->address;
  }
  Result<void> release_pool(const std::string& pool, Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    pools_.drop(pool);
    return {};
  }
  Result<void> release_address(const std::string& pool, const IpAddress& address,
                               Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    pools_.take_back(pool, address);
    return {};
  }
  void on_dockerd_connected() override {
    const std::lock_guard lock(mutex_);
    ++connections;
  }
  void on_call_failed() override {
    const std::lock_guard lock(mutex_);
    ++doubts;
  }
  void on_deletion_lost() override {
    const std::lock_guard lock(mutex_);
    ++lost_deletions;
  }
  // Its members, which the server's threads use too.
  template <class T>
  T get(T MemoryDocker::*member) {
    const std::lock_guard lock(mutex_);
    return this->*member;
  }
  template <class T>
  void set(T MemoryDocker::*member, const T& value) {
    const std::lock_guard lock(mutex_);
    this->*member = value;
  }
  void with(const std::function<void(MemoryDocker&)>& change) {
    const std::lock_guard lock(mutex_);
    change(*this);
  }
  std::set<IpAddress> given(const std::string& pool) {
    const std::lock_guard lock(mutex_);
    const AddressPool* found = pools_.find(pool);
    return found == nullptr ? std::set<IpAddress>() : found->given;
  }

  Result<void> create_network(const DockerNetwork& network, Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    last_deadline = deadline;
    if (failure) return *failure;
    networks[network.id] = network;
    return {};
  }
  Result<void> delete_network(const std::string& network, Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    ++deletions;
    networks.erase(network);
    return {};
  }
  Result<DockerEndpointAnswer> create_endpoint(const DockerEndpoint& endpoint,
                                               Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    endpoints[{endpoint.network, endpoint.id}] = endpoint;
    return endpoint_answer;
  }
  Result<void> delete_endpoint(const std::string& network, const std::string& endpoint,
                               Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    ++deletions;
    endpoints.erase({network, endpoint});
    return {};
  }
  Result<DockerJoin> join(const std::string& network, const std::string& endpoint, const std::string& sandbox,
                          Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    joined[{network, endpoint}] = sandbox;
    return join_answer;
  }
  Result<void> leave(const std::string& network, const std::string& endpoint,
                     Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    joined.erase({network, endpoint});
    return {};
  }
  Result<std::map<std::string, std::string>> endpoint_info(const std::string& network,
                                                           const std::string& endpoint,
                                                           Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure) return *failure;
    return std::map<std::string, std::string>{{"endpoint", endpoint}, {"network", network}};
  }

  using EndpointKey = std::pair<std::string, std::string>;  // network, endpoint
  std::map<std::string, DockerNetwork> networks;
  std::map<EndpointKey, DockerEndpoint> endpoints;
  std::map<EndpointKey, std::string> joined;  // sandbox
  DockerEndpointAnswer endpoint_answer;
  DockerJoin join_answer;

  std::optional<Error> failure;
  bool throws = false;
  PoolRequest last_pool_request;
  Deadline last_deadline;
  std::optional<AddressUse> last_use;
  int connections = 0;
  int doubts = 0;
  int lost_deletions = 0;
  int deletions = 0;  // of networks and endpoints

 private:
  std::mutex mutex_;
  AddressPools pools_{default_pools({1, 2, 3, 4, 5})};
};

struct DockerReply {
  int status = 0;
  std::string head;
  std::string body;
  Json json() const { return Json::parse(body); }
};

class ApiDocker : public testing::Test {
 protected:
  ApiDocker() {
    options.directory = directory / "plugins";
    options.sockets = {{"lanwright", ""}, {"lanwright-vde", "vde"}};
    start();
  }
  void start() {
    auto started = docker::PluginServer::start(agent, drivers::driver_grammar(), options);
    if (!started) throw std::runtime_error(started.error().text());
    server = *std::move(started);
  }
  std::filesystem::path socket(const std::string& name = "lanwright") const {
    return options.directory / (name + ".sock");
  }

  // As dockerd 20.10 writes it: the host is empty, there is no type of content.
  static std::string request(const std::string& call, const std::string& body) {
    return "POST /" + call + " HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\r\n" +
           body;
  }
  static DockerReply reply_of(const std::string& answer) {
    DockerReply reply;
    const std::size_t end = answer.find("\r\n\r\n");
    if (answer.size() < 12 || end == std::string::npos) throw std::runtime_error("no answer: " + answer);
    reply.status = std::stoi(answer.substr(9, 3));
    reply.head = answer.substr(0, end + 2);
    reply.body = answer.substr(end + 4);
    return reply;
  }
  static DockerReply say(RawClient& raw, const std::string& text) {
    raw.send(text);
    return reply_of(raw.read_answer());
  }
  DockerReply call(const std::string& call, const std::string& body) const {
    RawClient raw(socket());
    return say(raw, request(call, body));
  }
  // The value that a call answers, without white space.
  std::string value(const std::string& name, const std::string& body) const {
    const DockerReply reply = call(name, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.head.find("Content-Type: application/vnd.docker.plugins.v1.2+json\r\n"),
              std::string::npos)
        << reply.head;
    return reply.json().dump();
  }
  std::string pool() const { return value("IpamDriver.RequestPool", kPool); }

  static constexpr const char* kPool =
      R"({"AddressSpace":"lanwright","Pool":"10.0.0.0/24","SubPool":"","Options":null,"V6":false})";

  TemporaryDirectory directory;
  MemoryDocker agent;
  docker::PluginServerOptions options;
  std::unique_ptr<docker::PluginServer> server;
};

}  // namespace lanwright
