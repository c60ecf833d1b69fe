#include "reconcilers/desired/shared_links.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/dummy.h"
#include "reconcilers/kinds/sharing.h"
#include "reconcilers/kinds/table.h"

namespace lanwright::desired {
namespace {

using kinds::Clash;
using Names = std::vector<std::string>;

struct Use {
  enum class As {
    uplink,    // of a network
    own_port,  // a link of the object's own that is plugged into its network
    bridge,    // a bridge, of its own or the host's
    dummy,     // a dummy of its own, for its attachments to stand on
    parent,    // of the host, for its links to stand on
  };
  As as;
  bool bridged = false;  // an uplink that is a port of a bridge of the kernel's
  ParentUse parent{};
};

bool is_plugged(const drivers::Resources& resources, const LinkSpec& link) {
  return !link.master.empty() || std::any_of(resources.plugs.begin(), resources.plugs.end(),
                                             [&](const PlugSpec& plug) { return plug.link == link.at; });
}

std::optional<Use> use_of_itself(const drivers::Resources& resources, const LinkSpec& link) {
  if (!link.at.netns.empty()) return std::nullopt;
  if (link.borrowed && !link.is_host_bridge()) return Use{Use::As::uplink, !link.master.empty()};
  if (is_plugged(resources, link)) return Use{Use::As::own_port};
  if (link.kind == kinds::kBridge.name) return Use{Use::As::bridge};
  if (link.kind == kinds::kDummy.name) return Use{Use::As::dummy};
  return std::nullopt;
}

// Calls with (name, use) of each link of the managed namespace that the object uses. What attachments stand
// on is their network's to say.
template <class Call>
void each_use(const DesiredObject& entry, const drivers::Resources& resources, Call call) {
  for (const LinkSpec& link : resources.links) {
    if (auto use = use_of_itself(resources, link)) call(link.at.name, std::move(*use));
  }
  if (entry.object.id.kind != Kind::network) return;
  for (const ParentUse& use : resources.parents) call(use.name, Use{Use::As::parent, false, use});
}

std::optional<Clash> overlap(const DesiredObject& a, const DesiredObject& b) {
  const auto* mine = std::get_if<NetworkSpec>(a.object.spec.get());
  const auto* other = std::get_if<NetworkSpec>(b.object.spec.get());
  if (mine == nullptr || other == nullptr) return std::nullopt;
  for (const Subnet& subnet : mine->subnets) {
    for (const Subnet& rival : other->subnets) {
      if (subnet.cidr.overlaps(rival.cidr))
        return Clash{"their subnets " + subnet.cidr.text() + " and " + rival.cidr.text() + " overlap",
                     "give each its own part, or declare them as one network"};
    }
  }
  return std::nullopt;
}

// Why two objects cannot use one link in these ways.
std::optional<Clash> clash_of(const Use& mine, const Use& other) {
  using As = Use::As;
  const auto one_is = [&](As as) { return mine.as == as || other.as == as; };
  if (!one_is(As::uplink) && !one_is(As::parent)) return std::nullopt;  // both make it: see check()
  if (mine.as == As::parent && other.as == As::parent) return kinds::clash(mine.parent, other.parent);
  if (one_is(As::bridge)) {
    if (!mine.bridged && !other.bridged) return std::nullopt;
    return Clash{"a bridge cannot be a port of a bridge",
                 "declare them as one network, or join them by a veth pair"};
  }
  if (one_is(As::dummy) && one_is(As::parent)) return std::nullopt;
  if (one_is(As::dummy) || one_is(As::own_port))
    return Clash{"what is plugged into one network is no uplink or parent of another",
                 "give one of them another link"};
  if (one_is(As::parent))
    return Clash{"a link is a port of a bridge or the parent of others, not both",
                 "give one of them another link, a VLAN on it for example"};
  return Clash{"a link is the uplink of one network",
               "remove it there first, or give one of them another link, a VLAN on it for example"};
}

bool is_one_of(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::set<const DesiredObject*> rivals_for(const DesiredState& desired, const DesiredObject& entry,
                                          const Names& names) {
  std::set<const DesiredObject*> rivals;
  for (const std::string& name : names) {
    for (const DesiredObject* user : desired.users_of({"", name})) rivals.insert(user);
    if (const DesiredObject* owner = desired.owner_of({"", name})) rivals.insert(owner);
  }
  std::erase_if(rivals, [&](const DesiredObject* rival) {
    return rival == &entry || rival->object.deleting || !rival->object.spec;
  });
  return rivals;
}

std::string told(const DesiredObject& object, const DesiredObject& to) {
  const bool elsewhere = object.object.set != to.object.set && !object.object.implicit();
  return object.object.id.text() + (elsewhere ? " of set " + object.object.set : "");
}

// "p0", "enp3s0, which is p0"
std::string told(const std::string& mine, const std::string& other) {
  return mine == other ? mine : mine + ", which is " + other + ",";
}

// `first`: of the names of each link, where those begin by which others are looked for.
std::optional<LinkClash> find_clash(const DesiredState& desired, const DesiredObject& entry,
                                    const drivers::Resources& resources, const HostNames& host,
                                    std::size_t first) {
  std::optional<LinkClash> found;
  each_use(entry, resources, [&](const std::string& name, const Use& mine) {
    const Names names = found ? Names{} : host.of(name);
    if (names.size() <= first) return;
    const Names asked(names.begin() + static_cast<std::ptrdiff_t>(first), names.end());
    for (const DesiredObject* rival : rivals_for(desired, entry, asked)) {
      each_use(*rival, rival->compile(), [&](const std::string& its_name, const Use& its) {
        if (found || !is_one_of(names, its_name)) return;
        auto clash = clash_of(mine, its);
        if (!clash && mine.as == Use::As::parent && its.as == Use::As::parent) clash = overlap(entry, *rival);
        if (!clash) return;
        found = {
            rival, name,
            "it cannot share " + told(name, its_name) + " with " + told(*rival, entry) + ": " + clash->words,
            clash->hint};
      });
    }
  });
  return found;
}

}  // namespace

std::vector<std::string> HostNames::of(const std::string& name) const {
  Names names = {name};
  const LinkFact* link = host_ != nullptr ? host_->find(name) : nullptr;
  if (link == nullptr) return names;
  if (link->name != name) names.push_back(link->name);
  for (const std::string& other : link->altnames) {
    if (other != name) names.push_back(other);
  }
  return names;
}

std::optional<LinkClash> find_clash(const DesiredState& desired, const DesiredObject& entry,
                                    const drivers::Resources& resources, const HostNames& host) {
  return find_clash(desired, entry, resources, host, 0);
}

std::optional<LinkClash> find_clash_by_other_names(const DesiredState& desired, const DesiredObject& entry,
                                                   const drivers::Resources& resources,
                                                   const HostNames& host) {
  return find_clash(desired, entry, resources, host, 1);
}

}  // namespace lanwright::desired
