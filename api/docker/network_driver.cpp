// Docker's protocol of network drivers: networks, and endpoints by which containers are on them.
// Source: https://github.com/moby/moby/blob/master/daemon/libnetwork/docs/remote.md
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "api/docker/calls.h"
#include "api/docker/endpoint_options.h"
#include "api/docker/fields.h"
#include "api/docker/network_options.h"

namespace lanwright::docker {
namespace {

// RouteType of a static route.
constexpr int kNextHop = 0;
constexpr int kConnected = 1;

struct Ids {
  std::string network;
  std::string endpoint;
};

Result<Ids> ids_of(const Json& request) {
  const auto network = id_field(request, "NetworkID");
  if (!network) return network.error();
  const auto endpoint = id_field(request, "EndpointID");
  if (!endpoint) return endpoint.error();
  return Ids{*network, *endpoint};
}

Result<Json> done(const Result<void>& result) {
  if (!result) return result.error();
  return Json::object();
}

Result<Json> nothing(const Call& /*call*/) {
  return Json::object();
}

// ---- what the driver is

Result<Json> capabilities(const Call& call) {
  call.port.on_dockerd_connected();
  return Json{{"Scope", "local"}, {"ConnectivityScope", "local"}, {"GwAllocChecker", true}};
}

// The host is nobody's gateway: one that the user names is somebody's on the LAN, and without one no address
// is to be set aside (and announced to containers) that nobody has. Docker asks for those that are named all
// the same.
Result<Json> gateway_check(const Call& call) {
  if (const auto options = optional_object(call.request, "Options"); !options) return options.error();
  return Json{{"SkipIPv4", true}, {"SkipIPv6", true}};
}

// ---- networks

Result<Json> create_network(const Call& call) {
  const auto network = docker_network_from(call.request, call.driver, call.grammar);
  if (!network) return network.error();
  return done(call.port.create_network(*network, call.deadline));
}

Result<Json> delete_network(const Call& call) {
  const auto network = id_field(call.request, "NetworkID");
  if (!network) return network.error();
  return done(call.port.delete_network(*network, call.deadline));
}

// Of swarm managers, for networks of all nodes.
Result<Json> allocate_network(const Call& call) {
  const auto network = id_field(call.request, "NetworkID");
  if (!network) return network.error();
  return Error{ErrorKind::unsupported,
               "allocate the network",
               *network,
               0,
               "networks of a whole swarm are not to be had: each is of one host",
               "create it on each node with --scope local"};
}

// None was allocated: it is free.
Result<Json> free_network(const Call& call) {
  if (const auto network = id_field(call.request, "NetworkID"); !network) return network.error();
  return Json::object();
}

// ---- endpoints

bool has_family(const std::vector<IpPrefix>& addresses, int family) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const IpPrefix& each) { return each.address.family == family; });
}

// Only what Docker left empty: it takes what it is told again for a change, and refuses that.
Json interface_of(const DockerEndpoint& asked, const DockerEndpointAnswer& answer) {
  Json interface = Json::object();
  for (const IpPrefix& address : answer.addresses) {
    const int family = address.address.family;
    if (!has_family(asked.addresses, family))
      interface[family == AF_INET6 ? "AddressIPv6" : "Address"] = address.text();
  }
  const auto mac = answer.mac ? answer.mac : asked.mac;
  if (mac && !asked.mac_given) interface["MacAddress"] = mac->text();
  return interface;
}

Result<Json> create_endpoint(const Call& call) {
  const auto endpoint = docker_endpoint_from(call.request);
  if (!endpoint) return endpoint.error();
  const auto answer = call.port.create_endpoint(*endpoint, call.deadline);
  if (!answer) return answer.error();
  return Json{{"Interface", interface_of(*endpoint, *answer)}};
}

Result<Json> delete_endpoint(const Call& call) {
  const auto ids = ids_of(call.request);
  if (!ids) return ids.error();
  return done(call.port.delete_endpoint(ids->network, ids->endpoint, call.deadline));
}

Result<Json> endpoint_info(const Call& call) {
  const auto ids = ids_of(call.request);
  if (!ids) return ids.error();
  const auto info = call.port.endpoint_info(ids->network, ids->endpoint, call.deadline);
  if (!info) return info.error();
  Json value = Json::object();
  for (const auto& [key, text] : *info) value[key] = text;
  return Json{{"Value", std::move(value)}};
}

Json route_of(const DockerRoute& route) {
  Json json{{"Destination", route.to.text()}, {"RouteType", route.via ? kNextHop : kConnected}};
  if (route.via) json["NextHop"] = route.via->text();
  return json;
}

Json answer_of(const DockerJoin& join) {
  Json json;
  json["InterfaceName"] = {{"SrcName", join.interface}, {"DstPrefix", join.prefix}};
  if (!join.name.empty()) json["InterfaceName"]["DstName"] = join.name;
  if (join.gateway) json["Gateway"] = join.gateway->text();
  if (join.gateway6) json["GatewayIPv6"] = join.gateway6->text();
  if (!join.routes.empty()) {
    Json routes = Json::array();
    for (const DockerRoute& route : join.routes) routes.push_back(route_of(route));
    json["StaticRoutes"] = std::move(routes);
  }
  if (join.disable_gateway_service) json["DisableGatewayService"] = true;
  return json;
}

Result<Json> join(const Call& call) {
  const auto ids = ids_of(call.request);
  if (!ids) return ids.error();
  const auto sandbox = text_field(call.request, "SandboxKey");
  if (!sandbox) return sandbox.error();
  if (const auto options = optional_object(call.request, "Options"); !options) return options.error();
  const auto joined = call.port.join(ids->network, ids->endpoint, *sandbox, call.deadline);
  if (!joined) return joined.error();
  return answer_of(*joined);
}

Result<Json> leave(const Call& call) {
  const auto ids = ids_of(call.request);
  if (!ids) return ids.error();
  return done(call.port.leave(ids->network, ids->endpoint, call.deadline));
}

// Containers are on the LAN by themselves: there is nothing to publish ports on, as with Docker's macvlan.
Result<Json> external_connectivity(const Call& call) {
  if (const auto ids = ids_of(call.request); !ids) return ids.error();
  if (const auto options = optional_object(call.request, "Options"); !options) return options.error();
  return Json::object();
}

constexpr std::array kCalls{
    CallRow{"GetCapabilities", capabilities, false},
    CallRow{"GwAllocCheck", gateway_check},
    CallRow{"CreateNetwork", create_network, true, true, delete_network},
    CallRow{"DeleteNetwork", delete_network, true, true, nullptr, &DockerApi::on_deletion_lost},
    CallRow{"AllocateNetwork", allocate_network},
    CallRow{"FreeNetwork", free_network},
    CallRow{"CreateEndpoint", create_endpoint, true, false, delete_endpoint},
    CallRow{"DeleteEndpoint", delete_endpoint},
    CallRow{"EndpointOperInfo", endpoint_info},
    CallRow{"Join", join, true, false, delete_endpoint},
    CallRow{"Leave", leave},
    CallRow{"ProgramExternalConnectivity", external_connectivity},
    CallRow{"RevokeExternalConnectivity", external_connectivity},
    // Other nodes of a swarm: a local network does not care.
    CallRow{"DiscoverNew", nothing},
    CallRow{"DiscoverDelete", nothing},
};

}  // namespace

const Subsystem& network_driver() {
  static constexpr Subsystem kSubsystem{"NetworkDriver", "Err", kCalls};
  return kSubsystem;
}

}  // namespace lanwright::docker
