#include "tests/bench/plant.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

namespace lanwright::bench {
namespace {

using test::HarnessError;
using test::Json;

std::size_t network_of(const Plant& plant, std::size_t attachment) {
  return attachment < 2 ? 0 : attachment % plant.networks;
}

std::string number(std::size_t value) {
  return std::to_string(value);
}

enum class Role { bridge, port, inner, tap, macvlan };

std::string mac(Role role, std::size_t number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "02:00:%02x:%02x:%02x:%02x", static_cast<unsigned>(role),
                static_cast<unsigned>(number >> 16U & 0xffU), static_cast<unsigned>(number >> 8U & 0xffU),
                static_cast<unsigned>(number & 0xffU));
  return text.data();
}

// As long as the agent's.
std::string alias(std::size_t number) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "lanwright:%016zx", number);
  return text.data();
}

std::string identity(Role role, std::size_t number, int group) {
  return " address " + mac(role, number) + " mtu 1500 group " + std::to_string(group);
}

constexpr const char* kParent = "trunk";

constexpr const char* kPortSettings =
    " type bridge_slave isolated off learning on flood on group_fwd_mask 0\n";

std::string veth_yaml(const std::string& name, const std::string& network, std::size_t netns,
                      const std::string& interface, const std::string& address) {
  return "  " + name + ": {network: " + network + ", netns: h" + number(netns) + ", interface: " + interface +
         (address.empty() ? "" : ", addresses: [" + address + "/24]") + "}\n";
}

}  // namespace

std::string Plant::text() const {
  std::string text = number(networks) + " networks";
  if (attachments > 0) text += " + " + number(attachments) + " attachments";
  if (taps > 0) text += " + " + number(taps) + " taps";
  if (macvlans > 0) text += " + " + number(macvlans) + " macvlans";
  return text;
}

std::string bridge_of_target(std::size_t target) {
  return "lw-t" + number(target);
}

std::vector<std::string> ports_of_target(std::size_t target) {
  std::vector<std::string> names;
  for (std::size_t port = 0; port < kPortsOfTarget; ++port) {
    names.push_back("lw-t" + number(target) + "p" + number(port));
  }
  return names;
}

std::string yaml_of(const Plant& plant) {
  std::string yaml = "version: 1\nname: bench\nnetworks:\n";
  for (std::size_t i = 0; i < plant.networks; ++i) yaml += "  n" + number(i) + ": {driver: bridge}\n";
  for (std::size_t i = 0; i < plant.targets; ++i) yaml += "  t" + number(i) + ": {driver: bridge}\n";
  if (plant.macvlans > 0) yaml += std::string("  m: {driver: macvlan, parent: ") + kParent + "}\n";
  if (plant.attachments + plant.taps + plant.macvlans + plant.targets > 0) yaml += "attachments:\n";
  const std::array<std::string, 2> addresses{kFirstAddress, kSecondAddress};
  for (std::size_t i = 0; i < plant.attachments; ++i) {
    yaml +=
        veth_yaml("a" + number(i), "n" + number(network_of(plant, i)), i % plant.namespaces,
                  "e" + number(i / plant.namespaces), i < 2 && plant.namespaces > 1 ? addresses.at(i) : "");
  }
  for (std::size_t i = 0; i < plant.taps; ++i) {
    yaml += "  v" + number(i) + ": {network: n" + number(i % plant.networks) + ", tap: {}}\n";
  }
  for (std::size_t i = 0; i < plant.macvlans; ++i)
    yaml += veth_yaml("m" + number(i), "m", 0, "m" + number(i), "");
  for (std::size_t i = 0; i < plant.targets; ++i) {
    for (std::size_t port = 0; port < kPortsOfTarget; ++port) {
      const std::string name = "t" + number(i) + "p" + number(port);
      yaml += veth_yaml(name, "t" + number(i), port, name, "");
    }
  }
  return yaml;
}

std::string batch_of_networks(const Plant& plant) {
  std::string batch;
  for (std::size_t i = 0; i < plant.networks; ++i) {
    const std::string name = "lw-n" + number(i);
    batch += "link add name " + name + identity(Role::bridge, i, kBridgeGroup) +
             " type bridge stp_state 0 ageing_time 30000 group_fwd_mask 0 mcast_snooping 1 forward_delay 1500"
             " hello_time 200 max_age 2000 priority 32768\n";
    batch += "link set dev " + name + " alias " + alias(i) + " addrgenmode none up\n";
  }
  return batch;
}

std::string batch_of_attachments(const Plant& plant) {
  std::string batch;
  for (std::size_t i = 0; i < plant.attachments; ++i) {
    const std::string name = "lw-a" + number(i);
    batch += "link add name " + name + identity(Role::port, i, kVethGroup) + " master lw-n" +
             number(network_of(plant, i)) + " type veth peer name e" + number(i) +
             identity(Role::inner, i, kVethGroup) + " netns h0\n";
    batch += "link set dev " + name + " alias " + alias(i) + " addrgenmode none up" + kPortSettings;
  }
  return batch;
}

std::string batch_of_inner_ends(const Plant& plant) {
  std::string batch;
  for (std::size_t i = 0; i < plant.attachments; ++i) {
    batch += "link set dev e" + number(i) + " alias " + alias(i) + "/inner up\n";
  }
  return batch;
}

std::string batch_of_taps(const Plant& plant) {
  std::string batch;
  for (std::size_t i = 0; i < plant.taps; ++i) {
    const std::string name = "lw-v" + number(i);
    batch += "tuntap add dev " + name + " mode tap\n";
    batch += "link set dev " + name + identity(Role::tap, i, kTapGroup) + " master lw-n" +
             number(i % plant.networks) + " alias " + alias(i) + " addrgenmode none\n";
    batch += "link set dev " + name + " up" + kPortSettings;
  }
  return batch;
}

std::string batch_of_macvlans(const Plant& plant) {
  std::string batch;
  for (std::size_t i = 0; i < plant.macvlans; ++i) {
    batch += std::string("link add link ") + kParent + " name m" + number(i) +
             identity(Role::macvlan, i, kMacvlanGroup) + " netns h0 type macvlan mode bridge\n";
  }
  return batch;
}

std::string batch_of_inner_macvlans(const Plant& plant) {
  std::string batch;
  for (std::size_t i = 0; i < plant.macvlans; ++i)
    batch += "link set dev m" + number(i) + " alias " + alias(i) + " up\n";
  return batch;
}

void add_parent(const test::Sandbox& sandbox, const Plant& plant) {
  if (plant.macvlans == 0) return;
  silence_ipv6(plant);
  sandbox.ip(std::string("link add ") + kParent + " type veth peer name trunk-peer");
  sandbox.ip(std::string("link set ") + kParent + " up");
  sandbox.ip("link set trunk-peer up");
}

void add_namespaces(const test::Sandbox& sandbox, const Plant& plant) {
  for (std::size_t i = 0; i < plant.namespaces; ++i) sandbox.add_netns("h" + number(i));
}

void silence_ipv6(const Plant& plant) {
  for (std::size_t i = 0; i < plant.namespaces; ++i) {
    test::in_netns("h" + number(i), [] {
      std::ofstream setting("/proc/sys/net/ipv6/conf/default/disable_ipv6");
      setting << 1 << std::flush;
      if (!setting) throw HarnessError("cannot switch IPv6 off for new interfaces of a namespace");
    });
  }
}

void check_kernel(const test::Sandbox& sandbox, const Plant& plant) {
  const std::size_t wanted_bridges = plant.networks + plant.targets;
  const std::size_t wanted_ports = plant.attachments + plant.taps + plant.targets * kPortsOfTarget;
  std::size_t bridges = 0;
  std::size_t ports = 0;
  for (const Json& link : sandbox.ip_json("link show")) {
    const std::string name = link.at("ifname");
    if (!name.starts_with("lw-")) continue;
    const auto& flags = link.at("flags");
    const bool up = std::ranges::find(flags, "UP") != flags.end();
    if (!up) throw HarnessError(name + " is not up");
    const bool bridge = link.contains("linkinfo") && link["linkinfo"].value("info_kind", "") == "bridge";
    if (bridge) ++bridges;
    if (!bridge && link.contains("master")) ++ports;
  }
  std::size_t macvlans = 0;
  if (plant.macvlans > 0) {
    for (const Json& link : sandbox.ip_json("-n h0 link show")) {
      const auto& flags = link.at("flags");
      const bool up = std::ranges::find(flags, "UP") != flags.end();
      if (up && link.contains("linkinfo") && link["linkinfo"].value("info_kind", "") == "macvlan") ++macvlans;
    }
  }
  if (macvlans != plant.macvlans)
    throw HarnessError("the kernel has " + number(macvlans) + " macvlan links that are up, wanted " +
                       number(plant.macvlans));
  if (bridges == wanted_bridges && ports == wanted_ports) return;
  throw HarnessError("the kernel has " + number(bridges) + " bridges and " + number(ports) +
                     " ports that are up, wanted " + number(wanted_bridges) + " and " + number(wanted_ports));
}

}  // namespace lanwright::bench
