#include "agent/host/managers.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

namespace lanwright::host {
namespace {

// The value of KEY=VALUE in a file of such lines; "" when there is none.
std::string value_in(const std::filesystem::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key) && line.substr(key.size()).starts_with('=')) return line.substr(key.size() + 1);
  }
  return {};
}

// systemd.syntax(7)
bool is_true(const std::string& value) {
  constexpr std::array<std::string_view, 4> kTrue{"1", "yes", "true", "on"};
  return std::find(kTrue.begin(), kTrue.end(), value) != kTrue.end();
}

std::string remedy_for_networkd(const std::string& name, const std::filesystem::path& state) {
  const std::string file = value_in(state, "NETWORK_FILE");
  if (file.empty() || value_in(state, "ADMIN_STATE") == "unmanaged") return {};
  if (is_true(value_in(file, "KeepMaster"))) return {};
  return "systemd-networkd configures " + name + " by " + file +
         " and takes it off its master: let a .network file for " + name +
         " that sorts before that one say KeepMaster=yes, DHCP=no and LinkLocalAddressing=no in [Network] "
         "and "
         "RequiredForOnline=no in [Link], or only Unmanaged=yes in [Link]; then networkctl reload";
}

std::string remedy_for_network_manager(const std::string& name, const std::filesystem::path& state) {
  if (!is_true(value_in(state, "managed"))) return {};
  return "NetworkManager configures " + name + " and takes it off its master: nmcli device set " + name +
         " managed no";
}

}  // namespace

std::string remedy_for_uplink(const std::string& name, int ifindex, const std::filesystem::path& run) {
  const std::string number = std::to_string(ifindex);
  const std::string networkd = remedy_for_networkd(name, run / "systemd/netif/links" / number);
  return networkd.empty() ? remedy_for_network_manager(name, run / "NetworkManager/devices" / number)
                          : networkd;
}

}  // namespace lanwright::host
