// From a tree of nodes to desired values, telling every mistake on the way. The one place that knows the keys
// of the format. Inside of model/ only; one decoder decodes one file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/desired.h"
#include "model/grammar.h"
#include "model/mistakes.h"
#include "model/tree.h"

namespace lanwright {

class Decoder {
 public:
  Decoder(const Grammar& grammar, Mistakes& mistakes) : grammar_(grammar), mistakes_(mistakes) {}

  // With all references between the objects, and the checks that the drivers bring.
  SetSpec set(const Node& root);

  // One object by itself.
  VlanSpec vlan(const Node& node);
  NetworkSpec network(const Node& node);
  AttachmentSpec attachment(const Node& node);

 private:
  using Words = std::span<const std::string_view>;

  // What only one object may have, and who has it.
  struct Taken {
    const Node* by = nullptr;
    std::string owner;
  };
  using Claims = std::unordered_map<std::string, Taken>;

  struct Declared {
    const Node* node = nullptr;
    bool good = false;  // decoded without a mistake
  };

  // Shapes. False, after telling, when the node is of another type.
  bool is_mapping(const Node& node);
  bool is_sequence(const Node& node, const char* example);
  bool is_scalar(const Node& node, const char* wanted);
  void only_keys(const Node& mapping, Words known);
  const Node* require(const Node& mapping, const char* key);
  bool number(const Node& node, const std::string& what, std::int64_t min, std::int64_t max,
              std::int64_t& out);

  // Scalars. `out` is left alone and false returned, after telling, when the node is wrong.
  template <class Integer>
  bool integer(const Node& node, const std::string& what, std::int64_t min, std::int64_t max, Integer& out);
  bool boolean(const Node& node, bool& out);
  bool text(const Node& node, std::string& out);
  bool choice(const Node& node, Words choices, std::size_t& out);
  bool interface_name(const Node& node, std::string& out);
  bool is_interface_name(const Node& node);
  bool is_object_name(const Node& node, const std::string& what);
  bool vlan_id(const Node& node, std::uint16_t& out);
  bool mtu(const Node& node, std::optional<std::uint32_t>& out);
  bool mac(const Node& node, std::optional<MacAddress>& out);
  bool netns(const Node& node, std::string& out);
  bool ip_address(const Node& node, IpAddress& out);
  bool ip_prefix(const Node& node, IpPrefix& out);       // an address with a prefix length
  bool network_prefix(const Node& node, IpPrefix& out);  // without host bits

  // Parts of objects.
  const DriverGrammar* driver(const Node& network, std::string& out);
  void network_keys(const Node& node, const NetworkSpec& spec, const DriverGrammar* driver);
  void settings(const Node& node, const DriverGrammar& driver, Settings& out);
  void setting(const Node& node, const SettingField& field, Settings& out);
  void subnets(const Node& list, std::vector<Subnet>& out);
  bool subnet(const Node& node, Subnet& out);
  void gateway(const Node& node, const IpPrefix* cidr, Subnet& out);
  void range(const Node& node, const IpPrefix* cidr, Subnet& out);
  void reserved(const Node& node, const IpPrefix* cidr, Subnet& out);
  bool inside(const Node& node, const IpPrefix* cidr, const IpAddress& address);
  bool uplink(const Node& node, Uplink& out);
  void port_vlans(const Node& mapping, PortVlans& out);
  void addresses(const Node& list, std::vector<IpPrefix>& out);
  void routes(const Node& list, std::vector<RouteSpec>& out);
  bool route(const Node& node, RouteSpec& out);
  void host_interface(const Node& node, HostInterface& out);
  void netns_end(const Node& node, AttachmentSpec& out);
  void tap_end(const Node& node, AttachmentSpec& out);

  // The whole.
  void declare_networks(const Node& root);
  void vlans(const Node& root, SetSpec& set);
  void networks(const Node& root, SetSpec& set);
  void attachments(const Node& root, SetSpec& set);
  void check_parents(const Node& root, const SetSpec& set);
  void claim_uplinks(const Node& node, const std::string& owner);
  void claim_ends(const Node& node, const AttachmentSpec& spec, const std::string& owner);
  void check_reference(const Node& node, const std::string& name, const AttachmentSpec& spec,
                       const SetSpec& set, bool good);
  void claim(const std::string& key, const std::string& what, const Node& by, const std::string& owner);
  Complain complaints_about(const Node& object);

  void wrong(const Node& node, std::string message, std::string suggestion = {});

  const Grammar& grammar_;
  Mistakes& mistakes_;
  std::unordered_map<std::string_view, Declared> networks_;
  Claims claims_;
};

}  // namespace lanwright
