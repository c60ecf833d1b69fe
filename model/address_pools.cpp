#include "model/address_pools.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace lanwright {
namespace {

// What Docker's own drivers say; people look for these words.
constexpr const char* kInUse = "Address already in use";
constexpr const char* kOutOfRange = "requested address is out of range";
constexpr const char* kNoneFree = "no available addresses on this pool";
constexpr const char* kOverlaps = "Pool overlaps with other one on this address space";

Error pool_error(ErrorKind kind, const std::string& cidr, std::string words, std::string hint = {}) {
  return {kind, "make address pool", cidr, 0, std::move(words), std::move(hint)};
}

Error address_error(ErrorKind kind, const AddressPool& pool, const std::optional<IpAddress>& wanted,
                    std::string words, std::string hint = {}) {
  const std::string what = wanted ? "give " + wanted->text() : "give an address";
  const std::string range = pool.range ? " (range " + pool.range->text() + ")" : "";
  return {kind, what + " of pool", pool.cidr.text() + range, 0, std::move(words), std::move(hint)};
}

bool is_unspecified(const IpAddress& address) {
  return std::all_of(address.bytes.begin(), address.bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

Result<IpPrefix> prefix_of(const std::string& text, const char* what) {
  const auto prefix = IpPrefix::parse(text);
  if (!prefix)
    return pool_error(ErrorKind::invalid, text, std::string("invalid address ") + what,
                      "write it as ADDRESS/LENGTH, such as 10.0.0.0/24");
  return prefix->network();
}

bool is_given(const std::vector<const AddressPool*>& siblings, const IpAddress& address) {
  return std::any_of(siblings.begin(), siblings.end(),
                     [&](const AddressPool* pool) { return pool->given.contains(address); });
}

// The first one that is free, from `from` to `to`.
std::optional<IpAddress> first_free(const std::vector<const AddressPool*>& siblings, IpAddress from,
                                    const IpAddress& to) {
  const IpPrefix& cidr = siblings.front()->cidr;
  for (;; from = from.next()) {
    if (!cidr.is_special(from) && !is_given(siblings, from)) return from;
    if (from == to) return std::nullopt;
  }
}

Result<void> check_wanted(const AddressPool& pool, const std::vector<const AddressPool*>& siblings,
                          const IpAddress& wanted) {
  if (!pool.cidr.contains(wanted)) return address_error(ErrorKind::invalid, pool, wanted, kOutOfRange);
  if (pool.cidr.is_special(wanted)) {
    const bool first = wanted == pool.cidr.address;
    const char* what = wanted.family == AF_INET6 ? "the routers' anycast address"
                       : first                   ? "the network address"
                                                 : "the broadcast address";
    return address_error(ErrorKind::invalid, pool, wanted,
                         std::string(kOutOfRange) + ": it is " + what + " of the pool");
  }
  if (is_given(siblings, wanted))
    return address_error(ErrorKind::conflict, pool, wanted, kInUse, "choose another, or release it first");
  return {};
}

}  // namespace

std::vector<PoolSource> default_pools(const std::array<std::uint8_t, 5>& site) {
  std::vector<PoolSource> sources;
  for (const char* base : {"10.210.192.0/18", "172.31.192.0/18", "192.168.192.0/18"})
    sources.push_back({*IpPrefix::parse(base), 24});
  IpPrefix local{{AF_INET6, {0xfd}}, 48};
  std::copy(site.begin(), site.end(), local.address.bytes.begin() + 1);
  sources.push_back({local, 64});
  return sources;
}

const AddressPool* AddressPools::find(const std::string& id) const {
  const auto found = pools_.find(id);
  return found == pools_.end() ? nullptr : &found->second;
}

AddressPools::Siblings AddressPools::siblings_of(const AddressPool& pool) const {
  Siblings siblings;
  for (const auto& [id, each] : pools_) {
    if (each.space == pool.space && each.cidr == pool.cidr) siblings.push_back(&each);
  }
  return siblings;
}

const AddressPool* AddressPools::overlapping(const IpPrefix& cidr) const {
  for (const auto& [id, each] : pools_) {
    if (each.cidr.overlaps(cidr)) return &each;
  }
  return nullptr;
}

Result<IpPrefix> AddressPools::free_default(bool v6, std::uint8_t length) const {
  for (const PoolSource& source : defaults_) {
    if ((source.base.address.family == AF_INET6) != v6) continue;
    if (length != 0 && (length < source.base.length || length > source.base.address.size() * 8)) continue;
    IpPrefix candidate{source.base.address, length == 0 ? source.length : length};
    while (source.base.contains(candidate.address)) {
      const AddressPool* taken = overlapping(candidate);
      if (taken == nullptr) return candidate;
      // Of two prefixes that overlap, one contains the other: behind the larger one is a place for either.
      candidate.address = std::max(candidate.last(), taken->cidr.last()).next();
    }
  }
  const std::string family = v6 ? "IPv6" : "IPv4";
  return pool_error(ErrorKind::exhausted, family,
                    "could not find an available, non-overlapping " + family +
                        " address pool among the defaults to assign to the network",
                    "name one with --subnet, or remove networks that are not used");
}

Result<void> AddressPools::check_new(const AddressPool& pool) const {
  for (const auto& [id, other] : pools_) {
    if (other.space != pool.space || !other.cidr.overlaps(pool.cidr)) continue;
    if (other.cidr == pool.cidr && other.range != pool.range) continue;
    const std::string range = other.range ? " with range " + other.range->text() : "";
    return pool_error(ErrorKind::conflict, pool.cidr.text(),
                      std::string(kOverlaps) + ": " + other.cidr.text() + range,
                      "choose another subnet, or remove the network that has " + other.cidr.text());
  }
  return {};
}

Result<AddressPool> AddressPools::choose_pool(const PoolRequest& request) const {
  AddressPool pool;
  pool.space = request.space;
  if (request.space != kLocalAddressSpace && request.space != kGlobalAddressSpace)
    return pool_error(ErrorKind::invalid, request.cidr, "cannot find address space `" + request.space + "`");
  std::optional<IpPrefix> asked;
  if (!request.cidr.empty()) {
    auto cidr = prefix_of(request.cidr, "pool");
    if (!cidr) return cidr.error();
    asked = *cidr;
  }
  const bool any = !asked || is_unspecified(asked->address);
  if (any && !request.range.empty())
    return pool_error(ErrorKind::invalid, request.cidr, "a range needs the subnet that it is a part of",
                      "name the subnet with --subnet");
  if (asked && any && asked->length == 0)
    return pool_error(ErrorKind::invalid, request.cidr, "invalid address pool: it is every address");
  if (any) {
    const bool v6 = asked ? asked->address.family == AF_INET6 : request.v6;
    auto free = free_default(v6, asked ? asked->length : std::uint8_t{0});
    if (!free) return free.error();
    asked = *free;
  }
  if (const char* kind = unusable_kind(*asked))
    return pool_error(
        ErrorKind::invalid, asked->text(),
        "invalid address pool: it has " + std::string(kind) + " addresses, which no interface can have",
        "choose another subnet");
  pool.cidr = *asked;
  pool.id = pool.space + "/" + pool.cidr.text();
  if (!request.range.empty()) {
    auto range = prefix_of(request.range, "subpool");
    if (!range) return range.error();
    if (range->length < pool.cidr.length || !pool.cidr.contains(range->address))
      return pool_error(ErrorKind::invalid, pool.cidr.text(),
                        "invalid address subpool: " + range->text() + " is not within it");
    pool.range = *range;
    pool.id += "/" + range->text();
  }
  if (auto fine = check_new(pool); !fine) return fine.error();
  return pool;
}

Result<AddressGrant> AddressPools::choose_address(const std::string& pool,
                                                  const std::optional<IpAddress>& wanted,
                                                  AddressUse use) const {
  const AddressPool* found = find(pool);
  if (found == nullptr)
    return Error{ErrorKind::not_found,
                 "give an address of pool",
                 pool,
                 0,
                 "there is no such pool",
                 "the network was made with another database: remove it and make it again"};
  const Siblings siblings = siblings_of(*found);
  if (wanted) {
    if (auto fine = check_wanted(*found, siblings, *wanted); !fine) return fine.error();
    return AddressGrant{{*wanted, found->cidr.length}, found->last};
  }
  const IpPrefix range = found->range.value_or(found->cidr);
  IpAddress from = range.address;
  if (use == AddressUse::interface && found->last && *found->last != range.last()) from = found->last->next();
  auto free = first_free(siblings, from, range.last());
  if (!free && from != range.address) free = first_free(siblings, range.address, range.last());
  if (!free)
    return address_error(ErrorKind::exhausted, *found, {}, kNoneFree,
                         "remove containers that are not used, or make the network with a larger subnet");
  return AddressGrant{{*free, found->cidr.length}, use == AddressUse::interface ? free : found->last};
}

void AddressPools::put(AddressPool pool) {
  std::string id = pool.id;
  pools_.insert_or_assign(std::move(id), std::move(pool));
}

void AddressPools::drop(const std::string& pool) {
  pools_.erase(pool);
}

void AddressPools::give(const std::string& pool, const AddressGrant& grant) {
  const auto found = pools_.find(pool);
  if (found == pools_.end()) return;
  found->second.given.insert(grant.address.address);
  found->second.last = grant.last;
}

void AddressPools::take_back(const std::string& pool, const IpAddress& address) {
  const auto found = pools_.find(pool);
  if (found != pools_.end()) found->second.given.erase(address);
}

}  // namespace lanwright
