// The nf_tables of one network namespace, for those who keep a part of them: lists, transactions, news. What
// was looked at is known to be as it was until the news say otherwise, and a transaction is refused by the
// kernel when something changed that is not known here. One thread. Source: linux/netfilter/nfnetlink.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/netlink/request.h"
#include "reconcilers/netlink/socket.h"
#include "reconcilers/nftables/events.h"

namespace lanwright::nftables {

class Ruleset {
 public:
  // Whether a message of the kernel's news is about the part that is kept.
  using Concerns = std::function<bool(const nlmsghdr&)>;

  // Of this network namespace; with none, of the calling thread's. Fails where the kernel has no nf_tables.
  static Result<Ruleset> open(const os::Descriptor& netns, Concerns concerns);

  int event_fd() const { return events_.fd(); }
  // Takes in the kernel's news; whether what was looked at is still as it was.
  bool drain();
  void forget() { is_known_ = false; }

  // Looks, again when somebody changed rules meanwhile: `look_once` answers false when it saw that. `busy`
  // when they do so each time.
  Result<void> look(const std::function<Result<bool>()>& look_once);
  // One list; false when it changed meanwhile, or is of something that is gone.
  Result<bool> list(netlink::Message request, const std::string& what,
                    const std::function<void(const nlmsghdr&)>& take);
  // One answer; false when there is no such thing.
  Result<bool> get(netlink::Message request, const std::string& what,
                   const std::function<void(const nlmsghdr&)>& take);

  // All of these or none, in one datagram: neither a packet nor a crash comes between. `object` is what an
  // error is about that no single message made. False when something else changed first: look again.
  Result<bool> change(std::vector<netlink::Message> messages, const std::string& object);

  std::uint32_t generation() const { return generation_; }
  std::uint64_t transactions() const { return transactions_; }

 private:
  Ruleset(netlink::Socket socket, Events events, Concerns concerns)
      : socket_(std::move(socket)), events_(std::move(events)), concerns_(std::move(concerns)) {}

  Result<std::uint32_t> read_generation();

  netlink::Socket socket_;
  Events events_;
  Concerns concerns_;
  bool is_known_ = false;         // what was looked at, as of generation_
  std::uint32_t generation_ = 0;  // the last one whose changes are known
  bool concerned_ = false;        // by a transaction whose generation is still to come
  std::uint64_t transactions_ = 0;
};

// How often somebody who keeps a part tries to be faster than others who change rules.
inline constexpr int kAttempts = 10;
Error busy(const char* tried, const std::string& object);

}  // namespace lanwright::nftables
