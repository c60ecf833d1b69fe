// What Docker asks for, and is told, about networks and their endpoints. Plain values. Source: the remote
// driver protocol, https://github.com/moby/moby/blob/master/daemon/libnetwork/docs/remote.md
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/base/addresses.h"
#include "model/desired.h"

namespace lanwright {

// An entry of IPv4Data or IPv6Data. The whole family without a gateway (the null IPAM's 0.0.0.0/0) is none.
struct DockerPool {
  std::string space;                // whose IPAM it is of; see model/address_pools.h for the agent's
  IpPrefix cidr;                    // host bits are 0
  std::optional<IpPrefix> gateway;  // an address of it
  std::map<std::string, IpPrefix> auxiliary;  // addresses of it that nobody is given, by name
  bool chosen = false;                        // the gateway was, by the agent's IPAM, as nobody named one
  bool operator==(const DockerPool&) const = default;
};

// CreateNetwork.
struct DockerNetwork {
  std::string id;  // Docker's, 64 hex digits
  // -o network=lab: the declared network that it is a view of. Of `spec` there is the driver then, when one
  // is asked for.
  std::string view_of;
  NetworkSpec spec;               // otherwise, with the pools as its subnets
  std::vector<DockerPool> pools;  // IPv4 first
  bool internal = false;          // --internal, whatever the driver makes of it
  bool gateways_named = false;    // Docker has a gateway only where the user named one (from version 28)
  std::string interface_prefix = "eth";  // com.docker.network.container_iface_prefix
  std::vector<std::string> ignored;      // options of Kathara's that mean nothing here
  bool operator==(const DockerNetwork&) const = default;
};

// CreateEndpoint.
struct DockerEndpoint {
  std::string network;               // Docker's id
  std::string id;                    // Docker's
  std::vector<IpPrefix> addresses;   // at most one of a family, IPv4 first
  std::optional<MacAddress> mac;     // given by Docker, or by an option
  bool mac_given = false;            // by Docker, in Interface.MacAddress: it must not be told again
  std::string interface;             // its name in the container; empty: as Docker numbers it
  std::vector<Sysctl> sysctls;       // of the interface there, as Docker sets them
  std::vector<std::string> ignored;  // options of Kathara's that mean nothing here
  bool operator==(const DockerEndpoint&) const = default;
};

// What was chosen beyond what was asked.
struct DockerEndpointAnswer {
  std::optional<MacAddress> mac;
  std::vector<IpPrefix> addresses;
  bool operator==(const DockerEndpointAnswer&) const = default;
};

struct DockerRoute {
  IpPrefix to;
  std::optional<IpAddress> via;  // absent: on the link itself
  bool operator==(const DockerRoute&) const = default;
};

// What Docker is to move into the container, and how it leads out of there.
struct DockerJoin {
  std::string interface;  // a link of the namespace that dockerd is in
  std::string prefix;     // of its name in the container, which Docker numbers
  std::string name;       // its name there, when the container asks for one
  std::optional<IpAddress> gateway;
  std::optional<IpAddress> gateway6;
  std::vector<DockerRoute> routes;
  // Without this, a gateway or a default route, Docker adds a second interface on its `docker_gwbridge`.
  bool disable_gateway_service = false;
  bool operator==(const DockerJoin&) const = default;
};

}  // namespace lanwright
