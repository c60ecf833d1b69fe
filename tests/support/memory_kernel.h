// The kernel in memory, for tests of what is built on LinkBackend: others change its links, the agent acts on
// them. What follows from a change is in memory_links.h; how the executor words an action as messages, each
// of which the kernel does or refuses, is here. An integration test holds both against the real kernel.
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
#include <type_traits>
#include <utility>
#include <vector>

#include "reconcilers/backends/link_backend.h"
#include "tests/support/memory_links.h"

namespace lanwright::test {

class MemoryKernel final : public LinkBackend {
 public:
  explicit MemoryKernel(KernelBuild build = {})
      : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), links_(build) {
    add_namespace("");
  }
  ~MemoryKernel() override { close(event_fd_); }
  MemoryKernel(const MemoryKernel&) = delete;
  MemoryKernel& operator=(const MemoryKernel&) = delete;

  // ---- what others do to the host ----
  void add_namespace(const std::string& path) {
    links_.add_namespace(path);
    wake();
  }
  void drop_namespace(const std::string& path) {
    links_.drop_namespace(path);
    wake();
  }
  // Another path to a namespace, as a symbolic link or a process of it gives one; until it leads elsewhere.
  void add_path(const std::string& path, const std::string& netns) {
    const bool lead_elsewhere = paths_.contains(path) && paths_.at(path) != netns;
    if (lead_elsewhere) touched_paths_.insert(paths_.at(path));
    paths_[path] = netns;
    touched_paths_.insert({path, netns});
    wake();
  }
  void drop_path(const std::string& path) {
    touched_paths_.insert({path, paths_.at(path)});
    paths_.erase(path);
    wake();
  }
  int add_link(const std::string& netns, LinkFact fact) {
    const int ifindex = links_.add(netns, std::move(fact));
    wake();
    return ifindex;
  }
  // Whatever `ip` can change; what follows from it follows.
  void change(const LinkName& where, const std::function<void(LinkFact&)>& edit) {
    const LinkFact* found = real().find(where);
    if (found == nullptr) return;
    LinkFact fact = *found;
    edit(fact);
    links_.own(*found, fact);
    links_.update(where.netns, std::move(fact));
    wake();
  }
  void delete_link(const LinkName& where) {
    const LinkFact* found = real().find(where);
    if (found != nullptr && !found->loopback) links_.erase(where.netns, found->ifindex);
    wake();
  }
  // As Docker does it: into another namespace, named anew, and set up or down.
  void move_link(const LinkName& from, const LinkName& to, bool up) {
    links_.move(from, to);
    change(to, [up](LinkFact& fact) { fact.up = fact.lower_up = up; });
  }
  const Observed& real() const { return links_.facts(); }
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
    return take_touched();
  }
  Result<ObservedChange> resync(Observed& observed) override {
    see(observed);
    observed.complete = true;
    ObservedChange touched = take_touched();
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
      results.push_back(
          std::visit([&](auto step) { return perform(by_first_path(std::move(step))); }, action->step));
    }
    wake();
    return results;
  }
  void announce(const LinkName& link, const Observed&) override { announced.push_back(link); }
  std::uint64_t writes() const override { return writes_; }
  std::vector<LinkName> announced;

 private:
  // Its part of what is observed: switches are others'.
  void see(Observed& observed) {
    observed.namespaces.clear();
    for (const std::string& path : watched_) observed.namespaces[path] = {};  // absent until it is there
    for (const auto& [path, facts] : real().namespaces) {
      if (path.empty() || watched_.contains(path)) observed.namespaces[path] = facts;
    }
    for (const auto& [path, netns] : paths_) {
      if (watched_.contains(path)) observed.namespaces[path] = real().namespaces.at(netns);
    }
    observed.complete = true;
  }
  void wake() { eventfd_write(event_fd_, 1); }

  // What is told of a namespace is told of each of its paths.
  ObservedChange take_touched() {
    ObservedChange touched = links_.take_touched();
    touched.namespaces.merge(std::exchange(touched_paths_, {}));
    const auto links = touched.links;
    for (const auto& [path, netns] : paths_) {
      for (const LinkName& link : links)
        if (link.netns == netns) touched.links.insert({path, link.name});
      if (touched.namespaces.contains(netns)) touched.namespaces.insert(path);
    }
    return touched;
  }
  void resolve(LinkName& where) const {
    const auto found = paths_.find(where.netns);
    if (found != paths_.end()) where.netns = found->second;
  }
  void resolve(LinkSpec& link) const {
    resolve(link.at);
    if (link.peer) resolve(*link.peer);
  }
  template <class OneStep>
  OneStep by_first_path(OneStep step) const {
    if constexpr (std::is_same_v<OneStep, CreateLink>) {
      resolve(step.link);
      if (step.peer) resolve(*step.peer);
    } else {
      resolve(step.at);
    }
    return step;
  }

  static Result<void> answer(int number, const LinkName& link) {
    if (number == 0) return {};
    return error_from_errno(number, "change", link.text());
  }
  template <class OfSwitch>
  Result<void> perform(const OfSwitch& /*step*/) {
    return Error{ErrorKind::internal, "act", "a switch", 0, "this is no work for the kernel", {}};
  }

  // The messages of one action. Each is done as far as it goes; the first that fails is the action's answer.
  class Messages {
   public:
    void add(int error) {
      if (first_ == 0) first_ = error;
    }
    int first() const { return first_; }

   private:
    int first_ = 0;
  };
  using Edit = std::function<int(LinkFact&)>;
  // One RTM_NEWLINK: its parts in the kernel's order, until one is refused.
  int message(const std::string& netns, int ifindex, std::initializer_list<Edit> edits) {
    const LinkFact* found = real().find(netns) != nullptr ? real().find(netns)->find(ifindex) : nullptr;
    if (found == nullptr) return ENODEV;
    LinkFact fact = *found;
    int error = 0;
    for (const Edit& edit : edits) {
      error = edit(fact);
      if (error != 0) break;
    }
    links_.update(netns, std::move(fact));
    return error;
  }
  template <class T, class Set>
  static Edit if_given(const std::optional<T>& value, Set set) {
    return [&value, set](LinkFact& fact) { return value ? set(fact, *value) : 0; };
  }

  int remove_altname(const std::string& netns, int ifindex, const std::string& altname) {
    return message(netns, ifindex,
                   {[&](LinkFact& fact) { return std::erase(fact.altnames, altname) == 0 ? EINVAL : 0; }});
  }

  int add_altname(const std::string& netns, int ifindex, const std::string& altname) {
    return message(netns, ifindex, {[&](LinkFact& fact) {
                     if (real().find(LinkName{netns, altname}) != nullptr) return EEXIST;
                     fact.altnames.push_back(altname);
                     return 0;
                   }});
  }

  void dress(Messages& messages, const LinkSpec& link, const OwnerTag& mark) {
    const std::string& netns = link.at.netns;
    const int ifindex = real().find(link.at)->ifindex;
    const bool wait_for_vlans = link.vlans && !link.vlans->empty();
    const auto up = [&](LinkFact& fact) { return links_.set_up(netns, fact, true); };
    messages.add(message(netns, ifindex, {[&](LinkFact& fact) {
                           const bool none =
                               link.ipv6 == Ipv6Addresses::none && link.mtu.value_or(1500) >= 1280;
                           if (none && MemoryLinks::check_ipv6(fact) != 0) return EAFNOSUPPORT;
                           fact.alias = mark.text();
                           if (none) fact.ipv6 = link.ipv6;
                           return 0;
                         }}));
    messages.add(message(netns, ifindex,
                         {[&](LinkFact& fact) { return links_.set_attributes(fact, link.attributes, true); },
                          [&](LinkFact& fact) {
                            if (!link.arp) fact.arp = false;
                            return link.up && !wait_for_vlans ? up(fact) : 0;
                          }}));
    if (!link.altname.empty()) messages.add(add_altname(netns, ifindex, link.altname));
    if (!wait_for_vlans || messages.first() != 0) return;
    messages.add(message(netns, ifindex, {[&](LinkFact& fact) {
                           add_vlans(fact.vlans, *link.vlans);
                           return link.up ? up(fact) : 0;
                         }}));
  }

  Result<void> perform(const CreateLink& step) {
    const bool across = step.peer && step.peer->at.netns != step.link.at.netns;
    if (across && !step.link.at.netns.empty() && !step.peer->at.netns.empty())
      return Error{
          ErrorKind::invalid, "create", step.link.at.text(), 0, "no end is in the managed namespace", {}};
    Messages messages;
    messages.add(links_.missing(step.link));
    if (step.peer) messages.add(links_.missing(*step.peer));
    if (messages.first() == 0) messages.add(links_.create(step.link, step.peer));
    if (messages.first() != 0) return answer(messages.first(), step.link.at);
    const bool inner_first = step.peer && step.peer->at.netns.empty() && !step.link.at.netns.empty();
    const OwnerTag peer_mark = step.peer_mark.value_or(step.mark);
    if (inner_first) dress(messages, *step.peer, peer_mark);
    if (!inner_first || messages.first() == 0) dress(messages, step.link, step.mark);
    if (step.peer && !inner_first && (!across || messages.first() == 0))
      dress(messages, *step.peer, peer_mark);
    return answer(messages.first(), step.link.at);
  }

  Result<void> perform(const ChangeLink& step) {
    if (is_empty(step)) return {};
    const std::string& netns = step.at.netns;
    const LinkFact* found = real().find(netns) == nullptr ? nullptr
                            : step.ifindex != 0           ? real().find(netns)->find(step.ifindex)
                                                          : real().find(step.at);
    if (found == nullptr) return answer(ENODEV, step.at);
    if (step.master && !step.master->empty() && real().find(LinkName{netns, *step.master}) == nullptr)
      return answer(ENODEV, step.at);
    const int ifindex = found->ifindex;
    const bool flaps = step.rename && found->up && !links_.build().renames_while_up;
    Messages messages;
    if (step.remove_vlans)
      messages.add(message(netns, ifindex, {[&](LinkFact& fact) {
                             remove_vlans(fact.vlans, *step.remove_vlans);
                             return 0;
                           }}));
    if (flaps) message(netns, ifindex, {[](LinkFact& fact) { return fact.up = false, 0; }});
    const Edit flags = [&](LinkFact& fact) {
      if (step.arp) fact.arp = *step.arp;
      return step.up || flaps ? links_.set_up(netns, fact, step.up.value_or(true)) : 0;
    };
    const bool of_port = std::any_of(step.attributes.begin(), step.attributes.end(), MemoryLinks::is_port);
    const bool two = of_port || (step.up && step.ipv6);
    if (step.remove_altname) messages.add(remove_altname(netns, ifindex, *step.remove_altname));
    messages.add(change(step, ifindex, two ? Edit([](LinkFact&) { return 0; }) : flags));
    if (two)
      messages.add(message(
          netns, ifindex,
          {[&](LinkFact& fact) { return links_.set_attributes(fact, step.attributes, true); }, flags}));
    if (step.add_altname) messages.add(add_altname(netns, ifindex, *step.add_altname));
    if (step.add_vlans)
      messages.add(message(netns, ifindex, {[&](LinkFact& fact) {
                             add_vlans(fact.vlans, *step.add_vlans);
                             return 0;
                           }}));
    if (flaps)
      message(netns, ifindex,
              {[&](LinkFact& fact) { return links_.set_up(netns, fact, step.up.value_or(true)); }});
    return answer(messages.first(), step.at);
  }

  // Nothing is sent then, and nobody looks whether the link is there.
  static bool is_empty(const ChangeLink& step) {
    ChangeLink nothing;
    nothing.at = step.at;
    nothing.kind = step.kind;
    nothing.port_kind = step.port_kind;
    nothing.ifindex = step.ifindex;
    return step.ifindex != 0 && step == nothing;
  }

  int change(const ChangeLink& step, int ifindex, const Edit& flags) {
    const std::string& netns = step.at.netns;
    return message(
        netns, ifindex,
        {// Looked at before anything is done (net/core/rtnetlink.c: validate_linkmsg).
         if_given(step.ipv6,
                  [](const LinkFact& fact, Ipv6Addresses) { return MemoryLinks::check_ipv6(fact); }),
         [&](LinkFact& fact) { return links_.set_attributes(fact, step.attributes, false); },
         if_given(step.mac,
                  [&](LinkFact& fact, const MacAddress& mac) { return links_.set_mac(netns, fact, mac); }),
         if_given(step.mtu,
                  [&](LinkFact& fact, std::uint32_t mtu) { return links_.set_mtu(netns, fact, mtu); }),
         if_given(step.group, [](LinkFact& fact, std::uint32_t group) { return fact.group = group, 0; }),
         if_given(step.rename, [&](LinkFact& fact,
                                   const std::string& name) { return links_.set_name(netns, fact, name); }),
         if_given(step.alias, [](LinkFact& fact, const std::string& alias) { return fact.alias = alias, 0; }),
         if_given(step.master,
                  [&](LinkFact& fact, const std::string& master) {
                    return links_.set_master(netns, fact, master);
                  }),
         flags, if_given(step.ipv6, [](LinkFact& fact, Ipv6Addresses mode) { return fact.ipv6 = mode, 0; }),
         [&](LinkFact& fact) {
           if (step.tap_owner) fact.tap_owner = step.tap_owner;
           if (step.tap_group) fact.tap_group = step.tap_group;
           return 0;
         }});
  }

  // A VLAN that is given again has the flags of the last time only.
  static void drop_vlan(PortVlansFact& vlans, std::uint16_t vid) {
    if (vlans.pvid == vid) vlans.pvid.reset();
    std::erase(vlans.tagged, vid);
    std::erase(vlans.odd, vid);
  }
  static void remove_vlans(PortVlansFact& vlans, const PortVlans& gone) {
    if (gone.pvid) drop_vlan(vlans, *gone.pvid);
    for (const auto vid : gone.tagged) drop_vlan(vlans, vid);
  }
  static void add_vlans(PortVlansFact& vlans, const PortVlans& more) {
    if (more.pvid) {
      drop_vlan(vlans, *more.pvid);
      if (vlans.pvid) vlans.odd.push_back(*vlans.pvid);  // it stays, untagged
      vlans.pvid = more.pvid;
    }
    for (const auto vid : more.tagged) {
      drop_vlan(vlans, vid);
      vlans.tagged.push_back(vid);
    }
    std::sort(vlans.tagged.begin(), vlans.tagged.end());
    std::sort(vlans.odd.begin(), vlans.odd.end());
  }

  // As the executor looks at it again: what does not carry the mark is left alone.
  Result<void> perform(const RemoveLink& step) {
    const NamespaceFacts* place = real().find(step.at.netns);
    const LinkFact* found = place != nullptr ? place->find(step.ifindex) : nullptr;
    if (found == nullptr) return {};
    const bool unmarked = found->alias.empty() && is_birth_group(found->group);
    if (found->kind != step.kind || (found->alias != step.mark.text() && !unmarked))
      return Error{ErrorKind::conflict, "remove", step.at.text(), 0, "it does not carry the mark", {}};
    links_.erase(step.at.netns, step.ifindex);
    return {};
  }

  Result<void> perform(const AddAddress& step) {
    if (step.again)
      return Error{ErrorKind::conflict, "add", step.at.text(), 0, "another host has this address", {}};
    const int error = links_.add_address(step.at, step.address);
    const LinkFact* link = real().find(step.at);
    const bool there =
        link != nullptr && std::any_of(link->addresses.begin(), link->addresses.end(),
                                       [&](const auto& each) { return each.prefix == step.address; });
    return answer(error == EEXIST && there ? 0 : error, step.at);
  }
  Result<void> perform(const RemoveAddress& step) {
    const int error = links_.remove_address(step.at, step.address);
    return answer(error == EADDRNOTAVAIL || error == ENODEV ? 0 : error, step.at);
  }
  // The agent's own route gives way to its successor; a stranger's stays.
  Result<void> perform(const AddRoute& step) {
    int error = links_.add_route(step.at, step.route, false);
    const bool own = error == EEXIST && has_own_route(step);
    if (error == EEXIST && step.yields && !(own && step.route.automatic)) return {};
    if (own) error = links_.add_route(step.at, step.route, true);
    return answer(error, step.at);
  }
  bool has_own_route(const AddRoute& step) const {
    const auto is_it = [&](const RouteFact& fact) {
      return fact.protocol == kOwnProtocol && fact.route.to == step.route.to.network() &&
             effective_metric(fact.route) == effective_metric(step.route);
    };
    const NamespaceFacts& place = *real().find(step.at.netns);  // where a link holds that route
    const auto& links = place.links();
    return std::any_of(links.begin(), links.end(), [&](const auto& each) {
      return std::any_of(each.second.routes.begin(), each.second.routes.end(), is_it);
    });
  }
  Result<void> perform(const RemoveRoute& step) {
    const int error = links_.remove_route(step.at, step.route);
    return answer(error == ESRCH || error == ENODEV ? 0 : error, step.at);
  }

  int event_fd_;
  MemoryLinks links_;
  std::set<std::string> watched_;
  std::map<std::string, std::string> paths_;  // that were added, with the first path of their namespace
  std::set<std::string> touched_paths_;
  std::map<std::string, Error> failures_;
  std::map<std::string, Refusal> refusals_;
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
  void announce(const LinkName& link, const Observed& observed) override { kernel_.announce(link, observed); }
  std::uint64_t writes() const override { return kernel_.writes(); }

 private:
  LinkBackend& kernel_;
};

}  // namespace lanwright::test
