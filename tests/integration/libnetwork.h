// Docker's part of the protocol of network drivers, without a dockerd: what libnetwork says at a driver's
// socket, and what it does with the links. Containers are namespaces of the sandbox. Source: what
// dockerd 20.10, 26.1 and 28.5 were seen to do; tests/docker/libnetwork_test.cpp holds this against whichever
// is there.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/agent_process.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

using Texts = std::map<std::string, std::string>;
using Words = std::vector<std::string>;

// What differs between versions.
struct Engine {
  const char* version;
  bool has_sandbox_first;  // when it calls Join
  bool shuts_ipv6;  // of a sandbox, for all links to come, and not only of each that has no such address
  bool asks_of_gateways;   // sets no address aside for a router that the driver does without
  bool leads_out_by_ipv6;  // also by a network that has no router of IPv4
  bool fills_gaps;         // an interface gets the lowest number that is free, and not the next one
};
inline constexpr Engine kDocker20{"20.10", false, true, false, false, false};
inline constexpr Engine kDocker26{"26.1", false, false, false, false, false};
inline constexpr Engine kDocker28{"28.5", true, false, true, true, true};
inline void PrintTo(const Engine& engine, std::ostream* out) {
  *out << engine.version;
}
const Engine& engine_of(const std::string& version);  // "28.5.2": the last one that is not newer

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

// For tests of both: "macvlan_28_5".
using KindAndEngine = std::pair<std::string, Engine>;
std::string name_of(const KindAndEngine& both);

// The namespace of a container, unless it is there already.
void make_sandbox(const Sandbox& sandbox, const Engine& engine, const std::string& netns);

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
  std::string subnet;        // "10.5.0.0/24"
  std::string gateway = {};  // "10.5.0.1"; "" leaves it to Docker whether there is one
  Texts aux = {};            // addresses that are kept: name and address
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
  Texts options = {};    // --driver-opt
};

// Calls that the driver refuses throw DriverRefuses, and leave what Docker leaves. Different containers may
// be dealt with on several threads at once.
class Libnetwork {
 public:
  // Drivers of kind "macvlan" listen at lanwright-macvlan.sock of the directory.
  Libnetwork(const Sandbox& sandbox, std::filesystem::path plugins, const Engine& engine = kDocker20)
      : sandbox_(sandbox), plugins_(std::move(plugins)), engine_(engine) {}

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

  bool leads_out(const Endpoint& endpoint) const;
  std::string next_interface(Container& container, const std::string& prefix) const;
  void join(const std::string& name, Container& container, const std::string& network);
  void leave(const std::string& name, Container& container, const std::string& network);
  void take_in(const std::string& name, Container& container, const std::string& network, const Json& joined);
  void choose_way_out(const std::string& name, Container& container);

  const Sandbox& sandbox_;
  const std::filesystem::path plugins_;
  const Engine engine_;
  std::map<std::string, Network> networks_;
  std::mutex mutex_;  // of the two below
  std::map<std::string, Container> containers_;
  std::size_t ids_ = 0;
};

}  // namespace lanwright::test
