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
#include "model/format/diagnostics.h"
#include "model/format/grammar.h"
#include "model/format/tree.h"

namespace lanwright {

// From the tree of a file to desired objects. It has a private method for each form that a value takes in a
// file, which is many; they share nothing but the diagnostics.
class Decoder {
 public:
  Decoder(const Grammar& grammar, Diagnostics& diagnostics) : grammar_(grammar), diagnostics_(diagnostics) {}

  // With all references between the objects, and the checks that the drivers bring; then, when there is no
  // mistake so far, with `check` (may be empty).
  SetSpec set(const TreeNode& root, const CheckSet& check);

  // One object by itself.
  VlanSpec vlan(const TreeNode& node);
  NetworkSpec network(const TreeNode& node);
  AttachmentSpec attachment(const TreeNode& node);
  // As it is stored: it may also be an endpoint of Docker's, which nobody declares.
  AttachmentSpec stored_attachment(const TreeNode& node);

 private:
  using Words = std::span<const std::string_view>;

  // What only one object may have, and who has it.
  struct Taken {
    const TreeNode* by = nullptr;
    std::string owner;
  };
  using Claims = std::unordered_map<std::string, Taken>;

  struct Declared {
    const TreeNode* node = nullptr;
    bool good = false;  // decoded without a mistake
  };

  // Shapes. False, after telling, when the node is of another type.
  bool is_mapping(const TreeNode& node);
  bool is_sequence(const TreeNode& node, const char* example);
  bool is_scalar(const TreeNode& node, const char* wanted);
  void only_text_keys(const TreeNode& mapping);
  void only_keys(const TreeNode& mapping, Words known);
  const TreeNode* section(const TreeNode& root, const char* name);  // nullptr when there is nothing in it
  const TreeNode* require(const TreeNode& mapping, const char* key);
  bool number(const TreeNode& node, const std::string& what, std::int64_t min, std::int64_t max,
              std::int64_t& out);

  // Scalars. `out` is left alone and false returned, after telling, when the node is wrong.
  template <class Integer>
  bool integer(const TreeNode& node, const std::string& what, std::int64_t min, std::int64_t max,
               Integer& out);
  bool boolean(const TreeNode& node, bool& out);
  bool text(const TreeNode& node, std::string& out);
  bool choice(const TreeNode& node, Words choices, std::size_t& out);
  bool interface_name(const TreeNode& node, std::string& out);
  bool interface_reference(const TreeNode& node, std::string& out);  // of a link that is there
  bool no_loopback(const TreeNode& node, const char* what);
  bool is_interface_name(const TreeNode& node);
  bool is_object_name(const TreeNode& node, const std::string& what);
  bool vlan_id(const TreeNode& node, std::uint16_t& out);
  bool vlan_range(const TreeNode& node, VlanRange& out);  // an id, `20-29`, or `all`
  bool mtu(const TreeNode& node, std::optional<std::uint32_t>& out);
  bool mac(const TreeNode& node, std::optional<MacAddress>& out);
  bool netns(const TreeNode& node, std::string& out);
  bool ip_address(const TreeNode& node, IpAddress& out);
  bool ip_prefix(const TreeNode& node, IpPrefix& out);       // an address with a prefix length
  bool network_prefix(const TreeNode& node, IpPrefix& out);  // without host bits

  // Parts of objects.
  const DriverSchema* driver(const TreeNode& network, std::string& out);
  void network_keys(const TreeNode& node, const NetworkSpec& spec, const DriverSchema* driver);
  void settings(const TreeNode& node, const DriverSchema& driver, Settings& out);
  void setting(const TreeNode& node, const SettingField& field, Settings& out);
  bool subnet_prefix(const TreeNode& node, IpPrefix& out);
  void subnets(const TreeNode& list, std::vector<Subnet>& out);
  bool subnet(const TreeNode& node, Subnet& out);
  void gateway(const TreeNode& node, const IpPrefix* cidr, Subnet& out);
  void range(const TreeNode& node, const IpPrefix* cidr, Subnet& out);
  void reserved(const TreeNode& node, const IpPrefix* cidr, Subnet& out);
  bool inside(const TreeNode& node, const IpPrefix* cidr, const IpAddress& address);
  bool uplink(const TreeNode& node, Uplink& out);
  void ofport(const TreeNode& mapping, std::optional<std::uint32_t>& out);
  void port_vlans(const TreeNode& mapping, PortVlans& out);
  void addresses(const TreeNode& list, std::vector<IpPrefix>& out);
  void routes(const TreeNode& list, std::vector<RouteSpec>& out);
  bool route(const TreeNode& node, RouteSpec& out);
  bool route_target(const TreeNode& node, RouteSpec& out);
  bool route_router(const TreeNode& node, RouteSpec& out);
  void host_interface(const TreeNode& node, HostInterface& out);
  void netns_end(const TreeNode& node, AttachmentSpec& out);
  void sysctls(const TreeNode& list, std::vector<Sysctl>& out);
  void endpoint_end(const TreeNode& node, AttachmentSpec& out);
  void tap_end(const TreeNode& node, AttachmentSpec& out);

  // The whole.
  void declare_networks(const TreeNode& root);
  void vlans(const TreeNode& root, SetSpec& set);
  void networks(const TreeNode& root, SetSpec& set);
  void attachments(const TreeNode& root, SetSpec& set);
  void check_parents(const TreeNode& root, const SetSpec& set);
  void claim_uplinks(const TreeNode& node, const std::string& owner);
  void claim_addresses(const TreeNode& list, const std::string& network, const std::string& owner);
  void claim_ends(const TreeNode& node, const AttachmentSpec& spec, const std::string& owner);
  void check_reference(const TreeNode& node, const std::string& name, const AttachmentSpec& spec,
                       const SetSpec& set, bool good);
  void require_unique(const std::string& key, const std::string& what, const TreeNode& by,
                      const std::string& owner);
  ReportFault complaints_about(const TreeNode& object);

  void wrong(const TreeNode& node, std::string message, std::string suggestion = {});

  const Grammar& grammar_;
  Diagnostics& diagnostics_;
  std::unordered_map<std::string_view, Declared> networks_;
  Claims claims_;
};

}  // namespace lanwright
