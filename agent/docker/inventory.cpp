#include "agent/docker/inventory.h"

#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "model/format/json.h"

namespace lanwright::docker_agent {
namespace {

using namespace std::chrono_literals;

// A dockerd that is starting takes connections, and answers when it is ready.
constexpr auto kRequestTimeout = 10s;

Error no_answer(const std::string& path, std::string words) {
  return {ErrorKind::busy, "ask Docker for", path, 0, std::move(words), {}};
}

// "" when there is none.
std::string text_in(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The body; absent when Docker does not have it (404).
Result<std::optional<std::string>> get(httplib::Client& http, const std::string& path) {
  const httplib::Result result = http.Get(path);
  if (!result) return no_answer(path, httplib::to_string(result.error()));
  if (result->status == 404) return std::optional<std::string>();
  if (result->status != 200) return no_answer(path, "HTTP status " + std::to_string(result->status));
  return std::optional(result->body);
}

// Those without a sandbox have a key that is no container's.
std::vector<std::string> containers_on(const std::string& network) {
  std::vector<std::string> containers;
  const Json told = Json::parse(network, nullptr, false);
  if (!told.is_object() || !told.contains("Containers") || !told.at("Containers").is_object())
    return containers;
  for (const auto& [id, container] : told.at("Containers").items())
    if (!id.starts_with("ep-")) containers.push_back(id);
  return containers;
}

// What goes meanwhile is not lost.
Result<std::vector<LostNetwork>> find_lost(httplib::Client& http, const std::string& list,
                                           const Search& search) {
  std::vector<LostNetwork> found;
  for (LostNetwork& lost : lost_networks(list, search)) {
    auto network = get(http, "/networks/" + lost.id);
    if (!network) return network.error();
    if (!*network) continue;
    lost.network = **std::move(network);
    for (const std::string& id : containers_on(lost.network)) {
      auto container = get(http, "/containers/" + id + "/json");
      if (!container) return container.error();
      if (*container) lost.containers.push_back(**std::move(container));
    }
    found.push_back(std::move(lost));
  }
  return found;
}

Result<DockerInventory> find_out(httplib::Client& http, const std::set<std::string>& networks,
                                 const std::optional<Search>& search) {
  DockerInventory answer;
  const auto list = get(http, "/networks");
  if (!list) return list.error();
  auto listed = listed_networks(list->value_or(""));
  if (!listed) return listed.error();
  answer.networks = *std::move(listed);
  for (const std::string& network : networks) {
    if (!answer.networks.contains(network)) continue;
    const auto body = get(http, "/networks/" + network);
    if (!body) return body.error();
    if (!*body) continue;
    auto endpoints = listed_endpoints(**body);
    if (!endpoints) return endpoints.error();
    answer.endpoints.emplace(network, *std::move(endpoints));
  }
  if (!search) return answer;
  auto lost = find_lost(http, list->value_or(""), *search);
  if (!lost) return lost.error();
  answer.lost = *std::move(lost);
  return answer;
}

Result<DockerInventory> find_out_safely(httplib::Client& http, const std::set<std::string>& networks,
                                        const std::optional<Search>& search) {
  try {
    return find_out(http, networks, search);
  } catch (const std::exception& wrong) {
    return no_answer("/networks", wrong.what());
  }
}

// Those of its IPAM configuration; one without has none.
Result<std::vector<IpPrefix>> subnets_in(const Json& network) {
  std::vector<IpPrefix> subnets;
  const auto ipam = network.find("IPAM");
  if (ipam == network.end() || !ipam->is_object()) return subnets;
  const auto configs = ipam->find("Config");
  if (configs == ipam->end() || !configs->is_array()) return subnets;
  for (const Json& config : *configs) {
    const std::string text = text_in(config, "Subnet");
    if (text.empty()) continue;
    const auto subnet = IpPrefix::parse(text);
    if (!subnet) return no_answer("/networks", "the subnet " + text + " of one is none");
    subnets.push_back(subnet->network());
  }
  return subnets;
}

// A default pool is listed as it was asked for, such as 0.0.0.0/24. (The null IPAM's 0.0.0.0/0 is none.)
bool is_some_pool(const IpPrefix& subnet, const AskedPool& pool) {
  return subnet.length != 0 && subnet.address == IpAddress{pool.cidr.address.family, {}};
}

// By networks of other drivers: of several pools of one subnet they may have one.
bool is_used_otherwise(const AuditQuery& question, const DockerInventory& answer, const AskedPool& pool) {
  return std::any_of(answer.networks.begin(), answer.networks.end(), [&](const auto& network) {
    const auto& [id, subnets] = network;
    if (std::find(pool.networks.begin(), pool.networks.end(), id) != pool.networks.end()) return false;
    const bool ours = std::any_of(question.networks.begin(), question.networks.end(),
                                  [&id = id](const AskedNetwork& asked) { return asked.id == id; });
    return std::any_of(subnets.begin(), subnets.end(), [&](const IpPrefix& subnet) {
      return subnet == pool.cidr || (!ours && is_some_pool(subnet, pool));
    });
  });
}

// Of all endpoints on these networks; absent unless Docker told of each.
std::optional<std::set<IpAddress>> addresses_of(const DockerInventory& answer,
                                                const std::vector<std::string>& networks) {
  std::set<IpAddress> all;
  for (const std::string& network : networks) {
    const auto told = answer.endpoints.find(network);
    if (told == answer.endpoints.end()) return std::nullopt;
    for (const auto& [id, addresses] : told->second) all.insert(addresses.begin(), addresses.end());
  }
  return all;
}

}  // namespace

AuditResult compare(const AuditQuery& question, const DockerInventory& answer) {
  AuditResult verdict;
  verdict.undecided = question.too_young;
  for (const AskedNetwork& network : question.networks) {
    if (answer.networks.contains(network.id))
      verdict.known.push_back(network.id);
    else if (network.young)
      verdict.undecided = true;
    else
      verdict.orphaned.push_back(network.id);
  }
  for (const AskedEndpoint& endpoint : question.endpoints) {
    const auto there = answer.endpoints.find(endpoint.network);
    if (there != answer.endpoints.end() && !there->second.contains(endpoint.endpoint))
      verdict.forgotten.push_back(endpoint);
  }
  for (const AskedPool& pool : question.pools) {
    if (is_used_otherwise(question, answer, pool)) continue;
    if (pool.networks.empty()) {
      verdict.free_pools.push_back(pool.id);
      continue;
    }
    const auto used = addresses_of(answer, pool.networks);
    if (!used) continue;
    for (const IpAddress& address : pool.doubtful)
      if (!used->contains(address)) verdict.free_addresses.emplace_back(pool.id, address);
  }
  return verdict;
}

Result<std::map<std::string, std::vector<IpPrefix>>> listed_networks(const std::string& body) {
  const Json list = Json::parse(body, nullptr, false);
  std::map<std::string, std::vector<IpPrefix>> networks;
  if (!list.is_array()) return no_answer("/networks", "what it tells is no list");
  for (const Json& network : list) {
    const std::string id = text_in(network, "Id");
    if (id.empty()) return no_answer("/networks", "a network has no Id");
    auto subnets = subnets_in(network);
    if (!subnets) return subnets.error();
    networks[id] = *std::move(subnets);
  }
  if (networks.empty()) return no_answer("/networks", "it has none at all, not even its own");
  return networks;
}

std::vector<LostNetwork> lost_networks(const std::string& body, const Search& search) {
  std::vector<LostNetwork> lost;
  const Json list = Json::parse(body, nullptr, false);
  if (!list.is_array()) return lost;
  for (const Json& network : list) {
    const std::string id = text_in(network, "Id");
    const std::string plugin = text_in(network, "Driver");
    const auto ipam = network.find("IPAM");
    const std::string addresses = ipam != network.end() ? text_in(*ipam, "Driver") : std::string();
    if (search.known.contains(id)) continue;
    const bool own_addresses = search.plugins.contains(addresses);
    const bool own_driver = search.plugins.contains(plugin);
    if (own_driver || own_addresses) lost.push_back({id, plugin, {}, {}, own_addresses, own_driver});
  }
  return lost;
}

Result<DockerInventory::Endpoints> listed_endpoints(const std::string& body) {
  const Json network = Json::parse(body, nullptr, false);
  const auto containers = network.is_object() ? network.find("Containers") : network.end();
  if (!network.is_object() || containers == network.end() || !containers->is_object())
    return no_answer("a network", "it does not tell its Containers");
  DockerInventory::Endpoints endpoints;
  for (const auto& [key, container] : containers->items()) {
    const std::string id = text_in(container, "EndpointID");
    if (id.empty()) return no_answer("a network", "one of its Containers has no EndpointID");
    std::set<IpAddress>& addresses = endpoints[id];
    for (const char* family : {"IPv4Address", "IPv6Address"}) {
      const std::string text = text_in(container, family);
      if (text.empty()) continue;
      const auto address = IpPrefix::parse(text);
      if (!address) return no_answer("a network", "the " + std::string(family) + " " + text + " is none");
      addresses.insert(address->address);
    }
  }
  return endpoints;
}

struct DockerInventoryClient::Asking {
  httplib::Client http;
  std::promise<void> end;
  std::thread thread;

  explicit Asking(const std::string& socket) : http(socket, 80) {
    http.set_address_family(AF_UNIX);
    http.set_keep_alive(true);
    http.set_connection_timeout(kRequestTimeout);
    http.set_read_timeout(kRequestTimeout);
    http.set_write_timeout(kRequestTimeout);
    // httplib would send the path of the socket, which is not a valid Host.
    http.set_default_headers({{"Host", "docker"}});
  }
};

DockerInventoryClient::DockerInventoryClient(boost::asio::io_context& io, std::string socket)
    : io_(io), socket_(std::move(socket)) {}

// Again until it has ended: what it does between two requests, a stop does not reach.
DockerInventoryClient::~DockerInventoryClient() {
  if (!asking_) return;
  const auto ended = asking_->end.get_future();
  do asking_->http.stop();
  while (ended.wait_for(20ms) != std::future_status::ready);
  asking_->thread.join();
}

void DockerInventoryClient::ask(const AuditQuery& question, const Done& done) {
  std::set<std::string> networks;
  for (const AskedEndpoint& endpoint : question.endpoints) networks.insert(endpoint.network);
  for (const AskedPool& pool : question.pools) networks.insert(pool.networks.begin(), pool.networks.end());
  asking_ = std::make_unique<Asking>(socket_);
  const std::weak_ptr<Life> life = life_;
  const auto work = [this, life, asking = asking_.get(), networks = std::move(networks),
                     search = question.search, done] {
    auto answer = std::make_shared<Result<DockerInventory>>(find_out_safely(asking->http, networks, search));
    boost::asio::post(io_, [this, life, answer, done] {
      if (life.expired()) return;
      asking_->thread.join();
      asking_.reset();
      done(std::move(*answer));
    });
    asking->end.set_value();
  };
  try {
    asking_->thread = std::thread(work);
  } catch (const std::system_error& failed) {
    asking_.reset();
    boost::asio::post(io_, [done, error = no_answer("/networks", failed.what())] { done(error); });
  }
}

}  // namespace lanwright::docker_agent
