#include "reconcilers/netlink/executor.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <istream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "model/link_names.h"
#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/tun.h"
#include "reconcilers/netlink/address_codec.h"
#include "reconcilers/netlink/announcements.h"
#include "reconcilers/netlink/errors.h"
#include "reconcilers/netlink/link_codec.h"
#include "reconcilers/netlink/request.h"
#include "reconcilers/netlink/route_codec.h"
#include "reconcilers/os/namespace.h"
#include "reconcilers/os/offload.h"
#include "reconcilers/os/sysctl.h"
#include "reconcilers/os/tap.h"
#include "reconcilers/os/uevent.h"

namespace lanwright::netlink {

namespace {

constexpr std::size_t kMostDescriptors = 64;  // of namespaces, held at a time: the usual limit is 1024 in all
constexpr std::chrono::milliseconds kRemovalTime{200};  // after which execute() returns

bool has_own_route(const NamespaceFacts& facts, const RouteSpec& route) {
  return std::any_of(facts.links().begin(), facts.links().end(), [&](const auto& entry) {
    const auto& routes = entry.second.routes;
    return std::any_of(routes.begin(), routes.end(), [&](const RouteFact& fact) {
      return fact.protocol == kOwnProtocol && has_same_place(fact.route, route);
    });
  });
}

// net/ipv6/route.c: rt6_info_route(). To, its length, source, its length, next hop, metric, uses, flags,
// link.
bool holds_advertised_only(std::istream& table, const RouteSpec& route) {
  constexpr unsigned long kAdvertised = 0x00040000;  // RTF_ADDRCONF, <linux/ipv6_route.h>
  constexpr int kHex = 16;
  const IpPrefix to = route.to.network();
  std::string wanted;
  for (const std::uint8_t byte : to.address.bytes) {
    wanted += "0123456789abcdef"[byte >> 4U];
    wanted += "0123456789abcdef"[byte & 0xfU];
  }
  bool found = false;
  std::array<std::string, 10> words;
  while (std::all_of(words.begin(), words.end(), [&](std::string& word) { return bool(table >> word); })) {
    const auto number = [&](std::size_t index) { return std::stoul(words.at(index), nullptr, kHex); };
    if (words[0] != wanted || number(1) != to.length || number(5) != effective_metric(route)) continue;
    if ((number(8) & kAdvertised) == 0) return false;
    found = true;
  }
  return found;
}

// No bridge is a port of another.
VlansOf vlans_of(const ChangeLink& step) {
  return step.kind == kinds::kBridge.name ? VlansOf::bridge : VlansOf::port;
}

// Another IPv4 address of the subnet is on the link.
bool takes_others_along(const LinkFact& link, const IpPrefix& address) {
  return address.address.family == AF_INET &&
         std::any_of(link.addresses.begin(), link.addresses.end(), [&](const AddressFact& other) {
           return other.prefix != address && other.prefix.network() == address.network();
         });
}

// What an action wanted to reach is so already.
bool is_done_already(const Step& step, int error) {
  if (std::holds_alternative<RemoveAddress>(step)) return error == EADDRNOTAVAIL || error == ENODEV;
  if (std::holds_alternative<RemoveRoute>(step)) return error == ESRCH || error == ENODEV;
  return false;
}

// It is so where the kernel has no IPv6, or the interface has none as its MTU is too small.
bool is_set_already(const Sysctl& sysctl, int error) {
  return error == ENOENT && sysctl == without_ipv6();
}

// The messages for one namespace that go together, and the names that they make.
struct Batch {
  struct Name {
    std::string name;
    std::size_t owner = 0;
  };
  std::vector<Request> requests;
  std::vector<Name> names;  // of links that are made and then addressed by name in the same buffer

  void add(std::size_t owner, Message message) { requests.push_back({std::move(message), owner}); }
  void add(std::size_t owner, std::vector<Message> messages) {
    for (Message& message : messages) add(owner, std::move(message));
  }
  void drop(const std::set<std::size_t>& owners) {
    std::erase_if(requests, [&](const Request& request) { return owners.count(request.owner) > 0; });
  }
};

using Batches = std::map<std::string, Batch>;  // by netns path; "" comes first

// One call of execute(), or a part of it, but for the removals. The overloads of prepare() are a step of a
// plan each; the other methods are the moments of one attempt (made, named, finished, refused, undone), which
// share its batches.
class Stage {
 public:
  Stage(Observer& observer, std::span<const Action* const> actions, const Observed& observed,
        std::vector<Result<void>>& results)
      : observer_(observer), actions_(actions), observed_(observed), results_(results) {}

  void prepare(std::size_t owner) {
    std::visit([&](const auto& step) { prepare(owner, step); }, actions_[owner]->step);
  }

  void run() {
    for (auto& [netns, batch] : first_) send(netns, batch);
    name_nameless();
    finish_ports();
    for (auto& [netns, batch] : second_) {
      batch.drop(failed());
      if (!batch.requests.empty()) send(netns, batch);
    }
    look_at_what_is_down();
    tell_udev_of_groups();
    refuse_duplicates();
    announcements_.send(observer_, failed());
  }

  bool full() const {
    return namespaces_.size() >= kMostDescriptors;
  }  // run() now, and go on with another one
  std::uint64_t writes() const { return writes_; }

 private:
  struct PortToFinish {
    std::size_t owner = 0;
    const LinkSpec* link = nullptr;
  };

  struct Nameless {
    std::size_t owner = 0;
    const LinkSpec* link = nullptr;
    const OwnerTag* mark = nullptr;
    int master = 0;
  };

  void prepare(std::size_t owner, const CreateLink& step);
  void prepare(std::size_t owner, const ChangeLink& step);
  void prepare(std::size_t, const RemoveLink&) {}  // see Remover
  void prepare(std::size_t owner, const auto& /*of a switch*/) {
    results_[owner] = Error{ErrorKind::internal,
                            actions_[owner]->verb(),
                            actions_[owner]->target().text(),
                            0,
                            "this is no work for the kernel",
                            {}};
  }
  void prepare(std::size_t owner, const AddAddress& step) {
    const LinkFact* link = find(owner, step.at);
    if (link == nullptr) return;
    Batch& batch = first_[step.at.netns];
    if (step.again) batch.add(owner, remove_address(link->ifindex, step.address));
    batch.add(owner, add_address(link->ifindex, step.address, step.again));
    if (!step.again) announcements_.note(owner, step.at, *link, step.address.address);
  }
  void prepare(std::size_t owner, const RemoveAddress& step) {
    const LinkFact* link = observed_.find(step.at);
    if (link == nullptr) return;
    Batch& batch = first_[step.at.netns];
    if (takes_others_along(*link, step.address)) batch.add(owner, promote_secondaries(link->ifindex));
    batch.add(owner, remove_address(link->ifindex, step.address));
  }
  void prepare(std::size_t owner, const AddRoute& step) {
    if (const LinkFact* link = find(owner, step.at)) {
      first_[step.at.netns].add(owner, add_route(link->ifindex, step.route, IfThere::refuse));
    }
  }
  void prepare(std::size_t owner, const RemoveRoute& step) {
    if (const LinkFact* link = observed_.find(step.at)) {
      first_[step.at.netns].add(owner, remove_route(link->ifindex, step.route));
    }
  }

  bool set_beforehand(std::size_t owner, const ChangeLink& step);
  void create_alone(std::size_t owner, const CreateLink& step);
  void create_pair(std::size_t owner, const CreateLink& step);
  void create_across(std::size_t owner, const LinkSpec& inner, const OwnerTag& inner_mark,
                     const LinkSpec& outer, const OwnerTag& outer_mark);
  void create_tap(std::size_t owner, const CreateLink& step);
  void dress(Batch& batch, std::size_t owner, const LinkSpec& link, const OwnerTag& mark,
             std::optional<int> master);
  void name_nameless();
  void finish_ports();
  void look_at_what_is_down();
  void tell_udev_of_groups();
  void refuse_duplicates();

  std::optional<LinkPlace> place_of(std::size_t owner, const LinkSpec& link);
  std::optional<int> descriptor_of(std::size_t owner, const std::string& netns);
  std::optional<int> index_of(std::size_t owner, const LinkName& name, const char* role);
  const LinkFact* find(std::size_t owner, const LinkName& name);

  void send(const std::string& netns, Batch& batch);
  void send(Socket& socket, Batch& batch);
  void refuse_taken_names(Socket& socket, Batch& batch);
  void judge(Socket& socket, std::size_t owner, std::span<const Reply> replies);
  bool has_other_length(const AddAddress& step) const;
  Reply enable_ipv6(Socket& socket, std::size_t owner, const AddAddress& step, const Reply& refused);
  Reply make_room_for_route(Socket& socket, const AddRoute& step, const Reply& refused);
  bool stands_beside_advertised(const AddRoute& step);
  void undo_creation(Socket& socket, const CreateLink& step);
  Reply change_while_down(Socket& socket, const ChangeLink& step);
  Reply perform_in_order(Socket& socket, std::vector<Message> messages);

  void fail(std::size_t owner, Error error) {
    if (results_[owner].ok()) results_[owner] = std::move(error);
  }
  std::set<std::size_t> failed() const {
    std::set<std::size_t> owners;
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (!results_[i].ok()) owners.insert(i);
    }
    return owners;
  }

  Observer& observer_;
  std::span<const Action* const> actions_;
  const Observed& observed_;
  std::vector<Result<void>>& results_;
  std::map<std::string, os::Descriptor> namespaces_;
  Batches first_;
  Batches second_;  // what needs the first to have been done: inside other namespaces, by index
  std::vector<Nameless> nameless_;                             // made under a temporary name
  std::vector<std::pair<std::size_t, const LinkSpec*>> down_;  // whose marks make no event
  std::vector<PortToFinish> ports_;                            // that wait for their VLANs before they go up
  std::vector<std::pair<std::size_t, os::NetDevice>>
      regrouped_;  // of the host's links, under their new names
  Announcements announcements_;
  std::uint64_t writes_ = 0;
};

const LinkFact* Stage::find(std::size_t owner, const LinkName& name) {
  const LinkFact* link = observed_.find(name);
  if (link == nullptr)
    fail(owner, action_error(*actions_[owner], ErrorKind::waiting, name.text() + " does not exist"));
  return link;
}

std::optional<int> Stage::index_of(std::size_t owner, const LinkName& name, const char* role) {
  if (name.name.empty()) return 0;
  if (const LinkFact* link = observed_.find(name)) return link->ifindex;
  fail(owner, action_error(*actions_[owner], ErrorKind::waiting,
                           std::string("its ") + role + " " + name.text() + " does not exist"));
  return std::nullopt;
}

std::optional<LinkPlace> Stage::place_of(std::size_t owner, const LinkSpec& link) {
  const NamespaceFacts* facts = observed_.find(link.at.netns);
  if (facts == nullptr || !facts->present) {
    fail(owner, action_error(*actions_[owner], ErrorKind::waiting,
                             "the network namespace " + link.at.netns + " does not exist"));
    return std::nullopt;
  }
  const auto master = index_of(owner, {link.at.netns, link.master}, "master");
  const auto parent = index_of(owner, {"", link.parent}, "parent");
  if (!master || !parent) return std::nullopt;
  return LinkPlace{*master, *parent, facts->nsid};
}

void Stage::prepare(std::size_t owner, const CreateLink& step) {
  if (step.link.kind == kinds::kTun.name) return create_tap(owner, step);
  if (step.peer) return create_pair(owner, step);
  create_alone(owner, step);
}

void Stage::create_alone(std::size_t owner, const CreateLink& step) {
  const LinkSpec& link = step.link;
  auto place = place_of(owner, link);
  if (!place) return;
  const std::string& netns = link.at.netns;
  if (netns.empty() || place->parent == 0) {
    place->nsid = -1;  // made by a socket that is there
    Batch& batch = first_[netns];
    batch.add(owner, create_link(link, *place, nullptr));
    batch.names.push_back({link.at.name, owner});
    return dress(batch, owner, link, step.mark, std::nullopt);
  }
  // Made from where its parent is, into where it belongs. Kernels before 6.2 look the name up where the
  // request is made; an `eth0` is then made under another name on a host that has one.
  const int master = std::exchange(place->master, 0);
  if (observed_.find({"", link.at.name}) == nullptr) {
    first_[""].add(owner, create_link(link, *place, nullptr));
    return dress(second_[netns], owner, link, step.mark, master);
  }
  first_[""].add(owner, create_link(link, *place, temporary_name(step.mark.uid)));
  nameless_.push_back({owner, &link, &step.mark, master});
}

void Stage::create_pair(std::size_t owner, const CreateLink& step) {
  const LinkSpec& link = step.link;
  const LinkSpec& peer = *step.peer;
  const OwnerTag peer_mark = step.peer_mark.value_or(step.mark);
  const std::string& netns = link.at.netns;
  if (netns != peer.at.netns) {
    if (netns.empty()) return create_across(owner, peer, peer_mark, link, step.mark);
    if (peer.at.netns.empty()) return create_across(owner, link, step.mark, peer, peer_mark);
    return fail(owner, action_error(*actions_[owner], ErrorKind::invalid,
                                    "one end of a veth pair must be in the managed namespace"));
  }
  auto place = place_of(owner, link);
  const auto peer_place = place_of(owner, peer);
  if (!place || !peer_place) return;
  place->nsid = -1;
  Batch& batch = first_[netns];
  batch.add(owner, create_link(link, *place, &peer));
  batch.names.push_back({link.at.name, owner});
  batch.names.push_back({peer.at.name, owner});
  dress(batch, owner, link, step.mark, std::nullopt);
  dress(batch, owner, peer, peer_mark, peer_place->master);
}

// The end in the managed namespace leads: kernels before 6.2 look the leading end's name up where the request
// is made even when the link is to be made elsewhere, so that an inner `eth0` would be refused on a host with
// an eth0.
void Stage::create_across(std::size_t owner, const LinkSpec& inner, const OwnerTag& inner_mark,
                          const LinkSpec& outer, const OwnerTag& outer_mark) {
  const auto inner_place = place_of(owner, inner);
  auto outer_place = place_of(owner, outer);
  const auto netns = descriptor_of(owner, inner.at.netns);
  if (!inner_place || !outer_place || !netns) return;
  outer_place->nsid = -1;
  Batch& batch = first_[""];
  batch.add(owner, create_link(outer, *outer_place, &inner, *netns));
  batch.names.push_back({outer.at.name, owner});
  dress(batch, owner, outer, outer_mark, std::nullopt);
  dress(second_[inner.at.netns], owner, inner, inner_mark, inner_place->master);
}

// Kept for this stage only: a descriptor keeps its namespace alive.
std::optional<int> Stage::descriptor_of(std::size_t owner, const std::string& netns) {
  const auto known = namespaces_.find(netns);
  if (known != namespaces_.end()) return known->second.get();
  auto opened = observer_.reopen(netns);
  if (!opened) {
    fail(owner, opened.error());
    return std::nullopt;
  }
  return namespaces_.emplace(netns, std::move(*opened)).first->second.get();
}

// A tap needs an ioctl, and has a recognisable name until one netlink message makes it what it is to be.
void Stage::create_tap(std::size_t owner, const CreateLink& step) {
  const LinkSpec& link = step.link;
  const auto place = place_of(owner, link);
  if (!place) return;
  auto netns = observer_.reopen(link.at.netns);
  auto socket = observer_.enter(link.at.netns);
  if (!netns || !socket) return fail(owner, netns ? socket.error() : netns.error());
  const std::string temporary = temporary_name(step.mark.uid);
  const os::TapUsers users{link.tap_owner, link.tap_group};
  const os::TapOptions options{lanwright::find(link.attributes, kinds::tun::kMultiQueue).value_or(0) != 0};
  ++writes_;
  int error = make_tap(*netns, temporary, users, options);
  if (error == EBUSY) {  // left behind by a crash
    ++writes_;
    perform_one(**socket, delete_link(temporary));
    error = make_tap(*netns, temporary, users, options);
  }
  if (error == ENOENT || error == ENODEV || error == ENXIO) {
    return fail(owner, action_error(*actions_[owner], Reply{EOPNOTSUPP, "there is no /dev/net/tun"}));
  }
  if (error != 0) return fail(owner, action_error(*actions_[owner], Reply{error, {}}));
  const int ifindex = (*socket)->ifindex(temporary);
  const bool wait_for_vlans = link.vlans && !link.vlans->empty();
  first_[link.at.netns].add(owner, configure_temporarily_named(ifindex, link, step.mark, place->master,
                                                               link.up && !wait_for_vlans));
  if (wait_for_vlans) ports_.push_back({owner, &link});
  if (!link.up) down_.emplace_back(owner, &link);
}

void Stage::dress(Batch& batch, std::size_t owner, const LinkSpec& link, const OwnerTag& mark,
                  std::optional<int> master) {
  const bool wait_for_vlans = link.vlans && !link.vlans->empty();
  if (master == 0) master.reset();  // a new link has none
  batch.add(owner, configure_new_link(link, mark, master, link.up && !wait_for_vlans));
  if (!link.up) down_.emplace_back(owner, &link);
  if (wait_for_vlans) ports_.push_back({owner, &link});
}

void Stage::name_nameless() {
  for (const auto& [owner, link, mark, master] : nameless_) {
    if (!results_[owner].ok()) continue;
    auto socket = observer_.enter(link->at.netns);
    if (!socket) {
      fail(owner, socket.error());
      continue;
    }
    const int ifindex = (*socket)->ifindex(temporary_name(mark->uid));
    if (ifindex == 0) {
      fail(owner, action_error(*actions_[owner], Reply{ENODEV, "it went as soon as it was made"}));
      continue;
    }
    second_[link->at.netns].add(owner, configure_temporarily_named(ifindex, *link, *mark, master, link->up));
  }
}

void Stage::look_at_what_is_down() {
  for (const auto& [owner, link] : down_) {
    if (!results_[owner].ok()) continue;
    auto socket = observer_.enter(link->at.netns);
    const int ifindex = socket ? (*socket)->ifindex(link->at.name) : 0;
    if (ifindex != 0) observer_.look_again(link->at.netns, ifindex);
  }
}

// By the group udev and those who ask it know a link of ours (systemd/70-lanwright.rules), and it makes no
// event for them. In other namespaces nobody asks.
void Stage::tell_udev_of_groups() {
  std::erase_if(regrouped_, [&](const auto& entry) { return !results_[entry.first].ok(); });
  if (regrouped_.empty()) return;
  auto netns = observer_.reopen({});
  std::vector<os::NetDevice> devices;
  for (const auto& [owner, device] : regrouped_) {
    devices.push_back(device);
    if (!netns) fail(owner, netns.error());
  }
  if (!netns) return;
  const std::vector<int> errors = os::announce_changed(*netns, devices);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (errors[i] == 0 || errors[i] == ENODEV) continue;  // one that is gone is told of by the kernel
    Error error = error_from_errno(errors[i], "tell udev of its group", devices[i].name);
    error.hint = "udev may take it for a stranger's until: udevadm trigger --action=change /sys/class/net/" +
                 devices[i].name;
    fail(regrouped_[i].first, std::move(error));
  }
}

void Stage::refuse_duplicates() {
  for (std::size_t owner = 0; owner < actions_.size(); ++owner) {
    const auto* step = std::get_if<AddAddress>(&actions_[owner]->step);
    if (step == nullptr || !step->again) continue;
    fail(owner, action_error(*actions_[owner], ErrorKind::conflict, "another host has this address",
                             "give one of the two another; the kernel asks for it again from time to time"));
  }
}

// A port's VLANs are addressed by index, which is known once the link is there.
void Stage::finish_ports() {
  for (const auto& [owner, link] : ports_) {
    if (!results_[owner].ok()) continue;
    auto socket = observer_.enter(link->at.netns);
    if (!socket) {
      fail(owner, socket.error());
      continue;
    }
    const int ifindex = (*socket)->ifindex(link->at.name);
    Batch& batch = second_[link->at.netns];
    batch.add(owner, add_vlans(ifindex, *link->vlans));
    if (link->up) batch.add(owner, set_up(ifindex, true));
  }
}

void Stage::prepare(std::size_t owner, const ChangeLink& wanted) {
  ChangeLink step = wanted;
  const std::string& netns = step.at.netns;
  if (step.ifindex == 0) {  // made by an earlier stage of this plan
    const LinkFact* made = find(owner, step.at);
    if (made == nullptr) return;
    step.ifindex = made->ifindex;
  }
  const auto master = step.master ? index_of(owner, {netns, *step.master}, "master") : std::optional<int>(0);
  if (!master) return;
  if (step.tap_owner || step.tap_group) {
    auto place = observer_.reopen(netns);
    if (!place) return fail(owner, place.error());
    ++writes_;
    if (const int error = set_tap_users(*place, step.at.name, {step.tap_owner, step.tap_group})) {
      return fail(owner, action_error(*actions_[owner],
                                      Reply{error, error == EBUSY ? "a program has this tap open" : ""}));
    }
    observer_.look_again(netns, step.ifindex);
  }
  if (!set_beforehand(owner, step)) return;
  Batch& batch = first_[netns];
  if (step.remove_vlans && !step.remove_vlans->empty()) {
    batch.add(owner, remove_vlans(step.ifindex, *step.remove_vlans, vlans_of(step)));
  }
  std::vector<Message> messages = change_link(step, *master);
  const bool vlans = step.add_vlans && !step.add_vlans->empty();
  batch.add(owner, std::move(messages));
  if (vlans) batch.add(owner, add_vlans(step.ifindex, *step.add_vlans, vlans_of(step)));
  if (step.group && netns.empty())
    regrouped_.push_back({owner, {step.rename.value_or(step.at.name), step.ifindex}});
  const LinkFact* link = observed_.find(step.at);
  if (link == nullptr || !link->up) observer_.look_again(netns, step.ifindex);
  if (link != nullptr && step.mac) announcements_.note_all(owner, step, *link);
}

// What rtnetlink cannot set. False when something was refused: nothing else is done to the link then.
bool Stage::set_beforehand(std::size_t owner, const ChangeLink& step) {
  if (step.sysctls.empty() && !step.whole_checksums) return true;
  const auto netns = observer_.reopen(step.at.netns);
  if (!netns) return fail(owner, netns.error()), false;
  const os::NamespaceVisit visit(*netns);
  if (visit.error() != 0) return fail(owner, action_error(*actions_[owner], Reply{visit.error(), {}})), false;
  for (const Sysctl& each : step.sysctls) {
    ++writes_;
    const int error = os::set_sysctl(step.at.name, each);
    if (error == 0 || is_set_already(each, error)) continue;
    fail(owner, action_error(*actions_[owner], Reply{error, each.text() + " is not taken"}));
    return false;
  }
  if (!step.whole_checksums) return true;
  ++writes_;
  const int error = os::send_whole_checksums(step.at.name);
  if (error != 0)
    fail(owner, action_error(*actions_[owner], Reply{error, "TX checksum offload cannot be switched off"}));
  return error == 0;
}

void Stage::send(const std::string& netns, Batch& batch) {
  auto socket = observer_.enter(netns);
  if (socket) return send(**socket, batch);
  for (const Request& request : batch.requests) fail(request.owner, socket.error());
}

void Stage::send(Socket& socket, Batch& batch) {
  refuse_taken_names(socket, batch);
  std::vector<Request>& requests = batch.requests;
  writes_ += requests.size();
  const std::vector<Reply> replies = perform(socket, requests);
  for (std::size_t begin = 0; begin < requests.size();) {
    std::size_t end = begin + 1;
    while (end < requests.size() && requests[end].owner == requests[begin].owner) ++end;
    judge(socket, requests[begin].owner, std::span(replies).subspan(begin, end - begin));
    begin = end;
  }
}

// What follows on a creation goes to the name, and would go to a stranger's link of that name.
void Stage::refuse_taken_names(Socket& socket, Batch& batch) {
  std::vector<Request> questions;
  for (const Batch::Name& name : batch.names) {
    if (results_[name.owner].ok()) questions.push_back({get_link(name.name), name.owner});
  }
  if (questions.empty()) return;
  const std::vector<Reply> replies = perform(socket, questions);
  std::set<std::size_t> taken;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].error == ENODEV) continue;
    const std::size_t owner = questions[i].owner;
    const int error = replies[i].ok() ? EEXIST : replies[i].error;
    fail(owner, action_error(*actions_[owner], Reply{error, replies[i].words}));
    taken.insert(owner);
  }
  if (!taken.empty()) batch.drop(taken);
}

// The first failure of an action's messages is its result.
void Stage::judge(Socket& socket, std::size_t owner, std::span<const Reply> replies) {
  const Step& step = actions_[owner]->step;
  const auto bad =
      std::find_if(replies.begin(), replies.end(), [](const Reply& reply) { return !reply.ok(); });
  if (bad == replies.end() || is_done_already(step, bad->error)) return;
  Reply reply = *bad;
  if (const auto* change = std::get_if<ChangeLink>(&step)) {
    if (reply.error == EBUSY && (change->rename || change->mac)) reply = change_while_down(socket, *change);
  } else if (const auto* address = std::get_if<AddAddress>(&step)) {
    if (reply.error == EEXIST && !has_other_length(*address)) reply = {};
    if (reply.error == EACCES) reply = enable_ipv6(socket, owner, *address, reply);
  } else if (const auto* route = std::get_if<AddRoute>(&step)) {
    if (reply.error == EEXIST) reply = make_room_for_route(socket, *route, reply);
  } else if (const auto* create = std::get_if<CreateLink>(&step)) {
    if (bad == replies.begin()) undo_creation(socket, *create);
  }
  if (!reply.ok()) fail(owner, action_error(*actions_[owner], reply));
}

// IPv6 refuses an address that is there with another prefix length by the same number.
bool Stage::has_other_length(const AddAddress& step) const {
  const LinkFact* link = observed_.find(step.at);
  return link != nullptr &&
         std::any_of(link->addresses.begin(), link->addresses.end(), [&](const AddressFact& fact) {
           return fact.prefix.address == step.address.address && fact.prefix.length != step.address.length;
         });
}

// Docker disables IPv6 for links to come in its sandboxes, and enables it for each of its own.
Reply Stage::enable_ipv6(Socket& socket, std::size_t owner, const AddAddress& step, const Reply& refused) {
  const LinkFact* link = find(owner, step.at);
  if (step.address.address.family != AF_INET6 || link == nullptr) return refused;
  if (!descriptor_of(owner, step.at.netns)) return refused;
  {
    const os::NamespaceVisit visit(namespaces_.at(step.at.netns));
    if (visit.error() != 0) return refused;
    if (os::set_sysctl(step.at.name, {"net.ipv6.conf.IFNAME.disable_ipv6", "0"}) != 0) return refused;
  }
  ++writes_;
  return perform_one(socket, add_address(link->ifindex, step.address));
}

// The agent's own route gives way to its successor; a stranger's stays, and of IPv6 an advertised one too.
Reply Stage::make_room_for_route(Socket& socket, const AddRoute& step, const Reply& refused) {
  const NamespaceFacts* facts = observed_.find(step.at.netns);
  const LinkFact* link = observed_.find(step.at);
  if (link == nullptr) return refused;
  const bool own = has_own_route(*facts, step.route);
  if (step.yields && !(own && step.route.automatic)) {
    observer_.look_for_default_routes(step.at.netns);
    return {};
  }
  if (!own && !stands_beside_advertised(step)) return refused;
  ++writes_;
  return perform_one(socket, add_route(link->ifindex, step.route, own ? IfThere::replace : IfThere::beside));
}

// Every route in its place is one that the kernel made of a router advertisement: those are told by a flag
// that netlink does not show. With any other, a second one would be made one route with two next hops.
bool Stage::stands_beside_advertised(const AddRoute& step) {
  if (step.route.to.address.family != AF_INET6) return false;
  auto netns = observer_.reopen(step.at.netns);
  if (!netns) return false;
  const os::NamespaceVisit visit(*netns);
  if (visit.error() != 0) return false;
  std::ifstream table("/proc/thread-self/net/ipv6_route");
  return holds_advertised_only(table, step.route);
}

// The creating message was refused. A tap has been made before; and where a stranger's link took the name
// after it was asked for, the mark went to that one.
void Stage::undo_creation(Socket& socket, const CreateLink& step) {
  const auto find = [&](const std::string& name) {
    std::optional<LinkFact> fact;
    perform_one(socket, get_link(name), [&](const nlmsghdr& message) { fact = decode_link(message); });
    return fact;
  };
  if (step.link.kind == kinds::kTun.name) {
    ++writes_;
    if (perform_one(socket, delete_link(temporary_name(step.mark.uid))).error != ENODEV) return;
    // The kernel had given it its name and its mark before it came to what it refused.
    const auto fact = find(step.link.at.name);
    if (!fact || fact->kind != kinds::kTun.name || fact->alias != step.mark.text()) return;
    ++writes_;
    perform_one(socket, delete_link(fact->ifindex));
    return;
  }
  const auto unmark = [&](const LinkSpec& link, const OwnerTag& mark) {
    const auto fact = find(link.at.name);
    if (!fact || fact->alias != mark.text()) return;
    ++writes_;
    perform_one(socket, set_alias(link.at.name, ""));
  };
  unmark(step.link, step.mark);
  if (step.peer) unmark(*step.peer, step.peer_mark.value_or(step.mark));
}

// Before Linux 6.2 no link was renamed while up; some drivers change their MAC only when down.
Reply Stage::change_while_down(Socket& socket, const ChangeLink& step) {
  const LinkFact* master = step.master ? observed_.find({step.at.netns, *step.master}) : nullptr;
  std::vector<Message> messages;
  messages.push_back(set_up(step.ifindex, false));
  // What the first try did already is not refused a second time, but for the alternative name.
  ChangeLink again = step;
  again.add_altname.reset();
  again.remove_altname.reset();
  for (Message& message : change_link(again, master == nullptr ? 0 : master->ifindex)) {
    messages.push_back(std::move(message));
  }
  messages.push_back(set_up(step.ifindex, step.up.value_or(true)));  // also when the change was refused
  return perform_in_order(socket, std::move(messages));
}

Reply Stage::perform_in_order(Socket& socket, std::vector<Message> messages) {
  std::vector<Request> requests;
  requests.reserve(messages.size());
  for (Message& message : messages) requests.push_back({std::move(message), 0});
  writes_ += requests.size();
  const std::vector<Reply> replies = perform(socket, requests);
  const auto bad =
      std::find_if(replies.begin(), replies.end(), [](const Reply& reply) { return !reply.ok(); });
  return bad == replies.end() ? Reply{} : *bad;
}

}  // namespace

std::vector<Result<void>> Executor::execute(std::span<const Action* const> actions,
                                            const Observed& observed) {
  std::vector<Result<void>> results(actions.size());
  std::optional<Stage> stage(std::in_place, observer_, actions, observed, results);
  const auto run = [&] {
    stage->run();
    writes_ += stage->writes();
    stage.emplace(observer_, actions, observed, results);
  };
  std::map<std::string, std::vector<Remover::Item>>
      removals;  // "" first: with one end of a veth the other goes
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (const auto* step = std::get_if<RemoveLink>(&actions[i]->step)) {
      removals[step->at.netns].push_back({i, step});
      continue;
    }
    stage->prepare(i);
    if (stage->full()) run();
  }
  run();

  const auto deadline = Remover::Clock::now() + kRemovalTime;
  const auto on_outcome = [&](const Remover::Item& item, Remover::Outcome outcome, const Reply& reply) {
    const Action& action = *actions[item.owner];
    if (outcome == Remover::Outcome::postponed) {
      results[item.owner] = action_error(action, ErrorKind::busy, "others use the link lock first");
    } else if (outcome == Remover::Outcome::refused) {
      results[item.owner] =
          action_error(action, ErrorKind::conflict, "the link does not carry the agent's mark any more",
                       "it is left alone");
    } else if (!reply.ok()) {
      results[item.owner] = action_error(action, reply);
    }
  };
  for (auto& [netns, items] : removals) {
    const NamespaceFacts* facts = observed.find(netns);
    if (facts == nullptr || !facts->present) continue;  // its links went with it
    auto socket = observer_.enter(netns);
    if (socket) {
      remover_.run(**socket, std::move(items), *facts, deadline, on_outcome);
      continue;
    }
    for (const Remover::Item& item : items) results[item.owner] = socket.error();
  }
  return results;
}

}  // namespace lanwright::netlink
