// The kernel's links in memory, for tests of what is built on LinkBackend. It does what the kernel does to
// facts: ports are released with their bridge, VLAN links go with their parent, both ends of a veth go
// together, routes go with their link's being up. An integration test holds it against the real kernel.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reconcilers/backends/link_backend.h"
#include "reconcilers/kinds/bridge.h"

namespace lanwright::test {

class MemoryKernel final : public LinkBackend {
 public:
  MemoryKernel() : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    real_.complete = true;
    add_namespace("");
  }
  ~MemoryKernel() override { close(event_fd_); }
  MemoryKernel(const MemoryKernel&) = delete;
  MemoryKernel& operator=(const MemoryKernel&) = delete;

  // ---- what others do to the host ----
  void add_namespace(const std::string& path) {
    auto& facts = real_.namespaces[path];
    facts.present = true;
    facts.inode = ++next_inode_;
    touched_.namespaces.insert(path);
    LinkFact loopback;
    loopback.ifindex = 1;
    loopback.name = "lo";
    loopback.loopback = true;
    loopback.up = true;
    loopback.mtu = 65536;
    facts.put(loopback);
    wake();
  }
  void drop_namespace(const std::string& path) {
    while (!real_.namespaces.at(path).links().empty()) {
      const int index = real_.namespaces.at(path).links().begin()->first;
      erase(path, index);
    }
    real_.namespaces[path].present = false;
    touched_.namespaces.insert(path);
    wake();
  }
  int add_link(const std::string& netns, LinkFact fact) {
    fact.ifindex = ++next_index_;
    note(netns, fact);
    const int index = fact.ifindex;
    real_.namespaces.at(netns).put(std::move(fact));
    wake();
    return index;
  }
  void change(const LinkName& where, const std::function<void(LinkFact&)>& edit) {
    auto& facts = real_.namespaces.at(where.netns);
    const LinkFact* found = facts.find(where.name);
    if (found == nullptr) return;
    LinkFact fact = *found;
    note(where.netns, fact);
    edit(fact);
    note(where.netns, fact);
    facts.put(std::move(fact));
    wake();
  }
  void delete_link(const LinkName& where) {
    const LinkFact* found = real_.find(where);
    if (found != nullptr && !found->loopback) erase(where.netns, found->ifindex);
    wake();
  }
  // As Docker does it: into another namespace, named anew, and set up or down.
  void move_link(const LinkName& from, const LinkName& to, bool up) {
    auto& facts = real_.namespaces.at(from.netns);
    LinkFact fact = *facts.find(from.name);
    note(from.netns, fact);
    facts.erase(fact.ifindex);
    fact.name = to.name;
    fact.up = fact.lower_up = up;
    note(to.netns, fact);
    real_.namespaces.at(to.netns).put(std::move(fact));
    wake();
  }
  const Observed& real() const { return real_; }
  // The next action on a link of this name fails so.
  void fail_once(const std::string& name, Error error) { failures_[name] = std::move(error); }
  // Every action on a link of this name fails, each time with words of its own, until nothing is given.
  using Refusal = std::function<Error()>;
  void refuse(const std::string& name, Refusal refusal) { refusals_[name] = std::move(refusal); }
  // Called before every action, while the loop waits: as long as it takes.
  std::function<void(const Action&)> before_action;

  // ---- LinkBackend ----
  int event_fd() const override { return event_fd_; }
  ObservedChange drain(Observed& observed) override {
    eventfd_t value = 0;
    eventfd_read(event_fd_, &value);
    const bool complete = observed.complete;
    see(observed);
    observed.complete = complete;
    return std::exchange(touched_, {});
  }
  Result<ObservedChange> resync(Observed& observed) override {
    see(observed);
    observed.complete = true;
    ObservedChange touched = std::exchange(touched_, {});
    touched.full_resync = true;
    return touched;
  }
  ObservedChange watch(const std::set<std::string>& paths, Observed& observed) override {
    watched_ = paths;
    return drain(observed);
  }
  ObservedChange recheck(const std::string&, Observed& observed) override { return drain(observed); }
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed&) override {
    std::vector<Result<void>> results;
    for (const Action* action : actions) {
      if (before_action) before_action(*action);
      const auto failure = failures_.find(action->target().name);
      if (failure != failures_.end()) {
        results.emplace_back(failure->second);
        failures_.erase(failure);
        continue;
      }
      const auto refusal = refusals_.find(action->target().name);
      if (refusal != refusals_.end() && refusal->second) {
        results.emplace_back(refusal->second());
        continue;
      }
      ++writes_;
      results.push_back(std::visit([&](const auto& step) { return perform(step); }, action->step));
    }
    wake();
    return results;
  }
  std::uint64_t writes() const override { return writes_; }

 private:
  // Its part of what is observed: switches are others'.
  void see(Observed& observed) {
    Observed seen = visible();
    observed.namespaces = std::move(seen.namespaces);
    observed.complete = seen.complete;
  }
  template <class OfSwitch>
  Result<void> perform(const OfSwitch& /*step*/) {
    return Error{ErrorKind::internal, "act", "a switch", 0, "this is no work for the kernel", {}};
  }
  static Error error(int number, const LinkName& link) {
    return error_from_errno(number, "change", link.text());
  }

  void wake() { eventfd_write(event_fd_, 1); }

  Observed visible() const {
    Observed seen;
    seen.complete = true;
    for (const auto& [path, facts] : real_.namespaces) {
      if (path.empty() || watched_.contains(path)) seen.namespaces[path] = facts;
    }
    return seen;
  }

  void note(const std::string& netns, const LinkFact& fact) {
    touched_.links.insert({netns, fact.name});
    for (const std::string& altname : fact.altnames) touched_.links.insert({netns, altname});
    if (const auto mark = OwnerTag::parse(fact.alias)) touched_.uids.insert(mark->uid);
    ++touched_.messages;
  }

  std::optional<int> index_of(const LinkName& where) const {
    const LinkFact* found = real_.find(where);
    return found != nullptr ? std::optional(found->ifindex) : std::nullopt;
  }

  void erase(const std::string& netns, int ifindex) {
    auto& facts = real_.namespaces.at(netns);
    const LinkFact* found = facts.find(ifindex);
    if (found == nullptr) return;
    const LinkFact gone = *found;
    note(netns, gone);
    facts.erase(ifindex);
    std::vector<std::pair<std::string, int>> also;
    for (auto& [path, others] : real_.namespaces) {
      std::vector<LinkFact> released;
      for (const auto& [index, fact] : others.links()) {
        const bool on_it = fact.parent == ifindex && !fact.kind.empty() && fact.kind != "bridge";
        if (on_it) also.emplace_back(path, index);
        if (fact.master == ifindex && path == netns) released.push_back(fact);
      }
      for (LinkFact& fact : released) {
        leave_master(fact);
        note(path, fact);
        others.put(std::move(fact));
      }
    }
    for (const auto& [path, index] : also) erase(path, index);
  }

  static void leave_master(LinkFact& fact) {
    fact.master = 0;
    fact.port_kind.clear();
    std::erase_if(fact.attributes,
                  [](const auto& each) { return each.attribute->place == LinkAttribute::Place::port; });
    fact.vlans = {};
  }

  static void set(LinkAttributes& attributes, const LinkAttributeValue& wanted) {
    const auto found = std::ranges::find(attributes, wanted.attribute, &LinkAttributeValue::attribute);
    if (found == attributes.end())
      attributes.push_back(wanted);
    else
      *found = wanted;
  }

  static void join_master(LinkFact& fact, int master) {
    leave_master(fact);
    fact.master = master;
    fact.port_kind = "bridge";
    for (const auto& each : LinkAttributes{{kinds::bridge::kPortIsolated, 0},
                                           {kinds::bridge::kPortLearning, 1},
                                           {kinds::bridge::kPortUnicastFlood, 1},
                                           {kinds::bridge::kPortGroupFwdMask, 0}})
      set(fact.attributes, each);
  }

  Result<LinkFact> make(const LinkSpec& link, const OwnerTag& mark) {
    auto& facts = real_.namespaces[link.where.netns];
    if (!facts.present) return error(ENOENT, link.where);
    if (facts.find(link.where.name) != nullptr) return error(EEXIST, link.where);
    LinkFact fact;
    fact.ifindex = ++next_index_;
    fact.name = link.where.name;
    fact.kind = link.kind;
    fact.up = link.up;
    fact.lower_up = link.up;
    fact.arp = link.arp;
    fact.group = birth_group(link);
    fact.alias = mark.text();
    fact.mtu = link.mtu.value_or(1500);
    fact.mac = link.mac ? link.mac : MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(fact.ifindex)}};
    fact.ipv6 = link.ipv6;
    fact.tap_owner = link.tap_owner;
    fact.tap_group = link.tap_group;
    if (!link.altname.empty()) fact.altnames.push_back(link.altname);
    if (!link.master.empty()) {
      const auto master = index_of({link.where.netns, link.master});
      if (!master) return error(ENODEV, link.where);
      join_master(fact, *master);
    }
    if (!link.parent.empty()) {
      const LinkFact* parent = real_.find(LinkName{"", link.parent});
      if (parent == nullptr) return error(ENODEV, link.where);
      fact.parent = parent->ifindex;
      if (!link.mtu) fact.mtu = parent->mtu;
      if (!link.mac) fact.mac = parent->mac;
    }
    for (const auto& each : link.attributes) set(fact.attributes, each);
    if (link.vlans) fact.vlans = *link.vlans;
    return fact;
  }

  Result<void> perform(const CreateLink& step) {
    auto made = make(step.link, step.mark);
    if (!made) return made.error();
    LinkFact fact = std::move(*made);
    if (step.peer) {
      auto peer = make(*step.peer, *step.peer_mark);
      if (!peer) return peer.error();
      LinkFact other = std::move(*peer);
      fact.parent = other.ifindex;
      other.parent = fact.ifindex;
      note(step.peer->where.netns, other);
      real_.namespaces[step.peer->where.netns].put(std::move(other));
    }
    note(step.link.where.netns, fact);
    real_.namespaces[step.link.where.netns].put(std::move(fact));
    return {};
  }

  Result<void> perform(const ChangeLink& step) {
    const auto index = step.ifindex != 0 ? std::optional(step.ifindex) : index_of(step.where);
    auto& facts = real_.namespaces[step.where.netns];
    const LinkFact* found = index ? facts.find(*index) : nullptr;
    if (found == nullptr) return error(ENODEV, step.where);
    LinkFact fact = *found;
    note(step.where.netns, fact);
    if (step.rename) {
      if (facts.find(*step.rename) != nullptr) return error(EEXIST, step.where);
      fact.name = *step.rename;
    }
    if (step.master) {
      if (step.master->empty()) {
        leave_master(fact);
      } else {
        const auto master = index_of({step.where.netns, *step.master});
        if (!master) return error(ENODEV, step.where);
        join_master(fact, *master);
      }
    }
    if (step.mtu) fact.mtu = *step.mtu;
    if (step.mac) fact.mac = step.mac;
    if (step.alias) fact.alias = *step.alias;
    if (step.group) fact.group = *step.group;
    if (step.ipv6) fact.ipv6 = *step.ipv6;
    if (step.arp) fact.arp = *step.arp;
    if (step.add_altname) fact.altnames.push_back(*step.add_altname);
    if (step.tap_owner) fact.tap_owner = step.tap_owner;
    if (step.tap_group) fact.tap_group = step.tap_group;
    for (const auto& each : step.attributes) set(fact.attributes, each);
    change_vlans(fact.vlans, step);
    if (step.up) fact.up = *step.up;
    if (!fact.up) fact.routes.clear();
    note(step.where.netns, fact);
    facts.put(std::move(fact));
    return {};
  }

  // A VLAN that is given again has the flags of the last time only.
  static void drop_vlan(PortVlansFact& vlans, std::uint16_t vid) {
    if (vlans.pvid == vid) vlans.pvid.reset();
    std::erase(vlans.tagged, vid);
    std::erase(vlans.odd, vid);
  }

  static void change_vlans(PortVlansFact& vlans, const ChangeLink& step) {
    if (step.remove_vlans) {
      if (step.remove_vlans->pvid) drop_vlan(vlans, *step.remove_vlans->pvid);
      for (const auto vid : step.remove_vlans->tagged) drop_vlan(vlans, vid);
    }
    if (step.add_vlans) {
      if (step.add_vlans->pvid) {
        drop_vlan(vlans, *step.add_vlans->pvid);
        if (vlans.pvid) vlans.odd.push_back(*vlans.pvid);  // it stays, untagged
        vlans.pvid = step.add_vlans->pvid;
      }
      for (const auto vid : step.add_vlans->tagged) {
        drop_vlan(vlans, vid);
        vlans.tagged.push_back(vid);
      }
      std::sort(vlans.tagged.begin(), vlans.tagged.end());
      std::sort(vlans.odd.begin(), vlans.odd.end());
    }
  }

  Result<void> perform(const RemoveLink& step) {
    const LinkFact* found = real_.namespaces[step.where.netns].find(step.ifindex);
    if (found == nullptr) return {};
    const auto mark = OwnerTag::parse(found->alias);
    if (!mark || mark->uid != step.mark.uid) return error(EPERM, step.where);
    erase(step.where.netns, step.ifindex);
    return {};
  }

  template <class Edit>
  Result<void> edit(const LinkName& where, Edit change) {
    auto& facts = real_.namespaces[where.netns];
    const LinkFact* found = facts.find(where.name);
    if (found == nullptr) return error(ENODEV, where);
    LinkFact fact = *found;
    note(where.netns, fact);
    change(fact);
    facts.put(std::move(fact));
    return {};
  }
  Result<void> perform(const AddAddress& step) {
    return edit(step.where, [&](LinkFact& fact) { fact.addresses.push_back({step.address, kOwnProtocol}); });
  }
  Result<void> perform(const RemoveAddress& step) {
    return edit(step.where, [&](LinkFact& fact) {
      std::erase_if(fact.addresses, [&](const AddressFact& each) { return each.prefix == step.address; });
    });
  }
  Result<void> perform(const AddRoute& step) {
    RouteSpec route = step.route;
    const RouteSpec usual{route.to, route.via, std::nullopt};
    if (effective_metric(route) == effective_metric(usual)) route.metric.reset();  // so it is told
    const auto takes_its_place = [&](const RouteFact& fact) {
      return fact.route.to == route.to && effective_metric(fact.route) == effective_metric(route);
    };
    for (const auto& [index, link] : real_.namespaces[step.where.netns].links()) {
      if (step.yields && std::any_of(link.routes.begin(), link.routes.end(), takes_its_place)) return {};
    }
    return edit(step.where, [&](LinkFact& fact) { fact.routes.push_back({route, kOwnProtocol}); });
  }
  Result<void> perform(const RemoveRoute& step) {
    return edit(step.where, [&](LinkFact& fact) {
      std::erase(fact.routes, RouteFact{step.route, kOwnProtocol});
    });
  }

  int event_fd_;
  Observed real_;
  std::set<std::string> watched_;
  ObservedChange touched_;
  std::map<std::string, Error> failures_;
  std::map<std::string, Refusal> refusals_;
  int next_index_ = 1;
  std::uint64_t next_inode_ = 0;
  std::uint64_t writes_ = 0;
};

// A kernel outlives the agent that looks at it.
class BorrowedKernel final : public LinkBackend {
 public:
  explicit BorrowedKernel(LinkBackend& kernel) : kernel_(kernel) {}
  int event_fd() const override { return kernel_.event_fd(); }
  ObservedChange drain(Observed& observed) override { return kernel_.drain(observed); }
  Result<ObservedChange> resync(Observed& observed) override { return kernel_.resync(observed); }
  ObservedChange watch(const std::set<std::string>& paths, Observed& observed) override {
    return kernel_.watch(paths, observed);
  }
  ObservedChange recheck(const std::string& path, Observed& observed) override {
    return kernel_.recheck(path, observed);
  }
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override {
    return kernel_.execute(actions, observed);
  }
  std::uint64_t writes() const override { return kernel_.writes(); }

 private:
  LinkBackend& kernel_;
};

}  // namespace lanwright::test
