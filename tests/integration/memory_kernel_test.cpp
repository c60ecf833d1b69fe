// The kernel in memory (memory_kernel.h), on which the planner's tests rest, held against the real one.
// Random scripts are run on both: what the planner plans for random objects, what others do meanwhile, and
// actions that make no sense. After each step both must have answered alike and show the same links.
//
//   LANWRIGHT_TEST_SEED=N      of the first script (1); given alone, there is one script of each sort
//   LANWRIGHT_TEST_SCRIPTS=N   so many scripts of each sort, of this seed and those that follow
//
// A script that fails is printed in its shortest form that still fails. The kernel is right.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reconcilers/drivers/registry.h"
#include "reconcilers/netlink/backend.h"
#include "reconcilers/plan/planner.h"
#include "tests/integration/sandbox.h"
#include "tests/support/memory_kernel.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;
using test::MemoryKernel;

// ---- scripts ----

// What others do, in the words of ip-link(8).
struct Meddling {
  enum class What : std::uint8_t {
    remove,
    rename,
    mtu,
    up,
    down,
    alias,
    group,
    mac,
    join,
    leave,
    address,
    flush,
    route,
    move,
    remove_namespace,
    add_namespace
  };
  What what;
  LinkName at;  // of a namespace: its path
  std::string value;
};

struct Doing {
  std::variant<Action, Meddling> what;
  // The link whose ifindex the action has, as it is called in the moment: its index is another one in each
  // kernel.
  std::optional<LinkName> subject;
};

using Script = std::vector<Doing>;

// "" stands for the managed namespace, which has a name in the sandbox.
const std::string kHost = "host";
const std::vector<std::string> kInner = {"r1", "r2"};

std::string name_of_netns(const std::string& path) {
  return path.empty() ? kHost : path.substr(path.rfind('/') + 1);
}

// What `ip` is called with; two commands are separated by a semicolon.
std::string command_of(const Meddling& meddling) {
  using What = Meddling::What;
  const std::string& value = meddling.value;
  const std::string netns = name_of_netns(meddling.at.netns);
  const std::string in = "-n " + netns + " ";
  const std::string set = in + "link set dev " + meddling.at.name + " ";
  switch (meddling.what) {
    case What::remove:
      return in + "link del dev " + meddling.at.name;
    case What::rename:
      return set + "name " + value;
    case What::mtu:
      return set + "mtu " + value;
    case What::up:
      return set + "up";
    case What::down:
      return set + "down";
    case What::alias:
      return set + "alias " + (value.empty() ? "''" : value);
    case What::group:
      return set + "group " + value;
    case What::mac:
      return set + "address " + value;
    case What::join:
      return set + "master " + value;
    case What::leave:
      return set + "nomaster";
    case What::address:
      return in + "address add " + value + " dev " + meddling.at.name + " nodad";
    case What::flush:
      return in + "address flush dev " + meddling.at.name + " scope global";
    case What::route:
      return in + "route add default dev " + meddling.at.name + " metric " + value;
    case What::move:
      return set + "netns " + name_of_netns(value) + " name moved";
    case What::remove_namespace:
      return "netns delete " + netns;
    case What::add_namespace:
      return "netns add " + netns;
  }
  return {};
}

std::string text_of(const LinkSpec& link) {
  std::string text = link.kind + " " + link.at.text();
  if (!link.master.empty()) text += " master " + link.master;
  if (!link.parent.empty()) text += " on " + link.parent;
  if (link.mtu) text += " mtu " + std::to_string(*link.mtu);
  if (link.mac) text += " mac " + link.mac->text();
  if (!link.altname.empty()) text += " altname " + link.altname;
  for (const auto& [attribute, value] : link.attributes)
    text += " " + std::string(attribute->name) + "=" + std::to_string(value);
  if (link.vlans && link.vlans->pvid) text += " pvid " + std::to_string(*link.vlans->pvid);
  if (link.vlans)
    for (const auto vid : link.vlans->tagged) text += " vlan " + std::to_string(vid);
  if (link.ipv6 == Ipv6Addresses::none) text += " noipv6";
  return text + (link.up ? " up" : "") + (link.arp ? "" : " noarp");
}

std::string text_of(const Doing& doing) {
  if (const auto* meddling = std::get_if<Meddling>(&doing.what)) return "others: ip " + command_of(*meddling);
  const Action& action = std::get<Action>(doing.what);
  std::string text = "agent:  " + action.text();
  if (const auto* create = std::get_if<CreateLink>(&action.step)) {
    text = "agent:  create " + text_of(create->link);
    if (create->peer) text += " with peer " + text_of(*create->peer);
  }
  if (doing.subject && *doing.subject != action.target()) text += " (called " + doing.subject->text() + ")";
  return text;
}

std::string text_of(const Script& script) {
  std::string text;
  for (const Doing& doing : script) text += "  " + text_of(doing) + "\n";
  return text;
}

// ---- both kernels ----

// What is compared of an answer: whether it was done, and if not, what kind of failure it was.
std::string outcome_of(const Result<void>& result) {
  return result ? "done" : std::string(name_of(result.error().kind));
}

class World {
 public:
  virtual ~World() = default;
  virtual Result<void> act(const Action& action) = 0;
  virtual bool meddle(const Meddling& meddling) = 0;
  virtual const Observed& look() = 0;

  std::string perform(const Doing& doing) {
    if (const auto* meddling = std::get_if<Meddling>(&doing.what))
      return meddle(*meddling) ? "done" : "failed";
    Action action = std::get<Action>(doing.what);
    if (doing.subject) {
      constexpr int kNobodys = 1 << 30;
      const LinkFact* link = look().find(*doing.subject);
      const int ifindex = link != nullptr ? link->ifindex : kNobodys;
      if (auto* change = std::get_if<ChangeLink>(&action.step)) change->ifindex = ifindex;
      if (auto* removal = std::get_if<RemoveLink>(&action.step)) removal->ifindex = ifindex;
    }
    const Result<void> result = act(action);
    last_error_ = result ? std::string{} : result.error().text();
    return outcome_of(result);
  }
  const std::string& last_error() const { return last_error_; }

 private:
  std::string last_error_;
};

std::set<std::string> inner_paths() {
  std::set<std::string> paths;
  for (const std::string& netns : kInner) paths.insert("/run/netns/" + netns);
  return paths;
}

// What the kernel at hand can do; the one in memory is made like it.
struct Abilities {
  test::KernelBuild build;
  std::vector<std::string> kinds;
  bool has(const std::string& kind) const {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
};

class MemoryWorld final : public World {
 public:
  explicit MemoryWorld(const Abilities& abilities) : kernel_(abilities.build) {
    for (const std::string& path : inner_paths()) kernel_.add_namespace(path);
    kernel_.watch(inner_paths(), observed_);
    EXPECT_TRUE(kernel_.resync(observed_));
  }
  MemoryKernel& kernel() { return kernel_; }
  Result<void> act(const Action& action) override {
    const Action* one[] = {&action};
    look();
    return kernel_.execute(one, observed_).front();
  }
  const Observed& look() override {
    kernel_.drain(observed_);
    return observed_;
  }
  bool meddle(const Meddling& meddling) override;

 private:
  MemoryKernel kernel_;
  Observed observed_;
};

bool MemoryWorld::meddle(const Meddling& meddling) {
  using What = Meddling::What;
  const std::string& value = meddling.value;
  if (meddling.what == What::add_namespace || meddling.what == What::remove_namespace) {
    const bool there = look().find(meddling.at.netns)->present;
    if (there == (meddling.what == What::add_namespace)) return false;
    there ? kernel_.drop_namespace(meddling.at.netns) : kernel_.add_namespace(meddling.at.netns);
    return true;
  }
  const LinkFact* link = look().find(meddling.at);
  if (link == nullptr) return false;
  const auto change = [&](const std::function<void(LinkFact&)>& edit) {
    kernel_.change(meddling.at, edit);
    return true;
  };
  switch (meddling.what) {
    case What::remove:
      kernel_.delete_link(meddling.at);
      return true;
    case What::rename:
      return change([&](LinkFact& fact) { fact.name = value; });
    case What::mtu:
      return change([&](LinkFact& fact) { fact.mtu = static_cast<std::uint32_t>(std::stoul(value)); });
    case What::up:
    case What::down:
      return change([&](LinkFact& fact) { fact.up = meddling.what == What::up; });
    case What::alias:
      return change([&](LinkFact& fact) { fact.alias = value; });
    case What::group:
      return change([&](LinkFact& fact) { fact.group = static_cast<std::uint32_t>(std::stoul(value)); });
    case What::mac:
      return change([&](LinkFact& fact) { fact.mac = MacAddress::parse(value); });
    case What::join: {
      const LinkFact* master = look().find(LinkName{meddling.at.netns, value});
      if (master == nullptr) return false;
      return change([&, index = master->ifindex](LinkFact& fact) { fact.master = index; });
    }
    case What::leave:
      return change([&](LinkFact& fact) { fact.master = 0; });
    case What::address:
      return change([&](LinkFact& fact) { fact.addresses.push_back({*IpPrefix::parse(value), 0}); });
    case What::flush:
      return change([&](LinkFact& fact) { fact.addresses.clear(); });
    case What::route: {
      RouteSpec route;
      route.to.address.family = AF_INET;
      route.metric = static_cast<std::uint32_t>(std::stoul(value));
      constexpr std::uint8_t kBoot = 3;  // RTPROT_BOOT, as ip-route(8) has it
      return change([&](LinkFact& fact) { fact.routes.push_back({route, kBoot}); });
    }
    case What::move:
      if (!look().find(value)->present) return false;
      kernel_.move_link(meddling.at, {value, "moved"}, false);
      return true;
    default:
      return false;
  }
}

class RealWorld final : public World {
 public:
  explicit RealWorld(const test::Sandbox& sandbox) : sandbox_(sandbox) {
    for (const std::string& netns : namespaces()) sandbox_.add_netns(netns);
    auto opened = netlink::open_netlink_backend({.netns = "/run/netns/" + kHost});
    if (!opened) throw test::HarnessError(opened.error().text());
    port_ = std::move(*opened);
    if (auto read = port_->resync(observed_); !read) throw test::HarnessError(read.error().text());
    port_->watch(inner_paths(), observed_);
  }
  ~RealWorld() override {
    port_.reset();
    for (const std::string& netns : namespaces()) sandbox_.try_ip("netns delete " + netns);
  }
  RealWorld(const RealWorld&) = delete;
  RealWorld& operator=(const RealWorld&) = delete;

  Result<void> act(const Action& action) override {
    const Action* one[] = {&action};
    look();
    return port_->execute(one, observed_).front();
  }
  bool meddle(const Meddling& meddling) override {
    if (meddling.what == Meddling::What::alias) {
      const auto run = test::run({"ip", "-n", name_of_netns(meddling.at.netns), "link", "set", "dev",
                                  meddling.at.name, "alias", meddling.value});
      return run.ok() && port_->resync(observed_).ok();
    }
    const bool done = sandbox_.try_ip(command_of(meddling));
    // The kernel tells nobody of a changed alias or group of a link that is down.
    if (meddling.what == Meddling::What::group && !port_->resync(observed_)) return false;
    if (meddling.what == Meddling::What::add_namespace)
      return done && sandbox_.try_ip("-n " + name_of_netns(meddling.at.netns) + " link set lo up");
    return done;
  }
  const Observed& look() override {
    port_->drain(observed_);
    for (const std::string& path : inner_paths()) port_->recheck(path, observed_);
    return observed_;
  }

 private:
  static std::vector<std::string> namespaces() {
    std::vector<std::string> names = kInner;
    names.push_back(kHost);
    return names;
  }

  const test::Sandbox& sandbox_;
  std::unique_ptr<LinkBackend> port_;
  Observed observed_;
};

// ---- what is compared ----

// Indexes, what comes and goes by the kernel's own timers (carrier), and what is random differ between any
// two hosts: indexes stand as names, MAC addresses that nobody asked for as the first link that has them, and
// the link-local addresses that the kernel makes up are left out.
class Portrait {
 public:
  Portrait(const Observed& observed, const std::set<std::string>& asked_for) : observed_(observed) {
    for (const auto& [path, facts] : observed.namespaces) {
      for (const auto& [ifindex, fact] : facts.links()) {
        if (!fact.loopback) links_[{path, fact.name}] = &fact;
      }
    }
    for (const auto& [where, fact] : links_) {
      if (fact->mac && !asked_for.contains(fact->mac->text()) && *fact->mac != MacAddress{})
        owners_.emplace(*fact->mac, "as " + where.text());
    }
  }

  std::map<std::string, std::string> lines() const {
    std::map<std::string, std::string> lines;
    for (const auto& [path, facts] : observed_.namespaces) {
      if (!facts.present) lines["netns " + path] = "absent";
    }
    for (const auto& [where, fact] : links_) lines[where.text()] = line_of(where, *fact);
    return lines;
  }

 private:
  std::string line_of(const LinkName& where, const LinkFact& fact) const {
    std::string line = fact.kind + (fact.up ? " up" : " down") + " mtu " + std::to_string(fact.mtu) +
                       " group " + std::to_string(fact.group) + " alias '" + fact.alias + "' mac " +
                       mac_of(fact);
    if (fact.master != 0) line += " master " + name_of(where.netns, fact.master) + " as " + fact.port_kind;
    if (fact.parent != 0) line += " parent " + parent_of(where, fact);
    if (!fact.arp) line += " noarp";
    if (fact.ipv6 == Ipv6Addresses::none) line += " noipv6";
    if (fact.tap_owner) line += " owner " + std::to_string(*fact.tap_owner);
    if (fact.tap_group) line += " tapgroup " + std::to_string(*fact.tap_group);
    const std::set<std::string> altnames(fact.altnames.begin(), fact.altnames.end());
    for (const std::string& altname : altnames) line += " altname " + altname;
    if (fact.vlans.pvid) line += " pvid " + std::to_string(*fact.vlans.pvid);
    for (const auto vid : fact.vlans.tagged) line += " vlan " + std::to_string(vid);
    for (const auto vid : fact.vlans.odd) line += " odd " + std::to_string(vid);
    std::set<std::string> more;
    for (const auto& [attribute, value] : fact.attributes)
      more.insert(" " + std::string(attribute->name) + "=" + std::to_string(value));
    for (const AddressFact& address : fact.addresses) {
      if (!is_made_up(address))
        more.insert(" " + address.prefix.text() + "/" + std::to_string(address.protocol));
    }
    for (const RouteFact& route : fact.routes) more.insert(text_of(route));
    for (const std::string& each : more) line += each;
    return line;
  }

  static bool is_made_up(const AddressFact& address) {
    static const IpPrefix kLinkLocal = *IpPrefix::parse("fe80::/10");
    return address.protocol != kOwnProtocol && kLinkLocal.contains(address.prefix.address);
  }
  static std::string text_of(const RouteFact& fact) {
    std::string text = " route " + fact.route.to.network().text();
    if (fact.route.via) text += " via " + fact.route.via->text();
    if (fact.route.metric) text += " metric " + std::to_string(*fact.route.metric);
    return text + "/" + std::to_string(fact.protocol);
  }

  std::string mac_of(const LinkFact& fact) const {
    if (!fact.mac) return "none";
    const auto owner = owners_.find(*fact.mac);
    return owner != owners_.end() ? owner->second : fact.mac->text();
  }

  std::string name_of(const std::string& netns, int ifindex) const {
    const LinkFact* fact = observed_.find(netns)->find(ifindex);
    return fact != nullptr ? fact->name : "?";
  }

  // Ends of a veth in two namespaces name each other in numbers of their own namespaces.
  std::string parent_of(const LinkName& where, const LinkFact& fact) const {
    if (fact.parent_nsid < 0) return name_of(where.netns, fact.parent);
    for (const auto& [other, candidate] : links_) {
      const bool each_other =
          fact.kind != "veth" ||
          (candidate->kind == "veth" && candidate->parent == fact.ifindex && candidate->parent_nsid >= 0);
      if (other.netns != where.netns && candidate->ifindex == fact.parent && each_other) return other.text();
    }
    return "elsewhere";
  }

  const Observed& observed_;
  std::map<LinkName, const LinkFact*> links_;
  std::map<MacAddress, std::string> owners_;
};

// "" when both show the same.
std::string difference(const std::map<std::string, std::string>& memory,
                       const std::map<std::string, std::string>& real) {
  std::string text;
  const auto line_of = [](const std::map<std::string, std::string>& lines, const std::string& key) {
    const auto found = lines.find(key);
    return found != lines.end() ? found->second : std::string("absent");
  };
  std::set<std::string> keys;
  for (const auto* lines : {&memory, &real})
    for (const auto& [key, line] : *lines) keys.insert(key);
  for (const std::string& key : keys) {
    const std::string in_memory = line_of(memory, key);
    const std::string in_kernel = line_of(real, key);
    if (in_memory != in_kernel)
      text += "  " + key + "\n    memory: " + in_memory + "\n    kernel: " + in_kernel + "\n";
  }
  return text;
}

std::set<std::string> macs_in(const Script& script) {
  std::set<std::string> macs;
  const auto add = [&](const std::optional<MacAddress>& mac) {
    if (mac) macs.insert(mac->text());
  };
  for (const Doing& doing : script) {
    if (const auto* meddling = std::get_if<Meddling>(&doing.what)) {
      if (meddling->what == Meddling::What::mac) macs.insert(meddling->value);
      continue;
    }
    const Step& step = std::get<Action>(doing.what).step;
    if (const auto* create = std::get_if<CreateLink>(&step)) {
      add(create->link.mac);
      if (create->peer) add(create->peer->mac);
    }
    if (const auto* change = std::get_if<ChangeLink>(&step)) add(change->mac);
  }
  return macs;
}

// Where a script parts the kernels, and how; nothing when it does not.
struct Divergence {
  std::size_t steps = 0;  // until then, the one that parts them included
  std::string text;
};

std::optional<Divergence> replay(const Script& script, const test::Sandbox& sandbox,
                                 const Abilities& abilities, test::Milliseconds patience) {
  MemoryWorld memory(abilities);
  RealWorld real(sandbox);
  const std::set<std::string> macs = macs_in(script);
  for (std::size_t i = 0; i < script.size(); ++i) {
    const std::string in_memory = memory.perform(script[i]);
    const std::string in_kernel = real.perform(script[i]);
    if (in_memory != in_kernel)
      return Divergence{i + 1, "  memory: " + in_memory + " " + memory.last_error() +
                                   "\n  kernel: " + in_kernel + " " + real.last_error() + "\n"};
    // What the kernel does behind its answer (a namespace that ends) has to come by further events.
    std::string text;
    test::wait_until(
        [&] {
          text = difference(Portrait(memory.look(), macs).lines(), Portrait(real.look(), macs).lines());
          return text.empty();
        },
        patience);
    if (!text.empty()) return Divergence{i + 1, text};
  }
  return std::nullopt;
}

// Leaves steps away, many at a time at first, as long as the rest still parts the kernels.
void expect_same(Script script, const test::Sandbox& sandbox, const Abilities& abilities) {
  auto found = replay(script, sandbox, abilities, 5s);
  if (!found) return;
  script.resize(found->steps);
  constexpr auto kPatience = 300ms;
  for (std::size_t size = script.size() / 2; size > 0; size /= 2) {
    for (std::size_t end = script.size(); end > 0; end -= std::min(end, size)) {
      const std::size_t begin = end - std::min(end, size);
      Script shorter = script;
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(begin),
                    shorter.begin() + static_cast<std::ptrdiff_t>(end));
      if (shorter.empty()) continue;
      auto again = replay(shorter, sandbox, abilities, kPatience);
      if (!again) continue;
      shorter.resize(again->steps);
      script = std::move(shorter);
      found = std::move(again);
      end = std::min(end, script.size() + size);
    }
  }
  ADD_FAILURE() << "the kernel in memory and the real one differ after\n"
                << text_of(script) << "by\n"
                << found->text;
}

// ---- how scripts are written ----

struct Random {
  explicit Random(unsigned seed) : engine(seed) {}
  int upto(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine); }
  std::uint64_t number(int n) { return static_cast<std::uint64_t>(upto(n)); }
  bool chance(int percent) { return upto(100) < percent; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(upto(static_cast<int>(choices.size())))];
  }
  std::mt19937 engine;
};

IpPrefix prefix(const std::string& text) {
  return *IpPrefix::parse(text);
}

MacAddress mac(int number) {
  return {{2, 0xaa, 0, 0, 0, static_cast<std::uint8_t>(number)}};
}

// Each step is tried on a kernel in memory, so that the next one makes sense, or does not.
class Writer {
 public:
  Writer(unsigned seed, const Abilities& abilities)
      : random_(seed), abilities_(abilities), world_(abilities) {}
  virtual ~Writer() = default;

  Script write() && {
    write_script();
    return std::move(script_);
  }

 protected:
  virtual void write_script() = 0;

  bool act(Action action) {
    Doing doing{action, std::nullopt};
    const auto subject_of = [&](int ifindex, const LinkName& where) {
      const NamespaceFacts* facts = world_.look().find(where.netns);
      const LinkFact* link = facts != nullptr && ifindex != 0 ? facts->find(ifindex) : nullptr;
      if (ifindex != 0) doing.subject = {where.netns, link != nullptr ? link->name : std::string("nothing")};
    };
    if (const auto* change = std::get_if<ChangeLink>(&action.step)) subject_of(change->ifindex, change->at);
    if (const auto* removal = std::get_if<RemoveLink>(&action.step))
      subject_of(removal->ifindex, removal->at);
    script_.push_back(doing);
    return world_.perform(doing) == "done";
  }
  void act(Step step) { act(Action{{Kind::network, "n"}, 0, std::move(step), {}, {}, {}}); }
  void meddle(Meddling::What what, LinkName where, std::string value = {}) {
    script_.push_back({Meddling{what, std::move(where), std::move(value)}, std::nullopt});
    world_.perform(script_.back());
  }

  // A cable, both of whose ends are in the managed namespace: nobody's, and what a host interface is here.
  void add_nic(const std::string& name) {
    LinkSpec outer;
    outer.kind = "veth";
    outer.at = {"", name};
    LinkSpec far = outer;
    far.at.name = name + "-far";
    far.created_with_peer = true;
    outer.peer = far.at;
    const OwnerTag nobody{"ffffffffffffffff", {}};
    act(CreateLink{outer, nobody, far, nobody});
    for (const std::string& end : {outer.at.name, far.at.name}) {
      meddle(Meddling::What::alias, {"", end}, "foreign");
      meddle(Meddling::What::group, {"", end}, "0");
    }
  }

  // Something that others do to a link that is there.
  void meddle() {
    using What = Meddling::What;
    std::vector<LinkName> links;
    std::vector<std::string> bridges;
    for (const auto& [path, facts] : world_.look().namespaces) {
      for (const auto& [ifindex, fact] : facts.links()) {
        if (fact.loopback) continue;
        links.push_back({path, fact.name});
        if (fact.kind == "bridge" && path.empty()) bridges.push_back(fact.name);
      }
    }
    if (random_.chance(4)) return meddle_with_namespace();
    if (links.empty()) return;
    std::sort(links.begin(), links.end());
    std::sort(bridges.begin(), bridges.end());
    const LinkName where = random_.of(links);
    const LinkFact link = *world_.look().find(where);
    const std::vector<What> whats = {What::remove, What::rename, What::mtu, What::up,    What::down,
                                     What::alias,  What::group,  What::mac, What::leave, What::address,
                                     What::flush,  What::route,  What::move};
    switch (const What what = random_.of(whats)) {
      case What::rename:
        if (link.up && !abilities_.build.renames_while_up) return;
        return meddle(what, where, "x" + std::to_string(script_.size()));
      case What::mtu:
        return meddle(what, where, random_.of<std::string>({"1200", "1300", "1400"}));
      case What::alias:
        return meddle(what, where, random_.of<std::string>({"", "mine"}));
      case What::group:
        return meddle(what, where, random_.of<std::string>({"0", "7"}));
      case What::mac:
        if (link.kind == "ipvlan") return;  // it has its parent's
        return meddle(what, where, mac(100 + static_cast<int>(script_.size() % 100)).text());
      case What::leave:
        if (random_.chance(50) || bridges.empty() || link.kind == "bridge" || link.master != 0 ||
            !where.netns.empty())
          return meddle(what, where);
        return meddle(What::join, where, random_.of(bridges));
      case What::address:
        return meddle(what, where, "10." + std::to_string(100 + script_.size() % 100) + ".0.1/24");
      case What::route:
        if (link.up) meddle(what, where, std::to_string(10 + script_.size()));
        return;
      case What::move:
        if (random_.chance(50) && link.kind != "bridge" && where.netns.empty())
          meddle(what, where, inner_path());
        return;
      default:
        return meddle(what, where);
    }
  }
  void meddle_with_namespace() {
    const LinkName where{inner_path(), {}};
    const bool there = world_.look().find(where.netns)->present;
    meddle(there ? Meddling::What::remove_namespace : Meddling::What::add_namespace, where);
  }

  std::string inner_path() { return "/run/netns/" + random_.of(kInner); }

  Random random_;
  const Abilities& abilities_;
  MemoryWorld world_;
  Script script_;
};

// What the planner plans for random objects, three times others, while others meddle.
class PlannedWriter final : public Writer {
 public:
  using Writer::Writer;

 private:
  using Objects = std::map<ResourceId, ObjectSpec>;

  void write_script() override {
    for (const std::string& nic : kNics) {
      add_nic(nic);
      meddle(random_.chance(90) ? Meddling::What::up : Meddling::What::down, {"", nic});
    }
    for (int generation = 0; generation < 3; ++generation) {
      declare(random_objects());
      for (int count = random_.upto(6); count > 0; --count) meddle();
      for (int round = 0; round < 4 && carry_out(planning::plan(wanted_, world_.look())); ++round) {
      }
      const desired::DesiredState before = wanted_;
      for (const auto& [id, entry] : before.entries())
        if (entry->object.deleting) wanted_.erase(id);
    }
  }

  // What is not declared any more is removed. Objects that cannot be together are not declared at all.
  void declare(const Objects& objects) {
    const desired::DesiredState before = wanted_;
    for (const auto& [id, entry] : before.entries()) {
      if (objects.contains(id)) continue;
      desired::Declaration leaving = entry->object;
      leaving.deleting = true;
      wanted_.put(leaving);
    }
    for (const auto& [id, spec] : objects) {
      auto finalizers = wanted_.finalizers_of(uid_of(id));
      if (const auto* network = std::get_if<NetworkSpec>(&spec))
        for (const Uplink& uplink : network->uplinks) finalizers.insert(Finalizer::port(uplink.interface));
      wanted_.put({id, "default", uid_of(id), 1, false, random_.chance(20),
                   std::make_shared<const ObjectSpec>(spec)});
      wanted_.set_finalizers(uid_of(id), finalizers);
    }
    if (!wanted_.check()) wanted_ = before;
  }

  static ObjectUid uid_of(const ResourceId& id) {
    const std::string digits = std::to_string(std::hash<ResourceId>{}(id));
    return (std::string(16, '0') + digits).substr(digits.size());
  }

  bool carry_out(const Plan& plan) {
    std::set<ResourceId> failed;
    for (const Action& action : plan.actions)
      if (!failed.contains(action.object) && !act(action)) failed.insert(action.object);
    return !plan.empty();
  }

  Objects random_objects() {
    Objects objects;
    std::vector<std::string> free = kNics;
    if (abilities_.has("vlan") && random_.chance(60)) {
      const VlanSpec vlan{random_.of(kNics),
                          static_cast<std::uint16_t>(10 + random_.upto(3)),
                          random_.chance(30) ? VlanProtocol::dot1ad : VlanProtocol::dot1q,
                          {},
                          {}};
      const std::string name = vlan.parent + "." + std::to_string(vlan.id);
      objects[{Kind::vlan, name}] = vlan;
      free.push_back(name);
    }
    std::shuffle(free.begin(), free.end(), random_.engine);
    for (int i = 1 + random_.upto(3); i > 0; --i) {
      const std::string name = "net" + std::to_string(i);
      NetworkSpec& spec = std::get<NetworkSpec>(objects[{Kind::network, name}] = random_network(free));
      for (int j = random_.upto(4); j > 0; --j) {
        const std::string attachment = name + (j == 1 ? "-with-a-long-name" : "-" + std::to_string(j));
        objects[{Kind::attachment, attachment}] = random_attachment(name, spec, 10 * i + j);
      }
    }
    return objects;
  }

  NetworkSpec random_network(std::vector<std::string>& free) {
    NetworkSpec spec;
    std::vector<std::string> drivers = {"bridge", "bridge", "macvlan"};
    if (abilities_.has("ipvlan")) drivers.emplace_back("ipvlan");
    spec.driver = random_.of(drivers);
    if (random_.chance(30)) spec.mtu = random_.chance(50) ? 1400 : 1280;
    const bool dummy = abilities_.has("dummy") && random_.chance(30);
    if (spec.driver != "bridge" && (dummy || !free.empty())) {
      if (!dummy) {
        spec.parent = free.back();
        free.pop_back();
      }
      if (spec.driver == "macvlan" && random_.chance(30)) spec.settings["mode"] = std::string("private");
      return spec;
    }
    spec.driver = "bridge";
    if (random_.chance(50) && !free.empty()) {
      spec.uplinks.push_back({free.back(), std::nullopt, {}});
      free.pop_back();
    }
    if (random_.chance(30)) spec.settings["flooding"] = std::string("hub");
    if (random_.chance(20)) spec.settings["name"] = "br" + std::to_string(random_.upto(3));
    if (random_.chance(20)) spec.settings["priority"] = std::int64_t{4096};
    if (abilities_.build.vlan_filtering && random_.chance(40)) spec.settings["vlan_filtering"] = true;
    return spec;
  }

  AttachmentSpec random_attachment(const std::string& network, const NetworkSpec& spec, int number) {
    AttachmentSpec attachment;
    attachment.network = network;
    if (spec.settings.contains("vlan_filtering") && random_.chance(70)) attachment.vlans = {10, {20, 30}};
    if (spec.driver == "bridge" && random_.chance(30)) {
      attachment.tap =
          TapEnd{random_.chance(50) ? "tap" + std::to_string(number) : "", 1000, std::nullopt, std::nullopt};
      if (attachment.tap && random_.chance(50)) attachment.tap->multi_queue = random_.chance(50);
      return attachment;
    }
    attachment.netns = random_.of(kInner);
    attachment.interface = "eth" + std::to_string(number);
    attachment.isolated = spec.driver == "bridge" && random_.chance(20);
    if (random_.chance(20)) attachment.mac = mac(number);
    const std::string net = "10.0." + std::to_string(number);
    attachment.addresses = {prefix(net + ".1/24")};
    if (random_.chance(40))
      attachment.addresses.push_back(prefix("fd00:" + std::to_string(number) + "::1/64"));
    // Two attachments of one namespace may not declare one route: the metric tells them apart.
    const auto metric = static_cast<std::uint32_t>(number);
    if (random_.chance(40))
      attachment.routes.push_back({prefix("0.0.0.0/0"), IpAddress::parse(net + ".254"), metric});
    if (random_.chance(30))
      attachment.routes.push_back({prefix("10.200.0.0/16"), IpAddress::parse(net + ".9"), metric});
    return attachment;
  }

  inline static const std::vector<std::string> kNics = {"eth1", "eth2"};
  desired::DesiredState wanted_;
};

// Actions on a few names, right ones and wrong ones.
class RawWriter final : public Writer {
 public:
  using Writer::Writer;

 private:
  void write_script() override {
    add_nic("nic");
    meddle(Meddling::What::up, {"", "nic"});
    for (int count = 30; count > 0; --count) {
      switch (random_.upto(10)) {
        case 0:
        case 1:
        case 2:
          act(random_creation());
          break;
        case 3:
        case 4:
          act(random_change());
          break;
        case 5:
          act(random_removal());
          break;
        case 6:
          if (random_.chance(70))
            act(AddAddress{any_link(), random_address()});
          else
            act(RemoveAddress{any_link(), random_address()});
          break;
        case 7:
          if (random_.chance(70))
            act(AddRoute{any_link(), random_route(), random_.chance(20)});
          else
            act(RemoveRoute{any_link(), random_route()});
          break;
        default:
          meddle();
      }
    }
  }

  std::string any_netns() { return random_.chance(70) ? "" : inner_path(); }
  std::string any_name() { return random_.of<std::string>({"a", "b", "c", "d", "nic", "nic-far"}); }
  // A copy: the next look takes the facts away.
  std::optional<LinkFact> link_at(const LinkName& where) {
    const LinkFact* link = world_.look().find(where);
    return link != nullptr ? std::optional(*link) : std::nullopt;
  }
  // Mostly one that is there.
  LinkName any_link() {
    const std::string netns = any_netns();
    std::vector<std::string> names;
    for (const auto& [ifindex, fact] : world_.look().find(netns)->links())
      if (!fact.loopback) names.push_back(fact.name);
    std::sort(names.begin(), names.end());
    return {netns, names.empty() || random_.chance(10) ? any_name() : random_.of(names)};
  }
  std::string any_bridge(const std::string& netns) {
    std::vector<std::string> names;
    for (const auto& [ifindex, fact] : world_.look().find(netns)->links())
      if (fact.kind == "bridge") names.push_back(fact.name);
    std::sort(names.begin(), names.end());
    return names.empty() || random_.chance(15) ? any_name() : random_.of(names);
  }
  OwnerTag any_mark() { return {random_.of<std::string>({"00000000000000aa", "00000000000000bb"}), {}}; }
  MacAddress any_mac() { return mac(static_cast<int>(script_.size())); }
  std::uint32_t any_mtu() {
    return random_.chance(10) ? random_.of<std::uint32_t>({20, 70000})
                              : random_.of<std::uint32_t>({1200, 1280, 1400, 1500, 9000});
  }

  CreateLink random_creation() {
    LinkSpec link;
    link.kind = random_.of(abilities_.kinds);
    link.at = {any_netns(), any_name()};
    link.up = random_.chance(80);
    if (random_.chance(40)) link.mtu = any_mtu();
    if (random_.chance(60) || link.kind == "bridge") link.mac = any_mac();
    if (link.kind == "ipvlan") link.mac.reset();
    if (random_.chance(20)) link.altname = "alternative-" + std::to_string(random_.upto(3));
    if (random_.chance(40)) link.ipv6 = Ipv6Addresses::none;
    if (random_.chance(10)) link.arp = false;
    const bool on_parent = link.kind == "vlan" || link.kind == "macvlan" || link.kind == "ipvlan";
    if (on_parent) link.parent = random_.chance(60) ? "nic" : any_name();
    if (!on_parent && link.kind != "bridge" && random_.chance(40)) {
      link.master = any_bridge(link.at.netns);
      link.attributes = random_port_attributes();
    }
    if (link.kind == "bridge") link.attributes = random_bridge_attributes();
    if (link.kind == "vlan") link.attributes = {{kinds::vlan::kId, 5 + random_.number(3)}};
    if (link.kind == "macvlan") link.attributes = {{kinds::macvlan::kMode, random_.chance(50) ? 4U : 1U}};
    if (link.kind == "ipvlan" && random_.chance(50))
      link.attributes = {{kinds::ipvlan::kMode, random_.number(3)}};
    if (link.kind == "tun" && random_.chance(50)) link.tap_owner = 1000;
    if (link.kind != "veth") return {link, any_mark(), std::nullopt, std::nullopt};
    LinkSpec peer;
    peer.kind = "veth";
    peer.at = {random_.chance(60) ? inner_path() : link.at.netns, any_name()};
    peer.created_with_peer = true;
    peer.peer = link.at;
    link.peer = peer.at;
    if (random_.chance(50)) peer.mtu = any_mtu();
    if (random_.chance(50)) peer.mac = mac(50 + static_cast<int>(script_.size()));
    return {link, any_mark(), peer, any_mark()};
  }

  LinkAttributes random_bridge_attributes() {
    LinkAttributes attributes;
    if (random_.chance(30))
      attributes.emplace_back(kinds::bridge::kAgeingTime, random_.chance(50) ? 0U : 10000U);
    if (random_.chance(30))
      attributes.emplace_back(kinds::bridge::kGroupFwdMask, random_.chance(80) ? 0xfff8U : 7U);
    if (random_.chance(30)) attributes.emplace_back(kinds::bridge::kMcastSnooping, random_.number(2));
    if (abilities_.build.vlan_filtering && random_.chance(50)) {
      attributes.emplace_back(kinds::bridge::kVlanFiltering, 1);
      attributes.emplace_back(kinds::bridge::kVlanDefaultPvid, random_.number(2));
    }
    if (random_.chance(20)) attributes.emplace_back(kinds::bridge::kPriority, 4096);
    return attributes;
  }
  LinkAttributes random_port_attributes() {
    LinkAttributes attributes;
    if (random_.chance(40)) attributes.emplace_back(kinds::bridge::kPortIsolated, random_.number(2));
    if (random_.chance(40)) attributes.emplace_back(kinds::bridge::kPortLearning, random_.number(2));
    if (random_.chance(40)) attributes.emplace_back(kinds::bridge::kPortGroupFwdMask, 0xfffd);
    return attributes;
  }

  ChangeLink random_change() {
    ChangeLink change;
    change.at = any_link();
    const auto link = link_at(change.at);
    if (link) {
      change.kind = link->kind;
      change.ifindex = random_.chance(90) ? link->ifindex : 0;
    }
    const bool host_only = !link || link->kind == "ipvlan";
    if (random_.chance(15)) change.rename = any_name();
    if (random_.chance(25)) change.up = random_.chance(70);
    if (random_.chance(20)) change.mtu = any_mtu();
    if (random_.chance(15) && !host_only) change.mac = any_mac();
    if (random_.chance(15)) change.alias = any_mark().text();
    if (random_.chance(10)) change.group = random_.chance(50) ? kOwnGroup : 0;
    if (random_.chance(10)) change.add_altname = "alternative-" + std::to_string(random_.upto(3));
    if (random_.chance(10)) change.ipv6 = Ipv6Addresses::none;
    if (random_.chance(5)) change.arp = random_.chance(50);
    if (random_.chance(20)) {
      change.master = random_.chance(40) ? "" : any_bridge(change.at.netns);
      change.port_kind = "bridge";
      if (!change.master->empty()) change.attributes = random_port_attributes();
    } else if (link && link->kind == "bridge" && random_.chance(50)) {
      change.attributes = random_bridge_attributes();
    } else if (link && link->port_kind == "bridge" && random_.chance(50)) {
      change.port_kind = "bridge";
      change.attributes = random_port_attributes();
    }
    // Which of the two comes first differs between kernels, and shows when the other one is refused.
    if (change.master) change.up.reset();
    if (link && link->port_kind == "bridge" && abilities_.build.vlan_filtering && random_.chance(40)) {
      const PortVlans vlans{
          random_.chance(50) ? std::optional<std::uint16_t>(10 + random_.upto(2)) : std::nullopt,
          {static_cast<std::uint16_t>(20 + random_.upto(2))}};
      (random_.chance(70) ? change.add_vlans : change.remove_vlans) = vlans;
    }
    return change;
  }

  RemoveLink random_removal() {
    const LinkName where = any_link();
    const auto link = link_at(where);
    if (!link) return {where, 1 << 30, "veth", any_mark()};
    const auto mark = OwnerTag::parse(link->alias);
    return {where, link->ifindex, link->kind, mark && random_.chance(80) ? *mark : any_mark()};
  }

  IpPrefix random_address() {
    return prefix(
        random_.of<std::string>({"10.0.0.1/24", "10.1.0.1/16", "10.0.1.1/32", "fd00::1/64", "fd01::1/64"}));
  }
  RouteSpec random_route() {
    RouteSpec route;
    const bool six = random_.chance(30);
    if (six) {
      route.to = prefix(random_.of<std::string>({"::/0", "fd09::/64"}));
      if (random_.chance(70)) route.via = IpAddress::parse(random_.of<std::string>({"fd00::fe", "fd05::1"}));
    } else {
      route.to = prefix(random_.of<std::string>({"0.0.0.0/0", "10.9.0.0/24"}));
      if (random_.chance(70))
        route.via = IpAddress::parse(random_.of<std::string>({"10.0.0.254", "10.5.0.1"}));
    }
    if (random_.chance(30)) route.metric = 5;
    return route;
  }
};

// ---- the tests ----

Abilities find_abilities(const test::Sandbox& sandbox) {
  Abilities abilities;
  sandbox.add_netns("probe");
  sandbox.ip("-n probe link add base up type veth");
  const auto can = [&](const std::string& rest) { return sandbox.try_ip("-n probe " + rest); };
  abilities.kinds = {"bridge", "veth", "tun"};
  if (can("link add probe-d type dummy")) abilities.kinds.emplace_back("dummy");
  if (can("link add probe-v link base type vlan id 7")) abilities.kinds.emplace_back("vlan");
  if (can("link add probe-m link base type macvlan")) abilities.kinds.emplace_back("macvlan");
  can("link del probe-m");
  if (can("link add probe-i link base type ipvlan")) abilities.kinds.emplace_back("ipvlan");
  abilities.build.vlan_filtering = can("link add probe-b type bridge vlan_filtering 1");
  abilities.build.renames_while_up = can("link set base name other");
  sandbox.delete_netns("probe");
  return abilities;
}

std::optional<unsigned> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return static_cast<unsigned>(std::stoul(text));
}

template <class SomeWriter>
void run_scripts(unsigned usual_count) {
  const test::Sandbox sandbox;
  const Abilities abilities = find_abilities(sandbox);
  const auto only = number_in("LANWRIGHT_TEST_SEED");
  const unsigned first = only.value_or(1);
  const unsigned count = number_in("LANWRIGHT_TEST_SCRIPTS").value_or(only ? 1 : usual_count);
  std::string kinds;
  for (const std::string& kind : abilities.kinds) kinds += " " + kind;
  std::cout << "seeds " << first << " to " << first + count - 1 << ", kinds" << kinds << std::endl;
  for (unsigned seed = first; seed < first + count && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("LANWRIGHT_TEST_SEED=" + std::to_string(seed));
    expect_same(SomeWriter(seed, abilities).write(), sandbox, abilities);
  }
}

TEST(MemoryKernelAndKernel, DoTheSameToWhatThePlannerPlans) {
  run_scripts<PlannedWriter>(10);
}

TEST(MemoryKernelAndKernel, DoTheSameToWhatMakesNoSense) {
  run_scripts<RawWriter>(25);
}

}  // namespace
}  // namespace lanwright
