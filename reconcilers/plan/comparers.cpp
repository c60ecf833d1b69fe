#include "reconcilers/plan/comparers.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/table.h"

namespace lanwright::planning {
namespace {

template <class T>
std::string text_of(const std::optional<T>& value) {
  return value ? std::to_string(*value) : std::string{};
}

std::string text_of(const PortVlansFact& vlans) {
  std::string text = vlans.pvid ? "pvid " + std::to_string(*vlans.pvid) : std::string{};
  for (const VlanRange& range : ranges_of(vlans.tagged)) text += (text.empty() ? "" : " ") + range.text();
  for (const auto vid : vlans.odd)
    text += (text.empty() ? "" : " ") + std::to_string(vid) + " (otherwise tagged)";
  return text;
}

// What is in `from` and not in `other`.
PortVlans minus(const PortVlans& from, const PortVlans& other) {
  PortVlans rest;
  if (from.pvid && from.pvid != other.pvid) rest.pvid = from.pvid;
  std::set_difference(from.tagged.begin(), from.tagged.end(), other.tagged.begin(), other.tagged.end(),
                      std::back_inserter(rest.tagged));
  return rest;
}

void compare_name(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.found.name == c.link.at.name) return;
  change.rename = c.link.at.name;
  // The kernel gives no link a name that is one of its alternative names.
  const auto& others = c.found.altnames;
  if (std::find(others.begin(), others.end(), c.link.at.name) != others.end())
    change.remove_altname = c.link.at.name;
  differs.add("name", c.found.name, c.link.at.name);
}

void compare_alias(const Compared& c, ChangeLink& change, Differences& differs) {
  const std::string alias = c.mark.text();
  if (c.found.alias == alias) return;
  change.alias = alias;
  if (c.adopted) differs.names.emplace_back("owner");
  differs.add("alias", c.found.alias, alias);
}

void compare_group(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.made_anew || c.found.group == kOwnGroup) return;
  change.group = kOwnGroup;
  differs.add("group", std::to_string(c.found.group), std::to_string(kOwnGroup));
}

void compare_master(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.link.master.empty() || c.in_master()) return;
  change.master = c.link.master;
  change.port_kind = kinds::kBridge.name;
  differs.add("master", c.draft.name_of_index(c.link.at.netns, c.found.master), c.link.master);
}

// What stands on a parent has its MTU unless told otherwise, and some kinds its MAC too (and keep them when
// somebody changes them).
void compare_mtu(const Compared& c, ChangeLink& change, Differences& differs) {
  const auto mtu = c.link.mtu            ? c.link.mtu
                   : c.parent != nullptr ? std::optional(c.parent->mtu)
                                         : std::nullopt;
  if (!mtu || c.found.mtu == *mtu) return;
  change.mtu = mtu;
  differs.add("mtu", std::to_string(c.found.mtu), std::to_string(*mtu));
}

void compare_mac(const Compared& c, ChangeLink& change, Differences& differs) {
  const bool as_parent = !c.link.mac && c.parent != nullptr && kinds::kind_of(c.link.kind).mac_of_parent;
  const auto& mac = as_parent ? c.parent->mac : c.link.mac;
  if (!mac || c.found.mac == mac) return;
  change.mac = mac;
  differs.add("mac", c.found.mac ? c.found.mac->text() : "", mac->text());
}

void compare_ipv6(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.link.ipv6 != Ipv6Addresses::none || c.found.ipv6 == Ipv6Addresses::none) return;
  change.ipv6 = Ipv6Addresses::none;
  differs.add("ipv6 address generation", "on", "off");
}

void compare_altname(const Compared& c, ChangeLink& change, Differences& differs) {
  const auto& names = c.found.altnames;
  if (c.link.altname.empty() || std::find(names.begin(), names.end(), c.link.altname) != names.end()) return;
  change.add_altname = c.link.altname;
  differs.add("altname", "", c.link.altname);
}

void compare_tap_owner(const Compared& c, ChangeLink& change, Differences& differs) {
  if (!c.link.tap_owner || c.found.tap_owner == c.link.tap_owner) return;
  change.tap_owner = c.link.tap_owner;
  differs.add("tap owner", text_of(c.found.tap_owner), text_of(c.link.tap_owner));
}

void compare_tap_group(const Compared& c, ChangeLink& change, Differences& differs) {
  if (!c.link.tap_group || c.found.tap_group == c.link.tap_group) return;
  change.tap_group = c.link.tap_group;
  differs.add("tap group", text_of(c.found.tap_group), text_of(c.link.tap_group));
}

void add_attributes(const LinkSpec& link, const LinkFact& found, LinkAttribute::Place place,
                    ChangeLink& change, Differences& differs) {
  for (const auto& [attribute, wanted] : link.attributes) {
    if (attribute->place != place) continue;
    const auto value = find(found.attributes, *attribute);
    if (value == wanted || (!value && holds_by_default(*attribute, wanted))) continue;
    change.attributes.emplace_back(*attribute, wanted);
    differs.add(std::string(attribute->name), value ? std::to_string(*value) : "unknown",
                std::to_string(wanted));
  }
}

void compare_attributes(const Compared& c, ChangeLink& change, Differences& differs) {
  add_attributes(c.link, c.found, LinkAttribute::Place::link, change, differs);
}

// A link that is plugged in by this change has nothing yet of what a port has.
void compare_port_attributes(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.link.master.empty()) return;
  const std::size_t before = change.attributes.size();
  if (c.in_master() && c.found.port_kind == kinds::kBridge.name)
    add_attributes(c.link, c.found, LinkAttribute::Place::port, change, differs);
  else
    std::copy_if(
        c.link.attributes.begin(), c.link.attributes.end(), std::back_inserter(change.attributes),
        [](const auto& attribute) { return attribute.attribute->place == LinkAttribute::Place::port; });
  if (change.attributes.size() != before) change.port_kind = kinds::kBridge.name;
}

void add_vlans(const LinkSpec& link, const PortVlansFact& found, ChangeLink& change, Differences& differs) {
  if (!link.vlans || found == PortVlansFact(*link.vlans)) return;
  const PortVlans add = minus(*link.vlans, found);  // gives those that are there otherwise their right form
  PortVlans there{found.pvid, found.tagged};
  there.tagged.insert(there.tagged.end(), found.odd.begin(), found.odd.end());
  std::sort(there.tagged.begin(), there.tagged.end());
  PortVlans drop = minus(there, *link.vlans);
  if (link.vlans->pvid) std::erase(drop.tagged, *link.vlans->pvid);
  if (!add.empty()) change.add_vlans = add;
  if (!drop.empty()) change.remove_vlans = drop;
  differs.add("vlans", text_of(found), text_of(*link.vlans));
}

void compare_vlans(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.link.master.empty()) return;
  const bool is_port = c.in_master() && c.found.port_kind == kinds::kBridge.name;
  add_vlans(c.link, is_port ? c.found.vlans : PortVlansFact{}, change, differs);
}

void compare_arp(const Compared& c, ChangeLink& change, Differences& differs) {
  if (!c.found.arp || c.link.arp) return;
  change.arp = false;
  differs.add("arp", "on", "off");
}

// What they are is not observed: who has the link may have changed them since.
void compare_sysctls(const Compared& c, ChangeLink& change, Differences& differs) {
  if (!c.made_anew || c.link.sysctls.empty()) return;
  change.sysctls = c.link.sysctls;
  differs.reason += differs.reason.empty() ? "" : "; ";
  differs.reason += "its sysctls may not be set yet";
  differs.names.emplace_back("sysctls");
}

void compare_state(const Compared& c, ChangeLink& change, Differences& differs) {
  if (c.found.up == c.link.up || (c.link.up && c.held_down)) return;
  change.up = c.link.up;
  // Whether that was set is not observed: it is before a link goes up for the first time.
  change.whole_checksums = c.link.up && sends_whole_checksums(c.draft, c.link);
  differs.add("state", c.found.up ? "up" : "down", c.link.up ? "up" : "down");
}

using Comparer = void (*)(const Compared&, ChangeLink&, Differences&);

// In the order in which people are told.
constexpr Comparer kComparers[] = {
    compare_name,      compare_alias,     compare_group,      compare_master,
    compare_mtu,       compare_mac,       compare_ipv6,       compare_altname,
    compare_tap_owner, compare_tap_group, compare_attributes, compare_port_attributes,
    compare_vlans,     compare_arp,       compare_sysctls,    compare_state,
};

}  // namespace

void Differences::add(const std::string& name, const std::string& is, const std::string& wanted) {
  if (!reason.empty()) reason += "; ";
  reason += name + " is " + text_or_none(is) + ", wanted " + text_or_none(wanted);
  names.push_back(name);
}

void compare_all(const Compared& compared, ChangeLink& change, Differences& differs) {
  for (const Comparer compare : kComparers) compare(compared, change, differs);
}

void compare_port(const LinkSpec& link, const LinkFact& found, ChangeLink& change, Differences& differs) {
  add_attributes(link, found, LinkAttribute::Place::port, change, differs);
  add_vlans(link, found.vlans, change, differs);
}

}  // namespace lanwright::planning
