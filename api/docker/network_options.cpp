#include "api/docker/network_options.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "api/docker/fields.h"
#include "model/base/names.h"
#include "model/format/suggestions.h"

namespace lanwright::docker {
namespace {

constexpr const char* kGeneric = "com.docker.network.generic";  // the -o
constexpr const char* kInternal = "com.docker.network.internal";
constexpr const char* kEnableIpv4 = "com.docker.network.enable_ipv4";
constexpr const char* kEnableIpv6 = "com.docker.network.enable_ipv6";
constexpr std::uint16_t kLastVid = 4094;

using Options = std::map<std::string, std::string>;
using Fault = std::optional<std::string>;  // what is wrong with a value

// ---- the table

// Of which drivers' networks.
using Of = std::optional<Wiring>;
constexpr Of kAll;
constexpr Of kPorts = Wiring::ports;
constexpr Of kOnParent = Wiring::parent;

struct OptionRow;
Fault take_elsewhere(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_parent(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_uplink(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_uplinks(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_mtu(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_prefix(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_messages(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_interval(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_what_is_so(const OptionRow& row, const std::string& value, DockerNetwork& network);
Fault take_nothing(const OptionRow& row, const std::string& value, DockerNetwork& network);

struct OptionRow {
  std::string_view name;
  Of of;
  // Options that set the same must say the same.
  std::string_view sets;
  Fault (*take)(const OptionRow& row, const std::string& value, DockerNetwork& network);
  std::string_view so = {};   // take_what_is_so: the value that says what is so anyway
  std::string_view why = {};  // and why there is no other; take_nothing: why there is none
};

constexpr std::string_view kNoPorts = "ports are not published: containers are on the LAN themselves";
constexpr std::string_view kNoTranslation = "the host does not translate addresses: the network is a LAN";
constexpr std::string_view kNoRouter =
    "the host does not route to the network: an interface that is to reach its containers becomes a member "
    "of the LAN by option `uplinks`";

// Those that a driver brings itself are in its DriverSchema.
constexpr std::array kOptions{
    OptionRow{"driver", kAll, "driver", take_elsewhere},
    OptionRow{"network", kAll, "network", take_elsewhere},
    OptionRow{"parent", kOnParent, "parent", take_parent},
    OptionRow{"host_iface", kOnParent, "parent", take_parent},  // its name when macvlan was a plugin
    OptionRow{"parent", kPorts, "parent", take_uplink},
    OptionRow{"host_iface", kPorts, "parent", take_uplink},
    OptionRow{"uplinks", kPorts, "uplinks", take_uplinks},
    OptionRow{"mtu", kAll, "mtu", take_mtu},
    OptionRow{"com.docker.network.driver.mtu", kAll, "mtu", take_mtu},
};

// Of Docker's own drivers.
constexpr std::array kOptionsOfDocker{
    OptionRow{"com.docker.network.container_iface_prefix", kAll, "prefix", take_prefix},
    OptionRow{"com.docker.network.container_interface_prefix", kAll, "prefix", take_prefix},
    // Docker itself does what they say, from version 28.
    OptionRow{"com.docker.network.advertise_addr_nmsgs", kAll, "nmsgs", take_messages},
    OptionRow{"com.docker.network.advertise_addr_ms", kAll, "interval", take_interval},
    // What they mean there is not to be had on a LAN without a router.
    OptionRow{"com.docker.network.bridge.enable_icc", kPorts, "enable_icc", take_what_is_so, "true",
              "members of a network reach each other"},
    OptionRow{"com.docker.network.bridge.enable_ip_masquerade", kPorts, "enable_ip_masquerade",
              take_what_is_so, "false", kNoTranslation},
    OptionRow{"com.docker.network.bridge.inhibit_ipv4", kPorts, "inhibit_ipv4", take_what_is_so, "true",
              "the host has no address on the network"},
    OptionRow{"com.docker.network.bridge.default_bridge", kPorts, "default_bridge", take_what_is_so, "false",
              "only Docker's own driver has the default bridge"},
    OptionRow{"com.docker.network.bridge.host_binding_ipv4", kPorts, "host_binding_ipv4", take_what_is_so,
              "0.0.0.0", kNoPorts},
    OptionRow{"com.docker.network.bridge.gateway_mode_ipv4", kPorts, "gateway_mode_ipv4", take_what_is_so,
              "isolated", "the host has no address on the network"},
    OptionRow{"com.docker.network.bridge.gateway_mode_ipv6", kPorts, "gateway_mode_ipv6", take_what_is_so,
              "isolated", "the host has no address on the network"},
    OptionRow{"com.docker.network.bridge.trusted_host_interfaces", kPorts, "trusted_host_interfaces",
              take_nothing, "", kNoRouter},
    OptionRow{"com.docker.network.host_ipv4", kPorts, "host_ipv4", take_nothing, "", kNoTranslation},
    OptionRow{"com.docker.network.host_ipv6", kPorts, "host_ipv6", take_nothing, "", kNoTranslation},
};

bool knows(const OptionRow& row, const DriverSchema& driver) {
  return !row.of || *row.of == driver.wiring;
}

// ---- values

// As Go's strconv.ParseBool() has it, which users of Docker know.
std::optional<bool> boolean(const std::string& text) {
  constexpr std::array<std::string_view, 6> kTrue{"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::array<std::string_view, 6> kFalse{"0", "f", "F", "false", "FALSE", "False"};
  if (std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), text) != kFalse.end()) return false;
  return std::nullopt;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Texts>
std::string joined(const Texts& texts) {
  std::string all;
  for (const auto& text : texts) all.append(all.empty() ? "" : ", ").append(text);
  return all;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

// `driver` and `network` were read before all others.
Fault take_elsewhere(const OptionRow& /*row*/, const std::string& /*value*/, DockerNetwork& /*network*/) {
  return std::nullopt;
}

// A name that ends like a VLAN's is one. Whether any other name is that of a link, the host knows.
Fault vlan_fault(const std::string& parent) {
  const std::size_t dot = parent.rfind('.');
  if (dot == std::string::npos || parent.find('.') != dot) return std::nullopt;
  const std::string digits = parent.substr(dot + 1);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const auto id = number<std::uint16_t>(digits);
  if (!id || *id == 0 || *id > kLastVid) return "vlan id must be between 1-4094, received: " + digits;
  if (!vlan_named(parent))
    return "invalid subinterface vlan name " + parent + ", example formatting is eth0.10";
  return std::nullopt;
}

// The words are those of Docker's own drivers.
Fault take_parent(const OptionRow& /*row*/, const std::string& value, DockerNetwork& network) {
  if (value.empty()) return std::nullopt;  // as if it were not said: the network has no way out
  if (value == "lo") return "loopback interface is not a valid " + network.spec.driver + " parent link";
  if (value.find(':') != std::string::npos)
    return "invalid subinterface vlan name " + value + ", example formatting is eth0.10";
  if (const char* fault = interface_name_fault(value)) return "the name " + quote(value) + " " + fault;
  if (auto fault = vlan_fault(value)) return fault;
  network.spec.parent = value;
  return std::nullopt;
}

Fault add_uplink(const std::string& name, DockerNetwork& network) {
  if (const char* fault = interface_name_fault(name)) return "the name " + quote(name) + " " + fault;
  if (name == "lo") return "the loopback interface is no uplink";
  auto& uplinks = network.spec.uplinks;
  const bool there =
      std::any_of(uplinks.begin(), uplinks.end(), [&](const Uplink& each) { return each.interface == name; });
  if (!there) uplinks.push_back({name, {}, {}});
  return std::nullopt;
}

Fault take_uplink(const OptionRow& /*row*/, const std::string& value, DockerNetwork& network) {
  if (value.empty()) return std::nullopt;
  return add_uplink(value, network);
}

Fault take_uplinks(const OptionRow& /*row*/, const std::string& value, DockerNetwork& network) {
  const auto names = split(value);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i))
      return quote(names[i]) + " is listed twice";
    if (auto fault = add_uplink(names[i], network)) return fault;
  }
  return std::nullopt;
}

// Its limits are the format's.
Fault take_mtu(const OptionRow& /*row*/, const std::string& value, DockerNetwork& network) {
  const auto mtu = number<std::uint32_t>(value);
  if (!mtu) return "it must be a number of bytes, got " + quote(value);
  network.spec.mtu = mtu;
  return std::nullopt;
}

// Docker appends a number.
Fault take_prefix(const OptionRow& /*row*/, const std::string& value, DockerNetwork& network) {
  if (value.empty()) return "it must not be empty";
  if (const char* fault = interface_name_fault(value + "0")) return quote(value + "0") + " " + fault;
  network.interface_prefix = value;
  return std::nullopt;
}

Fault number_fault(const std::string& value, std::uint32_t min, std::uint32_t max) {
  const auto said = number<std::uint32_t>(value);
  if (said && *said >= min && *said <= max) return std::nullopt;
  return "it must be a number from " + std::to_string(min) + " to " + std::to_string(max) + ", got " +
         quote(value);
}

// Of how many messages neighbours are told of an address. Docker's limits, but for 0: the agent tells them
// too.
Fault take_messages(const OptionRow& /*row*/, const std::string& value, DockerNetwork& /*network*/) {
  return number_fault(value, 1, 3);
}

// Between them, in milliseconds, with Docker's limits.
Fault take_interval(const OptionRow& /*row*/, const std::string& value, DockerNetwork& /*network*/) {
  return number_fault(value, 100, 2000);
}

Fault take_nothing(const OptionRow& row, const std::string& value, DockerNetwork& /*network*/) {
  if (value.empty()) return std::nullopt;
  return "it cannot be given, got " + quote(value) + ": " + std::string(row.why);
}

Fault take_what_is_so(const OptionRow& row, const std::string& value, DockerNetwork& /*network*/) {
  const auto flag = boolean(std::string(row.so));
  if (value == row.so || (flag && boolean(value) == flag)) return std::nullopt;
  return "it can be " + std::string(row.so) + " only, got " + quote(value) + ": " + std::string(row.why);
}

// ---- settings of the driver's own grammar

Fault take_setting(const SettingField& field, const std::string& value, Settings& settings) {
  switch (field.type) {
    case SettingField::Type::boolean: {
      const auto flag = boolean(value);
      if (!flag) return "it must be true or false, got " + quote(value);
      settings[field.name] = *flag;
      return std::nullopt;
    }
    case SettingField::Type::integer: {
      const auto integer = number<std::int64_t>(value);
      if (!integer || *integer < field.min || *integer > field.max)
        return "it must be a number from " + std::to_string(field.min) + " to " + std::to_string(field.max) +
               ", got " + quote(value);
      settings[field.name] = *integer;
      return std::nullopt;
    }
    case SettingField::Type::choice:
      if (std::find(field.choices.begin(), field.choices.end(), value) == field.choices.end())
        return "it must be one of " + joined(field.choices) + ", got " + quote(value);
      settings[field.name] = value;
      return std::nullopt;
    case SettingField::Type::text:
      settings[field.name] = value;
      return std::nullopt;
    case SettingField::Type::text_list:
      settings[field.name] = split(value);
      return std::nullopt;
  }
  return "the driver has no such type of setting";
}

const SettingField* find_setting(const DriverSchema& driver, std::string_view option) {
  const std::string prefix = driver.name + ".";
  if (option.starts_with(prefix)) option.remove_prefix(prefix.size());
  for (const SettingField& field : driver.settings) {
    if (field.name == option) return &field;
  }
  return nullptr;
}

// Of a choice, empty is the default, as with Docker's own drivers.
Fault take_own(const DockerOption& option, const DriverSchema& driver, const std::string& value,
               NetworkSpec& spec) {
  if (option.take != nullptr) return option.take(value, spec);
  const auto field = std::ranges::find(driver.settings, option.setting, &SettingField::name);
  const bool choice = field != driver.settings.end() && field->type == SettingField::Type::choice;
  if (choice && value.empty()) return std::nullopt;
  if (auto fault = option.fault(value))
    return choice ? *fault + "; it is one of " + joined(field->choices) : fault;
  spec.settings[option.setting] = value;
  return std::nullopt;
}

// ---- options by name

Error wrong_option(const std::string& name, std::string words, std::string hint = {}) {
  return {ErrorKind::invalid, "read the option", quote(name), 0, std::move(words), std::move(hint)};
}

const OptionRow* find_option(const std::string& name, const DriverSchema& driver) {
  for (const std::span<const OptionRow> rows :
       {std::span<const OptionRow>(kOptions), std::span<const OptionRow>(kOptionsOfDocker)}) {
    for (const OptionRow& row : rows) {
      if (row.name == name && knows(row, driver)) return &row;
    }
  }
  return nullptr;
}

const DockerOption* find_own(const std::string& name, const DriverSchema& driver) {
  const auto found = std::ranges::find(driver.docker_options, name, &DockerOption::name);
  return found == driver.docker_options.end() ? nullptr : &*found;
}

std::vector<std::string> options_of(const DriverSchema& driver) {
  std::vector<std::string> names;
  const auto add = [&](std::span<const OptionRow> rows) {
    for (const OptionRow& row : rows) {
      if (knows(row, driver)) names.emplace_back(row.name);
    }
  };
  add(kOptions);
  for (const DockerOption& option : driver.docker_options) names.push_back(option.name);
  add(kOptionsOfDocker);
  for (const SettingField& field : driver.settings) names.push_back(driver.name + "." + field.name);
  return names;
}

// What was probably meant. A setting may be said without its driver's name.
std::string nearest_option(const std::string& name, const DriverSchema& driver,
                           const std::vector<std::string>& known) {
  Nearest nearest(name);
  for (const std::string& each : known) nearest.offer(each);
  for (const SettingField& field : driver.settings) nearest.offer(field.name);
  return nearest.take();
}

Error unknown_option(const std::string& name, const DriverSchema& driver, const Grammar& grammar) {
  const std::vector<std::string> known = options_of(driver);
  std::vector<std::string> others;
  for (const DriverSchema& each : grammar) {
    if (find_option(name, each) != nullptr || find_own(name, each) != nullptr ||
        find_setting(each, name) != nullptr)
      others.push_back(each.name);
  }
  std::string words = "driver " + driver.name + " has no such option";
  if (!others.empty()) words += ", driver " + joined(others) + " has it";
  const std::string meant = nearest_option(name, driver, known);
  std::string hint = meant.empty() ? "" : "did you mean " + quote(meant) + "? ";
  return wrong_option(name, std::move(words),
                      hint + "Options of driver " + driver.name + ": " + joined(known));
}

class Reader {
 public:
  Reader(const DriverSchema& driver, const Grammar& grammar, DockerNetwork& network)
      : driver_(driver), grammar_(grammar), network_(network) {}

  Result<void> read(const std::string& name, const std::string& value) {
    if (const OptionRow* row = find_option(name, driver_)) {
      if (auto clash = claim(std::string(row->sets), name, value)) return *std::move(clash);
      if (auto fault = row->take(*row, value, network_)) return wrong_option(name, *std::move(fault));
      return {};
    }
    if (const DockerOption* own = find_own(name, driver_)) {
      if (auto clash = claim(own->setting, name, value)) return *std::move(clash);
      if (auto fault = take_own(*own, driver_, value, network_.spec))
        return wrong_option(name, *std::move(fault));
      return {};
    }
    const SettingField* field = find_setting(driver_, name);
    if (field == nullptr) return unknown_option(name, driver_, grammar_);
    if (auto clash = claim(field->name, name, value)) return *std::move(clash);
    if (auto fault = take_setting(*field, value, network_.spec.settings))
      return wrong_option(name, *std::move(fault));
    return {};
  }

 private:
  struct Said {
    std::string name;
    std::string value;
  };

  std::optional<Error> claim(const std::string& what, const std::string& name, const std::string& value) {
    const auto [first, is_new] = said_.emplace(what, Said{name, value});
    if (is_new || first->second.value == value) return std::nullopt;
    return wrong_option(name,
                        "it says " + quote(value) + ", and " + quote(first->second.name) +
                            ", which is the same option, says " + quote(first->second.value),
                        "leave one of them away");
  }

  const DriverSchema& driver_;
  const Grammar& grammar_;
  DockerNetwork& network_;
  std::map<std::string, Said> said_;
};

// ---- which driver, or which declared network

Result<const DriverSchema*> find_driver(const std::string& name, const Grammar& grammar) {
  std::vector<std::string> names;
  Nearest nearest(name);
  for (const DriverSchema& each : grammar) {
    if (each.name == name) return &each;
    names.push_back(each.name);
    nearest.offer(each.name);
  }
  const std::string meant = nearest.take();
  return wrong_option(
      "driver", "there is no driver " + quote(name),
      (meant.empty() ? "" : "did you mean " + quote(meant) + "? ") + ("Drivers are: " + joined(names)));
}

Result<const DriverSchema*> choose_driver(const Options& options, const std::string& socket_driver,
                                          const Grammar& grammar) {
  const auto said = options.find("driver");
  if (said == options.end())
    return find_driver(socket_driver.empty() ? grammar.front().name : socket_driver, grammar);
  if (!socket_driver.empty() && said->second != socket_driver)
    return wrong_option("driver",
                        "it says " + quote(said->second) +
                            ", and the plugin that was called makes networks of driver " + socket_driver +
                            " only",
                        "leave the option away, or use the plugin of driver " + quote(said->second));
  return find_driver(said->second, grammar);
}

bool is_of_docker_itself(const OptionRow& row) {
  return row.take == take_prefix || row.take == take_messages || row.take == take_interval;
}

// The declaration says how that network is; Docker can only choose how it names and announces interfaces.
Result<void> read_view(const Options& options, const std::string& socket_driver, DockerNetwork& network) {
  const std::string& name = options.at("network");
  if (!is_object_name(name)) return wrong_option("network", quote(name) + " is no name of a network");
  network.view_of = name;
  network.spec.driver = socket_driver;
  for (const auto& [option, value] : options) {
    if (option == "network") continue;
    const auto* const row = std::ranges::find(kOptionsOfDocker, option, &OptionRow::name);
    if (row == kOptionsOfDocker.end() || !is_of_docker_itself(*row))
      return wrong_option(option,
                          "it cannot be given together with option `network`: the network " + quote(name) +
                              " is as it is declared",
                          "leave one of them away");
    if (auto fault = row->take(*row, value, network)) return wrong_option(option, *std::move(fault));
  }
  return {};
}

Result<void> read_options(const Options& options, const std::string& socket_driver, const Grammar& grammar,
                          DockerNetwork& network) {
  if (options.contains("network")) return read_view(options, socket_driver, network);
  const auto driver = choose_driver(options, socket_driver, grammar);
  if (!driver) return driver.error();
  network.spec.driver = (*driver)->name;
  Reader reader(**driver, grammar, network);
  for (const auto& [name, value] : options) {
    if (auto done = reader.read(name, value); !done) return done;
  }
  return {};
}

// ---- pools

Result<IpPrefix> address_in(const IpPrefix& pool, const IpPrefix& address, const std::string& field) {
  if (pool.contains(address.address)) return address;
  return wrong_field(field, address.text() + " is outside of " + pool.text());
}

Result<void> read_auxiliary(const Json& data, DockerPool& pool) {
  const auto addresses = optional_texts(data, "AuxAddresses");
  if (!addresses) return addresses.error();
  for (const auto& [name, text] : *addresses) {
    const std::string field = "AuxAddresses." + name;
    const auto address = IpPrefix::parse(text);
    if (!address) return wrong_field(field, quote(text) + " is no IP address with a prefix length");
    const auto within = address_in(pool.cidr, *address, field);
    if (!within) return within.error();
    pool.auxiliary.emplace(name, *within);
  }
  return {};
}

// Absent for the null IPAM's.
Result<std::optional<DockerPool>> read_pool(const Json& data, int family) {
  if (!data.is_object()) return wrong_field("", std::string("it must be an object, not ") + data.type_name());
  const auto cidr = optional_prefix(data, "Pool");
  if (!cidr) return cidr.error();
  if (!*cidr) return wrong_field("Pool", "it is missing");
  if ((*cidr)->address.family != family)
    return wrong_field("Pool", (*cidr)->text() + " is of the other address family");
  const auto gateway = optional_prefix(data, "Gateway");
  if (!gateway) return gateway.error();
  if ((*cidr)->length == 0 && !*gateway) return std::optional<DockerPool>();
  auto space = optional_text(data, "AddressSpace");
  if (!space) return space.error();
  DockerPool pool;
  pool.space = *std::move(space);
  pool.cidr = (*cidr)->network();
  pool.gateway = *gateway;
  if (pool.gateway) {
    if (const auto within = address_in(pool.cidr, *pool.gateway, "Gateway"); !within) return within.error();
  }
  if (auto done = read_auxiliary(data, pool); !done) return done.error();
  return std::optional(pool);
}

Result<void> read_pools(const Json& request, const char* name, int family, DockerNetwork& network) {
  const auto list = optional_list(request, name);
  if (!list) return list.error();
  if (*list == nullptr) return {};
  for (std::size_t i = 0; i < (*list)->size(); ++i) {
    auto pool = read_pool((**list)[i], family);
    if (!pool) {
      const std::string where = std::string(name) + "[" + std::to_string(i) + "]";
      if (pool.error().object.empty()) return wrong_field(where, pool.error().words);
      return inside(where, pool.error());
    }
    if (*pool) network.pools.push_back(**std::move(pool));
  }
  return {};
}

Subnet subnet_of(const DockerPool& pool) {
  Subnet subnet;
  subnet.cidr = pool.cidr;
  if (pool.gateway) subnet.gateway = pool.gateway->address;
  for (const auto& [name, address] : pool.auxiliary) subnet.reserved.emplace(name, address.address);
  return subnet;
}

// ---- the whole

// From version 28 Docker does what these say as options, and leaves them there.
Result<void> take_family(const Json& switches, const char* name, bool by_default, Options& options) {
  const auto flag = optional_flag(switches, name);
  if (!flag) return inside("Options", flag.error());
  const auto option = options.find(name);
  if (option == options.end()) return {};
  const auto said = boolean(option->second);
  if (!said) return wrong_option(name, "it must be true or false, got " + quote(option->second));
  const bool told = switches.contains(name) && !switches.at(name).is_null();
  if (*said != (told ? *flag : by_default)) {
    const std::string family(1, std::string_view(name).back());
    return wrong_option(name,
                        "it says " + quote(option->second) + ", and Docker makes the network " +
                            (*said ? "without" : "with") + " IPv" + family,
                        "leave it away, and say --ipv" + family + (*said ? "" : "=false") +
                            ": before version 28 Docker does not look at the option");
  }
  options.erase(option);
  return {};
}

// What is not the user's own: switches of Docker's. Others of its namespace may come with newer versions.
Result<Options> read_switches(const Json& request, DockerNetwork& network) {
  const auto object = optional_object(request, "Options");
  if (!object) return object.error();
  if (*object == nullptr) return Options();
  for (const auto& [name, value] : (*object)->items()) {
    if (!name.starts_with("com.docker.network.")) return wrong_field("Options." + name, "it is unknown");
  }
  const auto internal = optional_flag(**object, kInternal);
  if (!internal) return inside("Options", internal.error());
  network.internal = *internal;
  network.gateways_named = (*object)->contains(kEnableIpv4);  // which only those versions tell
  auto generic = optional_texts(**object, kGeneric);
  if (!generic) return inside("Options", generic.error());
  // Tutorials of Docker's own drivers have `-o --macvlan_mode=bridge` in print.
  std::map<std::string, std::string> options;
  for (const auto& [said, value] : *generic) {
    const std::string name = said.substr(std::min(said.find_first_not_of('-'), said.size()));
    // Kathara's own plugin takes no notice of them, and a newer Kathara may say some.
    if (name.starts_with("kathara."))
      network.ignored.push_back(name);
    else
      options[name] = value;
  }
  if (auto taken = take_family(**object, kEnableIpv4, true, options); !taken) return taken.error();
  if (auto taken = take_family(**object, kEnableIpv6, false, options); !taken) return taken.error();
  return options;
}

Error impossible(std::string words) {
  return {ErrorKind::invalid, "make the network", {}, 0, std::move(words), {}};
}

// The one reader of the format decides what a network may be, and the driver what it can make.
Result<void> check(const std::string& id, const NetworkSpec& spec, const Grammar& grammar) {
  constexpr std::size_t kShortId = 12;
  const std::string name = id.substr(0, kShortId);
  if (const auto read = spec_from_json(Kind::network, name, to_json(spec).dump(), grammar); !read)
    return impossible(read.error().words);
  std::string all;
  const ReportFault complain = [&all](const std::string& path, const std::string& message) {
    all.append(all.empty() ? "" : "; ").append(path).append(path.empty() ? "" : ": ").append(message);
  };
  for (const DriverSchema& driver : grammar) {
    if (driver.name == spec.driver && driver.check_network) driver.check_network(name, spec, complain);
  }
  if (!all.empty()) return impossible(all);
  return {};
}

}  // namespace

Result<DockerNetwork> docker_network_from(const Json& request, const std::string& driver,
                                          const Grammar& grammar) {
  DockerNetwork network;
  const auto id = id_field(request, "NetworkID");
  if (!id) return id.error();
  network.id = *id;
  const auto options = read_switches(request, network);
  if (!options) return options.error();
  if (auto done = read_options(*options, driver, grammar, network); !done) return done.error();
  if (auto done = read_pools(request, "IPv4Data", AF_INET, network); !done) return done.error();
  if (auto done = read_pools(request, "IPv6Data", AF_INET6, network); !done) return done.error();
  if (!network.view_of.empty()) return network;
  for (const DockerPool& pool : network.pools) network.spec.subnets.push_back(subnet_of(pool));
  network.spec.internal = network.internal && std::ranges::any_of(grammar, [&](const DriverSchema& each) {
                            return each.name == network.spec.driver && each.wiring == Wiring::parent;
                          });
  if (auto checked = check(network.id, network.spec, grammar); !checked) return checked.error();
  return network;
}

}  // namespace lanwright::docker
