// Docker's IPAM protocol: pools of addresses, and addresses of them.
// Source: https://github.com/moby/moby/blob/master/libnetwork/docs/ipam.md
#include <array>

#include "api/docker/calls.h"
#include "api/docker/fields.h"

namespace lanwright::docker {
namespace {

constexpr const char* kAddressType = "RequestAddressType";
constexpr const char* kGateway = "com.docker.network.gateway";

Result<Json> done(const Result<void>& result) {
  if (!result) return result.error();
  return Json::object();
}

Error no_address(const std::string& text) {
  return {ErrorKind::invalid, "read the field", "Address", 0, "`" + text + "` is no IP address", {}};
}

// The pools are in the agent's own database: Docker need not ask for them again at each of its starts.
Result<Json> capabilities(const Call&) {
  return Json{{"RequiresMACAddress", false}, {"RequiresRequestReplay", false}};
}

Result<Json> default_address_spaces(const Call&) {
  return Json{{"LocalDefaultAddressSpace", kLocalAddressSpace},
              {"GlobalDefaultAddressSpace", kGlobalAddressSpace}};
}

Result<Json> request_pool(const Call& call) {
  const auto space = text_field(call.request, "AddressSpace");
  if (!space) return space.error();
  const auto cidr = optional_text(call.request, "Pool");
  if (!cidr) return cidr.error();
  const auto range = optional_text(call.request, "SubPool");
  if (!range) return range.error();
  const auto v6 = optional_flag(call.request, "V6");
  if (!v6) return v6.error();
  if (const auto options = optional_texts(call.request, "Options"); !options) return options.error();
  const auto pool = call.port.request_pool({*space, *cidr, *range, *v6}, call.deadline);
  if (!pool) return pool.error();
  return Json{{"PoolID", pool->id}, {"Pool", pool->cidr.text()}, {"Data", Json::object()}};
}

Result<Json> release_pool(const Call& call) {
  const auto pool = text_field(call.request, "PoolID");
  if (!pool) return pool.error();
  return done(call.port.release_pool(*pool, call.deadline));
}

Result<Json> request_address(const Call& call) {
  const auto pool = text_field(call.request, "PoolID");
  if (!pool) return pool.error();
  const auto text = optional_text(call.request, "Address");
  if (!text) return text.error();
  const auto options = optional_texts(call.request, "Options");
  if (!options) return options.error();
  std::optional<IpAddress> wanted;
  if (!text->empty()) {
    wanted = IpAddress::parse(*text);
    if (!wanted) return no_address(*text);
  }
  const auto type = options->find(kAddressType);
  const bool gateway = type != options->end() && type->second == kGateway;
  const auto given = call.port.request_address(
      *pool, wanted, gateway ? AddressUse::gateway : AddressUse::interface, call.deadline);
  if (!given) return given.error();
  return Json{{"Address", given->text()}, {"Data", Json::object()}};
}

Result<Json> release_address(const Call& call) {
  const auto pool = text_field(call.request, "PoolID");
  if (!pool) return pool.error();
  const auto text = text_field(call.request, "Address");
  if (!text) return text.error();
  const auto address = IpAddress::parse(*text);
  if (!address) return no_address(*text);
  return done(call.port.release_address(*pool, *address, call.deadline));
}

constexpr std::array kCalls{
    CallRow{"GetCapabilities", capabilities, false},
    CallRow{"GetDefaultAddressSpaces", default_address_spaces, false},
    CallRow{"RequestPool", request_pool},
    CallRow{"ReleasePool", release_pool},
    CallRow{"RequestAddress", request_address},
    CallRow{"ReleaseAddress", release_address},
};

}  // namespace

const Subsystem& ipam_driver() {
  static constexpr Subsystem kSubsystem{"IpamDriver", "Error", kCalls};
  return kSubsystem;
}

}  // namespace lanwright::docker
