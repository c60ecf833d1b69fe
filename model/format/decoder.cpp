#include "model/format/decoder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <utility>

#include "model/base/names.h"
#include "model/base/utf8.h"
#include "model/format/format_keys.h"

namespace lanwright {

namespace {

using Names = std::vector<std::string_view>;

constexpr std::array<std::string_view, 2> kProtocols = {"802.1Q", "802.1ad"};  // in the order of VlanProtocol
constexpr std::array<std::string_view, 3> kModes = {"flat", "nat", "routed"};  // in the order of NetworkMode

constexpr std::int64_t kUint32Max = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kObjectName = 63;
constexpr std::size_t kFileName = 255;  // NAME_MAX
constexpr std::size_t kPath = 4095;     // PATH_MAX - 1
constexpr std::size_t kText = 4096;     // of any other text
constexpr std::string_view kAllVlans = "all";
constexpr std::int64_t kMinMtu = 68;     // ETH_MIN_MTU
constexpr std::int64_t kMaxMtu = 65535;  // ETH_MAX_MTU

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// What a value is for, in messages: its key, or the key of the list that it is in.
std::string label(const TreeNode& node) {
  if (node.key != nullptr) return printable(node.key->text.substr(0, kObjectName));
  if (node.parent != nullptr) return label(*node.parent);
  return "the file";
}

template <class Texts>
std::string joined(const Texts& texts) {
  std::string result;
  for (const auto& text : texts) {
    if (!result.empty()) result += ", ";
    result += text;
  }
  return result;
}

template <class Texts>
std::string nearest(std::string_view word, const Texts& texts) {
  Nearest result(word);
  for (const auto& text : texts) result.offer(text);
  return result.take();
}

// What YAML 1.1 and other programs take for a boolean.
std::string meant_boolean(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char* yes : {"true", "yes", "on", "y", "1"}) {
    if (lower == yes) return "true";
  }
  for (const char* no : {"false", "no", "off", "n", "0"}) {
    if (lower == no) return "false";
  }
  return nearest(text, std::array<std::string_view, 2>{"true", "false"});
}

bool is_decimal(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// "-007" -> "-7"
std::string without_leading_zeros(std::string_view text) {
  const std::string sign = text.front() == '-' ? "-" : "";
  text.remove_prefix(sign.size());
  const std::size_t first = std::min(text.find_first_not_of('0'), text.size() - 1);
  return sign + std::string(text.substr(first));
}

// IPv4 has a network and a broadcast address where there is room for them; IPv6 reserves none of them.
bool is_first_or_last(const IpPrefix& cidr, const IpAddress& address) {
  return address.size() == 4 && cidr.is_special(address);
}

// What tells two addresses of one interface apart: to IPv6 the prefix length is no part of it.
IpPrefix identity_of(const IpPrefix& prefix) {
  return prefix.address.size() == 4 ? prefix : IpPrefix{prefix.address, 128};
}

// Calls with (key, value) of each entry whose key is text (see Decoder::only_text_keys()).
template <class Call>
void each_entry(const TreeNode& mapping, Call call) {
  for (const TreeNode* key = mapping.first; key != nullptr; key = key->next->next) {
    if (key->is_scalar()) call(*key, *key->next);
  }
}

template <class Call>
void each_item(const TreeNode& list, Call call) {
  for (const TreeNode* item = list.first; item != nullptr; item = item->next) call(*item);
}

// A place in the tree, and the rest of a path that begins there.
struct Way {
  const TreeNode* node = nullptr;
  std::string_view rest;
};

Way into_list(const Way& way) {
  std::size_t index = 0;
  const std::size_t close = std::min(way.rest.find(']'), way.rest.size() - 1);
  std::from_chars(way.rest.data() + 1, way.rest.data() + close, index);
  const TreeNode* item = way.node->type == TreeNode::Type::sequence ? way.node->first : nullptr;
  for (; item != nullptr && index > 0; --index) item = item->next;
  std::string_view rest = way.rest.substr(close + 1);
  if (!rest.empty() && rest.front() == '.') rest.remove_prefix(1);
  return {item, rest};
}

// Keys may have dots in them ("eth0.50"): the longest one that is there is meant.
Way into_mapping(const Way& way) {
  for (std::size_t end = way.rest.size(); end != std::string_view::npos && end > 0;
       end = way.rest.find_last_of(".[", end - 1)) {
    const TreeNode* value = way.node->find(way.rest.substr(0, end));
    if (value == nullptr) continue;
    std::string_view rest = way.rest.substr(end);
    if (!rest.empty() && rest.front() == '.') rest.remove_prefix(1);
    return {value, rest};
  }
  return {};
}

const TreeNode& place_of_name(const TreeNode& node) {
  return node.key != nullptr ? *node.key : node;
}

std::string in_backticks(const char* kind, std::string_view name) {
  return std::string(kind) + " " + quote(name);
}

}  // namespace

// ---- shapes

void Decoder::wrong(const TreeNode& node, std::string message, std::string suggestion) {
  if (node.type != TreeNode::Type::refused) diagnostics_.add(node, std::move(message), std::move(suggestion));
}

bool Decoder::is_mapping(const TreeNode& node) {
  if (node.type == TreeNode::Type::mapping) return true;
  wrong(node, label(node) + (node.type == TreeNode::Type::null ? " has no value; it" : "") +
                  " must be a mapping of keys");
  return false;
}

bool Decoder::is_sequence(const TreeNode& node, const char* example) {
  if (node.type == TreeNode::Type::sequence) return true;
  wrong(node, label(node) + " must be a list, like " + example);
  return false;
}

bool Decoder::is_scalar(const TreeNode& node, const char* wanted) {
  if (node.is_scalar()) return true;
  const char* got = node.type == TreeNode::Type::null       ? ", but has no value"
                    : node.type == TreeNode::Type::sequence ? ", not a list"
                                                            : ", not a mapping";
  wrong(node, label(node) + " must be " + wanted + got);
  return false;
}

void Decoder::only_text_keys(const TreeNode& mapping) {
  for (const TreeNode* key = mapping.first; key != nullptr; key = key->next->next) {
    if (!key->is_scalar())
      wrong(*key, key->type == TreeNode::Type::null
                      ? "a key must be text; this is the null of YAML unless it stands in quotes"
                      : "a key must be text");
  }
}

void Decoder::only_keys(const TreeNode& mapping, Words known) {
  only_text_keys(mapping);
  each_entry(mapping, [&](const TreeNode& key, const TreeNode& /*value*/) {
    if (std::find(known.begin(), known.end(), key.text) == known.end())
      wrong(key, "unknown key " + quote(key.text), diagnostics_.full() ? "" : nearest(key.text, known));
  });
}

const TreeNode* Decoder::section(const TreeNode& root, const char* name) {
  const TreeNode* section = root.find(name);
  if (section == nullptr || section->type == TreeNode::Type::null || !is_mapping(*section)) return nullptr;
  only_text_keys(*section);
  return section;
}

const TreeNode* Decoder::require(const TreeNode& mapping, const char* key) {
  const TreeNode* value = mapping.find(key);
  if (value == nullptr) diagnostics_.add_missing(mapping, key, in_backticks("missing key", key));
  return value;
}

// ---- scalars

bool Decoder::number(const TreeNode& node, const std::string& what, std::int64_t min, std::int64_t max,
                     std::int64_t& out) {
  if (!is_scalar(node, "a whole number")) return false;
  if (node.type == TreeNode::Type::quoted) {
    wrong(node, what + " is text, write it without quotes");
    return false;
  }
  if (!is_decimal(node.text)) {
    wrong(node, what + " must be a whole decimal number, got " + quote(node.text));
    return false;
  }
  const std::string plain = without_leading_zeros(node.text);
  if (plain != node.text) {
    wrong(node, what + " must be written without leading zeros, got " + quote(node.text),
          plain.substr(0, 20));
    return false;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error != std::errc{} || value < min || value > max) {
    const std::string got = quote(node.text);
    wrong(node, what + " must be between " + std::to_string(min) + " and " + std::to_string(max) + ", got " +
                    got.substr(1, got.size() - 2));
    return false;
  }
  out = value;
  return true;
}

template <class Integer>
bool Decoder::integer(const TreeNode& node, const std::string& what, std::int64_t min, std::int64_t max,
                      Integer& out) {
  std::int64_t value = 0;
  if (!number(node, what, min, max, value)) return false;
  out = static_cast<Integer>(value);
  return true;
}

bool Decoder::boolean(const TreeNode& node, bool& out) {
  if (!is_scalar(node, "true or false")) return false;
  if (node.type == TreeNode::Type::quoted) {
    wrong(node, label(node) + " must be true or false; it is text, write it without quotes");
    return false;
  }
  if (node.text != "true" && node.text != "false") {
    wrong(node, label(node) + " must be true or false, got " + quote(node.text), meant_boolean(node.text));
    return false;
  }
  out = node.text == "true";
  return true;
}

bool Decoder::text(const TreeNode& node, std::string& out) {
  if (!is_scalar(node, "text")) return false;
  // Escapes in quotes can make what the file itself must not contain.
  const bool blank_control = node.text.find_first_of("\t\r\n") != std::string_view::npos;
  if (blank_control || find_untextual(node.text) != std::string_view::npos) {
    wrong(node, label(node) + " has a control character in it");
    return false;
  }
  if (node.text.size() > kText) {
    wrong(node, label(node) + " is longer than " + std::to_string(kText) + " bytes");
    return false;
  }
  out = node.text;
  return true;
}

bool Decoder::choice(const TreeNode& node, Words choices, std::size_t& out) {
  if (!is_scalar(node, "text")) return false;
  const auto found = std::find(choices.begin(), choices.end(), node.text);
  if (found == choices.end()) {
    wrong(node, label(node) + " must be one of " + joined(choices) + ", got " + quote(node.text),
          nearest(node.text, choices));
    return false;
  }
  out = static_cast<std::size_t>(found - choices.begin());
  return true;
}

bool Decoder::is_interface_name(const TreeNode& node) {
  const char* fault = interface_name_fault(node.text);
  if (fault == nullptr) return true;
  wrong(node, in_backticks("interface name", node.text) + " " + fault);
  return false;
}

bool Decoder::interface_name(const TreeNode& node, std::string& out) {
  if (!is_scalar(node, "the name of an interface") || !is_interface_name(node)) return false;
  return text(node, out);
}

bool Decoder::interface_reference(const TreeNode& node, std::string& out) {
  if (!is_scalar(node, "the name of an interface")) return false;
  if (const char* fault = interface_reference_fault(node.text)) {
    wrong(node, in_backticks("interface name", node.text) + " " + fault);
    return false;
  }
  return text(node, out);
}

bool Decoder::is_object_name(const TreeNode& node, const std::string& what) {
  if (lanwright::is_object_name(node.text)) return true;
  wrong(node, what + " name " + quote(node.text) +
                  " must be 1 to 63 letters, digits, `.`, `_` or `-` and begin with a letter or digit");
  return false;
}

bool Decoder::vlan_id(const TreeNode& node, std::uint16_t& out) {
  return integer(node, "vlan id", kFirstVid, kLastVid, out);
}

bool Decoder::vlan_range(const TreeNode& node, VlanRange& out) {
  const std::string_view text = node.is_scalar() ? node.text : std::string_view();
  if (text == kAllVlans) {
    out = {kFirstVid, kLastVid};
    return true;
  }
  const std::size_t dash = text.find('-', 1);  // not a sign
  if (dash == std::string_view::npos) {
    if (!vlan_id(node, out.first)) return false;
    out.last = out.first;
    return true;
  }
  const auto first = vid_of(text.substr(0, dash));
  const auto last = vid_of(text.substr(dash + 1));
  if (first && last && *first < *last) {
    out = {*first, *last};
    return true;
  }
  wrong(node, "a range of vlan ids must be like 20-29, within 1-4094 and ascending, got " + quote(node.text));
  return false;
}

bool Decoder::mtu(const TreeNode& node, std::optional<std::uint32_t>& out) {
  return integer(node, "mtu", kMinMtu, kMaxMtu, out);
}

bool Decoder::mac(const TreeNode& node, std::optional<MacAddress>& out) {
  if (!is_scalar(node, "a MAC address")) return false;
  const auto mac = MacAddress::parse(node.text);
  if (!mac) {
    wrong(node, "mac must be like 02:00:00:00:01:01, got " + quote(node.text));
  } else if (mac->is_multicast()) {
    wrong(node, in_backticks("mac", node.text) +
                    " is a multicast address; the lowest bit of the first byte must be 0");
  } else if (*mac == MacAddress{}) {
    wrong(node, "mac must not be all zeros");
  } else {
    out = mac;
    return true;
  }
  return false;
}

bool Decoder::netns(const TreeNode& node, std::string& out) {
  if (!is_scalar(node, "a name or a path")) return false;
  const std::string_view name = node.text;
  const bool is_path = name.size() > 1 && name.size() <= kPath && name.front() == '/' && name.back() != '/';
  const bool is_name = !name.empty() && name.size() <= kFileName &&
                       name.find('/') == std::string_view::npos && name != "." && name != "..";
  if (!is_path && !is_name) {
    wrong(node, "netns must be a name under /run/netns or an absolute path, got " + quote(name));
    return false;
  }
  return text(node, out);
}

bool Decoder::ip_address(const TreeNode& node, IpAddress& out) {
  if (!is_scalar(node, "an IP address")) return false;
  const auto address = IpAddress::parse(node.text);
  if (!address) {
    const auto prefix = IpPrefix::parse(node.text);
    wrong(node,
          label(node) + " must be an IP address" + (prefix ? " without a prefix length" : "") + ", got " +
              quote(node.text),
          prefix ? prefix->address.text() : "");
    return false;
  }
  out = *address;
  return true;
}

bool Decoder::ip_prefix(const TreeNode& node, IpPrefix& out) {
  if (!is_scalar(node, "an IP address with a prefix length")) return false;
  const auto prefix = IpPrefix::parse(node.text);
  if (!prefix) {
    const auto address = IpAddress::parse(node.text);
    const std::string example = address && address->size() == 16 ? "/64" : "/24";
    wrong(node, address
                    ? quote(node.text) + " needs a prefix length, like " + std::string(node.text) + example
                    : label(node) + " must be an IP address with a prefix length, got " + quote(node.text));
    return false;
  }
  out = *prefix;
  return true;
}

bool Decoder::network_prefix(const TreeNode& node, IpPrefix& out) {
  IpPrefix prefix;
  if (!ip_prefix(node, prefix)) return false;
  if (prefix != prefix.network()) {
    wrong(node, quote(node.text) + " has bits behind its prefix length", prefix.network().text());
    return false;
  }
  out = prefix;
  return true;
}

// ---- parts of objects

void Decoder::settings(const TreeNode& node, const DriverSchema& driver, Settings& out) {
  if (!is_mapping(node)) return;
  Names known;
  for (const SettingField& field : driver.settings) known.push_back(field.name);
  only_keys(node, known);
  for (const SettingField& field : driver.settings) {
    if (const TreeNode* value = node.find(field.name)) setting(*value, field, out);
  }
}

void Decoder::setting(const TreeNode& node, const SettingField& field, Settings& out) {
  switch (field.type) {
    case SettingField::Type::boolean: {
      bool value = false;
      if (boolean(node, value)) out[field.name] = value;
      return;
    }
    case SettingField::Type::integer: {
      std::int64_t value = 0;
      if (number(node, field.name, field.min, field.max, value)) out[field.name] = value;
      return;
    }
    case SettingField::Type::text: {
      std::string value;
      if (text(node, value)) out[field.name] = std::move(value);
      return;
    }
    case SettingField::Type::choice: {
      std::size_t index = 0;
      const Names choices(field.choices.begin(), field.choices.end());
      if (choice(node, choices, index)) out[field.name] = field.choices[index];
      return;
    }
    case SettingField::Type::text_list: {
      if (!is_sequence(node, "[one, two]")) return;
      std::vector<std::string> values;
      each_item(node, [&](const TreeNode& item) { text(item, values.emplace_back()); });
      out[field.name] = std::move(values);
      return;
    }
  }
}

// `cidr` is nullptr where it was wrong itself.
bool Decoder::inside(const TreeNode& node, const IpPrefix* cidr, const IpAddress& address) {
  if (cidr == nullptr || cidr->contains(address)) return true;
  wrong(node, label(node) + " " + address.text() + " is outside of " + cidr->text());
  return false;
}

void Decoder::gateway(const TreeNode& node, const IpPrefix* cidr, Subnet& out) {
  IpAddress address;
  if (!ip_address(node, address) || !inside(node, cidr, address)) return;
  if (cidr != nullptr && is_first_or_last(*cidr, address)) {
    wrong(node, "gateway " + address.text() + " is the network or broadcast address of " + cidr->text());
  }
  out.gateway = address;
}

void Decoder::range(const TreeNode& node, const IpPrefix* cidr, Subnet& out) {
  IpPrefix prefix;
  if (!network_prefix(node, prefix)) return;
  if (cidr != nullptr && (prefix.length < cidr->length || !cidr->contains(prefix.address))) {
    wrong(node, "range " + prefix.text() + " is outside of " + cidr->text());
  }
  out.range = prefix;
}

void Decoder::reserved(const TreeNode& node, const IpPrefix* cidr, Subnet& out) {
  if (!is_mapping(node)) return;
  only_text_keys(node);
  std::map<IpAddress, const TreeNode*> seen;
  each_entry(node, [&](const TreeNode& key, const TreeNode& value) {
    IpAddress address;
    if (!is_object_name(key, "reserved") || !ip_address(value, address)) return;
    if (!inside(value, cidr, address)) return;
    const auto [first, is_new] = seen.emplace(address, &value);
    if (!is_new) {
      wrong(value, address.text() + " is already reserved in line " +
                       std::to_string(diagnostics_.line(*first->second)));
    }
    out.reserved.emplace(key.text, address);
  });
}

bool Decoder::subnet_prefix(const TreeNode& node, IpPrefix& out) {
  if (!network_prefix(node, out)) return false;
  const char* kind = unusable_kind(out);
  if (kind == nullptr) return true;
  wrong(node, quote(node.text) + " is no subnet that interfaces can be in: it has " + kind + " addresses");
  return false;
}

bool Decoder::subnet(const TreeNode& node, Subnet& out) {
  if (!is_mapping(node)) return false;
  only_keys(node, keys::kSubnet);
  const TreeNode* cidr = require(node, "cidr");
  const bool good = cidr != nullptr && subnet_prefix(*cidr, out.cidr);
  const IpPrefix* within = good ? &out.cidr : nullptr;
  if (const TreeNode* value = node.find("gateway")) gateway(*value, within, out);
  if (const TreeNode* value = node.find("range")) range(*value, within, out);
  if (const TreeNode* names = node.find("reserved")) reserved(*names, within, out);
  return good;
}

void Decoder::subnets(const TreeNode& list, std::vector<Subnet>& out) {
  if (!is_sequence(list, "[{cidr: 10.0.0.0/24}]")) return;
  // Disjoint and in order, so that only the neighbours of a new one can overlap it.
  std::map<IpPrefix, const TreeNode*> seen;
  each_item(list, [&](const TreeNode& item) {
    Subnet value;
    if (!subnet(item, value)) return;
    const auto after = seen.lower_bound(value.cidr);
    const auto other = after != seen.end() && after->first.overlaps(value.cidr) ? after
                       : after != seen.begin() && std::prev(after)->first.overlaps(value.cidr)
                           ? std::prev(after)
                           : seen.end();
    if (other == seen.end()) {
      seen.emplace(value.cidr, &item);
    } else {
      wrong(*item.find("cidr"), "subnet " + value.cidr.text() + " overlaps " + other->first.text() +
                                    " in line " + std::to_string(diagnostics_.line(*other->second)));
    }
    out.push_back(std::move(value));
  });
}

void Decoder::ofport(const TreeNode& mapping, std::optional<std::uint32_t>& out) {
  constexpr std::uint32_t kLastOfport = 65279;  // below OFPP_MAX
  if (const TreeNode* given = mapping.find("ofport")) integer(*given, "ofport", 1, kLastOfport, out);
}

void Decoder::port_vlans(const TreeNode& mapping, PortVlans& out) {
  if (const TreeNode* pvid = mapping.find("vlan")) {
    std::uint16_t id = 0;
    if (vlan_id(*pvid, id)) out.pvid = id;
  }
  const TreeNode* trunk = mapping.find("trunk");
  if (trunk == nullptr || !is_sequence(*trunk, "[10, 20-29]")) return;
  std::set<std::uint16_t> seen;
  each_item(*trunk, [&](const TreeNode& item) {
    VlanRange ids;
    if (!vlan_range(item, ids)) return;
    for (std::uint16_t id = ids.first; id <= ids.last; ++id) {
      // A range is meant without the untagged one.
      if (out.pvid == id && ids.first != ids.last) continue;
      if (out.pvid == id)
        wrong(item, "vlan id " + std::to_string(id) + " is already the untagged one (`vlan`)");
      const bool is_new = out.pvid == id || seen.insert(id).second;
      if (is_new) continue;
      wrong(item, "vlan id " + std::to_string(id) + " is listed twice");
      return;
    }
  });
  out.tagged.assign(seen.begin(), seen.end());
}

bool Decoder::no_loopback(const TreeNode& node, const char* what) {
  if (node.text != "lo") return true;
  wrong(node, std::string("the loopback interface ") + what);
  return false;
}

bool Decoder::uplink(const TreeNode& node, Uplink& out) {
  constexpr const char* kNoUplink = "is no uplink";
  if (node.is_scalar()) return interface_reference(node, out.interface) && no_loopback(node, kNoUplink);
  if (!is_mapping(node)) return false;
  only_keys(node, keys::kUplink);
  ofport(node, out.ofport);
  port_vlans(node, out.vlans);
  const TreeNode* name = require(node, "interface");
  return name != nullptr && interface_reference(*name, out.interface) && no_loopback(*name, kNoUplink);
}

void Decoder::addresses(const TreeNode& list, std::vector<IpPrefix>& out) {
  if (!is_sequence(list, "[10.0.0.1/24]")) return;
  std::set<IpPrefix> seen;
  each_item(list, [&](const TreeNode& item) {
    IpPrefix prefix;
    if (!ip_prefix(item, prefix)) return;
    if (const char* kind = unusable_kind(prefix.address)) {
      wrong(item, quote(item.text) + " is no address that an interface can have: it is " + kind);
    } else if (is_first_or_last(prefix, prefix.address)) {
      wrong(item, quote(item.text) + " is the network or broadcast address of " + prefix.network().text());
    } else if (!seen.insert(identity_of(prefix)).second) {
      wrong(item, quote(item.text) + " is listed twice");
    }
    out.push_back(prefix);
  });
}

bool Decoder::route_target(const TreeNode& node, RouteSpec& out) {
  if (node.is_scalar() && node.text == "default") {
    const bool v6 = out.via && out.via->size() == 16;
    out.to = *IpPrefix::parse(v6 ? "::/0" : "0.0.0.0/0");
    return true;
  }
  if (node.is_scalar() && !IpPrefix::parse(node.text) && !IpAddress::parse(node.text)) {
    wrong(node, "to must be `default` or a network with its prefix length, got " + quote(node.text),
          nearest(node.text, std::array<std::string_view, 1>{"default"}));
    return false;
  }
  return network_prefix(node, out.to);
}

bool Decoder::route_router(const TreeNode& node, RouteSpec& out) {
  IpAddress address;
  if (!ip_address(node, address)) return false;
  if (const char* kind = unusable_kind(address)) {
    wrong(node, in_backticks("via", node.text) + " is no address that a router can have: it is " + kind);
  }
  out.via = address;
  return true;
}

bool Decoder::route(const TreeNode& node, RouteSpec& out) {
  if (!is_mapping(node)) return false;
  only_keys(node, keys::kRoute);
  const TreeNode* via = node.find("via");
  const bool good = via == nullptr || route_router(*via, out);
  if (const TreeNode* metric = node.find("metric")) {
    std::uint32_t value = 0;
    if (integer(*metric, "metric", 0, kUint32Max, value)) out.metric = value;
  }
  if (const TreeNode* onlink = node.find("onlink")) {
    if (boolean(*onlink, out.onlink) && out.onlink && via == nullptr)
      wrong(*onlink, "`onlink` is about the router: it needs `via`");
  }
  const TreeNode* to = require(node, "to");
  if (to == nullptr || !route_target(*to, out)) return false;
  if (via != nullptr && good && out.via->family != out.to.address.family) {
    wrong(*via, in_backticks("via", via->text) + " is of another address family than " + quote(to->text));
  }
  return good;
}

void Decoder::routes(const TreeNode& list, std::vector<RouteSpec>& out) {
  if (!is_sequence(list, "[{to: default, via: 10.0.0.254}]")) return;
  // The kernel tells routes apart by these two.
  std::set<std::pair<IpPrefix, std::uint32_t>> seen;
  each_item(list, [&](const TreeNode& item) {
    RouteSpec value;
    if (!route(item, value)) return;
    if (!seen.emplace(value.to, effective_metric(value)).second) {
      wrong(*item.find("to"),
            "a route to " + quote(item.find("to")->text) + " with this metric is listed already");
    }
    out.push_back(value);
  });
}

void Decoder::host_interface(const TreeNode& node, HostInterface& out) {
  if (!is_mapping(node)) return;
  only_keys(node, keys::kHostInterface);
  if (const TreeNode* name = require(node, "name")) interface_name(*name, out.name);
  if (const TreeNode* list = node.find("addresses")) addresses(*list, out.addresses);
  if (const TreeNode* list = node.find("routes")) routes(*list, out.routes);
}

// ---- objects

VlanSpec Decoder::vlan(const TreeNode& node) {
  VlanSpec spec;
  if (!is_mapping(node)) return spec;
  only_keys(node, keys::kVlan);
  if (const TreeNode* parent = require(node, "parent"); parent && interface_reference(*parent, spec.parent))
    no_loopback(*parent, "carries no VLANs");
  if (const TreeNode* id = require(node, "id")) vlan_id(*id, spec.id);
  if (const TreeNode* protocol = node.find("protocol")) {
    std::size_t index = 0;
    if (choice(*protocol, kProtocols, index)) spec.protocol = static_cast<VlanProtocol>(index);
  }
  if (const TreeNode* value = node.find("mtu")) mtu(*value, spec.mtu);
  if (const TreeNode* value = node.find("mac")) mac(*value, spec.mac);
  return spec;
}

const DriverSchema* Decoder::driver(const TreeNode& network, std::string& out) {
  Names known;
  for (const DriverSchema& one : grammar_) known.push_back(one.name);
  const TreeNode* node = network.find("driver");
  if (node == nullptr) {
    diagnostics_.add_missing(network, "driver", "missing key `driver`; known drivers: " + joined(known));
    return nullptr;
  }
  if (!text(*node, out)) return nullptr;
  for (const DriverSchema& one : grammar_) {
    if (one.name == out) return &one;
  }
  wrong(*node, "unknown driver " + quote(out) + "; known drivers: " + joined(known), nearest(out, known));
  return nullptr;
}

// The settings of another driver deserve better words than "unknown key". While the driver is not known, any
// driver's key, and that of the unknown one, may be right.
void Decoder::network_keys(const TreeNode& node, const NetworkSpec& spec, const DriverSchema* driver) {
  Names allowed(keys::kNetwork.begin(), keys::kNetwork.end());
  for (const DriverSchema& one : grammar_) allowed.push_back(one.name);
  if (driver == nullptr) allowed.push_back(spec.driver);
  only_keys(node, allowed);
  if (driver == nullptr) return;
  for (const DriverSchema& other : grammar_) {
    const TreeNode* value = &other == driver ? nullptr : node.find(other.name);
    if (value == nullptr) continue;
    wrong(*value->key, quote(other.name) + " has the settings of another driver; this network's driver is " +
                           quote(driver->name));
  }
}

NetworkSpec Decoder::network(const TreeNode& node) {
  NetworkSpec spec;
  if (!is_mapping(node)) return spec;
  const DriverSchema* grammar = driver(node, spec.driver);
  network_keys(node, spec, grammar);
  if (grammar != nullptr) {
    if (const TreeNode* own = node.find(grammar->name)) settings(*own, *grammar, spec.settings);
  }
  if (const TreeNode* value = node.find("mtu")) mtu(*value, spec.mtu);
  if (const TreeNode* mode = node.find("mode")) {
    std::size_t index = 0;
    if (choice(*mode, kModes, index)) spec.mode = static_cast<NetworkMode>(index);
  }
  if (const TreeNode* list = node.find("subnets")) subnets(*list, spec.subnets);
  if (const TreeNode* list = node.find("uplinks"); list != nullptr && is_sequence(*list, "[eth0]")) {
    each_item(*list, [&](const TreeNode& item) {
      Uplink value;
      if (uplink(item, value)) spec.uplinks.push_back(std::move(value));
    });
  }
  if (const TreeNode* parent = node.find("parent")) interface_reference(*parent, spec.parent);
  if (const TreeNode* internal = node.find("internal")) boolean(*internal, spec.internal);
  if (const TreeNode* host = node.find("host_interface"))
    host_interface(*host, spec.host_interface.emplace());
  return spec;
}

void Decoder::netns_end(const TreeNode& node, AttachmentSpec& out) {
  netns(*node.find("netns"), out.netns);
  if (const TreeNode* name = require(node, "interface")) interface_name(*name, out.interface);
  if (const TreeNode* list = node.find("addresses")) {
    addresses(*list, out.addresses);
    out.no_addresses = out.addresses.empty();
  }
  if (const TreeNode* list = node.find("routes")) routes(*list, out.routes);
}

void Decoder::tap_end(const TreeNode& node, AttachmentSpec& out) {
  if (const TreeNode* interface = node.find("interface")) {
    wrong(*interface->key, "`interface` goes with `netns`; the name of a tap is in `tap: {name: ...}`");
  }
  for (const char* key : {"addresses", "routes"}) {
    if (const TreeNode* list = node.find(key)) {
      wrong(*list->key,
            quote(key) + " cannot be given with `tap`: they are set inside of the virtual machine");
    }
  }
  const TreeNode& tap = *node.find("tap");
  if (!is_mapping(tap)) return;
  only_keys(tap, keys::kTap);
  TapEnd& end = out.tap.emplace();
  if (const TreeNode* name = tap.find("name")) interface_name(*name, end.name);
  // 2^32 - 1 is "no owner" to the kernel.
  if (const TreeNode* owner = tap.find("owner"))
    integer(*owner, "owner (a uid)", 0, kUint32Max - 1, end.owner);
  if (const TreeNode* group = tap.find("group"))
    integer(*group, "group (a gid)", 0, kUint32Max - 1, end.group);
  if (const TreeNode* queues = tap.find("multi_queue")) boolean(*queues, end.multi_queue.emplace());
}

void Decoder::sysctls(const TreeNode& list, std::vector<Sysctl>& out) {
  if (!is_sequence(list, "[net.ipv4.conf.IFNAME.log_martians=1]")) return;
  each_item(list, [&](const TreeNode& item) {
    std::string words;
    if (!text(item, words)) return;
    if (auto sysctl = interface_sysctl(words))
      out.push_back(*std::move(sysctl));
    else
      wrong(item, quote(words) + " is no setting of an interface");
  });
}

void Decoder::endpoint_end(const TreeNode& node, AttachmentSpec& out) {
  const TreeNode& entry = *node.find(keys::kEndpointKey);
  if (!is_mapping(entry)) return;
  only_keys(entry, keys::kEndpoint);
  DelegatedEnd& end = out.endpoint.emplace();
  if (const TreeNode* network = require(entry, "network")) text(*network, end.network);
  if (const TreeNode* endpoint = require(entry, "endpoint")) text(*endpoint, end.endpoint);
  if (const TreeNode* sandbox = entry.find("sandbox")) text(*sandbox, end.sandbox);
  if (const TreeNode* left = entry.find("left")) boolean(*left, end.left);
  if (const TreeNode* default_route = entry.find("wayOut")) boolean(*default_route, end.default_route);
  if (const TreeNode* default_route = entry.find("wayOut6")) boolean(*default_route, end.default_route6);
  if (const TreeNode* name = entry.find("askedName")) interface_name(*name, end.asked_name);
  if (const TreeNode* list = entry.find("sysctls")) sysctls(*list, end.sysctls);
  if (const TreeNode* name = node.find("interface")) interface_name(*name, out.interface);
  if (const TreeNode* list = node.find("addresses")) addresses(*list, out.addresses);
  if (const TreeNode* list = node.find("routes")) routes(*list, out.routes);
  out.no_addresses = out.addresses.empty();  // they are Docker's to give
}

AttachmentSpec Decoder::stored_attachment(const TreeNode& node) {
  if (node.type != TreeNode::Type::mapping || node.find(keys::kEndpointKey) == nullptr)
    return attachment(node);
  AttachmentSpec spec;
  Names allowed(keys::kAttachment.begin(), keys::kAttachment.end());
  allowed.emplace_back(keys::kEndpointKey);
  only_keys(node, allowed);
  if (const TreeNode* network = require(node, "network")) text(*network, spec.network);
  endpoint_end(node, spec);
  if (const TreeNode* value = node.find("mac")) mac(*value, spec.mac);
  return spec;
}

AttachmentSpec Decoder::attachment(const TreeNode& node) {
  AttachmentSpec spec;
  if (!is_mapping(node)) return spec;
  if (const TreeNode* docker = node.find(keys::kEndpointKey)) {
    wrong(*docker->key, "an endpoint of Docker's cannot be declared: Docker makes and removes it");
    return spec;
  }
  only_keys(node, keys::kAttachment);
  if (const TreeNode* network = require(node, "network")) text(*network, spec.network);
  const TreeNode* netns = node.find("netns");
  const TreeNode* tap = node.find("tap");
  if (netns != nullptr && tap != nullptr) {
    wrong(*tap->key, "an attachment is either in a `netns` or a `tap`, not both");
  } else if (netns != nullptr) {
    netns_end(node, spec);
  } else if (tap != nullptr) {
    tap_end(node, spec);
  } else {
    diagnostics_.add_missing(node, {}, "an attachment needs `netns` and `interface`, or `tap`");
  }
  if (const TreeNode* value = node.find("mac")) mac(*value, spec.mac);
  if (const TreeNode* value = node.find("mtu")) mtu(*value, spec.mtu);
  if (const TreeNode* isolated = node.find("isolated")) boolean(*isolated, spec.isolated);
  ofport(node, spec.ofport);
  port_vlans(node, spec.vlans);
  return spec;
}

// ---- the whole

void Decoder::require_unique(const std::string& key, const std::string& what, const TreeNode& by,
                             const std::string& owner) {
  const auto [first, is_new] = claims_.try_emplace(key, Taken{&by, owner});
  if (is_new) return;
  const std::string line = std::to_string(diagnostics_.line(*first->second.by));
  wrong(by, what +
                (first->second.owner == owner ? " is listed already in line "
                                              : " is already taken by " + first->second.owner + " in line ") +
                line);
}

// Turns the paths of a driver's check into places.
ReportFault Decoder::complaints_about(const TreeNode& object) {
  return [this, &object](const std::string& path, const std::string& message) {
    Way way{&object, path};
    while (!way.rest.empty()) {
      const Way further = way.rest.front() == '[' ? into_list(way) : into_mapping(way);
      if (further.node == nullptr) break;
      way = further;
    }
    if (way.rest.empty() && way.node != &object) {
      // What is wrong with a whole object is told at its name.
      wrong(way.node->type == TreeNode::Type::mapping ? place_of_name(*way.node) : *way.node, message);
    } else {
      diagnostics_.add_missing(*way.node, std::string(way.rest), message);
    }
  };
}

void Decoder::declare_networks(const TreeNode& root) {
  const TreeNode* node = root.find("networks");
  if (node == nullptr || node->type != TreeNode::Type::mapping) return;
  each_entry(*node, [&](const TreeNode& key, const TreeNode& value) {
    networks_.try_emplace(key.text, Declared{&value, false});
  });
}

void Decoder::vlans(const TreeNode& root, SetSpec& set) {
  const TreeNode* entries = section(root, "vlans");
  if (entries == nullptr) return;
  each_entry(*entries, [&](const TreeNode& key, const TreeNode& value) {
    const std::string name(key.text);
    if (set.vlans.contains(name) || !is_interface_name(key)) return;
    const VlanSpec& spec = set.vlans.emplace(name, vlan(value)).first->second;
    const std::string owner = in_backticks("vlan", name);
    require_unique("link " + name, in_backticks("interface", name), key, owner);
    if (spec.parent.empty() || spec.id == 0) return;
    const std::string protocol(kProtocols[static_cast<std::size_t>(spec.protocol)]);
    const std::string tag = std::to_string(spec.id) + " (" + protocol + ") on " + quote(spec.parent);
    require_unique("vid " + tag, "vlan id " + tag, *value.find("id"), owner);
  });
  check_parents(root, set);
}

// A link cannot stand on itself, however long the way round.
void Decoder::check_parents(const TreeNode& root, const SetSpec& set) {
  std::set<std::string_view> done;
  for (const auto& [name, spec] : set.vlans) {
    std::set<std::string_view> way;
    std::string_view at = name;
    while (!done.contains(at)) {
      const auto found = set.vlans.find(std::string(at));
      if (found == set.vlans.end()) break;
      if (!way.insert(at).second) {
        const TreeNode* node = root.find("vlans")->find(at);
        wrong(*node->find("parent"),
              in_backticks("vlan", at) + " is its own parent" +
                  (way.size() > 1 ? ", by way of " + quote(found->second.parent) : ""));
        break;
      }
      at = found->second.parent;
    }
    done.insert(way.begin(), way.end());
  }
}

void Decoder::claim_uplinks(const TreeNode& node, const std::string& owner) {
  const TreeNode* list = node.find("uplinks");
  if (list == nullptr || list->type != TreeNode::Type::sequence) return;
  each_item(*list, [&](const TreeNode& item) {
    const TreeNode* name = item.is_scalar() ? &item : item.find("interface");
    if (name == nullptr || !name->is_scalar()) return;
    require_unique("uplink " + std::string(name->text), in_backticks("uplink", name->text), *name, owner);
  });
}

void Decoder::networks(const TreeNode& root, SetSpec& set) {
  const TreeNode* entries = section(root, "networks");
  if (entries == nullptr) return;
  each_entry(*entries, [&](const TreeNode& key, const TreeNode& value) {
    const std::string name(key.text);
    if (set.networks.contains(name) || !is_object_name(key, "network")) return;
    const std::size_t before = diagnostics_.count();
    const NetworkSpec& spec = set.networks.emplace(name, network(value)).first->second;
    const std::string owner = in_backticks("network", name);
    claim_uplinks(value, owner);
    if (spec.host_interface && !spec.host_interface->name.empty()) {
      const std::string& link = spec.host_interface->name;
      require_unique("link " + link, in_backticks("interface", link),
                     *value.find("host_interface")->find("name"), owner);
    }
    if (spec.host_interface && !spec.host_interface->addresses.empty())
      claim_addresses(*value.find("host_interface")->find("addresses"), name, owner);
    if (diagnostics_.count() != before) return;
    for (const DriverSchema& one : grammar_) {
      if (one.name == spec.driver && one.check_network)
        one.check_network(name, spec, complaints_about(value));
    }
    networks_[key.text].good = diagnostics_.count() == before;
  });
}

void Decoder::claim_ends(const TreeNode& node, const AttachmentSpec& spec, const std::string& owner) {
  if (!spec.netns.empty() && !spec.interface.empty()) {
    require_unique("end " + netns_path(spec.netns) + " " + spec.interface,
                   in_backticks("interface", spec.interface) + " in netns " + quote(spec.netns),
                   *node.find("interface"), owner);
  }
  if (spec.tap && !spec.tap->name.empty()) {
    const std::string& name = spec.tap->name;
    require_unique("link " + name, in_backticks("interface", name), *node.find("tap")->find("name"), owner);
  }
  if (!spec.addresses.empty()) claim_addresses(*node.find("addresses"), spec.network, owner);
  if (spec.mac) {
    require_unique("mac " + spec.network + " " + spec.mac->text(),
                   "mac " + spec.mac->text() + " on " + in_backticks("network", spec.network),
                   *node.find("mac"), owner);
  }
}

// Whatever its prefix length: neighbours are asked for an address without one. (What an interface has of its
// own, addresses() sees to.)
void Decoder::claim_addresses(const TreeNode& list, const std::string& network, const std::string& owner) {
  std::set<IpAddress> own;
  each_item(list, [&](const TreeNode& item) {
    const auto prefix = item.is_scalar() ? IpPrefix::parse(item.text) : std::nullopt;
    if (!prefix || !own.insert(prefix->address).second) return;
    const std::string address = prefix->address.text();
    require_unique("address " + network + " " + address,
                   "address " + address + " on " + in_backticks("network", network), item, owner);
  });
}

void Decoder::check_reference(const TreeNode& node, const std::string& name, const AttachmentSpec& spec,
                              const SetSpec& set, bool good) {
  const auto found = networks_.find(spec.network);
  if (found == networks_.end()) {
    Nearest near(spec.network);
    if (!diagnostics_.full()) {
      for (const auto& [candidate, spec_of] : set.networks) near.offer(candidate);
    }
    wrong(*node.find("network"), in_backticks("network", spec.network) + " is not declared in this file",
          near.take());
    return;
  }
  if (!good || !found->second.good) return;
  const NetworkSpec& network = set.networks.at(spec.network);
  for (const DriverSchema& one : grammar_) {
    if (one.name == network.driver && one.check_attachment) {
      one.check_attachment(name, spec, network, complaints_about(node));
    }
  }
}

void Decoder::attachments(const TreeNode& root, SetSpec& set) {
  const TreeNode* entries = section(root, "attachments");
  if (entries == nullptr) return;
  each_entry(*entries, [&](const TreeNode& key, const TreeNode& value) {
    const std::string name(key.text);
    if (set.attachments.contains(name) || !is_object_name(key, "attachment")) return;
    const std::size_t before = diagnostics_.count();
    const AttachmentSpec& spec = set.attachments.emplace(name, attachment(value)).first->second;
    claim_ends(value, spec, in_backticks("attachment", name));
    if (!spec.network.empty()) check_reference(value, name, spec, set, diagnostics_.count() == before);
  });
}

SetSpec Decoder::set(const TreeNode& root, const CheckSet& check) {
  SetSpec set;
  if (root.type != TreeNode::Type::mapping) {
    wrong(root, "the file must be a mapping that begins with `version: 1`");
    return set;
  }
  only_keys(root, keys::kSet);
  if (const TreeNode* version = require(root, "version")) {
    std::int64_t number_of = 0;
    constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
    if (number(*version, "version", 1, kAny, number_of) && number_of != 1) {
      wrong(*version, "version " + std::to_string(number_of) +
                          " of the format is not known; this program reads version 1");
    }
  }
  if (const TreeNode* name = root.find("name"); name != nullptr && is_scalar(*name, "the name of the set")) {
    if (is_object_name(*name, "set")) set.name = name->text;
  }
  declare_networks(root);
  vlans(root, set);
  networks(root, set);
  attachments(root, set);
  if (check && diagnostics_.count() == 0) check(set, complaints_about(root));
  return set;
}

}  // namespace lanwright
