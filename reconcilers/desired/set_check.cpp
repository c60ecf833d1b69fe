#include "reconcilers/desired/set_check.h"

#include <memory>
#include <string>
#include <utility>

#include "reconcilers/desired/allocations.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::desired {
namespace {

// Identities do not matter here, as long as they differ.
void put(DesiredState& desired, ResourceId id, const ObjectSpec& spec) {
  Declaration object;
  object.uid = id.text();
  object.id = std::move(id);
  object.set = "checked";
  object.spec = std::make_shared<const ObjectSpec>(spec);
  desired.put(std::move(object));
}

}  // namespace

std::vector<Error> faults_between(const SetSpec& set) {
  DesiredState desired;
  for (const auto& [name, spec] : set.vlans) put(desired, {Kind::vlan, name}, spec);
  for (const auto& [name, spec] : set.networks) put(desired, {Kind::network, name}, spec);
  for (const auto& [name, spec] : set.attachments) put(desired, {Kind::attachment, name}, spec);
  std::vector<Error> faults;
  for (const auto& [id, entry] : desired.entries()) {
    const std::set<ResourceId> one = {id};
    if (auto checked = desired.check(&one); !checked) faults.push_back(checked.error());
  }
  for (const auto& [name, spec] : set.networks) {
    if (auto allocations = allocate_addresses(desired, name); !allocations)
      faults.push_back(allocations.error());
  }
  return faults;
}

}  // namespace lanwright::desired
