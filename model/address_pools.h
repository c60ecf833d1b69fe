// Pools of addresses as Docker asks for them, and what was given of each. Values only: what is to be given is
// chosen first, kept durably by the caller, and recorded here then. Not for several threads at once.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/result.h"

namespace lanwright {

// Pools of one space do not overlap; one space does not know the other.
inline constexpr const char* kLocalAddressSpace = "lanwright";
inline constexpr const char* kGlobalAddressSpace = "lanwright-global";

// One pool as it was asked for. Several may have the same cidr, each with another range: they are of one
// subnet, and no address of it is given twice.
struct AddressPool {
  std::string id;  // "SPACE/CIDR" or "SPACE/CIDR/RANGE"
  std::string space;
  IpPrefix cidr;                  // host bits are 0
  std::optional<IpPrefix> range;  // part of cidr that addresses are chosen from
  std::optional<IpAddress> last;  // that was chosen; the next one is behind it
  std::set<IpAddress> given;
  bool operator==(const AddressPool&) const = default;
};

// As it came: texts.
struct PoolRequest {
  std::string space;
  std::string cidr;   // empty: one of the default pools; 0.0.0.0/N or ::/N: one of them, of that length
  std::string range;  // empty: all of cidr
  bool v6 = false;    // of a default pool
};

enum class AddressUse : std::uint8_t { interface, gateway };

struct AddressGrant {
  IpPrefix address;               // with the length of the pool
  std::optional<IpAddress> last;  // of the pool afterwards
};

// Where pools come from when no subnet is asked for: the prefixes of `length` in `base`.
struct PoolSource {
  IpPrefix base;
  std::uint8_t length = 0;
};

// 64 of IPv4 /24 in each of 10.210.192.0/18, 172.31.192.0/18 and 192.168.192.0/18, which Docker's own drivers
// come to last: few, because Docker asks for another one until one overlaps no route of the host (which
// cannot be seen here). Of IPv6, the /64 of fd + `site` (a 40-bit global ID, RFC 4193, 3.2).
std::vector<PoolSource> default_pools(const std::array<std::uint8_t, 5>& site);

class AddressPools {
 public:
  explicit AddressPools(std::vector<PoolSource> defaults) : defaults_(std::move(defaults)) {}

  // The pool that the request is answered with; nothing is given of it yet. Errors: `invalid` for texts that
  // are no prefixes, for a range that is not within its pool and for an unknown space; `conflict` when it
  // overlaps another pool of the space, or was given already with the same range; `exhausted` when no default
  // pool is free. A default pool overlaps no pool of any space.
  Result<AddressPool> choose_pool(const PoolRequest& request) const;

  // The wanted address, or a free one: for an interface the first behind the one that was chosen last, so
  // that what was released is not given again before all others were; for a gateway the lowest. Nobody is
  // given the addresses of IpPrefix::is_special(). A wanted address may be outside of the range. Errors:
  // `not_found` for the pool, `invalid` outside of it, `conflict` when it was given already, `exhausted`.
  // Takes time for the neighbours that were given, not for the size of the pool.
  Result<AddressGrant> choose_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                      AddressUse use) const;

  const AddressPool* find(const std::string& id) const;  // nullptr when there is none
  const std::map<std::string, AddressPool>& pools() const { return pools_; }

  // What the caller has stored. An unknown pool is ignored, and what is not there need not be removed.
  void put(AddressPool pool);
  void drop(const std::string& pool);  // with what was given of it
  void give(const std::string& pool, const AddressGrant& grant);
  void take_back(const std::string& pool, const IpAddress& address);

 private:
  using Siblings = std::vector<const AddressPool*>;  // pools of one cidr and space
  Siblings siblings_of(const AddressPool& pool) const;
  const AddressPool* overlapping(const IpPrefix& cidr) const;
  Result<IpPrefix> free_default(bool v6, std::uint8_t length) const;
  Result<void> check_new(const AddressPool& pool) const;

  std::vector<PoolSource> defaults_;
  std::map<std::string, AddressPool> pools_;
};

}  // namespace lanwright
