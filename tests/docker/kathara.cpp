#include "tests/docker/kathara.h"

#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <future>
#include <set>
#include <thread>

#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

constexpr const char* kLabels = R"({"label":["app=kathara","lab_hash=lab"]})";

std::string percent_encoded(const std::string& text) {
  std::string encoded;
  for (const unsigned char c : text) {
    std::array<char, 4> digits{};
    std::snprintf(digits.data(), digits.size(), "%%%02X", c);
    encoded += std::isalnum(c) != 0 ? std::string(1, static_cast<char>(c)) : std::string(digits.data());
  }
  return encoded;
}

// As many at once as there are processors, and the next when all of these are done.
void for_each_in_pool(const Words& names, const std::function<void(const std::string&)>& work) {
  const std::size_t pool = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t begin = 0; begin < names.size(); begin += pool) {
    std::vector<std::future<void>> chunk;
    for (std::size_t i = begin; i < std::min(begin + pool, names.size()); ++i)
      chunk.push_back(std::async(std::launch::async, work, names[i]));
    for (std::future<void>& each : chunk) each.get();
  }
}

Json labels(const std::string& name) {
  return {{"lab_hash", "lab"}, {"name", name}, {"user", "root"}, {"app", "kathara"}};
}

bool has(const Words& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

Words Lab::lans() const {
  std::set<std::string> names;
  for (const LabDevice& each : devices) names.insert(each.lans.begin(), each.lans.end());
  return {names.begin(), names.end()};
}

const LabDevice& Lab::device(const std::string& name) const {
  const auto found = std::ranges::find(devices, name, &LabDevice::name);
  if (found == devices.end()) throw HarnessError("the lab has no device " + name);
  return *found;
}

Kathara::Kathara(const Dockerd& docker, std::string driver, Lab lab)
    : docker_(docker),
      driver_(std::move(driver)),
      lab_(std::move(lab)),
      engine_(std::stoi(ask("GET", "/version").at("Version").get<std::string>())) {}

Json Kathara::ask(const std::string& method, const std::string& path, const Json& body) const {
  ApiAnswer answer = docker_.api(method, path, body);
  constexpr int kNotModified = 304;
  if (answer.status < 200 || (answer.status >= 300 && answer.status != kNotModified))
    throw HarnessError(method + " " + path + ": " + std::to_string(answer.status) + " " + answer.body.dump());
  return std::move(answer.body);
}

Json Kathara::listed_networks() const {
  return ask("GET", "/networks?filters=" + percent_encoded(kLabels));
}

Json Kathara::listed_devices() const {
  return ask("GET", "/containers/json?all=1&filters=" + percent_encoded(kLabels));
}

std::string Kathara::mac(const std::string& device, std::size_t interface) const {
  const auto place = std::ranges::find(lab_.devices, device, &LabDevice::name) - lab_.devices.begin();
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "02:00:00:00:%02x:%02x", static_cast<unsigned>(place + 1) & 0xffU,
                static_cast<unsigned>(interface) & 0xffU);
  return text.data();
}

Json Kathara::driver_options(const std::string& device, std::size_t interface) const {
  Json options{{"kathara.iface", std::to_string(interface)},
               {"kathara.link", lab_.device(device).lans.at(interface)},
               {"kathara.mac_addr", mac(device, interface)}};
  if (engine_ >= 27) options["com.docker.network.endpoint.sysctls"] = "net.ipv6.conf.IFNAME.disable_ipv6=1";
  return options;
}

Json Kathara::sysctls() const {
  Json sysctls{{"net.ipv4.conf.all.rp_filter", "0"},    {"net.ipv4.conf.default.rp_filter", "0"},
               {"net.ipv4.conf.lo.rp_filter", "0"},     {"net.ipv4.ip_forward", "1"},
               {"net.ipv4.icmp_ratelimit", "0"},        {"net.ipv6.conf.default.disable_ipv6", "1"},
               {"net.ipv6.conf.all.disable_ipv6", "1"}, {"net.ipv6.conf.default.forwarding", "0"},
               {"net.ipv6.conf.all.forwarding", "0"}};
  // Newer ones refuse those of an interface here.
  if (engine_ < 26) sysctls["net.ipv4.conf.eth0.rp_filter"] = "0";
  return sysctls;
}

void Kathara::create_network(const std::string& lan) const {
  for (const Json& network : listed_networks()) {
    if (network.at("Name") == network_name(lan)) return;
  }
  Json about = labels(lan);
  about["external"] = "";
  const Json made = ask("POST", "/networks/create",
                        {{"Name", network_name(lan)},
                         {"Driver", driver_},
                         {"CheckDuplicate", true},
                         {"IPAM", {{"Driver", "null"}, {"Config", Json::array()}}},
                         {"Labels", about}});
  ask("GET", "/networks/" + made.at("Id").get<std::string>());
}

void Kathara::remove_network(const std::string& lan) const {
  for (const Json& network : listed_networks()) {
    if (network.at("Name") == network_name(lan))
      ask("DELETE", "/networks/" + network.at("Id").get<std::string>());
  }
}

void Kathara::create_device(const std::string& device) const {
  for (const Json& container : listed_devices()) {
    if (container.at("Labels").at("name") == device) return;
  }
  const std::string network = network_name(lab_.device(device).lans.at(0));
  const Json made =
      ask("POST", "/containers/create?name=" + container_name(device),
          {{"Image", lab_.device(device).image},
           {"Hostname", device},
           {"Tty", true},
           {"OpenStdin", true},
           {"StopSignal", "KILL"},  // the image's command, unlike that of Kathara's, ends on no other
           {"Labels", labels(device)},
           {"HostConfig",
            {{"NetworkMode", network},
             {"CapAdd", {"NET_ADMIN", "NET_RAW", "NET_BROADCAST", "NET_BIND_SERVICE", "SYS_ADMIN"}},
             {"Sysctls", sysctls()}}},
           {"NetworkingConfig",
            {{"EndpointsConfig", {{network, {{"DriverOpts", driver_options(device, 0)}}}}}}}});
  ask("GET", "/containers/" + made.at("Id").get<std::string>() + "/json");
}

void Kathara::start_device(const std::string& device) const {
  ask("POST", "/containers/" + container_name(device) + "/start");
}

Words Kathara::connected(const std::string& device) const {
  const Json container = docker_.inspect(container_name(device));
  const Json& networks = container.at("NetworkSettings").at("Networks");
  Words lans;
  for (const std::string& lan : lab_.device(device).lans) {
    // The container keeps what it could not connect, with an endpoint where only the join failed: which
    // members a network has, the network says.
    if (!networks.contains(network_name(lan))) continue;
    const Json members = ask("GET", "/networks/" + network_name(lan)).at("Containers");
    if (members.contains(container.at("Id").get<std::string>())) lans.push_back(lan);
  }
  return lans;
}

void Kathara::connect(const std::string& device, std::size_t interface) const {
  const std::string lan = lab_.device(device).lans.at(interface);
  if (has(connected(device), lan)) return;
  ask("POST", "/networks/" + network_name(lan) + "/connect",
      {{"Container", container_name(device)},
       {"EndpointConfig", {{"DriverOpts", driver_options(device, interface)}}}});
}

void Kathara::disconnect(const std::string& device, const std::string& lan) const {
  if (!has(connected(device), lan)) return;
  ask("POST", "/networks/" + network_name(lan) + "/disconnect", {{"Container", container_name(device)}});
}

void Kathara::run_in(const std::string& device, const std::string& commands) const {
  const Json made = ask("POST", "/containers/" + container_name(device) + "/exec",
                        {{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", {"sh", "-c", commands}}});
  const std::string id = made.at("Id");
  ask("POST", "/exec/" + id + "/start", {{"Detach", true}, {"Tty", false}});
  Json state;
  const bool ended = wait_until([&] {
    state = ask("GET", "/exec/" + id + "/json");
    return !state.at("Running").get<bool>();
  });
  if (!ended || state.at("ExitCode") != 0) throw HarnessError(device + ": " + commands + ": " + state.dump());
}

void Kathara::stop_device(const std::string& device) const {
  ask("POST", "/containers/" + container_name(device) + "/stop");
}

void Kathara::remove_device(const std::string& device) const {
  for (const Json& container : listed_devices()) {
    if (container.at("Labels").at("name") != device) continue;
    if (container.at("State") == "running") run_in(device, ":");  // what its .shutdown file says
    ask("DELETE", "/containers/" + container.at("Id").get<std::string>() + "?v=True&link=False&force=True");
  }
}

bool Kathara::runs(const std::string& device) const {
  for (const Json& container : listed_devices()) {
    if (container.at("Labels").at("name") == device) return container.at("State") == "running";
  }
  return false;
}

void Kathara::lstart() const {
  for_each_in_pool(lab_.lans(), [this](const std::string& lan) { create_network(lan); });
  ask("GET", "/networks?filters=" + percent_encoded(R"({"name":["bridge"]})"));
  Words names;
  for (const LabDevice& each : lab_.devices) names.push_back(each.name);
  for_each_in_pool(names, [this](const std::string& name) {
    const LabDevice& device = lab_.device(name);
    create_device(name);
    start_device(name);
    for (std::size_t i = 1; i < device.lans.size(); ++i) connect(name, i);
    run_in(name, "umount /etc/resolv.conf; umount /etc/hosts; set -e; " + device.startup);
    ask("GET", "/containers/" + container_name(name) + "/json");
  });
}

void Kathara::lclean() const {
  Words devices;
  for (const Json& container : listed_devices()) devices.push_back(container.at("Labels").at("name"));
  for_each_in_pool(devices, [this](const std::string& name) { remove_device(name); });
  Words lans;
  for (const Json& listed : listed_networks()) {
    const Json network = ask("GET", "/networks/" + listed.at("Id").get<std::string>());
    if (network.at("Containers").empty()) lans.push_back(network.at("Labels").at("name"));
  }
  for_each_in_pool(lans, [this](const std::string& lan) { remove_network(lan); });
}

Lab small_lab() {
  return {{{"pc1", {"A", "B"}, {}}, {"pc2", {"A", "B"}, {}}}};
}

std::vector<LabStep> steps_of_small_lab() {
  using K = const Kathara&;
  return {
      {"create network A", [](K k) { k.create_network("A"); }},
      {"create network B", [](K k) { k.create_network("B"); }},
      {"create pc1", [](K k) { k.create_device("pc1"); }},
      {"start pc1", [](K k) { k.start_device("pc1"); }},
      {"connect pc1 to B", [](K k) { k.connect("pc1", 1); }},
      {"create pc2", [](K k) { k.create_device("pc2"); }},
      {"start pc2", [](K k) { k.start_device("pc2"); }},
      {"connect pc2 to B", [](K k) { k.connect("pc2", 1); }},
      {"disconnect pc2 from B", [](K k) { k.disconnect("pc2", "B"); }},
      {"connect pc2 to B again", [](K k) { k.connect("pc2", 1); }},
      {"stop pc1", [](K k) { k.stop_device("pc1"); }},
      {"remove pc1", [](K k) { k.remove_device("pc1"); }},
      {"remove pc2", [](K k) { k.remove_device("pc2"); }},
      {"remove network A", [](K k) { k.remove_network("A"); }},
      {"remove network B", [](K k) { k.remove_network("B"); }},
  };
}

std::string do_and_strike(const LabStep& step, const Kathara& kathara, const std::filesystem::path& state,
                          const std::function<void()>& strike) {
  const Fd watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1");
  if (inotify_add_watch(watch.get(), state.c_str(), IN_MODIFY) < 0) fail_errno("watch " + state.string());
  auto done = std::async(std::launch::async, [&] { step.work(kathara); });
  pollfd written{watch.get(), POLLIN, 0};
  while (poll(&written, 1, 1) == 0 && done.wait_for(0s) != std::future_status::ready) continue;
  strike();
  try {
    done.get();
    return "";
  } catch (const HarnessError& failure) {
    return failure.what();
  }
}

namespace {

// "10.LAN.0.DEVICE", by their places in the lab.
std::string small_lab_address(const Kathara& kathara, const std::string& device, const std::string& lan) {
  const Words lans = kathara.lab().lans();
  const auto& devices = kathara.lab().devices;
  const auto number_of_lan = std::ranges::find(lans, lan) - lans.begin();
  const auto number = std::ranges::find(devices, device, &LabDevice::name) - devices.begin() + 1;
  return "10." + std::to_string(number_of_lan) + ".0." + std::to_string(number);
}

void give_addresses(const Sandbox& sandbox, const Kathara& kathara, const std::string& device) {
  const std::string at =
      "-n ../docker/netns/" + std::filesystem::path(kathara.netns_of(device)).filename().string() + " ";
  const Words& lans = kathara.lab().device(device).lans;
  for (const Json& link : sandbox.ip_json(at + "link show")) {
    for (std::size_t i = 0; i < lans.size(); ++i) {
      if (link.at("address") == kathara.mac(device, i))
        sandbox.ip(at + "addr replace " + small_lab_address(kathara, device, lans[i]) + "/24 dev " +
                   link.at("ifname").get<std::string>());
    }
  }
}

}  // namespace

testing::AssertionResult small_lab_works(const Sandbox& sandbox, const Kathara& kathara) {
  std::map<std::string, Words> running;  // with the LANs that they are on
  for (const LabDevice& device : kathara.lab().devices) {
    if (!kathara.runs(device.name)) continue;
    give_addresses(sandbox, kathara, device.name);
    running.emplace(device.name, kathara.connected(device.name));
  }
  for (const auto& [from, its_lans] : running) {
    for (const auto& [to, lans] : running) {
      for (const std::string& lan : lans) {
        if (from == to || !has(its_lans, lan)) continue;
        auto reached = ping(kathara.netns_of(from), small_lab_address(kathara, to, lan));
        if (!reached) return reached << " from " << from << " to " << to << " on " << lan;
      }
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace lanwright::test
