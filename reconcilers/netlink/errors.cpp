#include "reconcilers/netlink/errors.h"

#include <cerrno>
#include <string_view>
#include <utility>
#include <variant>

#include "reconcilers/kinds/table.h"

namespace lanwright::netlink {

namespace {

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

const LinkAttributes* attributes_of(const Action& action) {
  if (const auto* create = std::get_if<CreateLink>(&action.step)) return &create->link.attributes;
  if (const auto* change = std::get_if<ChangeLink>(&action.step)) return &change->attributes;
  return nullptr;
}

// What the kernel would have to be built with.
std::string_view build_option_of(const Action& action) {
  const LinkAttributes* attributes = attributes_of(action);
  if (attributes == nullptr) return {};
  for (const auto& [attribute, value] : *attributes) {
    if (!attribute->build_option.empty()) return attribute->build_option;
  }
  return {};
}

// Of what the kernel has already.
std::string holder_of(const Action& action) {
  if (std::holds_alternative<AddAddress>(action.step)) return "this address is there already";
  if (std::holds_alternative<AddRoute>(action.step))
    return "a route to there with this metric is there already";
  return "a link of that name or place is there already";
}

bool is_ipv6(const Action& action) {
  if (const auto* step = std::get_if<AddAddress>(&action.step)) return step->address.address.size() == 16;
  const auto* step = std::get_if<AddRoute>(&action.step);
  return step != nullptr && step->route.to.address.size() == 16;
}

std::string hint_of(const Action& action) {
  if (const auto option = build_option_of(action); !option.empty())
    return "this kernel is built without " + std::string(option);
  const auto* create = std::get_if<CreateLink>(&action.step);
  if (create == nullptr) return {};
  const std::string module(kinds::kind_of(create->link.kind).module);
  if (module.empty()) return {};
  return "load the kernel module " + module + " (`modprobe " + module + "`), or use a kernel that has it";
}

}  // namespace

Error action_error(const Action& action, const Reply& reply) {
  Error error = error_from_errno(reply.error, tried(action), object_of(action), reply.words);
  if (reply.error == EEXIST) {
    error.kind = ErrorKind::conflict;
    error.hint = holder_of(action) + ", and is not the agent's";
  }
  const auto* route = std::get_if<AddRoute>(&action.step);
  if (route != nullptr && route->route.via && (reply.error == ENETUNREACH || reply.error == EHOSTUNREACH))
    error.hint = "no address of the link covers " + route->route.via->text() +
                 ": say `onlink: true` if it is a neighbour all the same";
  if (reply.error == EACCES && is_ipv6(action))
    error.hint = "IPv6 is switched off for this link: sysctl net.ipv6.conf." + action.target().name +
                 ".disable_ipv6=0 switches it on";
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
