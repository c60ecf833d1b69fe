// A SwitchBackend that does what it is told, in memory. Held against the real one by the integration tests of
// the driver vde, which show the same phases with processes.
#pragma once

#include <sys/eventfd.h>

#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "reconcilers/backends/switch_backend.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::test {

class MemorySwitches final : public SwitchBackend {
 public:
  // What a test does from outside; the agent hears of it.
  void kill(const std::string& network) {
    SwitchFact& fact = facts_.at(network);
    fact.pid = 0;
    fact.connected = false;
    for (auto& [mark, plug] : fact.plugs) plug.connected = false;
    tell(network);
  }
  void kill_plug(const std::string& network) {
    SwitchFact& fact = facts_.at(network);
    fact.plug_pid = 0;
    fact.connected = false;
    fact.plugs.clear();
    tell(network);
  }
  void occupy(const std::string& network, std::string words) { facts_[network].foreign = std::move(words); }
  void give_to(const std::string& network, const ObjectUid& uid) { facts_.at(network).uid = uid; }
  // It is started and does not answer until it comes up.
  void hold(const std::string& network) { held_.insert(network); }
  void come_up(const std::string& network) {
    held_.erase(network);
    SwitchFact& fact = facts_.at(network);
    fact.starting = false;
    fact.pid = ++last_pid_;
    tell(network);
  }
  void fail_next(Error error) { failure_ = std::move(error); }

  int event_fd() const override { return events_.get(); }

  ObservedChange drain(Observed& observed) override {
    eventfd_t count = 0;
    ::eventfd_read(events_.get(), &count);
    observed.switches = facts_;
    return std::exchange(touched_, {});
  }

  Result<ObservedChange> resync(Observed& observed) override {
    observed.switches = facts_;
    return ObservedChange{};
  }

  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override {
    std::vector<Result<void>> results;
    for (const Action* action : actions)
      results.push_back(std::visit([&](const auto& step) { return perform(step, observed); }, action->step));
    observed.switches = facts_;
    return results;
  }

  std::vector<SwitchReport> report(const Observed& observed) override {
    std::vector<SwitchReport> reports;
    for (const auto& [network, fact] : observed.switches) {
      reports.emplace_back();
      reports.back().network = network;
      reports.back().fact = fact;
    }
    return reports;
  }

 private:
  void tell(const std::string& network) {
    touched_.switches.insert(network);
    touched_.uids.insert(facts_.at(network).uid);
    ::eventfd_write(events_.get(), 1);
  }

  Result<void> perform(const RunSwitch& step, const Observed& /*observed*/) {
    if (failure_) return *std::exchange(failure_, std::nullopt);
    SwitchFact& fact = facts_[step.at.name];
    if (step.anew || fact.uid != step.uid) fact = {};
    fact.uid = step.uid;
    fact.settings = step.spec.settings();
    if (held_.contains(step.at.name)) {
      fact.starting = true;
      return Error{ErrorKind::waiting, "start", step.at.name, 0, "it does not answer yet", {}};
    }
    if (fact.pid == 0) fact.pid = ++last_pid_;
    if (fact.plug_pid == 0) fact.plug_pid = ++last_pid_;
    fact.connected = step.spec.hub;
    tell(step.at.name);
    return {};
  }
  Result<void> perform(const StopSwitch& step, const Observed& /*observed*/) {
    facts_.erase(step.at.name);
    return {};
  }
  Result<void> perform(const PlugIn& step, const Observed& observed) {
    const auto fact = facts_.find(step.spec.network);
    if (fact == facts_.end() || fact->second.plug_pid == 0)
      return Error{ErrorKind::waiting, "plug in", step.at.text(), 0, "the plug does not run", {}};
    const LinkFact* link = observed.find(step.at);
    if (link == nullptr) return Error{ErrorKind::waiting, "plug in", step.at.text(), 0, "no such link", {}};
    PlugFact plug;
    plug.mark = step.mark;
    plug.tap = step.spec.tap;
    plug.ifindex = link->ifindex;
    plug.netns = observed.find(step.at.netns)->inode;
    plug.port = step.own_port ? 1 : 0;
    plug.vlans = step.spec.vlans;
    plug.connected = true;
    fact->second.plugs[step.mark] = plug;
    return {};
  }
  Result<void> perform(const Unplug& step, const Observed& /*observed*/) {
    const auto fact = facts_.find(step.at.name);  // gone with its switch, perhaps
    if (fact != facts_.end()) fact->second.plugs.erase(step.mark);
    return {};
  }
  template <class Other>
  Result<void> perform(const Other& /*step*/, const Observed& /*observed*/) {
    return Error{ErrorKind::internal, "act", "a link", 0, "this is no work for switches", {}};
  }

  os::Descriptor events_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::map<std::string, SwitchFact> facts_;
  ObservedChange touched_;
  std::optional<Error> failure_;
  std::set<std::string> held_;
  int last_pid_ = 1000;
};

}  // namespace lanwright::test
