#include "reconcilers/netlink/errors.h"

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>
#include <variant>

namespace lanwright::netlink {

namespace {

// The modules that bring a kind of link.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kModules{{
    {"bridge", "bridge"},
    {"vlan", "8021q"},
    {"macvlan", "macvlan"},
    {"ipvlan", "ipvlan"},
    {"veth", "veth"},
    {"tun", "tun"},
    {"dummy", "dummy"},
}};

std::string object_of(const Action& action) {
  return action.target().text() + " of " + action.object.text();
}

std::string tried(const Action& action) {
  const std::string verb = action.verb();
  if (const auto* step = std::get_if<AddAddress>(&action.step))
    return verb + " " + step->address.text() + " to";
  if (const auto* step = std::get_if<RemoveAddress>(&action.step))
    return verb + " " + step->address.text() + " from";
  if (const auto* step = std::get_if<AddRoute>(&action.step))
    return verb + " to " + step->route.to.text() + " by";
  if (const auto* step = std::get_if<RemoveRoute>(&action.step))
    return verb + " to " + step->route.to.text() + " by";
  return verb + " link";
}

const LinkAttrs* attributes_of(const Action& action) {
  if (const auto* create = std::get_if<CreateLink>(&action.step)) return &create->link.attributes;
  if (const auto* change = std::get_if<ChangeLink>(&action.step)) return &change->attributes;
  return nullptr;
}

std::string kind_of(const Action& action) {
  if (const auto* create = std::get_if<CreateLink>(&action.step)) return create->link.kind;
  if (const auto* change = std::get_if<ChangeLink>(&action.step)) return change->kind;
  return {};
}

std::string hint_of(const Action& action) {
  const LinkAttrs* attributes = attributes_of(action);
  const std::string kind = kind_of(action);
  if (kind == "bridge" && attributes != nullptr && find(*attributes, LinkAttr::bridge_vlan_filtering)) {
    return "this kernel is built without CONFIG_BRIDGE_VLAN_FILTERING";
  }
  if (!std::holds_alternative<CreateLink>(action.step)) return {};
  for (const auto& [known, module] : kModules) {
    if (known != kind) continue;
    return "load the kernel module " + std::string(module) + " (`modprobe " + std::string(module) +
           "`), or use a kernel that has it";
  }
  return {};
}

}  // namespace

Error action_error(const Action& action, const Reply& reply) {
  Error error = error_from_errno(reply.error, tried(action), object_of(action), reply.words);
  if (reply.error == EEXIST) {
    error.kind = ErrorKind::conflict;
    error.hint = "something of that name or place is there already and is not the agent's";
  }
  if (reply.error == EOPNOTSUPP) {
    error.kind = ErrorKind::unsupported;
    error.hint = hint_of(action);
  }
  return error;
}

Error action_error(const Action& action, ErrorKind kind, std::string words, std::string hint) {
  return {kind, tried(action), object_of(action), 0, std::move(words), std::move(hint)};
}

}  // namespace lanwright::netlink
