#include "tests/integration/cable.h"

#include <filesystem>

namespace lanwright::test {

void lay_cable(const Sandbox& sandbox, const std::string& link, const std::string& neighbour,
               const std::vector<std::string>& addresses) {
  if (!std::filesystem::exists("/run/netns/" + neighbour)) sandbox.add_netns(neighbour);
  sandbox.ip("link add " + link + " type veth peer name eth0 netns " + neighbour);
  for (const auto& address : addresses)
    sandbox.ip("-n " + neighbour + " addr add " + address + " dev eth0 nodad");
  sandbox.ip("-n " + neighbour + " link set eth0 up");
  sandbox.ip("link set " + link + " up");
}

void end_vlan(const Sandbox& sandbox, const std::string& neighbour, const std::string& vid,
              const std::string& address) {
  const std::string netns = "vlan" + vid;
  sandbox.add_netns(netns);
  sandbox.ip("-n " + neighbour + " link add link eth0 name end" + vid + " type vlan id " + vid);
  sandbox.ip("-n " + neighbour + " link set end" + vid + " netns " + netns + " name end");
  sandbox.ip("-n " + netns + " addr add " + address + " dev end");
  sandbox.ip("-n " + netns + " link set end up");
}

std::string lacking_kind(const Sandbox& sandbox) {
  std::string lacking;
  for (const std::string kind : {"dummy", "vlan id 7", "ipvlan"}) {
    sandbox.ip("link add try0 type veth peer name try1");
    const std::string under = kind == "dummy" ? "" : "link try0 ";
    if (!sandbox.try_ip("link add " + under + "name try2 type " + kind)) lacking = kind;
    for (const char* name : {"try0", "try2"}) sandbox.try_ip(std::string("link del ") + name);
    if (!lacking.empty()) break;
  }
  return lacking;
}

}  // namespace lanwright::test
