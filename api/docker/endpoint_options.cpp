#include "api/docker/endpoint_options.h"

#include <openssl/evp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "api/docker/fields.h"
#include "model/base/names.h"
#include "model/format/suggestions.h"

namespace lanwright::docker {
namespace {

constexpr const char* kDockerMac = "com.docker.network.endpoint.macaddress";
constexpr const char* kDockerName = "com.docker.network.endpoint.ifname";
constexpr const char* kDockerSysctls = "com.docker.network.endpoint.sysctls";
constexpr const char* kKatharaMac = "kathara.mac_addr";
constexpr const char* kKatharaMachine = "kathara.machine";
constexpr const char* kKatharaInterface = "kathara.iface";
constexpr const char* kKatharaLink = "kathara.link";  // which Kathara itself reads back from Docker

// A newer Kathara may say more, and its own plugin takes no notice of what it does not know.
constexpr std::string_view kKathara = "kathara.";

constexpr std::array kOptions{kDockerMac,      kDockerName,       kDockerSysctls, kKatharaMac,
                              kKatharaMachine, kKatharaInterface, kKatharaLink};

using Mac = std::optional<MacAddress>;

Error wrong_option(const std::string& name, std::string words, std::string hint = {}) {
  return {ErrorKind::invalid, "read the option", quote(name), 0, std::move(words), std::move(hint)};
}

// Why no interface can have it; nullptr when one can.
const char* mac_fault(const Mac& mac) {
  if (!mac) return "is no MAC address; write it like 02:00:00:00:01:01";
  if (mac->is_multicast()) return "is a multicast address; the lowest bit of the first byte must be 0";
  if (*mac == MacAddress{}) return "is all zeros";
  return nullptr;
}

std::optional<std::uint32_t> base64_digit(char c) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t at = kDigits.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint32_t>(at);
}

// Six bytes are eight digits, without padding (RFC 4648, 4): Go writes bytes so.
Mac mac_from_base64(std::string_view text) {
  constexpr std::size_t kGroup = 4;
  if (text.size() != 2 * kGroup) return std::nullopt;
  MacAddress mac;
  for (std::size_t group = 0; group < 2; ++group) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < kGroup; ++i) {
      const auto digit = base64_digit(text[group * kGroup + i]);
      if (!digit) return std::nullopt;
      bits = bits << 6U | *digit;
    }
    for (std::size_t i = 0; i < 3; ++i)
      mac.bytes[group * 3 + i] = static_cast<std::uint8_t>(bits >> (16 - 8 * i) & 0xffU);
  }
  return mac;
}

// As Kathara's plugin derives it, so that a lab has the addresses that it had there: the first six bytes of
// the MD5 of "MACHINE-INTERFACE", made a locally administered unicast address.
// Source: https://github.com/KatharaFramework/NetworkPlugin, README.md.
MacAddress kathara_mac(const std::string& machine, const std::string& interface) {
  const std::string text = machine + "-" + interface;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_md5(), nullptr) != 1)
    throw std::runtime_error("libcrypto has no MD5");  // answered like any defect
  MacAddress mac;
  std::copy_n(digest.begin(), mac.bytes.size(), mac.bytes.begin());
  mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] | 0x02U) & 0xfeU);
  return mac;
}

Error unknown_option(const std::string& name) {
  Nearest nearest(name);
  std::string known;
  for (const char* each : kOptions) {
    nearest.offer(each);
    known.append(known.empty() ? "" : ", ").append(each);
  }
  const std::string meant = nearest.take();
  return wrong_option(
      name, "endpoints have no such option",
      (meant.empty() ? "" : "did you mean " + quote(meant) + "? ") + ("Options are: " + known));
}

// Answers those that are taken no notice of.
Result<std::vector<std::string>> check_known(const Json& options) {
  std::vector<std::string> ignored;
  for (const auto& [name, value] : options.items()) {
    const bool known = std::find(kOptions.begin(), kOptions.end(), name) != kOptions.end();
    if (known || name.starts_with("com.docker.network.")) continue;
    if (!name.starts_with(kKathara)) return unknown_option(name);
    ignored.push_back(name);
  }
  return ignored;
}

Result<Mac> text_mac(const Json& options, const char* name, bool base64) {
  const auto text = optional_text(options, name);
  if (!text) return wrong_option(name, text.error().words);
  if (text->empty()) return Mac();
  // As --driver-opt, it is what the user wrote.
  Mac mac = MacAddress::parse(*text);
  if (!mac && base64) mac = mac_from_base64(*text);
  if (const char* fault = mac_fault(mac)) return wrong_option(name, quote(*text) + " " + fault);
  return mac;
}

// Kathara names the interface whether or not it wants a derived address.
Result<Mac> derived_mac(const Json& options) {
  const auto machine = optional_text(options, kKatharaMachine);
  if (!machine) return wrong_option(kKatharaMachine, machine.error().words);
  const auto interface = optional_text(options, kKatharaInterface);
  if (!interface) return wrong_option(kKatharaInterface, interface.error().words);
  if (machine->empty()) return Mac();
  if (interface->empty())
    return wrong_option(kKatharaMachine, "it derives a MAC address together with option " +
                                             quote(kKatharaInterface) + ", which is missing");
  return Mac(kathara_mac(*machine, *interface));
}

Result<Mac> option_mac(const Json& options) {
  const auto docker = text_mac(options, kDockerMac, true);
  if (!docker) return docker.error();
  const auto kathara = text_mac(options, kKatharaMac, false);
  if (!kathara) return kathara.error();
  const auto derived = derived_mac(options);
  if (!derived) return derived.error();
  return *docker ? docker : *kathara ? kathara : derived;
}

Result<std::string> option_text(const Json& options, const char* name) {
  auto text = optional_text(options, name);
  if (!text) return wrong_option(name, text.error().words);
  return text;
}

Result<void> read_name(const Json& options, DockerEndpoint& endpoint) {
  const auto name = option_text(options, kDockerName);
  if (!name) return name.error();
  if (name->empty()) return {};
  if (const char* fault = interface_name_fault(*name))
    return wrong_option(kDockerName, "the name " + quote(*name) + " " + fault);
  if (*name == "lo") return wrong_option(kDockerName, "every container has an interface `lo` already");
  endpoint.interface = *name;
  return {};
}

Result<void> read_sysctls(const Json& options, DockerEndpoint& endpoint) {
  const auto text = option_text(options, kDockerSysctls);
  if (!text) return text.error();
  if (text->empty()) return {};
  for (std::size_t begin = 0; begin <= text->size();) {
    const std::string each = text->substr(begin, text->find(',', begin) - begin);
    begin += each.size() + 1;
    auto sysctl = interface_sysctl(each);
    if (!sysctl)
      return wrong_option(
          kDockerSysctls, quote(each) + " is no setting of an interface",
          "write it like net.ipv4.conf.IFNAME.log_martians=1, with ipv4, ipv6 or mpls, conf or neigh, and "
          "IFNAME whatever the interface is called; several with commas between them");
    endpoint.sysctls.push_back(*std::move(sysctl));
  }
  return {};
}

Result<void> read_address(const Json& interface, const char* name, int family, DockerEndpoint& endpoint) {
  const auto address = optional_prefix(interface, name);
  if (!address) return address.error();
  if (!*address) return {};
  if ((*address)->address.family != family)
    return wrong_field(name, (*address)->text() + " is of the other address family");
  endpoint.addresses.push_back(**address);
  return {};
}

Result<void> read_interface(const Json& interface, DockerEndpoint& endpoint) {
  if (auto done = read_address(interface, "Address", AF_INET, endpoint); !done) return done;
  if (auto done = read_address(interface, "AddressIPv6", AF_INET6, endpoint); !done) return done;
  const auto text = optional_text(interface, "MacAddress");
  if (!text) return text.error();
  if (text->empty()) return {};
  endpoint.mac = MacAddress::parse(*text);
  if (const char* fault = mac_fault(endpoint.mac))
    return wrong_field("MacAddress", quote(*text) + " " + fault);
  endpoint.mac_given = true;
  return {};
}

}  // namespace

Result<DockerEndpoint> docker_endpoint_from(const Json& request) {
  DockerEndpoint endpoint;
  const auto network = id_field(request, "NetworkID");
  if (!network) return network.error();
  const auto id = id_field(request, "EndpointID");
  if (!id) return id.error();
  endpoint.network = *network;
  endpoint.id = *id;
  const auto interface = optional_object(request, "Interface");
  if (!interface) return interface.error();
  if (*interface != nullptr) {
    if (auto done = read_interface(**interface, endpoint); !done) return inside("Interface", done.error());
  }
  const auto options = optional_object(request, "Options");
  if (!options) return options.error();
  if (*options == nullptr) return endpoint;
  auto ignored = check_known(**options);
  if (!ignored) return ignored.error();
  endpoint.ignored = *std::move(ignored);
  const auto mac = option_mac(**options);
  if (!mac) return mac.error();
  if (!endpoint.mac) endpoint.mac = *mac;
  if (auto done = read_name(**options, endpoint); !done) return done.error();
  if (auto done = read_sysctls(**options, endpoint); !done) return done.error();
  return endpoint;
}

}  // namespace lanwright::docker
