// The values that tests are made of, in few words.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/ids.h"
#include "model/desired.h"
#include "model/link.h"

namespace lanwright::test {

inline IpPrefix prefix(const std::string& text) {
  return *IpPrefix::parse(text);
}

inline std::vector<IpPrefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<IpPrefix> list;
  for (const char* text : texts) list.push_back(prefix(text));
  return list;
}

// The uid of the object of this name, the same in every run: expectations may contain what follows from it.
inline ObjectUid uid_of(const ResourceId& id) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : id.text()) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  ObjectUid uid(16, '0');
  for (char& digit : uid) {
    digit = "0123456789abcdef"[hash & 0xfU];
    hash >>= 4U;
  }
  return uid;
}

inline Subnet subnet(const char* cidr, const char* gateway = nullptr, const char* range = nullptr) {
  Subnet spec;
  spec.cidr = prefix(cidr);
  if (gateway != nullptr) spec.gateway = IpAddress::parse(gateway);
  if (range != nullptr) spec.range = prefix(range);
  return spec;
}

inline NetworkSpec network(const std::string& driver, const std::string& parent = "",
                           std::vector<Subnet> subnets = {}) {
  NetworkSpec spec;
  spec.driver = driver;
  spec.parent = parent;
  spec.subnets = std::move(subnets);
  return spec;
}

inline NetworkSpec with_uplinks(NetworkSpec spec, std::initializer_list<const char*> names) {
  for (const char* name : names) spec.uplinks.push_back({name, {}, {}});
  return spec;
}

// eth0 in this namespace.
inline AttachmentSpec attachment(const std::string& network, const std::string& netns,
                                 std::vector<IpPrefix> addresses = {}) {
  AttachmentSpec spec;
  spec.network = network;
  spec.netns = netns;
  spec.interface = "eth0";
  spec.addresses = std::move(addresses);
  return spec;
}

inline AttachmentSpec tap(const std::string& network, const std::string& name = "") {
  AttachmentSpec spec;
  spec.network = network;
  spec.tap = TapEnd{name, 1000, std::nullopt, std::nullopt};
  return spec;
}

// A link that somebody else made, and that is up.
inline LinkFact foreign_link(const std::string& name, const std::string& kind = "") {
  LinkFact fact;
  fact.name = name;
  fact.kind = kind;
  fact.up = true;
  fact.mtu = 1500;
  return fact;
}

}  // namespace lanwright::test
