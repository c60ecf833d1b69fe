#include "agent/capture/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace lanwright::capture {
namespace {

using testing::HasSubstr;

std::string refusal_of(const std::string& filter) {
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(pcap_open_dead(DLT_EN10MB, 65535), pcap_close);
  const auto compiled = compile_filter(handle.get(), "lab", filter);
  return compiled.ok() ? "" : compiled.error().text();
}

TEST(CaptureFilter, TakesWhatNeedsNoLookup) {
  for (const char* filter : {"",
                             "icmp or arp",
                             "host 10.0.0.1 and not port 22",
                             "net 10.0.0.0/8",
                             "net 10",
                             "src net 10.1 mask 255.255.0.0",
                             "ip6 host fe80::1",
                             "net 2001:db8::/32",
                             "ether host 02:00:00:00:00:01",
                             "ether src 2-0-0-0-0-1",
                             "ether dst 0200.0000.00ab",
                             "ether host aabbccddeeff",
                             "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
                             "ip[6:2] & 0x1fff = 0",
                             "icmp[icmptype] == icmp-echo",
                             "port http",
                             "port (http or ssh)",
                             "tcp port http or ssh",
                             "portrange 20-80",
                             "portrange ftp-http",
                             "ip proto \\tcp",
                             "ether proto \\arp",
                             "ip6 protochain 6",
                             "vlan 10 and stp",
                             "len > 100",
                             "ether[0] & 1 = 1 and !ip6",
                             "icmp6 and ip6[40]=128",
                             "greater 64"})
    EXPECT_EQ(refusal_of(filter), "") << filter;
}

TEST(CaptureFilter, RefusesNamesThatWouldBeLookedUp) {
  for (const std::string name : {"abcd", "beef.de", "1and1.com", "10.0.0.1x"})
    EXPECT_THAT(refusal_of("host " + name), HasSubstr("`" + name + "`"));
  for (const char* filter :
       {"host foo.example", "foo.example", "src foo.example", "net foo", "ether host foo", "gateway foo",
        "tcp prot 80", "port http or src foo", "port http or host foo", "not foo", "(foo)", "ip host foo:1",
        "host \\tcp", "host fe80::foo", "host len-4", "dst host 10.0.0.1 or foo", "port 80 or tcp or foo",
        "ip[foo]=1", "decnet host foo"})
    EXPECT_THAT(refusal_of(filter), HasSubstr("looks up no names")) << filter;
}

TEST(CaptureFilter, RefusesWhatLibpcapDoesNotUnderstand) {
  EXPECT_THAT(refusal_of("port"), HasSubstr("syntax error"));
  EXPECT_THAT(refusal_of("port 99999"), HasSubstr("man pcap-filter"));
}

TEST(CaptureFilter, IsNotLongerThanWhatIsCompiledSoon) {
  std::string filter = "port 0";
  for (int port = 1; filter.size() <= 1024; ++port) filter += " or port " + std::to_string(port);
  EXPECT_THAT(refusal_of(filter), HasSubstr("more than 1024"));
}

}  // namespace
}  // namespace lanwright::capture
