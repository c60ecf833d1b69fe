#include "reconcilers/drivers/registry.h"

#include <array>

namespace lanwright::drivers {

const Driver& bridge_driver();
const Driver& ipvlan_driver();
const Driver& macvlan_driver();
const Driver& ovs_driver();
const Driver& vde_driver();

namespace {

// An explicit table: self-registration from a static library vanishes silently when nothing refers to it.
const auto& table() {
  static const std::array drivers = {
      &bridge_driver(), &vde_driver(), &macvlan_driver(), &ipvlan_driver(), &ovs_driver(),
  };
  return drivers;
}

}  // namespace

const Driver* find_driver(const std::string& name) {
  for (const Driver* driver : table()) {
    if (driver->grammar().name == name) return driver;
  }
  return nullptr;
}

const Grammar& driver_grammar() {
  static const Grammar grammar = [] {
    Grammar all;
    for (const Driver* driver : table()) all.push_back(driver->grammar());
    return all;
  }();
  return grammar;
}

}  // namespace lanwright::drivers
