// An object's bridge of Open vSwitch, and its ports of bridges.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

// The order that no controller misses a port by: bridge, local port up, all other ports, controllers.
class OpenVswitch {
 public:
  explicit OpenVswitch(Draft& draft) : draft_(draft) {}

  // To be called once for each object, networks before what is plugged into them, and after its links were
  // compared. Without `with_ports` only the bridge itself is seen to, and nothing is said of what blocks it.
  void compare(const Cursor& at, bool with_ports);

 private:
  using Place = std::pair<std::string, std::string>;  // bridge, port; "" = the bridge itself

  const OvsFacts& facts() const { return draft_.observed().ovs; }
  const OvsBridgeFact* find(const std::string& bridge) const;
  const std::vector<Place>& places_of(const ObjectUid& uid);
  bool is_under_way(const OwnerTag& mark) const { return facts().under_way.contains(mark); }

  void remove_strays(const Cursor& at);
  void remove_lost_ports(const Cursor& at, const std::string& bridge, const OvsBridgeFact& fact);
  void remove_port(const Cursor& at, const std::string& bridge, const std::string& port,
                   const OwnerTag& mark);
  std::optional<Error> away(const DesiredObject& entry) const;

  std::optional<Error> compare_bridge(const Cursor& at, const OvsBridgeSpec& spec);
  std::optional<Error> create_bridge(const Cursor& at, const OvsBridgeSpec& spec);
  std::optional<Error> foreign_bridge(const DesiredObject& entry, const std::string& name,
                                      const OvsBridgeFact& fact) const;
  std::optional<Error> taken_datapath_id(const DesiredObject& entry, const OvsBridgeSpec& spec) const;
  void change_bridge(const Cursor& at, const OvsBridgeSpec& spec, const OvsBridgeFact& fact);
  void raise_local_port(const Cursor& at, const std::string& bridge);
  void compare_controllers(const Cursor& at, const OvsBridgeSpec& spec);

  std::optional<Error> compare_port(const Cursor& at, const OvsPortSpec& spec);
  std::int64_t free_number(const DesiredObject& network, const OvsPortSpec& spec, const OwnerTag& mark);
  std::set<std::int64_t> taken_numbers(const DesiredObject& network, const std::string& bridge) const;
  std::optional<Error> foreign_port(const DesiredObject& entry, const OvsPortSpec& spec, const OwnerTag& mark,
                                    const OvsPortFact& fact) const;
  void plug_in(const Cursor& at, OvsPortSpec spec, const OwnerTag& mark, const std::string& reason);
  bool is_of_another_link(const OvsPortSpec& spec, const OvsPortFact& fact) const;
  std::optional<Error> held_elsewhere(const DesiredObject& entry, const OvsPortSpec& spec) const;
  std::optional<Error> compare_port(const Cursor& at, const OvsPortSpec& spec, const OwnerTag& mark,
                                    const OvsPortFact& fact);
  std::optional<Error> why_unusable(const DesiredObject& entry, const std::string& bridge,
                                    const std::string& port, const OvsPortFact& fact) const;

  Draft& draft_;
  std::optional<std::map<ObjectUid, std::vector<Place>>> places_;  // by mark
  std::set<std::string> created_;                                  // bridges that this plan makes
  std::set<std::string> removed_bridges_;
  std::set<std::string> removed_ports_;
  std::map<std::string, std::set<std::int64_t>> numbers_;  // by bridge: OpenFlow ports that are taken
};

}  // namespace lanwright::planning
