// What the tests of the reader share: a grammar of drivers that exist only here, and random sets that are
// valid.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "model/desired.h"
#include "model/format/grammar.h"
#include "model/format/set_reader.h"

namespace lanwright::model_test {

inline SettingField field(std::string name, SettingField::Type type) {
  SettingField result;
  result.name = std::move(name);
  result.type = type;
  return result;
}

inline Grammar grammar() {
  using Type = SettingField::Type;
  DriverSchema bridge;
  bridge.name = "bridge";
  bridge.settings = {field("stp", Type::boolean), field("vlan_filtering", Type::boolean),
                     field("ageing_time", Type::integer), field("flooding", Type::choice),
                     field("name", Type::text)};
  bridge.settings[2].min = 0;
  bridge.settings[2].max = 1'000'000;
  bridge.settings[3].choices = {"learn", "hub"};
  bridge.check_network = [](const std::string& name, const NetworkSpec& spec, const ReportFault& complain) {
    if (spec.settings.contains("stp") && spec.settings.contains("flooding"))
      complain("bridge.stp", name + ": not both");
    if (spec.mtu == 1234U) complain("bridge.name", name + ": absent key");
    for (std::size_t i = 0; i < spec.uplinks.size(); ++i) {
      if (spec.uplinks[i].ofport) complain("uplinks[" + std::to_string(i) + "].ofport", "no OpenFlow here");
    }
  };
  bridge.check_attachment = [](const std::string& name, const AttachmentSpec& spec,
                               const NetworkSpec& network, const ReportFault& complain) {
    if (spec.mtu && network.mtu && *spec.mtu > *network.mtu) complain("mtu", name + ": above the network's");
  };
  DriverSchema ovs;
  ovs.name = "ovs";
  ovs.settings = {field("controllers", Type::text_list), field("datapath_id", Type::text)};
  DriverSchema vde;
  vde.name = "vde";
  vde.settings = {field("hub", Type::boolean)};
  DriverSchema macvlan;
  macvlan.name = "macvlan";
  macvlan.settings = {field("mode", Type::choice)};
  macvlan.settings[0].choices = {"bridge", "private", "vepa", "passthru"};
  return {bridge, vde, macvlan, ovs};
}

inline ReadOutcome read(std::string_view text) {
  static const Grammar kGrammar = grammar();
  return read_set(text, "lab.yaml", kGrammar);
}

inline std::string texts(const ReadOutcome& outcome) {
  std::string all;
  for (const Diagnostic& diagnostic : outcome.diagnostics) all += diagnostic.text();
  return all;
}

// Valid sets with every key of the format in them now and then.
class RandomSets {
 public:
  explicit RandomSets(std::uint32_t seed) : random_(seed) {}

  SetSpec next() {
    SetSpec set;
    if (maybe()) set.name = word() + ".set";
    const std::size_t networks = below(6);
    for (std::size_t i = 0; i < below(4); ++i) set.vlans.emplace("v" + std::to_string(i) + ".9", vlan(i));
    for (std::size_t i = 0; i < networks; ++i) set.networks.emplace(name(i), network(i));
    for (std::size_t i = 0; networks > 0 && i < below(12); ++i) {
      set.attachments.emplace(
          name(i),
          attachment(i,
                     std::next(set.networks.begin(), static_cast<std::ptrdiff_t>(below(networks)))->first));
    }
    return set;
  }

 private:
  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }
  bool maybe() { return below(2) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& values) {
    return values[below(values.size())];
  }

  // Words that YAML readers like to take for something else.
  std::string word() {
    return one_of<std::string>({"true", "no", "on", "null", "007", "1e3", "0x1f", "10", "lab", "r1",
                                "2026-11-20", "12.5", "a-b_c.d", "y", "n", "12_000", "Off", "inf"});
  }
  std::string name(std::size_t i) { return word() + "-" + std::to_string(i); }
  std::string index(std::size_t i) { return std::to_string(i); }

  VlanSpec vlan(std::size_t i) {
    VlanSpec spec;
    spec.parent = one_of<std::string>({"eth0", "10", "true", "enp0s3"});
    spec.id = static_cast<std::uint16_t>(1 + i * 10 + below(10));
    if (maybe()) spec.protocol = VlanProtocol::dot1ad;
    if (maybe()) spec.mtu = 68 + below(65000);
    if (maybe()) spec.mac = mac(i, 3);
    return spec;
  }

  MacAddress mac(std::size_t i, std::uint8_t kind) {
    return {{0x02, kind, 0, static_cast<std::uint8_t>(below(256)), 0x10, static_cast<std::uint8_t>(i)}};
  }

  PortVlans port_vlans() {
    PortVlans vlans;
    if (maybe()) vlans.pvid = static_cast<std::uint16_t>(1 + below(10));
    for (std::uint16_t id = 20; id < 30; ++id) {
      if (below(4) == 0) vlans.tagged.push_back(id);
    }
    return vlans;
  }

  RouteSpec route(std::size_t i) {
    const bool v6 = maybe();
    RouteSpec spec;
    const std::string number = index(i + 1);
    spec.to = *IpPrefix::parse(v6 ? one_of<std::string>({"::/0", "fd" + number + "::/16"})
                                  : one_of<std::string>({"0.0.0.0/0", "10." + number + ".0.0/16"}));
    if (maybe()) spec.via = IpAddress::parse(v6 ? "fd00::" + number : "10.0.0." + number);
    spec.metric = static_cast<std::uint32_t>(i);
    return spec;
  }

  std::vector<RouteSpec> routes() {
    std::vector<RouteSpec> result;
    for (std::size_t i = 0; i < below(4); ++i) result.push_back(route(i));
    return result;
  }

  // No two hosts have one in common.
  std::vector<IpPrefix> addresses() {
    std::vector<IpPrefix> result;
    const std::string host = index(++hosts_ % 250 + 1);
    for (std::size_t i = 0; i < below(4); ++i) {
      result.push_back(*IpPrefix::parse(maybe() ? "10.1." + host + "." + index(i + 1) + "/24"
                                                : "fd00::" + host + ":" + index(i + 1) + "/64"));
    }
    return result;
  }

  Subnet subnet(std::size_t i) {
    Subnet result;
    const std::string base = "10." + index(i + 1) + ".0.";
    result.cidr = *IpPrefix::parse(base + "0/24");
    if (maybe()) result.gateway = IpAddress::parse(base + "1");
    if (maybe()) result.range = IpPrefix::parse(base + "128/25");
    if (maybe()) result.reserved.emplace(word(), *IpAddress::parse(base + "200"));
    return result;
  }

  Settings settings(const std::string& driver) {
    Settings result;
    if (driver == "bridge" && maybe()) result["stp"] = maybe();
    if (driver == "bridge" && maybe()) result["ageing_time"] = static_cast<std::int64_t>(below(1000));
    if (driver == "bridge" && maybe()) result["name"] = word();
    if (driver == "vde" && maybe()) result["hub"] = maybe();
    if (driver == "macvlan" && maybe()) result["mode"] = std::string("vepa");
    if (driver == "ovs" && maybe())
      result["datapath_id"] = one_of<std::string>({"0x1", "7", "", "a \"b\" \\ {#", "é: ["});
    if (driver == "ovs" && maybe())
      result["controllers"] = std::vector<std::string>{"tcp:127.0.0.1:6653", "- x", word()};
    return result;
  }

  NetworkSpec network(std::size_t i) {
    NetworkSpec spec;
    spec.driver = one_of<std::string>({"bridge", "vde", "macvlan", "ovs"});
    spec.settings = settings(spec.driver);
    if (maybe()) spec.mtu = 2000 + below(7000);
    if (maybe()) spec.mode = one_of<NetworkMode>({NetworkMode::nat, NetworkMode::routed});
    for (std::size_t k = 0; k < below(3); ++k) spec.subnets.push_back(subnet(i * 4 + k));
    for (std::size_t k = 0; k < below(3); ++k) {
      Uplink uplink{"up" + index(i) + "." + index(k), {}, maybe() ? port_vlans() : PortVlans{}};
      if (spec.driver != "bridge" && maybe()) uplink.ofport = 1 + below(100);
      spec.uplinks.push_back(uplink);
    }
    if (maybe()) spec.parent = word();
    spec.internal = maybe();
    if (below(3) == 0) spec.host_interface = HostInterface{"host" + index(i), addresses(), routes()};
    return spec;
  }

  AttachmentSpec attachment(std::size_t i, const std::string& network) {
    AttachmentSpec spec;
    spec.network = network;
    if (maybe()) {
      spec.netns = maybe() ? word() : "/proc/1/ns/net" + index(i);
      spec.interface = "if" + index(i);
      spec.addresses = addresses();
      spec.routes = routes();
    } else {
      TapEnd& tap = spec.tap.emplace();
      if (maybe()) tap.name = "tap" + index(i);
      if (maybe()) tap.owner = 1000;
      if (maybe()) tap.group = 0;
    }
    if (maybe()) spec.mac = mac(i, 4);
    if (maybe()) spec.mtu = 1000 + below(900);
    spec.isolated = maybe();
    spec.vlans = port_vlans();
    return spec;
  }

  std::mt19937 random_;
  std::size_t hosts_ = 0;
};

}  // namespace lanwright::model_test
