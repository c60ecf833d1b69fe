#include "tests/integration/libnetwork.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace lanwright::test {
namespace {

constexpr int kConnected = 1;  // RouteType of a static route without a next hop

bool is_v6(const std::string& address) {
  return address.find(':') != std::string::npos;
}

std::string address_of(const Words& addresses, bool v6) {
  const auto found = std::ranges::find_if(addresses, [&](const auto& each) { return is_v6(each) == v6; });
  return found == addresses.end() ? "" : *found;
}

std::string prefix_length(const std::string& subnet) {
  return subnet.substr(subnet.find('/'));
}

// The first address of a subnet whose own ends so that a digit can be one more: "10.5.0.0/24", "fd05::/64".
std::string first_address(const std::string& subnet) {
  std::string address = subnet.substr(0, subnet.find('/'));
  if (address.ends_with(':')) return address + "1";
  ++address.back();
  return address;
}

// A router's address is set aside where one is named, or else where `chooses`.
Json pools_of(const NetworkRequest& request, bool v6, bool chooses) {
  Json pools = Json::array();
  for (const NetworkPool& pool : request.pools) {
    if (is_v6(pool.subnet) != v6) continue;
    const std::string length = prefix_length(pool.subnet);
    Json json{{"AddressSpace", "LocalDefault"}, {"Pool", pool.subnet}};
    const std::string gateway = pool.gateway.empty() && chooses ? first_address(pool.subnet) : pool.gateway;
    if (!gateway.empty()) json["Gateway"] = gateway + length;
    for (const auto& [name, address] : pool.aux) json["AuxAddresses"][name] = address + length;
    pools.push_back(std::move(json));
  }
  return pools;
}

// Nothing is published.
Json no_ports() {
  return {{"com.docker.network.endpoint.exposedports", Json::array()},
          {"com.docker.network.portmap", Json::array()}};
}

std::string in(const std::string& netns) {
  return "-n " + netns + " ";
}

void disable_ipv6(const std::string& netns, const std::string& interface, bool disabled) {
  in_netns(netns, [&] {
    std::ofstream file("/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6");
    file << (disabled ? "1" : "0") << std::flush;
    if (!file) throw HarnessError("cannot write disable_ipv6 of " + interface);
  });
}

}  // namespace

const Engine& engine_of(const std::string& version) {
  const int major = std::stoi(version);
  if (major >= std::stoi(kDocker28.version)) return kDocker28;
  return major >= std::stoi(kDocker26.version) ? kDocker26 : kDocker20;
}

std::string name_of(const KindAndEngine& both) {
  std::string name = both.first + "_" + both.second.version;
  std::ranges::replace(name, '.', '_');
  return name;
}

std::string short_id(const std::string& id) {
  constexpr std::size_t kDigits = 12;
  return id.substr(0, kDigits);
}

Json generic_options(const Texts& options) {
  return {{"com.docker.network.generic", options}};
}

HttpAnswer send_call(const std::filesystem::path& socket, const std::string& call, const std::string& body) {
  return http(socket, "POST", "/NetworkDriver." + call, body,
              {"Accept: application/vnd.docker.plugins.v1.2+json"});
}

void make_sandbox(const Sandbox& sandbox, const Engine& engine, const std::string& netns) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (std::filesystem::exists("/run/netns/" + netns)) return;
  sandbox.add_netns(netns);
  if (engine.shuts_ipv6) disable_ipv6(netns, "all", true);
}

// --- links

void take_link_in(const Sandbox& sandbox, const std::string& link, const std::string& netns,
                  const std::string& interface, const Words& addresses, const std::string& mac) {
  sandbox.ip("link set " + link + " netns " + netns);
  sandbox.ip(in(netns) + "link set " + link + " down");
  sandbox.ip(in(netns) + "link set " + link + " name " + interface);
  if (!mac.empty()) sandbox.ip(in(netns) + "link set " + interface + " address " + mac);
  disable_ipv6(netns, interface, address_of(addresses, true).empty());
  for (const std::string& address : addresses) {
    const std::string more = is_v6(address) ? " nodad" : " broadcast +";
    sandbox.ip(in(netns) + "addr add " + address + " dev " + interface + more);
  }
  sandbox.ip(in(netns) + "link set " + interface + " up");
}

void set_sysctls(const std::string& netns, const std::string& interface, const std::string& sysctls) {
  std::istringstream all(sysctls);
  in_netns(netns, [&] {
    for (std::string each; std::getline(all, each, ',');) {
      const std::size_t equals = each.find('=');
      std::string path = each.substr(0, equals);
      std::ranges::replace(path, '.', '/');
      path.replace(path.find("IFNAME"), std::string("IFNAME").size(), interface);
      std::ofstream file("/proc/sys/" + path);
      if (!(file << each.substr(equals + 1) << std::flush)) throw HarnessError("cannot write " + path);
    }
  });
}

void give_link_back(const Sandbox& sandbox, const std::string& link, const std::string& netns,
                    const std::string& interface) {
  sandbox.ip(in(netns) + "link set " + interface + " down");
  sandbox.ip(in(netns) + "link set " + interface + " name " + link);
  sandbox.ip(in(netns) + "link set " + link + " netns " + std::to_string(getpid()));
}

// --- networks

void Libnetwork::create_network(const std::string& kind, const std::string& name,
                                const NetworkRequest& request) {
  if (networks_.contains(name)) throw HarnessError("network " + name + " is there");
  const auto has = [&](bool v6) {
    return std::ranges::any_of(request.pools, [&](const auto& pool) { return is_v6(pool.subnet) == v6; });
  };
  Json options = generic_options(request.options);
  options["com.docker.network.enable_ipv6"] = has(true);
  if (engine_.asks_of_gateways) options["com.docker.network.enable_ipv4"] = has(false);
  if (request.internal) options["com.docker.network.internal"] = true;
  networks_[name] = {new_id(), kind, request.internal};
  try {
    Json skips = Json::object();
    if (engine_.asks_of_gateways) skips = call(name, "GwAllocCheck", {{"Options", options}});
    call(name, "CreateNetwork",
         {{"NetworkID", networks_[name].id},
          {"Options", options},
          {"IPv4Data", pools_of(request, false, !skips.value("SkipIPv4", false))},
          {"IPv6Data", pools_of(request, true, !skips.value("SkipIPv6", false))}});
  } catch (const DriverRefuses&) {
    networks_.erase(name);  // and the driver is told no more
    throw;
  }
}

void Libnetwork::remove_network(const std::string& name) {
  for (const auto& [other, container] : containers_) {
    const auto endpoint = container.endpoints.find(name);
    if (endpoint != container.endpoints.end() && container.runs)
      throw HarnessError("network " + name + " has active endpoints: " + other);
  }
  call(name, "DeleteNetwork", {{"NetworkID", networks_.at(name).id}});
  networks_.erase(name);
}

// --- containers

void Libnetwork::create_container(const std::string& name, const std::string& network,
                                  const EndpointRequest& request) {
  const std::lock_guard lock(mutex_);
  if (containers_.contains(name)) throw HarnessError("container " + name + " is there");
  containers_[name].endpoints[network].request = request;
  containers_[name].order = {network};
}

void Libnetwork::run(const std::string& name, const std::string& network, const EndpointRequest& request) {
  create_container(name, network, request);
  start(name);
}

void Libnetwork::start(const std::string& name) {
  Container& started = container(name);
  if (started.runs) throw HarnessError("container " + name + " runs");
  started.interfaces = 0;
  started.led_out_by.clear();
  started.runs = true;
  try {
    for (const std::string& network : started.order) join(name, started, network);
  } catch (const DriverRefuses&) {
    stop(name);
    throw;
  }
}

void Libnetwork::stop(const std::string& name) {
  Container& stopped = container(name);
  while (!stopped.led_out_by.empty()) leave(name, stopped, std::string(stopped.led_out_by));
  for (const auto& [network, endpoint] : stopped.endpoints) {
    if (!endpoint.id.empty()) leave(name, stopped, network);
  }
  stopped.runs = false;
  if (std::filesystem::exists(sandbox_key(name))) sandbox_.delete_netns(name);
}

void Libnetwork::connect(const std::string& network, const std::string& name,
                         const EndpointRequest& request) {
  Container& connected = container(name);
  connected.endpoints[network].request = request;
  connected.order.push_back(network);
  if (!connected.runs) return;
  try {
    join(name, connected, network);
  } catch (const DriverRefuses&) {
    connected.endpoints.erase(network);
    connected.order.pop_back();
    throw;
  }
}

void Libnetwork::disconnect(const std::string& network, const std::string& name) {
  Container& left = container(name);
  if (left.runs) leave(name, left, network);
  left.endpoints.erase(network);
  std::erase(left.order, network);
}

void Libnetwork::remove(const std::string& name) {
  if (container(name).runs) stop(name);
  const std::lock_guard lock(mutex_);
  containers_.erase(name);
}

void Libnetwork::be_killed() {
  for (auto& [name, container] : containers_) {
    for (auto& [network, endpoint] : container.endpoints) endpoint.id.clear();
    if (container.runs) sandbox_.delete_netns(name);
    container.runs = false;
  }
}

const std::string& Libnetwork::endpoint_id(const std::string& name, const std::string& network) const {
  return containers_.at(name).endpoints.at(network).id;
}

// --- endpoints

void Libnetwork::join(const std::string& name, Container& container, const std::string& network) {
  Endpoint& endpoint = container.endpoints.at(network);
  const auto& [addresses, mac, options] = endpoint.request;
  endpoint.id = new_id();
  Json body = about(network, endpoint);
  body["Interface"] = {{"Address", address_of(addresses, false)},
                       {"AddressIPv6", address_of(addresses, true)},
                       {"MacAddress", mac}};
  body["Options"] = networks_.at(network).internal ? Json::object() : no_ports();
  body["Options"].update(Json(options));
  Json joined;
  try {
    const Json created = call(network, "CreateEndpoint", body).at("Interface");
    endpoint.mac = created.value("MacAddress", mac);
    body.erase("Interface");
    body["SandboxKey"] = sandbox_key(name);
    body["Options"] = no_ports();
    if (engine_.has_sandbox_first) make_sandbox(sandbox_, engine_, name);
    try {
      joined = call(network, "Join", body);
    } catch (const DriverRefuses&) {
      call(network, "DeleteEndpoint", about(network, endpoint));
      throw;
    }
  } catch (const DriverRefuses&) {
    endpoint.id.clear();
    throw;
  }
  take_in(name, container, network, joined);
  choose_way_out(name, container);
  call(network, "EndpointOperInfo", about(network, endpoint));
}

std::string Libnetwork::next_interface(Container& container, const std::string& prefix) const {
  if (!engine_.fills_gaps) return prefix + std::to_string(container.interfaces++);
  for (int number = 0;; ++number) {
    std::string name = prefix + std::to_string(number);
    const bool taken = std::ranges::any_of(container.endpoints, [&](const auto& each) {
      return !each.second.id.empty() && each.second.interface == name;
    });
    if (!taken) return name;
  }
}

void Libnetwork::take_in(const std::string& name, Container& container, const std::string& network,
                         const Json& joined) {
  Endpoint& endpoint = container.endpoints.at(network);
  const Json& names = joined.at("InterfaceName");
  endpoint.link = names.at("SrcName");
  endpoint.interface = names.value("DstName", "");  // newer ones
  if (endpoint.interface.empty()) endpoint.interface = next_interface(container, names.at("DstPrefix"));
  endpoint.gateway = joined.value("Gateway", "");
  endpoint.gateway6 = joined.value("GatewayIPv6", "");
  make_sandbox(sandbox_, engine_, name);
  take_link_in(sandbox_, endpoint.link, name, endpoint.interface, endpoint.request.addresses, endpoint.mac);
  for (const Json& route : joined.value("StaticRoutes", Json::array())) {
    const std::string destination = route.at("Destination");
    if (route.at("RouteType") != kConnected) throw HarnessError("a route that nobody wants: " + route.dump());
    if (is_v6(destination) && address_of(endpoint.request.addresses, true).empty()) continue;
    sandbox_.ip(in(name) + "route add " + destination + " dev " + endpoint.interface + " scope link");
  }
}

void Libnetwork::leave(const std::string& name, Container& container, const std::string& network) {
  Endpoint& endpoint = container.endpoints.at(network);
  const Json body = about(network, endpoint);
  if (container.led_out_by == network) call(network, "RevokeExternalConnectivity", body);
  call(network, "Leave", body);
  // It may be gone with its parent; then Docker logs it.
  if (sandbox_.link(endpoint.interface, name))
    give_link_back(sandbox_, endpoint.link, name, endpoint.interface);
  endpoint.id.clear();
  choose_way_out(name, container);
  call(network, "DeleteEndpoint", body);
}

bool Libnetwork::leads_out(const Endpoint& endpoint) const {
  const bool by_ipv6 = engine_.leads_out_by_ipv6 && !endpoint.gateway6.empty();
  return !endpoint.id.empty() && (!endpoint.gateway.empty() || by_ipv6);
}

// Of the networks with a gateway, the one whose name comes first; those that have one of both families come
// before.
void Libnetwork::choose_way_out(const std::string& name, Container& container) {
  const std::string before = container.led_out_by;
  std::string& best = container.led_out_by;
  best.clear();
  for (const auto& [network, endpoint] : container.endpoints) {
    if (!leads_out(endpoint)) continue;
    if (best.empty() || (container.endpoints.at(best).gateway6.empty() && !endpoint.gateway6.empty()))
      best = network;
  }
  if (best == before) return;
  if (!before.empty()) {
    for (const char* family : {"-4 ", "-6 "}) sandbox_.try_ip(family + in(name) + "route del default");
    const Endpoint& old = container.endpoints.at(before);
    if (!old.id.empty()) call(before, "RevokeExternalConnectivity", about(before, old));
  }
  if (best.empty()) return;
  const Endpoint& endpoint = container.endpoints.at(best);
  if (!endpoint.gateway.empty())
    sandbox_.ip(in(name) + "route add default via " + endpoint.gateway + " dev " + endpoint.interface);
  if (!endpoint.gateway6.empty())
    sandbox_.ip("-6 " + in(name) + "route add default via " + endpoint.gateway6 + " dev " +
                endpoint.interface);
  Json body = about(best, endpoint);
  body["Options"] = no_ports();
  if (engine_.leads_out_by_ipv6) body["Options"]["com.docker.network.driver.private.no_proxy_6to4"] = false;
  call(best, "ProgramExternalConnectivity", body);
}

// --- calls

Json Libnetwork::call(const std::string& network, const std::string& name, const Json& body) const {
  const std::string driver = "lanwright-" + networks_.at(network).kind;
  const HttpAnswer answer = send_call(plugins_ / (driver + ".sock"), name, body.dump());
  Json json = Json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !json.is_object()) throw HarnessError(name + ": " + answer.body);
  if (const std::string error = json.value("Err", ""); !error.empty()) throw DriverRefuses(error);
  return json;
}

Json Libnetwork::about(const std::string& network, const Endpoint& endpoint) const {
  return {{"NetworkID", networks_.at(network).id}, {"EndpointID", endpoint.id}};
}

Libnetwork::Container& Libnetwork::container(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return containers_.at(name);
}

// 64 digits; the first twelve are what Docker shows.
std::string Libnetwork::new_id() {
  const std::lock_guard lock(mutex_);
  const std::string digits = std::to_string(++ids_);
  return std::string(12 - digits.size(), 'a') + digits + std::string(52, '0');
}

}  // namespace lanwright::test
