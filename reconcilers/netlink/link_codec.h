// Links as netlink tells them and as it is told: pure, bytes in and values out, values in and messages out.
// Source: rtnetlink(7), <linux/if_link.h>, <linux/if_bridge.h>.
#pragma once

#include <optional>
#include <string>

#include "model/link.h"
#include "model/plan.h"
#include "reconcilers/netlink/message.h"

namespace lanwright::netlink {

inline constexpr std::uint32_t kIpv6MinMtu = 1280;  // RFC 8200: below it a link has no IPv6 at all

// RTM_NEWLINK or RTM_DELLINK of a link. Absent for what is no complete link: what bridges tell of their ports
// (AF_BRIDGE) and the wireless extensions' partial messages. Addresses, routes and VLANs are not in it.
std::optional<LinkFact> decode_link(const nlmsghdr& message);

// What a bridge tells of a port, in a dump and in events alike (AF_BRIDGE). The bridge itself is told as its
// own port, with VLANs alone.
struct PortFact {
  int ifindex = 0;
  int master = 0;
  LinkAttributes attributes;  // those of LinkAttribute::Place::port
  PortVlansFact vlans;
};
std::optional<PortFact> decode_port(const nlmsghdr& message);
bool is_of_bridge(const nlmsghdr& message);  // the family is AF_BRIDGE

Message list_links();
Message list_ports();  // with VLANs, ranges compressed
Message get_link(int ifindex);
Message get_link(const std::string& name);

// Which ifindexes and namespaces the names in a LinkSpec stand for.
struct LinkPlace {
  int master = 0;
  int parent = 0;  // in the namespace of the socket
  int nsid = -1;   // where the link is to be made, as the socket's namespace numbers it; -1 = the same
};

// Makes a link: everything that the kernel takes in the creating message, which leaves out alias, alternative
// names, port attributes and, on purpose, UP. `peer` is the other end of a veth, made in the
// namespace behind the descriptor `peer_netns`; -1 = the socket's.
Message create_link(const LinkSpec& link, const LinkPlace& place, const LinkSpec* peer, int peer_netns = -1);
Message create_link(const LinkSpec& link, const LinkPlace& place, const std::string& temporary_name);

// What follows on creation, by name so that it can be in the same buffer: mark, IPv6 mode and (`master` >= 0)
// master; then, once there is a master, port attributes; UP last, when the link makes no noise any more.
std::vector<Message> configure_new_link(const LinkSpec& link, const OwnerTag& mark, std::optional<int> master,
                                        bool up);

// A link under a temporary name: `ifindex` gets its name and everything else.
std::vector<Message> configure_temporarily_named(int ifindex, const LinkSpec& link, const OwnerTag& mark,
                                                 int master, bool up);

// Sets what is present in `change`, in at most two messages: port attributes need the master first.
// `master` is what change.master stands for.
std::vector<Message> change_link(const ChangeLink& change, int master);
Message set_up(int ifindex, bool up);
Message set_name(int ifindex, const std::string& name);
Message set_alias(const std::string& name, const std::string& alias);
Message set_group(int ifindex, std::uint32_t group);
// Of a port, or of a bridge itself.
enum class VlansOf { port, bridge };
Message add_vlans(int ifindex, const PortVlans& vlans, VlansOf whose = VlansOf::port);
Message remove_vlans(int ifindex, const PortVlans& vlans, VlansOf whose = VlansOf::port);
Message delete_link(int ifindex);
Message delete_link(const std::string& name);
Message delete_group(std::uint32_t group);

}  // namespace lanwright::netlink
