// Docker's part of the protocol of network drivers, without a dockerd: what libnetwork says at a driver's
// socket, and what it does with the links. Containers are namespaces of the sandbox. Source: what
// dockerd 20.10 was seen to do; tests/docker/libnetwork_test.cpp holds this against it.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/integration/agent_process.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

using Texts = std::map<std::string, std::string>;
using Words = std::vector<std::string>;

// Its digits that name a network, or an endpoint's attachment, at the agent.
std::string short_id(const std::string& id);

// Network options as Docker sends what `-o` says.
Json generic_options(const Texts& options);

// What the driver refused, in its words.
struct DriverRefuses : HarnessError {
  using HarnessError::HarnessError;
};

// --- one call

// "POST /NetworkDriver.CALL" at the driver's socket.
HttpAnswer send_call(const std::filesystem::path& socket, const std::string& call, const std::string& body);

// --- what it does with the link that an answer to Join names

// Moves the link into the namespace, calls it `interface`, gives it what the container has, and raises it.
void take_link_in(const Sandbox& sandbox, const std::string& link, const std::string& netns,
                  const std::string& interface, const Words& addresses, const std::string& mac = "");
// What Docker makes of com.docker.network.endpoint.sysctls, from version 27.
void set_sysctls(const std::string& netns, const std::string& interface, const std::string& sysctls);
// Gives it back under its old name, after Leave was answered.
void give_link_back(const Sandbox& sandbox, const std::string& link, const std::string& netns,
                    const std::string& interface);

// --- all of it, as users of Docker have it

struct NetworkPool {
  std::string subnet;   // "10.5.0.0/24"
  std::string gateway;  // "10.5.0.1"
  Texts aux = {};       // addresses that are kept: name and address
};

struct NetworkRequest {
  std::vector<NetworkPool> pools;
  Texts options = {};  // -o
  bool internal = false;
};

// What `docker network connect` says; addresses as "10.5.0.11/24", at most one of each family.
struct EndpointRequest {
  Words addresses;
  std::string mac = {};  // "" lets the driver choose
};

// Calls that the driver refuses throw DriverRefuses, and leave what Docker leaves. Different containers may
// be dealt with on several threads at once.
class Libnetwork {
 public:
  // Drivers of kind "macvlan" listen at lanwright-macvlan.sock of the directory.
  Libnetwork(const Sandbox& sandbox, std::filesystem::path plugins)
      : sandbox_(sandbox), plugins_(std::move(plugins)) {}

  void create_network(const std::string& kind, const std::string& name, const NetworkRequest& request);
  void remove_network(const std::string& name);

  // `docker run`, and connect to a container that runs, or does not yet.
  void run(const std::string& container, const std::string& network, const EndpointRequest& request);
  void create_container(const std::string& container, const std::string& network,
                        const EndpointRequest& request);
  void connect(const std::string& network, const std::string& container, const EndpointRequest& request);
  void disconnect(const std::string& network, const std::string& container);
  void stop(const std::string& container);
  void start(const std::string& container);
  void remove(const std::string& container);  // also one that runs

  // As after a SIGKILL of dockerd, when there is another one: containers have ended, and with them their
  // namespaces, and no driver was told.
  void be_killed();

  // Of the container that runs.
  const std::string& endpoint_id(const std::string& container, const std::string& network) const;
  const std::string& network_id(const std::string& network) const { return networks_.at(network).id; }
  static std::string sandbox_key(const std::string& container) { return "/run/netns/" + container; }

 private:
  struct Network {
    std::string id;
    std::string kind;
    bool internal = false;
  };
  struct Endpoint {
    std::string id;  // "" while the container does not run
    EndpointRequest request;
    std::string mac;
    std::string link;       // its name on the host
    std::string interface;  // and inside
    std::string gateway;
    std::string gateway6;
  };
  struct Container {
    bool runs = false;
    std::map<std::string, Endpoint> endpoints;  // by network
    std::vector<std::string> order;             // of networks, as they were connected
    int interfaces = 0;                         // that it had since it was started
    std::string led_out_by;                     // the network whose gateway it uses
  };

  Json call(const std::string& network, const std::string& name, const Json& body) const;
  Json about(const std::string& network, const Endpoint& endpoint) const;
  Container& container(const std::string& name);
  std::string new_id();

  void join(const std::string& name, Container& container, const std::string& network);
  void leave(const std::string& name, Container& container, const std::string& network);
  void take_in(const std::string& name, Container& container, const std::string& network, const Json& joined);
  void choose_way_out(const std::string& name, Container& container);

  const Sandbox& sandbox_;
  const std::filesystem::path plugins_;
  std::map<std::string, Network> networks_;
  std::mutex mutex_;  // of the two below
  std::map<std::string, Container> containers_;
  std::size_t ids_ = 0;
};

}  // namespace lanwright::test
