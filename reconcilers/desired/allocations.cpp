#include "reconcilers/desired/allocations.h"

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>

namespace lanwright::desired {
namespace {

using Allocations = std::vector<IpPrefix>;

// Gives one address after the other; what was given or passed over is not looked at again.
class Pool {
 public:
  explicit Pool(const Subnet& subnet)
      : cidr_(subnet.cidr),
        range_(subnet.range.value_or(subnet.cidr)),
        next_(range_.network().address),
        last_(range_.last()) {}

  bool holds(const IpPrefix& lease) const {
    return lease.length == cidr_.length && range_.contains(lease.address) && !cidr_.is_special(lease.address);
  }
  const IpPrefix& range() const { return range_; }
  std::uint8_t family() const { return cidr_.address.family; }

  std::optional<IpPrefix> take(std::set<IpAddress>& taken) {
    while (!exhausted_) {
      const IpAddress address = next_;
      exhausted_ = address == last_;
      next_ = next_.next();
      if (cidr_.is_special(address) || !taken.insert(address).second) continue;
      return IpPrefix{address, cidr_.length};
    }
    return std::nullopt;
  }

 private:
  IpPrefix cidr_;
  IpPrefix range_;
  IpAddress next_;
  IpAddress last_;
  bool exhausted_ = false;
};

const AttachmentSpec& spec_of(const DesiredObject& entry) {
  return std::get<AttachmentSpec>(*entry.object.spec);
}

bool wants_allocation(const AttachmentSpec& spec) {
  return !spec.tap && spec.addresses.empty() && !spec.no_addresses;
}

Error refused(const ResourceId& id, std::string words, std::string hint) {
  return {ErrorKind::invalid, "assign an address to", id.text(), 0, std::move(words), std::move(hint)};
}

class Allocation {
 public:
  Allocation(const ResourceId& id, const NetworkSpec& network) {
    for (const Subnet& subnet : network.subnets) {
      pools_.emplace_back(subnet);
      families_.insert(subnet.cidr.address.family);
      if (subnet.gateway) taken_.insert(*subnet.gateway);
      for (const auto& [name, address] : subnet.reserved) taken_.insert(address);
    }
    if (!network.host_interface) return;
    for (const IpPrefix& address : network.host_interface->addresses) {
      taken_.insert(address.address);
      declared_.emplace(address.address, &id);
    }
  }

  Result<void> declare(const DesiredObject& entry) {
    for (const IpPrefix& address : spec_of(entry).addresses) {
      taken_.insert(address.address);
      const auto [first, is_new] = declared_.emplace(address.address, &entry.object.id);
      if (!is_new && *first->second != entry.object.id)
        return refused(entry.object.id,
                       address.address.text() + " is declared for " + first->second->text() + " as well",
                       "give one of them another address");
    }
    return {};
  }

  // An endpoint of Docker's, whose address nobody chose here: what is held or reserved it cannot have.
  Result<void> admit(const DesiredObject& entry) {
    for (const IpPrefix& address : spec_of(entry).addresses) {
      if (taken_.insert(address.address).second) continue;
      const auto holder = declared_.find(address.address);
      return refused(
          entry.object.id,
          address.address.text() + (holder == declared_.end() ? " is reserved by the network"
                                                              : " is held by " + holder->second->text()),
          "choose another one (--ip), or have Docker keep to a range of its own (--ip-range)");
    }
    return {};
  }

  Allocations keep(const DesiredObject& entry) {
    Allocations kept;
    for (const IpPrefix& lease : entry.object.allocations) {
      const bool fits =
          std::any_of(pools_.begin(), pools_.end(), [&](const Pool& pool) { return pool.holds(lease); });
      if (!fits || !taken_.insert(lease.address).second) continue;
      kept.push_back(lease);
      declared_.emplace(lease.address, &entry.object.id);
    }
    return kept;
  }

  Result<void> complete(const ResourceId& id, Allocations& allocations) {
    for (const std::uint8_t family : families_) {
      const bool has = std::any_of(allocations.begin(), allocations.end(),
                                   [&](const IpPrefix& lease) { return lease.address.family == family; });
      if (has) continue;
      const auto lease = take(family);
      if (!lease)
        return refused(id, "no address is free in " + ranges(family), "add a subnet, or widen its range");
      allocations.push_back(*lease);
    }
    return {};
  }

 private:
  std::optional<IpPrefix> take(std::uint8_t family) {
    for (Pool& pool : pools_) {
      if (pool.family() != family) continue;
      if (auto lease = pool.take(taken_)) return lease;
    }
    return std::nullopt;
  }

  std::string ranges(std::uint8_t family) const {
    std::string text;
    for (const Pool& pool : pools_) {
      if (pool.family() == family) text += (text.empty() ? "" : ", ") + pool.range().text();
    }
    return text;
  }

  std::vector<Pool> pools_;
  std::set<std::uint8_t> families_;
  std::set<IpAddress> taken_;
  std::map<IpAddress, const ResourceId*> declared_;
};

}  // namespace

Result<std::map<ResourceId, Allocations>> allocate_addresses(const DesiredState& desired,
                                                             const std::string& network) {
  std::map<ResourceId, Allocations> changed;
  const auto* host = desired.find({Kind::network, network});
  const auto* spec = host != nullptr ? std::get_if<NetworkSpec>(host->object.spec.get()) : nullptr;
  if (spec == nullptr || host->object.deleting) return changed;
  std::vector<const DesiredObject*> attachments;
  for (const ResourceId& id : desired.attachments_of(network)) {
    const auto* entry = desired.find(id);
    if (!entry->object.deleting && entry->object.spec) attachments.push_back(entry);
  }
  Allocation allocation(host->object.id, *spec);
  for (const auto* entry : attachments) {
    if (spec_of(*entry).endpoint) continue;
    if (auto declared = allocation.declare(*entry); !declared) return declared.error();
  }
  // Whoever has an address keeps it, before others are given one.
  std::map<const DesiredObject*, Allocations> allocations;
  for (const auto* entry : attachments)
    allocations[entry] = wants_allocation(spec_of(*entry)) ? allocation.keep(*entry) : Allocations{};
  for (const auto* entry : attachments) {
    if (!spec_of(*entry).endpoint) continue;
    if (auto admitted = allocation.admit(*entry); !admitted) return admitted.error();
  }
  for (const auto* entry : attachments) {
    Allocations& its = allocations[entry];
    if (wants_allocation(spec_of(*entry))) {
      if (auto done = allocation.complete(entry->object.id, its); !done) return done.error();
    }
    if (its != entry->object.allocations) changed.emplace(entry->object.id, its);
  }
  return changed;
}

std::string text_of_allocations(const std::vector<IpPrefix>& allocations) {
  std::string text;
  for (const IpPrefix& lease : allocations) text += (text.empty() ? "" : " ") + lease.text();
  return text;
}

std::vector<IpPrefix> allocations_from(const std::string& text) {
  std::vector<IpPrefix> allocations;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (const auto lease = IpPrefix::parse(word)) allocations.push_back(*lease);
  }
  return allocations;
}

}  // namespace lanwright::desired
