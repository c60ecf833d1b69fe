// A driver turns a declared network, and what is plugged into it, into parts that the planner compares with
// what is observed. Drivers are pure: no I/O, no state, any thread. Everything they have in common (matching,
// diffing, ordering, acting, marks) is the planner's and the executor's, so that a driver is one short file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/desired.h"
#include "model/format/grammar.h"
#include "model/link.h"
#include "model/ovs.h"
#include "model/switches.h"

namespace lanwright::drivers {

// An object with its name and identity, as drivers see it.
template <class Spec>
struct Named {
  const std::string& name;
  const ObjectUid& uid;
  const Spec& spec;
};

// What an object wants to exist, in the order of creation.
struct Resources {
  std::vector<LinkSpec> links{};
  std::vector<ParentUse> parents{};
  std::optional<SwitchSpec> vswitch{};        // of a network: the process that carries it
  std::vector<PlugSpec> plugs{};              // into a network that is carried by one
  std::optional<OvsBridgeSpec> ovs_bridge{};  // of a network; its local port is a link of the bridge's name
  std::vector<OvsPortSpec> ovs_ports{};       // after the links that they are
  bool operator==(const Resources&) const = default;
};

class Driver {
 public:
  virtual ~Driver() = default;
  virtual const DriverSchema& grammar() const = 0;
  virtual Resources network(const Named<NetworkSpec>& network) const = 0;
  virtual Resources attachment(const Named<AttachmentSpec>& attachment,
                               const Named<NetworkSpec>& network) const = 0;
};

// Names and addresses that every driver gives in the same way.

// "lw-NAME", or when that exceeds the kernel's 15 characters a shortened form with a hash of the whole name.
std::string link_name(const std::string& object_name);
// The full "lw-NAME" when link_name() had to shorten it, otherwise empty.
std::string link_altname(const std::string& object_name);
// A locally administered unicast address that stays the same as long as the object lives, and differs between
// hosts: derived from the uid and the role of the link.
MacAddress stable_mac(const ObjectUid& uid, const std::string& role);

inline constexpr std::uint32_t kDefaultMtu = 1500;
// Told of an `ofport` where there are none.
inline constexpr const char* kNoOpenFlow = "OpenFlow ports exist with driver ovs only";
// Role of an attachment's end inside its namespace.
inline constexpr const char* kInnerRole = "inner";

// Where the end of an attachment is made that is no tap of a virtual machine: in its namespace, or, for an
// endpoint, in the managed one until Docker has moved it. With what it has there: addresses, `routes`.
void set_end(LinkSpec& end, const Named<AttachmentSpec>& attachment, std::vector<RouteSpec> routes);

// A veth pair or a tap between `attachment` and a switch: the first link is the switch's side, without a
// master or port attributes (the caller adds these). Used by every driver whose networks have ports in the
// kernel.
Resources veth_or_tap(const Named<AttachmentSpec>& attachment, const NetworkSpec& network, std::uint32_t mtu);

// Where the attachment's addresses lie in subnets of the network that name a gateway: the default routes
// there, one per family, unless it declares one itself or the network is internal. On the link where none of
// its addresses covers the gateway.
std::vector<RouteSpec> with_gateways(const AttachmentSpec& attachment, const NetworkSpec& network);

// Typed access to decoded settings; `fallback` when the user did not say.
bool setting(const Settings& settings, const std::string& name, bool fallback);
std::int64_t setting(const Settings& settings, const std::string& name, std::int64_t fallback);
std::string setting(const Settings& settings, const std::string& name, const char* fallback);

}  // namespace lanwright::drivers
