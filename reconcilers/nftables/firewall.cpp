#include "reconcilers/nftables/firewall.h"

#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "model/base/names.h"
#include "reconcilers/nftables/layout.h"

namespace lanwright::nftables {
namespace {

constexpr std::size_t kWord = 4;  // fields of a key begin at such bounds

// Fields of keys and data, one behind the other.
class Fields {
 public:
  Fields& interface(std::string_view name) {
    const std::size_t end = bytes_.size() + IFNAMSIZ;
    bytes_.insert(bytes_.end(), name.begin(), name.end());
    bytes_.resize(end);
    return *this;
  }
  Fields& address(const IpAddress& address) {
    bytes_.insert(bytes_.end(), address.bytes.begin(),
                  address.bytes.begin() + static_cast<std::ptrdiff_t>(address.size()));
    return *this;
  }
  Fields& protocol(Protocol protocol) {
    bytes_.push_back(static_cast<std::uint8_t>(protocol));
    return pad();
  }
  Fields& port(std::uint16_t port) {
    bytes_.push_back(static_cast<std::uint8_t>(port >> 8U));
    bytes_.push_back(static_cast<std::uint8_t>(port & 0xffU));
    return pad();
  }
  Bytes take() { return std::move(bytes_); }

 private:
  Fields& pad() {
    bytes_.resize((bytes_.size() + kWord - 1) / kWord * kWord);
    return *this;
  }
  Bytes bytes_;
};

// The same, taken apart. What is not there is read as zeros.
class FieldReader {
 public:
  explicit FieldReader(const Bytes& bytes) : bytes_(bytes) {}

  std::string interface() {
    const Bytes field = next(IFNAMSIZ);
    const char* begin = reinterpret_cast<const char*>(field.data());
    return {begin, ::strnlen(begin, field.size())};
  }
  IpAddress address(int family) {
    IpAddress address;
    address.family = static_cast<std::uint8_t>(family);
    const Bytes field = next(address.size());
    std::copy(field.begin(), field.end(), address.bytes.begin());
    return address;
  }
  Protocol protocol() { return static_cast<Protocol>(next(kWord)[0]); }
  std::uint16_t port() {
    const Bytes field = next(kWord);
    return static_cast<std::uint16_t>(field[0] << 8U | field[1]);
  }

 private:
  Bytes next(std::size_t size) {
    Bytes field(size);
    const std::size_t begin = std::min(at_, bytes_.size());
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(begin), std::min(size, bytes_.size() - begin),
                field.begin());
    at_ += size;
    return field;
  }
  const Bytes& bytes_;
  std::size_t at_ = 0;
};

bool is_ipv6(const IpAddress& address) {
  return address.family == AF_INET6;
}

Bytes verdict_to(const char* chain) {
  const auto code = static_cast<std::uint32_t>(NFT_GOTO);
  Bytes bytes;
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<std::uint8_t>(code >> static_cast<unsigned>(shift) & 0xffU));
  bytes.insert(bytes.end(), chain, chain + std::strlen(chain));
  return bytes;
}

Error refusal(std::string object, std::string words, std::string hint) {
  return {ErrorKind::invalid, "set up the firewall for", std::move(object), 0, std::move(words),
          std::move(hint)};
}

class Compiler {
 public:
  explicit Compiler(const Firewall& firewall) : firewall_(firewall) {}

  Compiled run() {
    for (const auto& [uid, network] : firewall_.networks) {
      if (auto fault = fault_of(network)) {
        compiled_.refused.push_back({uid, *std::move(fault)});
        continue;
      }
      add_network(uid, network);
      for (const PublishedPort& port : network.ports) publish(uid, network, port);
    }
    return std::move(compiled_);
  }

 private:
  using Subnets =
      std::map<IpAddress, std::pair<IpPrefix, std::string>>;  // by the first address, with the bridge

  std::optional<Error> fault_of(const Network& network) const;
  std::optional<Error> fault_of(const Network& network, const PublishedPort& port) const;
  const Subnets::value_type* overlapping(const IpPrefix& subnet) const;
  void add_network(const ObjectUid& uid, const Network& network);
  void add_subnet(const ObjectUid& uid, const Network& network, const IpPrefix& subnet);
  void publish(const ObjectUid& uid, const Network& network, const PublishedPort& port);
  void add(SetId set, Fields& key, const ObjectUid& uid, Bytes data = {}) {
    compiled_.elements[{set, key.take()}] = {std::move(data), uid};
  }

  const Firewall& firewall_;
  Compiled compiled_;
  std::set<std::string> bridges_;
  Subnets subnets_;  // none overlap
};

// They do not overlap: one that does begins inside of this one, or is the last one that begins before.
const Compiler::Subnets::value_type* Compiler::overlapping(const IpPrefix& subnet) const {
  auto at = subnets_.lower_bound(subnet.address);
  if (at != subnets_.end() && at->second.first.overlaps(subnet)) return &*at;
  if (at != subnets_.begin() && (--at)->second.first.overlaps(subnet)) return &*at;
  return nullptr;
}

std::optional<Error> Compiler::fault_of(const Network& network) const {
  const std::string object = "bridge " + network.bridge;
  if (const char* fault = interface_name_fault(network.bridge))
    return refusal(object, std::string("its name ") + fault, "name it otherwise");
  if (bridges_.contains(network.bridge))
    return refusal(object, "it is the router of another network already", "give each network its own");
  std::optional<IpPrefix> before;
  for (const IpPrefix& subnet : network.subnets) {
    if (subnet != subnet.network())
      return refusal(object, subnet.text() + " has host bits", "say " + subnet.network().text());
    if (before && before->overlaps(subnet))
      return refusal(object, subnet.text() + " overlaps " + before->text(), "leave one of them out");
    if (const auto* other = overlapping(subnet))
      return refusal(
          object,
          subnet.text() + " overlaps " + other->second.first.text() + " of bridge " + other->second.second,
          "use another subnet");
    before = subnet;
  }
  return std::nullopt;
}

std::optional<Error> Compiler::fault_of(const Network& network, const PublishedPort& port) const {
  const std::string object = "port " + port.text() + " of bridge " + network.bridge;
  const auto covers = [&](const IpPrefix& subnet) { return subnet.contains(port.target); };
  if (network.mode == Mode::internal)
    return refusal(object, "the network is internal", "publish it on a network that is not");
  if (port.host_port == 0 || port.target_port == 0)
    return refusal(object, "there is no port 0", "say which port it is");
  if (port.host && port.host->family != port.target.family)
    return refusal(object,
                   "it is to lead to " + port.target.text() + ", which is of another family of addresses",
                   "use addresses of one family");
  if (std::none_of(network.subnets.begin(), network.subnets.end(), covers))
    return refusal(object, "it is to lead to " + port.target.text() + ", which no subnet of the network has",
                   "use an address of the network");
  return std::nullopt;
}

void Compiler::add_network(const ObjectUid& uid, const Network& network) {
  const std::string& bridge = network.bridge;
  bridges_.insert(bridge);
  add(SetId::bridges, Fields().interface(bridge), uid);
  add(SetId::within, Fields().interface(bridge).interface(bridge), uid);
  add(SetId::inbound, Fields().interface(bridge), uid, verdict_to(chain_of(network.mode)));
  if (network.mode == Mode::internal) add(SetId::internal, Fields().interface(bridge), uid);
  if (network.mode == Mode::routed) add(SetId::routed, Fields().interface(bridge), uid);
  for (const IpPrefix& subnet : network.subnets) add_subnet(uid, network, subnet);
}

// The one behind the last address of all is none. The kernel takes no comment at the end of a range.
void Compiler::add_subnet(const ObjectUid& uid, const Network& network, const IpPrefix& subnet) {
  subnets_.insert({subnet.address, {subnet, network.bridge}});
  if (network.mode == Mode::internal) return;
  const bool ipv6 = is_ipv6(subnet.address);
  const SetId set = network.mode == Mode::nat ? (ipv6 ? SetId::nat6 : SetId::nat4)
                                              : (ipv6 ? SetId::routed6 : SetId::routed4);
  add(set, Fields().address(subnet.address), uid);
  const IpAddress behind = subnet.last().next();
  if (subnet.last() < behind) compiled_.elements[{set, Fields().address(behind).take(), false}] = {};
}

void Compiler::publish(const ObjectUid& uid, const Network& network, const PublishedPort& port) {
  if (auto fault = fault_of(network, port)) {
    compiled_.refused.push_back({uid, *std::move(fault)});
    return;
  }
  const bool ipv6 = is_ipv6(port.target);
  Fields key;
  if (port.host) key.address(*port.host);
  key.protocol(port.protocol).port(port.host_port);
  const SetId set =
      port.host ? (ipv6 ? SetId::dnat6_at : SetId::dnat4_at) : (ipv6 ? SetId::dnat6 : SetId::dnat4);
  const auto [at, is_new] = compiled_.elements.insert(
      {{set, key.take()}, {Fields().address(port.target).port(port.target_port).take(), uid}});
  if (is_new) return;
  const Network& other = firewall_.networks.at(at->second.uid);
  compiled_.refused.push_back({uid, refusal("port " + port.text() + " of bridge " + network.bridge,
                                            "it is published by bridge " + other.bridge + " already",
                                            "use another port of the host")});
}

// The shortest prefix that begins here and does not go beyond `last`.
std::uint8_t length_of(const IpAddress& first, const IpAddress& last) {
  IpPrefix prefix{first, 0};
  const auto most = static_cast<std::uint8_t>(first.size() * 8);
  while (prefix.length < most && (prefix.network().address != first || prefix.last() != last))
    ++prefix.length;
  return prefix.length;
}

IpAddress before(IpAddress address) {
  for (std::size_t i = address.size(); i-- > 0;) {
    if (address.bytes[i]-- != 0) break;
  }
  return address;
}

class Reader {
 public:
  Firewall run(const Elements& elements) {
    for (const auto& [id, value] : elements) {
      if (id.set == SetId::inbound) take_network(id, value);
    }
    for (auto each = elements.begin(); each != elements.end(); ++each) {
      const auto network = firewall_.networks.find(each->second.uid);
      if (network != firewall_.networks.end()) take(each, elements.end(), network->second);
    }
    return std::move(firewall_);
  }

 private:
  void take_network(const ElementId& id, const ElementValue& value) {
    if (value.uid.empty()) return;
    for (const Mode mode : {Mode::nat, Mode::routed, Mode::internal}) {
      if (value.data == verdict_to(chain_of(mode)))
        firewall_.networks[value.uid] = {FieldReader(id.key).interface(), mode};
    }
  }
  using At = Elements::const_iterator;
  static void take(At at, At end, Network& network);
  static void take_range(At at, At end, int family, Network& network);
  static void take_port(const ElementId& id, const ElementValue& value, int family, bool at,
                        Network& network);

  Firewall firewall_;
};

// Up to the next end in the set, which is that of this range; without one up to the last address of all.
void Reader::take_range(At at, At end, int family, Network& network) {
  const ElementId& first = at->first;
  if (!first.is_start) return;
  const auto is_its_end = [&](const auto& each) {
    return each.first.set != first.set || !each.first.is_start;
  };
  at = std::find_if(std::next(at), end, is_its_end);
  const IpAddress begin = FieldReader(first.key).address(family);
  IpAddress last = IpPrefix{begin, 0}.last();
  if (at != end && at->first.set == first.set) last = before(FieldReader(at->first.key).address(family));
  network.subnets.insert({begin, length_of(begin, last)});
}

void Reader::take(At at, At end, Network& network) {
  const auto& [id, value] = *at;
  switch (id.set) {
    case SetId::nat4:
    case SetId::routed4:
      return take_range(at, end, AF_INET, network);
    case SetId::nat6:
    case SetId::routed6:
      return take_range(at, end, AF_INET6, network);
    case SetId::dnat4:
    case SetId::dnat4_at:
      return take_port(id, value, AF_INET, id.set == SetId::dnat4_at, network);
    case SetId::dnat6:
    case SetId::dnat6_at:
      return take_port(id, value, AF_INET6, id.set == SetId::dnat6_at, network);
    default:
      return;
  }
}

void Reader::take_port(const ElementId& id, const ElementValue& value, int family, bool at,
                       Network& network) {
  PublishedPort port;
  FieldReader key(id.key);
  if (at) port.host = key.address(family);
  port.protocol = key.protocol();
  port.host_port = key.port();
  FieldReader data(value.data);
  port.target = data.address(family);
  port.target_port = data.port();
  network.ports.insert(port);
}

}  // namespace

const char* name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::sctp:
      return "sctp";
  }
  return "unknown";
}

std::string PublishedPort::text() const {
  const bool brackets = host && is_ipv6(*host);
  const std::string where = host ? (brackets ? "[" + host->text() + "]:" : host->text() + ":") : "";
  return where + std::to_string(host_port) + "/" + name_of(protocol);
}

Compiled compile(const Firewall& firewall) {
  return Compiler(firewall).run();
}

Firewall firewall_of(const Elements& elements) {
  return Reader().run(elements);
}

ElementChanges difference(const Elements& have, const Elements& want) {
  ElementChanges changes;
  auto old = have.begin();
  auto next = want.begin();
  while (old != have.end() || next != want.end()) {
    const bool only_old = next == want.end() || (old != have.end() && old->first < next->first);
    const bool only_new = old == have.end() || (next != want.end() && next->first < old->first);
    const bool same = !only_old && !only_new && old->second == next->second;
    if (!same && !only_new) changes.removed.push_back(*old);
    if (!same && !only_old) changes.added.push_back(*next);
    if (!only_new) ++old;
    if (!only_old) ++next;
  }
  return changes;
}

}  // namespace lanwright::nftables
