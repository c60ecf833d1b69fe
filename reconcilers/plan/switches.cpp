#include "reconcilers/plan/switches.h"

#include <algorithm>
#include <utility>

namespace lanwright::planning {
namespace {

constexpr const char* kNotDeclared = "no longer declared";

Error blocked_by(ErrorKind kind, const DesiredObject& entry, std::string words, std::string hint) {
  return {kind, "run", "switch of " + entry.object.id.text(), 0, std::move(words), std::move(hint)};
}

Error starting(const DesiredObject& entry, const std::string& network) {
  Error error{ErrorKind::busy, "wait for", "the switch of " + entry.object.id.text(), 0, {}, {}};
  error.words = "the switch of network " + network + " was started and does not answer yet";
  return error;
}

// Which of the two processes, or what between them, is missing.
std::string missing_part(const SwitchFact* fact, const SwitchSpec& spec) {
  if (fact == nullptr) return "missing";
  if (fact->pid == 0) return "the switch does not run";
  if (fact->plug_pid == 0) return "its plug does not run";
  if (spec.hub && !fact->connected) return "its plug is not connected";
  return {};
}

bool shares_port(const DesiredObject& network) {
  const Resources resources = network.compile();
  return resources.vswitch && resources.vswitch->hub;
}

}  // namespace

void Switches::compare(const Cursor& at, bool with_plugs) {
  const Resources& resources = draft_.resources_of(at.entry);
  if (draft_.observed().switches.empty() && !resources.vswitch && resources.plugs.empty()) return;
  remove_strays(at);
  if (at.entry.object.deleting) return;
  auto blocked = resources.vswitch ? compare_switch(at, *resources.vswitch) : std::nullopt;
  if (!with_plugs) return;
  for (const PlugSpec& plug : resources.plugs) {
    if (!blocked) blocked = compare_plug(at, plug);
  }
  if (blocked) draft_.block(at, std::move(*blocked));
}

const SwitchFact* Switches::find(const std::string& network) const {
  const auto& switches = draft_.observed().switches;
  const auto found = switches.find(network);
  return found == switches.end() ? nullptr : &found->second;
}

const std::set<std::string>& Switches::networks_of(const ObjectUid& uid) {
  static const std::set<std::string> none;
  if (!networks_) {
    networks_.emplace();
    for (const auto& [network, fact] : draft_.observed().switches) {
      if (!fact.uid.empty()) (*networks_)[fact.uid].insert(network);
      for (const auto& [mark, plug] : fact.plugs) (*networks_)[mark.uid].insert(network);
    }
  }
  const auto found = networks_->find(uid);
  return found == networks_->end() ? none : found->second;
}

void Switches::remove_strays(const Cursor& at) {
  const Resources& resources = draft_.resources_of(at.entry);
  for (const std::string& network : networks_of(at.entry.object.uid)) {
    const SwitchFact& fact = *find(network);
    const bool kept = resources.vswitch && !at.entry.object.deleting && resources.vswitch->network == network;
    if (fact.uid == at.entry.object.uid && !kept)
      draft_.act(at, kRemovals, StopSwitch{{"", network}, fact.uid}, kNotDeclared, {});
    else
      unplug_strays(at, network, fact);
  }
}

// What is plugged in with a mark of this object that it does not want any more, or whose interface is gone.
void Switches::unplug_strays(const Cursor& at, const std::string& network, const SwitchFact& fact) {
  const DesiredObject& entry = at.entry;
  const auto& plugs = draft_.resources_of(entry).plugs;
  const auto is_wanted = [&](const OwnerTag& mark) {
    return !entry.object.deleting && std::any_of(plugs.begin(), plugs.end(), [&](const PlugSpec& spec) {
      return spec.network == network && spec.role == mark.role &&
             (spec.delegated || draft_.creates(spec.link) || draft_.observed().find(spec.link) != nullptr);
    });
  };
  for (auto plug = fact.plugs.lower_bound(OwnerTag{entry.object.uid, {}});
       plug != fact.plugs.end() && plug->first.uid == entry.object.uid; ++plug) {
    if (!is_wanted(plug->first))
      draft_.act(at, kRemovals, Unplug{{"", network}, plug->first}, kNotDeclared, {});
  }
}

// What is in the switch's place must be ours, or is replaced.
std::optional<Error> Switches::claim_place(const DesiredObject& entry, const SwitchFact& fact,
                                           RunSwitch& step) const {
  if (!fact.foreign.empty())
    return blocked_by(ErrorKind::conflict, entry, fact.foreign,
                      "end who uses it and remove the directory, or choose another name");
  if (fact.uid == entry.object.uid) return std::nullopt;
  if (const DesiredObject* owner = draft_.desired().find_uid(fact.uid))
    return blocked_by(ErrorKind::waiting, entry, "its place is still held by " + owner->object.id.text(),
                      "it starts as soon as that is gone");
  if (!entry.object.adopt)
    return blocked_by(
        ErrorKind::conflict, entry,
        "a switch in its place carries the mark of an agent with another store (" + fact.uid + ")",
        "apply with --adopt to replace it");
  step.anew = true;
  return std::nullopt;
}

std::optional<Error> Switches::compare_switch(const Cursor& at, const SwitchSpec& spec) {
  const SwitchFact* fact = find(spec.network);
  RunSwitch step{{"", spec.network}, spec, at.entry.object.uid, false};
  if (fact != nullptr) {
    if (auto error = claim_place(at.entry, *fact, step)) return error;
  }
  std::string reason = missing_part(fact, spec);
  Disruption disruption = Disruption::none;
  if (fact != nullptr && (step.anew || fact->settings != spec.settings())) {
    reason = step.anew ? "another agent's"
                       : "settings are `" + fact->settings + "`, wanted `" + spec.settings() + "`";
    step.anew = true;
    disruption = Disruption::flap;
  }
  if (reason.empty()) return std::nullopt;
  if (fact != nullptr && fact->starting && !step.anew) return starting(at.entry, spec.network);
  run_.insert(spec.network);
  if (fact == nullptr || step.anew || fact->plug_pid == 0) fresh_.insert(spec.network);
  draft_.act(at, at.stage + kLinks, std::move(step), std::move(reason), {"switch"}, disruption);
  return std::nullopt;
}

LinkName Switches::place_of(const PlugSpec& spec, const OwnerTag& mark) const {
  if (!spec.delegated) return spec.link;
  for (const std::string* netns : {&spec.link.netns, &spec.delegate_netns}) {
    const NamespaceFacts* place = draft_.observed().find(*netns);
    const LinkFact* link = place != nullptr ? place->find(mark) : nullptr;
    if (link != nullptr) return {*netns, link->name};
  }
  return spec.link;
}

std::optional<Error> Switches::not_running(const DesiredObject& entry, const PlugSpec& spec,
                                           const SwitchFact* own) const {
  const bool runs = own != nullptr && own->pid != 0 && own->plug_pid != 0;
  if (runs || run_.contains(spec.network)) return std::nullopt;
  if (own != nullptr && own->starting) return starting(entry, spec.network);
  return Error{ErrorKind::waiting,
               "plug in",
               entry.object.id.text(),
               0,
               "the switch of network " + spec.network + " does not run",
               "see the condition of network " + spec.network};
}

std::optional<Error> Switches::compare_plug(const Cursor& at, const PlugSpec& spec) {
  const DesiredObject& network = at.entry.network ? *at.entry.network : at.entry;
  const SwitchFact* fact = find(spec.network);
  const SwitchFact* own = fact != nullptr && fact->uid == network.object.uid ? fact : nullptr;
  if (auto error = not_running(at.entry, spec, own)) return error;
  const OwnerTag mark{at.entry.object.uid, spec.role};
  const bool is_new = draft_.creates(spec.link);
  const LinkName where = is_new ? spec.link : place_of(spec, mark);
  const LinkFact* link = is_new ? nullptr : draft_.observed().find(where);
  if (spec.delegated && link == nullptr && !is_new) return std::nullopt;  // on its way
  const bool shared = shares_port(network);
  std::string reason = "missing";
  const bool known = own != nullptr && !fresh_.contains(spec.network) && own->plugs.contains(mark);
  if (known) {
    const PlugFact& is = own->plugs.at(mark);
    const NamespaceFacts* place = draft_.observed().find(where.netns);
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
    else
      return std::nullopt;
  }
  draft_.act(at, at.stage + kInnerLinks, PlugIn{where, spec, mark, !shared}, std::move(reason), {"plug"});
  return std::nullopt;
}

}  // namespace lanwright::planning
