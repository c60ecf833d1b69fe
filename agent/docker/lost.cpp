#include "agent/docker/lost.h"

#include <sys/socket.h>

#include <optional>

#include "api/docker/endpoint_options.h"
#include "api/docker/network_options.h"
#include "model/format/json.h"

namespace lanwright::docker_agent {
namespace {

Error not_documented(const LostNetwork& lost, std::string words) {
  return {ErrorKind::invalid, "read what Docker tells of", "network " + lost.id, 0, std::move(words), {}};
}

// An empty object where there is none.
const Json& part(const Json& object, const char* key) {
  static const Json kNone = Json::object();
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? kNone : *found;
}

std::string text(const Json& object, const char* key) {
  const Json& value = part(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool flag(const Json& object, const char* key) {
  return part(object, key) == true;
}

// "10.5.0.1" as an address of this subnet; with a length of its own it may come as well.
std::string within(const std::string& address, const IpPrefix& subnet) {
  return address.substr(0, address.find('/')) + "/" + std::to_string(subnet.length);
}

// Docker before version 28 sets one aside where the user names none.
std::optional<std::string> gateway_of(const Json& config, const IpPrefix& subnet, bool chooses) {
  if (const std::string named = text(config, "Gateway"); !named.empty()) return within(named, subnet);
  if (!chooses || subnet.length == 0) return std::nullopt;
  const auto range = IpPrefix::parse(text(config, "IPRange"));
  IpAddress first = (range ? *range : subnet).network().address;
  if (subnet.is_special(first)) first = first.next();
  return within(first.text(), subnet);
}

Json pool_of(const Json& config, const IpPrefix& subnet, const std::string& space, bool chooses) {
  Json pool{{"AddressSpace", space}, {"Pool", subnet.text()}};
  if (const auto gateway = gateway_of(config, subnet, chooses)) pool["Gateway"] = *gateway;
  for (const auto& [name, address] : part(config, "AuxiliaryAddresses").items())
    pool["AuxAddresses"][name] = within(address.is_string() ? address.get<std::string>() : "", subnet);
  return pool;
}

// As CreateNetwork had it.
Result<Json> request_of(const LostNetwork& lost) {
  const Json told = Json::parse(lost.network, nullptr, false);
  if (!told.is_object()) return not_documented(lost, "it is no object");
  const bool newer = told.contains("EnableIPv4");  // from version 28
  Json switches{{"com.docker.network.generic", part(told, "Options")},
                {"com.docker.network.enable_ipv6", flag(told, "EnableIPv6")}};
  if (newer) switches["com.docker.network.enable_ipv4"] = flag(told, "EnableIPv4");
  if (flag(told, "Internal")) switches["com.docker.network.internal"] = true;
  Json request{{"NetworkID", lost.id},
               {"Options", std::move(switches)},
               {"IPv4Data", Json::array()},
               {"IPv6Data", Json::array()}};
  const Json& ipam = part(told, "IPAM");
  const std::string space = lost.own_addresses ? kLocalAddressSpace : "LocalDefault";
  for (const Json& config : part(ipam, "Config")) {
    const auto subnet = IpPrefix::parse(text(config, "Subnet"));
    if (!subnet) return not_documented(lost, "one of its subnets is none: " + config.dump());
    request[subnet->address.family == AF_INET6 ? "IPv6Data" : "IPv4Data"].push_back(
        pool_of(config, subnet->network(), space, !newer));
  }
  return request;
}

// As CreateEndpoint had it.
Json endpoint_request(const LostNetwork& lost, const Json& settings) {
  const auto address = [&](const char* key, const char* length) {
    const std::string told = text(settings, key);
    return told.empty() ? told : told + "/" + part(settings, length).dump();
  };
  return {{"NetworkID", lost.id},
          {"EndpointID", text(settings, "EndpointID")},
          {"Interface",
           {{"Address", address("IPAddress", "IPPrefixLen")},
            {"AddressIPv6", address("GlobalIPv6Address", "GlobalIPv6PrefixLen")},
            {"MacAddress", text(settings, "MacAddress")}}},
          {"Options", part(settings, "DriverOpts")}};
}

}  // namespace

Result<DockerNetwork> network_from(const LostNetwork& lost, const std::string& driver,
                                   const Grammar& grammar) {
  const auto request = request_of(lost);
  if (!request) return request.error();
  return docker::docker_network_from(*request, driver, grammar);
}

Result<std::vector<LostEndpoint>> endpoints_from(const LostNetwork& lost) {
  std::vector<LostEndpoint> endpoints;
  for (const std::string& body : lost.containers) {
    const Json container = Json::parse(body, nullptr, false);
    const Json& networking = part(container, "NetworkSettings");
    const std::string sandbox = text(networking, "SandboxKey");
    for (const Json& settings : part(networking, "Networks")) {
      if (sandbox.empty() || text(settings, "NetworkID") != lost.id) continue;
      auto endpoint = docker::docker_endpoint_from(endpoint_request(lost, settings));
      if (!endpoint) return endpoint.error();
      endpoints.push_back({*std::move(endpoint), sandbox});
    }
  }
  return endpoints;
}

Result<std::vector<LostPool>> own_pools_from(const LostNetwork& lost) {
  std::vector<LostPool> pools;
  if (!lost.own_addresses) return pools;
  const Json told = Json::parse(lost.network, nullptr, false);
  const Json& ipam = part(told, "IPAM");
  const auto endpoints = listed_endpoints(lost.network);
  if (!endpoints) return endpoints.error();
  for (const Json& config : part(ipam, "Config")) {
    const auto subnet = IpPrefix::parse(text(config, "Subnet"));
    if (!subnet) return not_documented(lost, "one of its subnets is none: " + config.dump());
    LostPool pool{{kLocalAddressSpace, subnet->network().text(), text(config, "IPRange"), false}, {}, {}};
    const auto add = [&](const std::string& address) {
      const auto parsed = IpPrefix::parse(within(address, *subnet));
      if (parsed && subnet->contains(parsed->address)) pool.given.insert(parsed->address);
    };
    // Other drivers may have had one set aside by any version, which newer ones do not list.
    const bool chooses = !told.contains("EnableIPv4") || !lost.own_driver;
    if (const auto gateway = gateway_of(config, subnet->network(), chooses)) {
      add(*gateway);
      if (text(config, "Gateway").empty()) pool.chosen = IpPrefix::parse(*gateway)->address;
    }
    for (const auto& [name, address] : part(config, "AuxiliaryAddresses").items())
      if (address.is_string()) add(address.get<std::string>());
    for (const auto& [id, addresses] : *endpoints)
      for (const IpAddress& address : addresses) add(address.text());
    pools.push_back(std::move(pool));
  }
  return pools;
}

}  // namespace lanwright::docker_agent
