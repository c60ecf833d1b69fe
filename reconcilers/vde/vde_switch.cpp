// The vde_switch of Debian's package vde-switch (2.3.2). Source: vde_switch(1) and its console's `help`.
#include <linux/capability.h>

#include <algorithm>
#include <cerrno>
#include <iomanip>
#include <sstream>

#include "reconcilers/vde/management.h"
#include "reconcilers/vde/program.h"

namespace lanwright::vde {
namespace {

// Every frame walks over all slots: few to begin with, more as they are needed.
constexpr std::size_t kFirstPorts = 32;
constexpr std::uint32_t kMorePorts = 32;

std::string octal(std::uint32_t mode) {
  std::ostringstream text;
  text << std::setfill('0') << std::setw(4) << std::oct << mode;
  return text.str();
}

// Who may connect to the socket may also make one of its own beside it, as clients do, but not take another's
// place: nobody removes the socket of the switch (the sticky bit).
std::uint32_t directory_mode(std::uint32_t mode) {
  constexpr std::uint32_t kSticky = 01000;
  constexpr std::uint32_t kWritableByOthers = 022;
  std::uint32_t result = (mode & kWritableByOthers) != 0 ? kSticky : 0;
  for (const std::uint32_t shift : {0U, 3U, 6U}) {
    if ((mode >> shift & 2U) != 0) result |= 7U << shift;
  }
  return result;
}

// "Port 0003 untagged_vlan=0005 INACTIVE - NOT Unnamed Allocatable"
struct ListedPort {
  SwitchPortReport report;
  bool reserved = false;  // only who names it gets it
};

std::vector<ListedPort> parse_ports(const std::string& data) {
  std::vector<ListedPort> ports;
  std::istringstream lines(data);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first == "Port") {
      ListedPort port;
      words >> port.report.number;
      port.report.active = line.find(" ACTIVE") != std::string::npos;
      port.reserved = line.find("NOT Unnamed") != std::string::npos;
      ports.push_back(std::move(port));
    } else if (!ports.empty() && (first == "IN:" || first == "OUT:")) {
      std::string word;
      auto& counters = ports.back().report.counters;
      auto& frames = first == "IN:" ? counters.received_frames : counters.sent_frames;
      auto& bytes = first == "IN:" ? counters.received_bytes : counters.sent_bytes;
      words >> word >> frames >> word >> bytes;
    } else if (!ports.empty() && first == "--") {
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) ports.back().report.user = line.substr(colon + 2);
    }
  }
  return ports;
}

bool exists_already(const Error& error) {
  return error.number == EEXIST;
}

class VdeSwitchProgram final : public SwitchProgram {
 public:
  const char* name() const override { return "vde_switch"; }
  const char* program() const override { return "vde_switch"; }
  const char* package() const override { return "vde-switch"; }
  // It gives each client's socket to the client's user, and writes to the client's own.
  std::uint64_t capabilities() const override {
    return 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER;
  }

  std::vector<std::string> arguments(const SwitchSpec& spec, const SwitchPaths& paths) const override {
    std::vector<std::string> arguments = {"--numports", std::to_string(kFirstPorts),
                                          "--sock",     paths.socket,
                                          "--mode",     octal(spec.mode),
                                          "--dirmode",  octal(directory_mode(spec.mode)),
                                          "--mgmt",     paths.management(),
                                          "--mgmtmode", "0600",
                                          "--rcfile",   "/dev/null"};
    if (spec.hub) arguments.emplace_back("--hub");
    if (!spec.group.empty()) arguments.insert(arguments.end(), {"--group", spec.group});
    return arguments;
  }

  Result<os::Process> probe(const SwitchPaths& paths, std::chrono::milliseconds patience) const override {
    const auto management = Management::open(paths.management(), patience);
    if (!management) return management.error();
    return os::process_behind(management->connection());
  }

  Result<std::unique_ptr<PendingProbe>> begin_probe(const SwitchPaths& paths) const override {
    auto connection = os::connect_unix(paths.management());
    if (!connection) return connection.error();
    return std::unique_ptr<PendingProbe>(
        std::make_unique<PendingGreeting>(std::move(*connection), paths.management()));
  }

  Result<std::vector<SwitchPortReport>> ports(const SwitchPaths& paths,
                                              std::chrono::milliseconds patience) const override {
    auto listed = list(paths, patience);
    if (!listed) return listed.error();
    std::vector<SwitchPortReport> reports;
    for (ListedPort& port : *listed) reports.push_back(std::move(port.report));
    return reports;
  }

  Result<std::map<std::uint32_t, PortVlans>> vlans(const SwitchPaths& paths,
                                                   std::chrono::milliseconds patience) const override;
  Result<std::uint32_t> make_port(const SwitchPaths& paths, const std::vector<std::uint32_t>& taken,
                                  const PortVlans& vlans, std::chrono::milliseconds patience) const override;
  Result<void> remove_port(const SwitchPaths& paths, std::uint32_t number,
                           std::chrono::milliseconds patience) const override {
    auto answer = ask(paths, "port/remove " + std::to_string(number), patience);
    if (!answer && answer.error().number != ENXIO) return answer.error();
    return {};
  }

 private:
  static Result<std::string> ask(const SwitchPaths& paths, const std::string& command,
                                 std::chrono::milliseconds patience) {
    auto management = Management::open(paths.management(), patience);
    if (!management) return management.error();
    return management->ask(command);
  }
  static Result<std::vector<ListedPort>> list(const SwitchPaths& paths, std::chrono::milliseconds patience) {
    auto data = ask(paths, "port/allprint", patience);
    if (!data) return data.error();
    return parse_ports(*data);
  }
  static Result<void> grow(Management& management, std::uint32_t number);
};

// "VLAN 0005" followed by " -- Port 0003 tagged=0 active=1 status=Forwarding" for each of its ports. VLAN 0
// is where a port is untagged that was told nothing.
Result<std::map<std::uint32_t, PortVlans>> VdeSwitchProgram::vlans(const SwitchPaths& paths,
                                                                   std::chrono::milliseconds patience) const {
  auto data = ask(paths, "vlan/allprint", patience);
  if (!data) return data.error();
  std::map<std::uint32_t, PortVlans> vlans;
  std::uint16_t vlan = 0;
  std::istringstream lines(*data);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint32_t port = 0;
    words >> word;
    if (word == "VLAN") words >> vlan;
    if (word != "--" || vlan == 0) continue;
    words >> word >> port >> word;
    PortVlans& of_port = vlans[port];
    if (word == "tagged=1")
      of_port.tagged.push_back(vlan);
    else
      of_port.pvid = vlan;
  }
  return vlans;
}

Result<void> VdeSwitchProgram::grow(Management& management, std::uint32_t number) {
  auto info = management.ask("port/showinfo");
  if (!info) return info.error();
  constexpr std::string_view kKey = "Numports=";
  const std::size_t at = info->find(kKey);
  if (at == std::string::npos)
    return Error{ErrorKind::internal, "port/showinfo", "the switch", 0, "it answered: " + *info, {}};
  const unsigned long room = std::strtoul(info->c_str() + at + kKey.size(), nullptr, 10);
  if (number + 1 < room) return {};
  auto grown = management.ask("port/setnumports " + std::to_string(number + kMorePorts));
  if (!grown) return grown.error();
  return {};
}

Result<std::uint32_t> VdeSwitchProgram::make_port(const SwitchPaths& paths,
                                                  const std::vector<std::uint32_t>& taken,
                                                  const PortVlans& vlans,
                                                  std::chrono::milliseconds patience) const {
  auto listed = list(paths, patience);
  if (!listed) return listed.error();
  auto management = Management::open(paths.management(), patience);
  if (!management) return management.error();
  std::vector<std::string> commands;
  std::uint32_t number = 1;
  for (;; ++number) {
    if (std::find(taken.begin(), taken.end(), number) != taken.end()) continue;
    const auto known = std::find_if(listed->begin(), listed->end(),
                                    [&](const ListedPort& port) { return port.report.number == number; });
    if (known == listed->end()) break;
    if (known->report.active || !known->reserved) continue;
    commands.push_back("port/remove " + std::to_string(number));  // left by a plug that was killed
    break;
  }
  if (auto grown = grow(*management, number); !grown) return grown.error();
  const std::string port = std::to_string(number);
  commands.push_back("port/create " + port);
  std::vector<std::uint16_t> needed = vlans.tagged;
  if (vlans.pvid) needed.push_back(*vlans.pvid);
  for (const std::uint16_t vlan : needed) commands.push_back("vlan/create " + std::to_string(vlan));
  if (vlans.pvid) commands.push_back("port/setvlan " + port + " " + std::to_string(*vlans.pvid));
  for (const std::uint16_t vlan : vlans.tagged)
    commands.push_back("vlan/addport " + std::to_string(vlan) + " " + port);
  for (const std::string& command : commands) {
    auto answer = management->ask(command);
    const bool known_vlan = command.starts_with("vlan/create") && !answer && exists_already(answer.error());
    if (!answer && !known_vlan) return answer.error();
  }
  return number;
}

}  // namespace

const SwitchProgram& stock_engine() {
  static const VdeSwitchProgram engine;
  return engine;
}

}  // namespace lanwright::vde
