#include "tests/integration/kernel_facts.h"

#include <algorithm>
#include <initializer_list>
#include <map>

namespace lanwright::test {
namespace {

void erase_keys(Json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) object.erase(key);
}

Json* member(Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

void erase_words(Json& list, std::initializer_list<const char*> words) {
  std::erase_if(list.get_ref<Json::array_t&>(),
                [&](const Json& word) { return std::ranges::find(words, word) != words.end(); });
}

// Timers, states of the spanning tree, carrier: these follow a change in their own time, up to seconds later.
void drop_what_follows(Json& link) {
  link.erase("operstate");
  erase_words(link.at("flags"), {"NO-CARRIER", "LOWER_UP", "RUNNING", "M-DOWN"});
  Json* info = member(link, "linkinfo");
  if (info == nullptr) return;
  for (const char* part : {"info_data", "info_slave_data"}) {
    if (Json* data = member(*info, part)) {
      erase_keys(*data, {"hello_timer", "tcn_timer", "topology_change_timer", "gc_timer", "hold_timer",
                         "message_age_timer", "forward_delay_timer", "topology_change_ack", "config_pending",
                         "topology_change", "topology_change_detected", "state"});
    }
  }
}

Json link_facts(Json link) {
  drop_what_follows(link);
  if (Json* addresses = member(link, "addr_info")) {
    auto& list = addresses->get_ref<Json::array_t&>();
    std::erase_if(list, [](const Json& address) { return address.value("scope", "") == "link"; });
    for (Json& address : list) erase_keys(address, {"tentative", "dadfailed", "optimistic"});
    std::ranges::sort(list, {}, [](const Json& address) { return address.dump(); });
  }
  return link;
}

// Those that the kernel makes for link-local addresses come and go with them.
bool is_link_local(const Json& route) {
  const std::string target = route.value("dst", "");
  return target.starts_with("fe80:") || target.starts_with("ff00:") || target.starts_with("multicast");
}

std::string in(const std::string& netns) {
  return netns.empty() ? "" : "-n " + netns + " ";
}

bool is_settled(const Json& link) {
  const auto is_tentative = [](const Json& address) { return address.contains("tentative"); };
  if (link.contains("addr_info") && std::ranges::any_of(link.at("addr_info"), is_tentative)) return false;
  const auto& flags = link.at("flags").get_ref<const Json::array_t&>();
  const bool carrier = std::ranges::find(flags, "LOWER_UP") != flags.end();
  return !carrier || link.at("ifname") == "lo" || link.at("operstate") == "UP";
}

bool of_lo(const Json& route) {
  return route.value("dev", "") == "lo";
}

}  // namespace

Json facts_of(const Sandbox& sandbox, const std::string& netns) {
  Json facts{{"links", Json::object()}, {"routes", Json::array()}};
  std::map<std::string, Json> links;  // a link that is made again comes last in what ip tells
  for (Json& link : sandbox.ip_json(in(netns) + "address show")) {
    const auto name = link.at("ifname").get<std::string>();
    if (name != "lo") links[name] = link_facts(std::move(link));
  }
  for (auto& [name, link] : links) facts["links"][name] = std::move(link);
  std::vector<Json> routes;
  for (const char* family : {"-4 ", "-6 "}) {
    for (Json& route : sandbox.ip_json(family + in(netns) + "route show table all")) {
      if (of_lo(route) || is_link_local(route)) continue;
      if (Json* flags = member(route, "flags")) erase_words(*flags, {"linkdown", "dead"});
      routes.push_back(std::move(route));
    }
  }
  std::ranges::sort(routes, {}, [](const Json& route) { return route.dump(); });
  facts["routes"] = routes;
  return facts;
}

Json without_indexes(Json facts) {
  for (Json& link : facts.at("links")) {
    // The last is taken over from the parent as it was at that moment.
    erase_keys(link, {"ifindex", "link_index", "link_netnsid", "link", "tso_max_size"});
    Json* info = member(link, "linkinfo");
    if (Json* slave = info == nullptr ? nullptr : member(*info, "info_slave_data"))
      erase_keys(*slave, {"id", "no", "designated_port"});
  }
  return facts;
}

Json facts_of_all(const Sandbox& sandbox, const std::vector<std::string>& namespaces) {
  Json all = Json::object();
  for (const std::string& netns : namespaces) all[netns.empty() ? "host" : netns] = facts_of(sandbox, netns);
  return all;
}

bool settles(const Sandbox& sandbox, const std::vector<std::string>& namespaces) {
  return std::ranges::all_of(namespaces, [&](const std::string& netns) {
    return LinkWatcher(netns).wait_until([&] {
      const auto links = sandbox.ip_json(in(netns) + "address show");
      return std::ranges::all_of(links, is_settled);
    });
  });
}

std::string differences(const Json& before, const Json& after) {
  std::string text;
  for (const Json& step : Json::diff(before, after)) {
    text += step.dump();
    const Json::json_pointer place(step.at("path").get<std::string>());
    if (before.contains(place)) text += "  (was " + before.at(place).dump() + ")";
    text += '\n';
  }
  return text;
}

}  // namespace lanwright::test
