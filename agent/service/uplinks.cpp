#include "agent/service/uplinks.h"

#include <algorithm>

#include "model/base/names.h"
#include "reconcilers/drivers/registry.h"

namespace lanwright::service {
namespace {

Error refused(const std::string& network, const Uplink& uplink, std::string words) {
  return {ErrorKind::invalid, "add uplink " + uplink.interface + " to", "network " + network, 0,
          std::move(words),   "see `lanwright uplink add --help`"};
}

Result<void> check_name(const std::string& network, const Uplink& uplink) {
  if (uplink.interface == "lo") return refused(network, uplink, "the loopback interface is no uplink");
  const char* fault = interface_reference_fault(uplink.interface);
  if (fault == nullptr) return {};
  return refused(network, uplink, "`" + uplink.interface + "` is no name of an interface: it " + fault);
}

Result<void> check_driver(const std::string& network, const NetworkSpec& spec, const Uplink& uplink) {
  Result<void> result;
  const auto complain = [&](const std::string& path, const std::string& message) {
    if (result) result = refused(network, uplink, path + ": " + message);
  };
  for (const DriverSchema& grammar : drivers::driver_grammar()) {
    if (grammar.name == spec.driver && grammar.check_network) grammar.check_network(network, spec, complain);
  }
  return result;
}

auto find(std::vector<Uplink>& uplinks, const std::string& interface) {
  return std::find_if(uplinks.begin(), uplinks.end(),
                      [&](const Uplink& uplink) { return uplink.interface == interface; });
}

}  // namespace

Result<NetworkSpec> with_uplink(const std::string& network, NetworkSpec spec, const Uplink& uplink) {
  if (auto checked = check_name(network, uplink); !checked) return checked.error();
  const auto known = find(spec.uplinks, uplink.interface);
  if (known == spec.uplinks.end())
    spec.uplinks.push_back(uplink);
  else
    known->vlans = uplink.vlans;
  if (auto checked = check_driver(network, spec, uplink); !checked) return checked.error();
  return spec;
}

Result<NetworkSpec> without_uplink(NetworkSpec spec, const std::string& interface) {
  const auto known = find(spec.uplinks, interface);
  if (known != spec.uplinks.end()) spec.uplinks.erase(known);
  return spec;
}

}  // namespace lanwright::service
