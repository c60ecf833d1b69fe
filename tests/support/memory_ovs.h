// Open vSwitch in memory: does what it is told as ovs-vswitchd would, with the bridges' local ports as links
// of a kernel in memory. Held against the real one by the integration tests of the driver ovs, which show the
// same phases.
#pragma once

#include <sys/eventfd.h>

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reconcilers/backends/source.h"
#include "reconcilers/os/descriptor.h"
#include "tests/support/memory_kernel.h"

namespace lanwright::test {

class MemoryOvs final : public Source {
 public:
  // The kernel outlives this.
  explicit MemoryOvs(MemoryKernel& kernel) : kernel_(kernel) {
    facts_.live = facts_.initialised = facts_.taken_up = true;
  }

  // What a test does from outside; the agent hears of it.
  template <class Edit>
  void change(Edit edit) {
    edit(facts_);
    touched_.full_resync = true;
    ::eventfd_write(events_.get(), 1);
  }
  void delete_bridge(const std::string& bridge) {
    kernel_.delete_link({"", bridge});
    change([&](OvsFacts& facts) { facts.bridges.erase(bridge); });
  }
  const OvsFacts& facts() const { return facts_; }

  int event_fd() const override { return events_.get(); }
  ObservedChange drain(Observed& observed) override {
    eventfd_t count = 0;
    ::eventfd_read(events_.get(), &count);
    observed.ovs = facts_;
    return std::exchange(touched_, {});
  }
  Result<ObservedChange> resync(Observed& observed) override {
    observed.ovs = facts_;
    return ObservedChange{};
  }
  bool carries_out(const Step& step) const override { return carrier_of(step) == Carrier::ovs; }

  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override {
    std::vector<Result<void>> results;
    for (const Action* action : actions)
      results.push_back(std::visit([&](const auto& step) { return perform(step); }, action->step));
    observed.ovs = facts_;
    return results;
  }

 private:
  static Error refusal(ErrorKind kind, const std::string& object, std::string words) {
    return {kind, "change", object, 0, std::move(words), {}};
  }
  OvsBridgeFact* owned(const std::string& name, const ObjectUid& uid) {
    const auto found = facts_.bridges.find(name);
    const bool is_own = found != facts_.bridges.end() && found->second.mark == OwnerTag{uid, {}};
    return is_own ? &found->second : nullptr;
  }

  Result<void> perform(const CreateOvsBridge& step) {
    if (facts_.bridges.contains(step.at.name))
      return refusal(ErrorKind::conflict, step.at.name, "it is there");
    OvsBridgeFact& fact = facts_.bridges[step.at.name];
    fact.mark = {step.uid, {}};
    fact.datapath_type = step.spec.datapath_type;
    fact.datapath_id = step.spec.datapath_id.value_or("");
    fact.running_id = step.spec.datapath_id.value_or("0000aabbccddeeff");
    fact.fail_mode = step.spec.fail_mode;
    fact.protocols = step.spec.protocols;
    fact.local_mac = step.spec.local_mac ? step.spec.local_mac->text() : "";
    fact.switching = step.spec.switching;
    fact.in_band = false;
    fact.local = OvsPortFact{};
    fact.local->ofport = 65534;
    fact.local->vlans = step.spec.local_vlans;
    if (kernel_.real().find(step.at) == nullptr) {
      LinkFact local;
      local.name = step.at.name;
      local.kind = "tun";
      local.mtu = 1500;
      kernel_.add_link("", local);
    }
    return {};
  }
  Result<void> perform(const ChangeOvsBridge& step) {
    OvsBridgeFact* fact = owned(step.at.name, step.uid);
    if (fact == nullptr) return refusal(ErrorKind::conflict, step.at.name, "it is not its owner's");
    if (step.datapath_type) fact->datapath_type = *step.datapath_type;
    if (step.datapath_id) fact->datapath_id = fact->running_id = *step.datapath_id;
    if (step.fail_mode) fact->fail_mode = *step.fail_mode;
    if (step.protocols) fact->protocols = *step.protocols;
    if (step.local_mac) fact->local_mac = step.local_mac->text();
    if (step.local_vlans) fact->local->vlans = *step.local_vlans;
    if (step.switching) fact->switching = *step.switching;
    if (step.out_of_band) fact->in_band = false;
    return {};
  }
  Result<void> perform(const SetOvsControllers& step) {
    OvsBridgeFact* fact = owned(step.at.name, step.uid);
    if (fact == nullptr) return refusal(ErrorKind::conflict, step.at.name, "it is not its owner's");
    fact->controllers.clear();
    for (const OvsController& each : step.controllers)
      fact->controllers.push_back({each.target, each.max_backoff, false});
    return {};
  }
  Result<void> perform(const RemoveOvsBridge& step) {
    if (owned(step.at.name, step.uid) == nullptr)
      return refusal(ErrorKind::conflict, step.at.name, "it is not its owner's");
    facts_.bridges.erase(step.at.name);
    kernel_.delete_link(step.at);
    return {};
  }
  // The number that is asked for when nobody has it, otherwise the lowest that is free.
  static std::int64_t number_for(const OvsBridgeFact& bridge, std::optional<std::int64_t> asked) {
    std::set<std::int64_t> taken;
    for (const auto& [name, port] : bridge.ports) taken.insert(port.ofport.value_or(0));
    if (asked && !taken.contains(*asked)) return *asked;
    std::int64_t free = 1;
    while (taken.contains(free)) ++free;
    return free;
  }
  Result<void> perform(const AddOvsPort& step) {
    OvsBridgeFact* fact = owned(step.spec.bridge, step.bridge_uid);
    if (fact == nullptr) return refusal(ErrorKind::waiting, step.at.name, "the bridge is not there yet");
    if (facts_.bridge_of(step.spec.link) != nullptr)
      return refusal(ErrorKind::conflict, step.at.name, "it is a port already");
    const LinkFact* link = kernel_.real().find(step.at);
    if (link == nullptr) return refusal(ErrorKind::waiting, step.at.name, "there is no such link");
    OvsPortFact port;
    port.mark = step.mark;
    port.ifindex = link->ifindex;
    port.ofport = number_for(*fact, step.spec.ofport);
    port.ofport_request = step.spec.ofport;
    port.vlans = step.spec.vlans;
    fact->ports.emplace(step.spec.link, port);
    return {};
  }
  Result<void> perform(const ChangeOvsPort& step) {
    OvsBridgeFact* fact = owned(step.spec.bridge, step.bridge_uid);
    if (fact == nullptr || !fact->ports.contains(step.spec.link))
      return refusal(ErrorKind::conflict, step.at.name, "it is gone");
    const OvsPortFact was = fact->ports.at(step.spec.link);
    fact->ports.erase(step.spec.link);
    const auto asked = step.spec.ofport ? step.spec.ofport : was.ofport;
    OvsPortFact port = was;
    port.ofport = number_for(*fact, asked);
    port.ofport_request = step.spec.ofport;
    port.vlans = step.spec.vlans;
    fact->ports[step.spec.link] = port;
    return {};
  }
  Result<void> perform(const RemoveOvsPort& step) {
    const auto bridge = facts_.bridges.find(step.bridge);
    if (bridge == facts_.bridges.end() || !bridge->second.ports.contains(step.at.name) ||
        bridge->second.ports.at(step.at.name).mark != step.mark)
      return refusal(ErrorKind::conflict, step.at.name, "it is gone");
    bridge->second.ports.erase(step.at.name);
    return {};
  }
  template <class Other>
  Result<void> perform(const Other& /*step*/) {
    return refusal(ErrorKind::internal, "a link", "this is no work for Open vSwitch");
  }

  MemoryKernel& kernel_;
  os::Descriptor events_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  OvsFacts facts_;
  ObservedChange touched_;
};

}  // namespace lanwright::test
