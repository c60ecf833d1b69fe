#include "reconcilers/plan/switches.h"

#include <algorithm>
#include <utility>

namespace lanwright::planning {
namespace {

Error blocked_by(ErrorKind kind, const desired::DesiredObject& entry, std::string words, std::string hint) {
  return {kind, "run", "switch of " + entry.object.id.text(), 0, std::move(words), std::move(hint)};
}

Error starting(const desired::DesiredObject& entry, const std::string& network) {
  return {ErrorKind::busy,
          "wait for",
          "the switch of " + entry.object.id.text(),
          0,
          "the switch of network " + network + " was started and does not answer yet",
          {}};
}

// Which of the two processes, or what between them, is missing.
std::string missing_part(const SwitchFact* fact, const SwitchSpec& spec) {
  if (fact == nullptr) return "missing";
  if (fact->pid == 0) return "the switch does not run";
  if (fact->plug_pid == 0) return "its plug does not run";
  if (spec.hub && !fact->connected) return "its plug is not connected";
  return {};
}

bool shares_port(const desired::DesiredObject& network) {
  const drivers::Resources resources = network.compile();
  return resources.vswitch && resources.vswitch->hub;
}

}  // namespace

SwitchPlanner::Outcome SwitchPlanner::compare(const desired::DesiredObject& entry,
                                              const drivers::Resources& resources,
                                              const std::set<LinkName>& made, bool with_plugs) {
  Outcome outcome;
  if (observed_.switches.empty() && !resources.vswitch && resources.plugs.empty()) return outcome;
  unplug_strays(entry, resources, made, outcome);
  if (entry.object.deleting) return outcome;
  if (resources.vswitch) compare_vswitch(entry, *resources.vswitch, outcome);
  if (!with_plugs) return outcome;
  for (const PlugSpec& plug : resources.plugs) {
    if (!outcome.blocked) compare_plug(entry, plug, made, outcome);
  }
  return outcome;
}

const std::set<std::string>& SwitchPlanner::networks_of(const ObjectUid& uid) {
  static const std::set<std::string> none;
  if (!std::exchange(indexed_, true)) {
    for (const auto& [network, fact] : observed_.switches) {
      if (!fact.uid.empty()) networks_[fact.uid].insert(network);
      for (const auto& [mark, plug] : fact.plugs) networks_[mark.uid].insert(network);
    }
  }
  const auto found = networks_.find(uid);
  return found == networks_.end() ? none : found->second;
}

// What is plugged in with a mark of this object that it does not want any more, or whose interface is gone,
// and switches of its own.
void SwitchPlanner::unplug_strays(const desired::DesiredObject& entry, const drivers::Resources& resources,
                                  const std::set<LinkName>& made, Outcome& outcome) {
  for (const std::string& network : networks_of(entry.object.uid)) {
    const SwitchFact& fact = observed_.switches.at(network);
    const bool own = fact.uid == entry.object.uid;
    const bool kept = resources.vswitch && !entry.object.deleting;
    if (own && (!kept || resources.vswitch->network != network)) {
      outcome.removals.push_back(
          {StopSwitch{{"", network}, fact.uid}, "no longer declared", {}, Disruption::none});
      continue;
    }
    for (auto plug = fact.plugs.lower_bound(OwnerTag{entry.object.uid, {}});
         plug != fact.plugs.end() && plug->first.uid == entry.object.uid; ++plug) {
      const bool wanted =
          !entry.object.deleting &&
          std::any_of(resources.plugs.begin(), resources.plugs.end(), [&](const PlugSpec& spec) {
            return spec.network == network && spec.role == plug->first.role &&
                   (spec.delegated || made.contains(spec.link) || observed_.find(spec.link) != nullptr);
          });
      if (!wanted)
        outcome.removals.push_back(
            {Unplug{{"", network}, plug->first}, "no longer declared", {}, Disruption::none});
    }
  }
}

void SwitchPlanner::compare_vswitch(const desired::DesiredObject& entry, const SwitchSpec& spec,
                                    Outcome& outcome) {
  const auto found = observed_.switches.find(spec.network);
  const SwitchFact* fact = found == observed_.switches.end() ? nullptr : &found->second;
  RunSwitch step{{"", spec.network}, spec, entry.object.uid, false};
  if (fact != nullptr && !fact->foreign.empty()) {
    outcome.blocked = blocked_by(ErrorKind::conflict, entry, fact->foreign,
                                 "end who uses it and remove the directory, or choose another name");
    return;
  }
  if (fact != nullptr && fact->uid != entry.object.uid) {
    const desired::DesiredObject* owner = desired_.find_uid(fact->uid);
    if (owner != nullptr) {
      outcome.blocked =
          blocked_by(ErrorKind::waiting, entry, "its place is still held by " + owner->object.id.text(),
                     "it starts as soon as that is gone");
      return;
    }
    if (!entry.object.adopt) {
      outcome.blocked = blocked_by(
          ErrorKind::conflict, entry,
          "a switch in its place carries the mark of an agent with another store (" + fact->uid + ")",
          "apply with --adopt to replace it");
      return;
    }
    step.anew = true;
  }
  std::string reason = missing_part(fact, spec);
  Disruption disruption = Disruption::none;
  if (fact != nullptr && (step.anew || fact->settings != spec.settings())) {
    reason = step.anew ? "another agent's"
                       : "settings are `" + fact->settings + "`, wanted `" + spec.settings() + "`";
    step.anew = true;
    disruption = Disruption::flap;
  }
  if (reason.empty()) return;
  if (fact != nullptr && fact->starting && !step.anew) {
    outcome.blocked = starting(entry, spec.network);
    return;
  }
  run_.insert(spec.network);
  if (fact == nullptr || step.anew || fact->plug_pid == 0) fresh_.insert(spec.network);
  outcome.changes.push_back({std::move(step), std::move(reason), {"switch"}, disruption});
}

LinkName SwitchPlanner::place_of(const PlugSpec& spec, const OwnerTag& mark) const {
  if (!spec.delegated) return spec.link;
  for (const std::string* netns : {&spec.link.netns, &spec.delegate_netns}) {
    const NamespaceFacts* place = observed_.find(*netns);
    const LinkFact* link = place != nullptr ? place->find(mark) : nullptr;
    if (link != nullptr) return {*netns, link->name};
  }
  return spec.link;
}

void SwitchPlanner::compare_plug(const desired::DesiredObject& entry, const PlugSpec& spec,
                                 const std::set<LinkName>& made, Outcome& outcome) {
  const desired::DesiredObject* network = entry.network ? entry.network.get() : &entry;
  const auto found = observed_.switches.find(spec.network);
  const SwitchFact* fact = found == observed_.switches.end() ? nullptr : &found->second;
  const bool own = fact != nullptr && fact->uid == network->object.uid;
  const bool runs = own && fact->pid != 0 && fact->plug_pid != 0;
  if (!runs && !run_.contains(spec.network)) {
    outcome.blocked = own && fact->starting ? starting(entry, spec.network)
                                            : Error{ErrorKind::waiting,
                                                    "plug in",
                                                    entry.object.id.text(),
                                                    0,
                                                    "the switch of network " + spec.network + " does not run",
                                                    "see the condition of network " + spec.network};
    return;
  }
  const OwnerTag mark{entry.object.uid, spec.role};
  const bool is_new = made.contains(spec.link);
  const LinkName where = is_new ? spec.link : place_of(spec, mark);
  const LinkFact* link = is_new ? nullptr : observed_.find(where);
  const NamespaceFacts* place = observed_.find(where.netns);
  if (spec.delegated && link == nullptr && !is_new) return;  // on its way
  const auto plugged = own ? fact->plugs.find(mark) : std::map<OwnerTag, PlugFact>::const_iterator{};
  const bool known = own && plugged != fact->plugs.end() && !fresh_.contains(spec.network);
  const bool shared = shares_port(*network);
  std::string reason = "missing";
  if (known) {
    const PlugFact& is = plugged->second;
    reason.clear();
    // Whose tap was removed is not known any more: one that is known was moved at most.
    const bool another =
        link == nullptr || is.ifindex != link->ifindex || place == nullptr || is.netns != place->inode;
    if (is_new || (another && !spec.delegated))
      reason = "its interface is another one";
    else if (is.tap != spec.tap)
      reason = "it is plugged in in another way";
    else if (shared != (is.port == 0) || (!shared && (!is.connected || run_.contains(spec.network))))
      reason = "it is not connected to the switch";
    else if (!shared && is.vlans != spec.vlans)
      reason = "its VLANs are others";
    if (reason.empty()) return;
  }
  outcome.changes.push_back(
      {PlugIn{where, spec, mark, !shared}, std::move(reason), {"plug"}, Disruption::none});
}

}  // namespace lanwright::planning
