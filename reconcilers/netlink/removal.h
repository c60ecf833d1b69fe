// Removing links: each is looked at again, those that are the agent's move to a fresh random link group, and
// the group goes with one message, so that the kernel waits for its readers once and not for each link. The
// kernel holds its link lock meanwhile: hence pieces, sized by what the last ones took.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/netlink/request.h"

namespace lanwright::netlink {

// How many links of one kind make a piece.
class RemovalPace {
 public:
  explicit RemovalPace(std::size_t first) : piece_(first) {}
  std::size_t piece() const { return piece_; }
  void took(std::size_t links, std::chrono::duration<double> time);

 private:
  std::size_t piece_;
};

class Remover {
 public:
  using Clock = std::chrono::steady_clock;

  struct Item {
    std::size_t owner = 0;
    const RemoveLink* step = nullptr;
  };
  // Told once for each item: its reply; or that it is not the agent's (`refused`), or that the time was over.
  enum class Outcome : std::uint8_t { replied, refused, postponed };
  using OnOutcome = std::function<void(const Item&, Outcome, const Reply&)>;

  // Removes links of the socket's namespace, whose facts serve to find an unused group. Begins no piece after
  // `deadline`. A link that is gone counts as removed.
  void run(Socket& socket, std::vector<Item> items, const NamespaceFacts& facts, Clock::time_point deadline,
           const OnOutcome& on_outcome);

  std::uint64_t writes() const { return writes_; }

 private:
  RemovalPace& pace_of(const std::string& kind);
  std::vector<Item> verify(Socket& socket, std::span<const Item> items, const OnOutcome& on_outcome);
  void remove(Socket& socket, std::span<const Item> items, const NamespaceFacts& facts,
              const OnOutcome& on_outcome);
  bool remove_together(Socket& socket, std::span<const Item> items, const NamespaceFacts& facts);
  void remove_singly(Socket& socket, std::span<const Item> items, const NamespaceFacts& facts,
                     const OnOutcome& on_outcome);
  std::uint32_t unused_group(const NamespaceFacts& facts);

  std::map<std::string, RemovalPace> paces_;  // by kind
  std::random_device random_;
  std::uint64_t writes_ = 0;
};

}  // namespace lanwright::netlink
