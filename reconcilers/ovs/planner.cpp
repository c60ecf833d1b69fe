#include "reconcilers/ovs/planner.h"

#include <algorithm>
#include <utility>

namespace lanwright::ovs {
namespace {

constexpr const char* kNotDeclared = "no longer declared";

Error blocked_by(ErrorKind kind, const std::string& object, std::string words, std::string hint) {
  return {kind, "use", object + " of Open vSwitch", 0, std::move(words), std::move(hint)};
}

std::string differs(const char* what, const std::string& is, const std::string& wanted) {
  return std::string(what) + " is " + (is.empty() ? "not set" : is) + ", wanted " + wanted;
}

class Planner {
 public:
  Planner(const Wanted& wanted, const Observed& observed) : wanted_(wanted), observed_(observed) {}

  Plan run() {
    if (!observed_.live || !observed_.initialised) {
      for (const auto& [name, spec] : wanted_.bridges)
        block(name, "", ErrorKind::waiting,
              observed_.live ? "its database is not initialised" : "its database cannot be reached",
              "start Open vSwitch: systemctl start openvswitch-switch");
      return std::move(plan_);
    }
    for (const auto& [name, fact] : observed_.bridges) remove_strays(name, fact);
    for (const auto& [name, spec] : wanted_.bridges) compare(name, spec);
    std::stable_sort(plan_.actions.begin(), plan_.actions.end(),
                     [](const Action& a, const Action& b) { return a.stage < b.stage; });
    return std::move(plan_);
  }

 private:
  void act(int stage, Step step, std::string reason, std::vector<std::string> differences = {},
           Disruption disruption = Disruption::none) {
    plan_.actions.push_back({stage, std::move(step), std::move(reason), std::move(differences), disruption});
  }
  void block(const std::string& bridge, const std::string& port, ErrorKind kind, std::string words,
             std::string hint) {
    const std::string object = port.empty() ? "bridge " + bridge : "port " + port;
    plan_.blocked.push_back({bridge, port, blocked_by(kind, object, std::move(words), std::move(hint))});
  }

  // What carries a mark of the agent's and is not wanted, be it that it is wanted elsewhere.
  void remove_strays(const std::string& name, const BridgeFact& fact) {
    if (!fact.mark) return;
    const auto wanted = wanted_.bridges.find(name);
    const bool is_kept = wanted != wanted_.bridges.end() && wanted->second.uid == fact.mark->uid;
    if (!is_kept) {
      const bool is_renamed =
          std::any_of(wanted_.bridges.begin(), wanted_.bridges.end(),
                      [&](const auto& each) { return each.second.uid == fact.mark->uid; });
      if (is_renamed || wanted_.deleted.contains(fact.mark->uid))
        act(kRemovals, RemoveBridge{name, fact.mark->uid},
            is_renamed ? "it has another name by now" : kNotDeclared);
      return;
    }
    RemovePorts removal{name, fact.mark->uid, {}};
    for (const auto& [port, is] : fact.ports) {
      const bool is_wanted = wanted->second.ports.contains(port);
      if (is.mark && !is_wanted) removal.ports.emplace(port, *is.mark);
    }
    if (!removal.ports.empty()) act(kRemovals, std::move(removal), kNotDeclared, {"ports"});
  }

  void compare(const std::string& name, const BridgeSpec& spec) {
    const auto known = observed_.bridges.find(name);
    if (known == observed_.bridges.end()) {
      create(name, spec);
    } else if (!known->second.mark) {
      return block(name, "", ErrorKind::conflict, "it is there already and not ours",
                   "remove it, or choose another name");
    } else if (known->second.mark->uid != spec.uid) {
      const bool goes = wanted_.deleted.contains(known->second.mark->uid);
      return block(name, "", goes ? ErrorKind::waiting : ErrorKind::conflict,
                   "it still carries the mark of another object (" + known->second.mark->text() + ")",
                   goes ? "it is made as soon as that is gone" : "remove it, or choose another name");
    } else {
      change(name, spec, known->second);
      compare_ports(name, spec, known->second);
    }
    compare_controllers(name, spec, known == observed_.bridges.end() ? BridgeFact() : known->second);
  }

  void create(const std::string& name, const BridgeSpec& spec) {
    BridgeSpec first = spec;
    first.controllers.reset();
    first.ports.clear();
    std::map<std::string, PortSpec> rest;
    for (const auto& [port, each] : spec.ports) {
      if (is_free(name, port))
        (first.ports.size() + 1 < kMostPortsAtOnce ? first.ports : rest).emplace(port, each);
    }
    act(kBridges, CreateBridge{name, std::move(first)}, "missing");
    add_ports(name, spec.uid, rest);
  }

  void add_ports(const std::string& name, const ObjectUid& uid,
                 const std::map<std::string, PortSpec>& ports) {
    int stage = kPorts;
    for (auto next = ports.begin(); next != ports.end(); ++stage) {
      AddPorts step{name, uid, {}};
      for (; next != ports.end() && step.ports.size() < kMostPortsAtOnce; ++next) step.ports.insert(*next);
      act(stage, std::move(step), "missing", {"ports"});
    }
  }

  // Ports of the whole database have names of their own.
  bool is_free(const std::string& bridge, const std::string& port) {
    const std::string* other = bridge_of(observed_, port);
    if (other == nullptr) return true;
    const BridgeFact& there = observed_.bridges.at(*other);
    const bool goes = there.mark && there.ports.at(port).mark;
    block(bridge, port, goes ? ErrorKind::waiting : ErrorKind::conflict,
          "it is a port of bridge " + *other + " already",
          goes ? "it is plugged in as soon as it is taken off" : "take it off: ovs-vsctl del-port " + port);
    return false;
  }

  void change(const std::string& name, const BridgeSpec& spec, const BridgeFact& fact) {
    ChangeBridge step{name, spec.uid, {}, {}, {}, {}, false};
    std::vector<std::string> reasons;
    std::vector<std::string> names;
    Disruption disruption = Disruption::none;
    const auto note = [&](const char* what, const std::string& is, const std::string& wanted,
                          Disruption felt) {
      reasons.push_back(differs(what, is, wanted));
      names.emplace_back(what);
      disruption = std::max(disruption, felt);
    };
    if (fact.datapath_type != spec.datapath_type) {
      step.datapath_type = spec.datapath_type;
      note("datapath_type", fact.datapath_type, spec.datapath_type, Disruption::recreate);
    }
    if (fact.fail_mode != spec.fail_mode) {
      step.fail_mode = spec.fail_mode;
      note("fail_mode", fact.fail_mode, spec.fail_mode, Disruption::none);
    }
    // Of these two a connected controller loses sight of the bridge, and begins anew.
    if (spec.datapath_id && fact.datapath_id != *spec.datapath_id) {
      step.datapath_id = spec.datapath_id;
      note("datapath_id", fact.datapath_id, *spec.datapath_id, Disruption::flap);
    }
    if (!spec.protocols.empty() && fact.protocols != spec.protocols) {
      step.protocols = spec.protocols;
      note("protocols", joined(fact.protocols), joined(spec.protocols), Disruption::flap);
    }
    if (fact.in_band) {
      step.out_of_band = true;
      note("disable-in-band", "", "true", Disruption::none);
    }
    if (reasons.empty()) return;
    std::string reason;
    for (const std::string& each : reasons) reason += (reason.empty() ? "" : "; ") + each;
    act(kBridges, std::move(step), std::move(reason), std::move(names), disruption);
  }

  static std::string joined(const std::set<std::string>& words) {
    std::string text;
    for (const std::string& each : words) text += (text.empty() ? "" : ",") + each;
    return text;
  }

  void compare_ports(const std::string& name, const BridgeSpec& spec, const BridgeFact& fact) {
    std::map<std::string, PortSpec> missing;
    for (const auto& [port, each] : spec.ports) {
      const auto known = fact.ports.find(port);
      if (known == fact.ports.end()) {
        if (is_free(name, port)) missing.emplace(port, each);
      } else if (known->second.mark != each.mark) {
        block(name, port, ErrorKind::conflict, "it is there already and not ours",
              "take it off: ovs-vsctl del-port " + port);
      } else {
        compare_port(name, spec.uid, port, each, known->second);
      }
    }
    add_ports(name, spec.uid, missing);
  }

  void compare_port(const std::string& bridge, const ObjectUid& uid, const std::string& port,
                    const PortSpec& spec, const PortFact& fact) {
    const ChangePort step{bridge, uid, port, spec};
    const auto number = [](const std::optional<std::int64_t>& value) {
      return value ? std::to_string(*value) : std::string();
    };
    if (spec.ofport && fact.ofport_request != spec.ofport)
      return act(kBridges, step, differs("ofport", number(fact.ofport_request), number(spec.ofport)),
                 {"ofport"}, Disruption::flap);
    if (fact.vlans != spec.vlans) return act(kBridges, step, "its VLANs are others", {"vlans"});
    if (fact.error && !fact.error->empty())
      return block(bridge, port, ErrorKind::waiting, *fact.error,
                   "Open vSwitch tries again when the device changes");
    if (!fact.ofport && !observed_.taken_up)
      return block(bridge, port, ErrorKind::waiting, "ovs-vswitchd has not taken it up yet",
                   "see whether it runs: systemctl status ovs-vswitchd");
    if (!fact.ofport || *fact.ofport <= 0)
      return block(bridge, port, ErrorKind::unsupported, "ovs-vswitchd gave it no OpenFlow port",
                   "see its log; for datapath `system` load the module openvswitch");
    if (spec.ofport && fact.ofport != spec.ofport)
      block(bridge, port, ErrorKind::conflict,
            "another port has OpenFlow port " + number(spec.ofport) + ", and it got " + number(fact.ofport),
            "choose another ofport");
  }

  void compare_controllers(const std::string& name, const BridgeSpec& spec, const BridgeFact& fact) {
    if (!spec.controllers) return;
    const auto& wanted = *spec.controllers;
    const auto is_there = [&](const ControllerSpec& each) {
      return std::any_of(fact.controllers.begin(), fact.controllers.end(), [&](const ControllerFact& is) {
        return is.target == each.target && (!each.max_backoff || is.max_backoff == each.max_backoff);
      });
    };
    const bool same =
        fact.controllers.size() == wanted.size() && std::all_of(wanted.begin(), wanted.end(), is_there);
    if (same) return;
    const bool loses = std::any_of(fact.controllers.begin(), fact.controllers.end(), [&](const auto& is) {
      return std::none_of(wanted.begin(), wanted.end(),
                          [&](const ControllerSpec& each) { return each.target == is.target; });
    });
    act(kControllers, SetControllers{name, spec.uid, wanted}, "its controllers are others", {"controllers"},
        loses ? Disruption::flap : Disruption::none);
  }

  const Wanted& wanted_;
  const Observed& observed_;
  Plan plan_;
};

}  // namespace

Plan plan(const Wanted& wanted, const Observed& observed) {
  return Planner(wanted, observed).run();
}

}  // namespace lanwright::ovs
