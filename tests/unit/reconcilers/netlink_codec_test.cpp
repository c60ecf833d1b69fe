// The netlink codecs without a kernel: what one encodes the other decodes, and no bytes make them read
// outside.
#include <gtest/gtest.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/vlan.h"
#include "reconcilers/netlink/address_codec.h"
#include "reconcilers/netlink/announcements.h"
#include "reconcilers/netlink/link_codec.h"
#include "reconcilers/netlink/route_codec.h"

namespace lanwright {
namespace {

LinkSpec bridge() {
  LinkSpec link;
  link.kind = "bridge";
  link.at.name = "br0";
  link.mtu = 9000;
  link.mac = MacAddress::parse("02:00:00:00:01:01");
  link.attributes = {{kinds::bridge::kStpState, 1},
                     {kinds::bridge::kAgeingTime, 12345},
                     {kinds::bridge::kGroupFwdMask, 0xfff8},
                     {kinds::bridge::kMcastSnooping, 0},
                     {kinds::bridge::kPriority, 4096}};
  return link;
}

netlink::Message port_message() {
  ifinfomsg head{};
  head.ifi_family = AF_BRIDGE;
  head.ifi_index = 7;
  netlink::Message message(RTM_NEWLINK, 0, head);
  message.put_text(IFLA_IFNAME, "veth7");
  message.put_s32(IFLA_MASTER, 3);
  message.nest(IFLA_PROTINFO, [&] { message.put_u8(IFLA_BRPORT_ISOLATED, 1); });
  message.nest(IFLA_AF_SPEC, [&] {
    const auto vlan = [&](int flags, std::uint16_t vid) {
      message.put_struct(IFLA_BRIDGE_VLAN_INFO, bridge_vlan_info{static_cast<std::uint16_t>(flags), vid});
    };
    vlan(BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, 10);
    vlan(BRIDGE_VLAN_INFO_RANGE_BEGIN, 20);
    vlan(BRIDGE_VLAN_INFO_RANGE_END, 23);
    vlan(0, 12);
    vlan(0, 4095);
  });
  return message;
}

TEST(NetlinkCodec, ReadsALinkAsItWasWritten) {
  const LinkSpec link = bridge();
  netlink::LinkPlace place;
  place.master = 5;
  place.parent = 6;
  const netlink::Message message = netlink::create_link(link, place, nullptr);
  ASSERT_FALSE(message.overflow());
  const auto fact = netlink::decode_link(message.header());
  ASSERT_TRUE(fact);
  EXPECT_EQ(fact->name, "br0");
  EXPECT_EQ(fact->kind, "bridge");
  EXPECT_EQ(fact->mtu, 9001U) << "a bridge keeps only an MTU that it is told when it has another";
  const auto messages = netlink::configure_new_link(link, {"0123456789abcdef", {}}, std::nullopt, false);
  const auto told = netlink::decode_link(messages.front().header());
  ASSERT_TRUE(told);
  EXPECT_EQ(told->mtu, 9000U);
  EXPECT_EQ(fact->mac, link.mac);
  EXPECT_EQ(fact->master, 5);
  EXPECT_EQ(fact->parent, 6);
  EXPECT_EQ(fact->parent_nsid, -1);
  EXPECT_EQ(fact->group, kOwnGroup);
  EXPECT_EQ(fact->attributes, link.attributes);
}

TEST(NetlinkCodec, WritesTheVlanProtocolInNetworkOrder) {
  LinkSpec link;
  link.kind = "vlan";
  link.at.name = "eth0.50";
  link.mtu = 1500;
  link.attributes = {{kinds::vlan::kId, 50}, {kinds::vlan::kProtocol, 0x88a8}};
  const netlink::Message message = netlink::create_link(link, {}, nullptr);
  const netlink::Attributes data =
      netlink::Attributes(message.header(), sizeof(ifinfomsg)).nest(IFLA_LINKINFO).nest(IFLA_INFO_DATA);
  const auto bytes = data.bytes(IFLA_VLAN_PROTOCOL);
  ASSERT_EQ(bytes.size(), 2U);
  EXPECT_EQ(bytes[0], 0x88);
  EXPECT_EQ(bytes[1], 0xa8);
  EXPECT_EQ(netlink::decode_link(message.header())->attributes, link.attributes);
}

TEST(NetlinkCodec, SkipsWhatIsNoCompleteLink) {
  ifinfomsg head{};
  netlink::Message partial(RTM_NEWLINK, 0, head);  // as the wireless extensions send them
  partial.put_text(IFLA_IFNAME, "wlan0");
  EXPECT_FALSE(netlink::decode_link(partial.header()));
  EXPECT_FALSE(netlink::decode_link(port_message().header()));
  EXPECT_FALSE(netlink::decode_port(netlink::create_link(bridge(), {}, nullptr).header()));
}

TEST(NetlinkCodec, ReadsPortsWithRangesOfVlans) {
  const auto port = netlink::decode_port(port_message().header());
  ASSERT_TRUE(port);
  EXPECT_EQ(port->ifindex, 7);
  EXPECT_EQ(port->master, 3);
  EXPECT_EQ(port->attributes, (LinkAttributes{{kinds::bridge::kPortIsolated, 1}}));
  EXPECT_EQ(port->vlans, (PortVlans{10, {12, 20, 21, 22, 23}}));
}

TEST(NetlinkCodec, WritesAllVlansThereAre) {
  PortVlans vlans;
  vlans.pvid = 1;
  for (std::uint16_t vid = 2; vid <= 4094; vid += 2) vlans.tagged.push_back(vid);  // none next to another
  const netlink::Message message = netlink::add_vlans(7, vlans);
  EXPECT_FALSE(message.overflow());
  int entries = 0;
  netlink::for_each_attribute(netlink::Attributes(message.header(), sizeof(ifinfomsg)).find(IFLA_AF_SPEC),
                              [&](int type, std::span<const std::uint8_t> bytes) {
                                EXPECT_EQ(type, IFLA_BRIDGE_VLAN_INFO);
                                EXPECT_EQ(bytes.size(), sizeof(bridge_vlan_info));
                                ++entries;
                              });
  EXPECT_EQ(entries, 1 + 2047);
}

TEST(NetlinkCodec, ReadsAddressesAndRoutesAsTheyWereWritten) {
  for (const char* text : {"10.0.0.1/24", "fd00::1/64"}) {
    const auto address = netlink::decode_address(netlink::add_address(9, *IpPrefix::parse(text)).header());
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ifindex, 9);
    EXPECT_EQ(address->fact, (AddressFact{*IpPrefix::parse(text), kOwnProtocol}));
  }
  const std::vector<RouteSpec> routes{
      {*IpPrefix::parse("0.0.0.0/0"), IpAddress::parse("10.0.0.254"), std::nullopt},
      {*IpPrefix::parse("192.168.0.0/16"), std::nullopt, 50},
      {*IpPrefix::parse("fd00::/48"), IpAddress::parse("fe80::1"), 7},
      {*IpPrefix::parse("10.9.0.0/16"), IpAddress::parse("10.0.0.254"), std::nullopt, false, true},
  };
  for (const RouteSpec& route : routes) {
    const auto read = netlink::decode_route(netlink::add_route(9, route, netlink::IfThere::refuse).header());
    ASSERT_TRUE(read) << route.to.text();
    EXPECT_EQ(read->ifindex, 9);
    EXPECT_EQ(read->fact.route, route) << route.to.text();
  }
}

TEST(NetlinkCodec, AnnouncesAddressesAsTheStandardsSay) {
  const MacAddress mac = *MacAddress::parse("02:00:00:00:00:11");
  const auto hex = [](const std::vector<std::uint8_t>& bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
      text += "0123456789abcdef"[byte >> 4U];
      text += "0123456789abcdef"[byte & 0xfU];
    }
    return text;
  };
  EXPECT_EQ(hex(netlink::announcement(*IpAddress::parse("10.0.0.1"), mac, false)),
            "ffffffffffff0200000000110806"
            "0001080006040001"
            "0200000000110a0000010000000000000a000001");
  const std::string head =
      "3333000000010200000000"
      "1186dd"
      "6000000000203aff"
      "fd000000000000000000000000000001"
      "ff020000000000000000000000000001";
  const auto advertisement = hex(netlink::announcement(*IpAddress::parse("fd00::1"), mac, true));
  EXPECT_EQ(advertisement.substr(0, head.size()), head);
  const std::string message = advertisement.substr(head.size());
  EXPECT_EQ(message.substr(0, 4), "8800");
  EXPECT_EQ(message.substr(8), "a0000000fd0000000000000000000000000000010201020000000011");
  // Header and message together make all ones (RFC 1071).
  unsigned sum = 0;
  const auto add = [&](const std::string& words) {
    for (std::size_t i = 0; i < words.size(); i += 4)
      sum += static_cast<unsigned>(std::stoul(words.substr(i, 4), nullptr, 16));
  };
  add(head.substr(44) +
      "00000020"
      "0000003a" +
      message);
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  EXPECT_EQ(sum, 0xffffU);
}

// Cut short and bent at random places, with the length that the bytes really have. The sanitizers watch.
TEST(NetlinkCodec, BearsBrokenMessages) {
  LinkSpec tap = bridge();
  tap.altname = "another-name";
  std::vector<netlink::Message> messages;
  messages.push_back(netlink::create_link(bridge(), {}, nullptr));
  messages.push_back(port_message());
  messages.push_back(netlink::add_address(9, *IpPrefix::parse("fd00::1/64")));
  messages.push_back(netlink::add_route(9, {*IpPrefix::parse("10.0.0.0/8"), IpAddress::parse("10.0.0.1"), 5},
                                        netlink::IfThere::refuse));
  for (netlink::Message& message : netlink::configure_new_link(tap, {"0123456789abcdef", "role"}, 3, true)) {
    messages.push_back(std::move(message));
  }
  std::mt19937 random(1);
  for (const netlink::Message& message : messages) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(&message.header());
    const std::size_t size = message.header().nlmsg_len;
    for (std::size_t length = sizeof(nlmsghdr); length <= size; ++length) {
      for (int round = 0; round < 20; ++round) {
        std::vector<std::uint8_t> bytes(begin, begin + length);
        for (int bent = 0; bent < round; ++bent) {
          bytes[random() % length] = static_cast<std::uint8_t>(random());
        }
        auto* header = reinterpret_cast<nlmsghdr*>(bytes.data());
        header->nlmsg_len = static_cast<std::uint32_t>(length);
        netlink::decode_link(*header);
        netlink::decode_port(*header);
        netlink::decode_address(*header);
        netlink::decode_route(*header);
      }
    }
  }
}

}  // namespace
}  // namespace lanwright
