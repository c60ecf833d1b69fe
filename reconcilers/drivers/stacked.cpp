#include "reconcilers/drivers/stacked.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "reconcilers/kinds/dummy.h"

namespace lanwright::drivers {
namespace {

constexpr const char* kHostRole = "host";

LinkSpec link_on_parent(const Named<NetworkSpec>& network, const Stacked& how) {
  LinkSpec link;
  link.kind = how.kind.name;
  link.parent = network.spec.parent.empty() ? link_name(network.name) : network.spec.parent;
  link.attributes = how.attributes;
  link.mtu = network.spec.mtu;
  return link;
}

std::vector<ParentUse> parents_of(const NetworkSpec& spec, const Stacked& how) {
  if (spec.parent.empty()) return {};
  return {{spec.parent, std::string(how.kind.name), how.attributes, spec.mtu}};
}

LinkSpec dummy_of(const Named<NetworkSpec>& network) {
  LinkSpec dummy;
  dummy.at = {"", link_name(network.name)};
  dummy.altname = link_altname(network.name);
  dummy.kind = kinds::kDummy.name;
  dummy.mtu = network.spec.mtu.value_or(kDefaultMtu);
  dummy.mac = stable_mac(network.uid, "");
  dummy.ipv6 = Ipv6Addresses::none;  // the host is not a member of the network by it
  return dummy;
}

// The device is the way out, whatever gateway is named: frames reach the parent's routing without being asked
// for.
std::vector<RouteSpec> with_device_routes(const AttachmentSpec& attachment, const NetworkSpec& network) {
  std::vector<RouteSpec> routes = attachment.routes;
  if (network.internal) return routes;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    const auto& addresses = attachment.addresses;
    const bool used = std::any_of(addresses.begin(), addresses.end(),
                                  [&](const IpPrefix& address) { return address.address.family == family; });
    const bool has_default = std::any_of(routes.begin(), routes.end(), [&](const RouteSpec& route) {
      return route.to.length == 0 && route.to.address.family == family;
    });
    if (!used || has_default) continue;
    RouteSpec route;
    route.to.address.family = family;
    route.automatic = true;
    routes.push_back(route);
  }
  return routes;
}

}  // namespace

Resources StackedDriver::network(const Named<NetworkSpec>& network) const {
  const Stacked how = how_(network.spec);
  Resources resources;
  resources.parents = parents_of(network.spec, how);
  if (network.spec.parent.empty()) resources.links.push_back(dummy_of(network));
  if (const auto& host = network.spec.host_interface) {
    LinkSpec link = link_on_parent(network, how);
    link.at = {"", host->name};
    link.role = kHostRole;
    if (how.own_mac) link.mac = stable_mac(network.uid, kHostRole);
    link.addresses = host->addresses;
    link.routes = host->routes;
    resources.links.push_back(std::move(link));
  }
  return resources;
}

Resources StackedDriver::attachment(const Named<AttachmentSpec>& attachment,
                                    const Named<NetworkSpec>& network) const {
  const Stacked how = how_(network.spec);
  const AttachmentSpec& spec = attachment.spec;
  LinkSpec link = link_on_parent(network, how);
  set_end(link, attachment,
          how.broadcast ? with_gateways(spec, network.spec) : with_device_routes(spec, network.spec));
  if (spec.mtu) link.mtu = spec.mtu;
  if (how.own_mac) link.mac = spec.mac ? *spec.mac : stable_mac(attachment.uid, kInnerRole);
  std::vector<ParentUse> parents = parents_of(network.spec, how);
  for (ParentUse& use : parents) use.mtu = link.mtu;
  return {{link}, std::move(parents)};
}

void check_stacked_network(const NetworkSpec& spec, const ReportFault& complain) {
  if (spec.mode != NetworkMode::flat)
    complain("mode",
             "driver " + spec.driver + " has only mode flat: its addresses are on the wire as they are");
  if (!spec.uplinks.empty())
    complain("uplinks", "a network of driver " + spec.driver + " has no ports; its way out is its `parent`");
  if (spec.parent == "lo")
    complain("parent", "the loopback interface cannot be the parent of " + spec.driver + " links");
  const std::size_t dot = spec.parent.rfind('.');
  const std::string vid = dot == std::string::npos ? "" : spec.parent.substr(dot + 1);
  // What begins with a 0 (vconfig's eth0.0050) no VLAN made on demand is called, but perhaps one of the
  // host's.
  const bool number =
      !vid.empty() && vid.front() != '0' && vid.find_first_not_of("0123456789") == std::string::npos;
  const std::string base = spec.parent.substr(0, dot);
  if (number && (base.find('.') == std::string::npos || vlan_named(base)) && !vlan_named(spec.parent))
    complain("parent", "vlan id must be between 1 and 4094, got " + vid + " in `" + spec.parent + "`");
}

void check_stacked_attachment(const AttachmentSpec& spec, const NetworkSpec& network,
                              const std::string& driver, const ReportFault& complain) {
  if (spec.tap)
    complain("tap", "a network of driver " + driver + " has no ports for a tap; attach a `netns`");
  if (spec.ofport) complain("ofport", kNoOpenFlow);
  if (spec.isolated)
    complain("isolated",
             "driver " + driver + " has no ports to isolate; `macvlan: {mode: private}` keeps all apart");
  if (!spec.vlans.empty())
    complain(spec.vlans.pvid ? "vlan" : "trunk",
             "driver " + driver + " has no ports; the VLAN is the parent's");
  // On a dummy of its own a network has an MTU in any case.
  const auto limit = network.mtu || !network.parent.empty() ? network.mtu : std::optional(kDefaultMtu);
  if (spec.mtu && limit && *spec.mtu > *limit)
    complain("mtu", "mtu " + std::to_string(*spec.mtu) + " is above the network's " + std::to_string(*limit));
}

}  // namespace lanwright::drivers
