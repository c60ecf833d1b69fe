#include "reconcilers/set_check.h"

#include <memory>
#include <string>
#include <utility>

#include "reconcilers/blueprint.h"
#include "reconcilers/leases.h"

namespace lanwright {
namespace {

// Identities do not matter here, as long as they differ.
void put(Blueprint& blueprint, ResourceId id, const ObjectSpec& spec) {
  WantedObject object;
  object.uid = id.text();
  object.id = std::move(id);
  object.set = "checked";
  object.spec = std::make_shared<const ObjectSpec>(spec);
  blueprint.put(std::move(object));
}

}  // namespace

std::vector<Error> faults_between(const SetSpec& set) {
  Blueprint blueprint;
  for (const auto& [name, spec] : set.vlans) put(blueprint, {Kind::vlan, name}, spec);
  for (const auto& [name, spec] : set.networks) put(blueprint, {Kind::network, name}, spec);
  for (const auto& [name, spec] : set.attachments) put(blueprint, {Kind::attachment, name}, spec);
  std::vector<Error> faults;
  for (const auto& [id, entry] : blueprint.entries()) {
    const std::set<ResourceId> one = {id};
    if (auto checked = blueprint.check(&one); !checked) faults.push_back(checked.error());
  }
  for (const auto& [name, spec] : set.networks) {
    if (auto leases = lease_addresses(blueprint, name); !leases) faults.push_back(leases.error());
  }
  return faults;
}

}  // namespace lanwright
