#include "reconcilers/netlink/removal.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "model/link_names.h"
#include "reconcilers/kinds/table.h"
#include "reconcilers/netlink/link_codec.h"

namespace lanwright::netlink {

namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kPieceTime{0.3};
constexpr std::size_t kLargestPiece = 1000;

// The mark says so; or it was never given: to a fresh tap, or to a link that a crash left between creation
// and mark, of which the group tells.
bool is_owned(const LinkFact& fact, const RemoveLink& step) {
  if (fact.kind != step.kind) return false;
  if (fact.alias == step.mark.text()) return true;
  return fact.alias.empty() && (is_birth_group(fact.group) || (kinds::kind_of(fact.kind).born_unmarked &&
                                                               is_temporary_name(fact.name, step.mark.uid)));
}

}  // namespace

void RemovalPace::took(std::size_t links, std::chrono::duration<double> time) {
  const double affordable = static_cast<double>(links) * (kPieceTime / time);
  const double bounded = std::clamp(affordable, 1.0, static_cast<double>(std::max(piece_, links)) * 2);
  piece_ = std::min(static_cast<std::size_t>(bounded), kLargestPiece);
}

RemovalPace& Remover::pace_of(const std::string& kind) {
  return paces_.try_emplace(kind, kinds::kind_of(kind).first_removal).first->second;
}

void Remover::run(Socket& socket, std::vector<Item> items, const NamespaceFacts& facts,
                  Clock::time_point deadline, const OnOutcome& on_outcome) {
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.step->kind < b.step->kind; });
  const std::span<const Item> all(items);
  for (std::size_t begin = 0; begin < all.size();) {
    if (Clock::now() >= deadline) {
      for (const Item& item : all.subspan(begin)) on_outcome(item, Outcome::postponed, {});
      return;
    }
    RemovalPace& pace = pace_of(all[begin].step->kind);
    std::size_t end = begin + 1;
    while (end < all.size() && end - begin < pace.piece() && all[end].step->kind == all[begin].step->kind)
      ++end;
    const std::vector<Item> owned = verify(socket, all.subspan(begin, end - begin), on_outcome);
    const auto start = Clock::now();
    remove(socket, owned, facts, on_outcome);
    if (owned.size() > 1) pace.took(owned.size(), Clock::now() - start);
    begin = end;
  }
}

// Looks at the links again, as the kernel has them now.
std::vector<Remover::Item> Remover::verify(Socket& socket, std::span<const Item> items,
                                           const OnOutcome& on_outcome) {
  std::vector<Request> requests;
  requests.reserve(items.size());
  for (const Item& item : items) requests.push_back({get_link(item.step->ifindex), item.owner});
  std::vector<std::optional<LinkFact>> facts(items.size());
  const auto replies = perform(socket, requests, [&](std::size_t index, const nlmsghdr& message) {
    facts[index] = decode_link(message);
  });
  std::vector<Item> owned;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (replies[i].error == ENODEV) {
      on_outcome(items[i], Outcome::replied, {});
    } else if (!replies[i].ok()) {
      on_outcome(items[i], Outcome::replied, replies[i]);
    } else if (facts[i] && is_owned(*facts[i], *items[i].step)) {
      owned.push_back(items[i]);
    } else {
      on_outcome(items[i], Outcome::refused, {});
    }
  }
  return owned;
}

void Remover::remove(Socket& socket, std::span<const Item> items, const NamespaceFacts& facts,
                     const OnOutcome& on_outcome) {
  if (items.size() > 1 && remove_together(socket, items, facts)) {
    for (const Item& item : items) on_outcome(item, Outcome::replied, {});
    return;
  }
  remove_singly(socket, items, facts, on_outcome);
}

bool Remover::remove_together(Socket& socket, std::span<const Item> items, const NamespaceFacts& facts) {
  const std::uint32_t group = unused_group(facts);
  std::vector<Request> requests;
  requests.reserve(items.size() + 1);
  for (const Item& item : items) requests.push_back({set_group(item.step->ifindex, group), 0});
  requests.push_back({delete_group(group), 0});
  writes_ += requests.size();
  const auto replies = perform(socket, requests);
  // One that could not be moved is not deleted either, unless it went by itself.
  const bool moved = std::all_of(replies.begin(), replies.end() - 1,
                                 [](const Reply& reply) { return reply.ok() || reply.error == ENODEV; });
  return moved && replies.back().ok();
}

// One at a time: the kernel's words for each, and others get the link lock in between.
void Remover::remove_singly(Socket& socket, std::span<const Item> items, const NamespaceFacts& facts,
                            const OnOutcome& on_outcome) {
  for (const Item& item : items) {
    ++writes_;
    Reply reply = perform_one(socket, delete_link(item.step->ifindex));
    if (reply.error == ENODEV) reply = {};
    if (!reply.ok() && items.size() > 1) {
      ++writes_;
      const LinkFact* fact = facts.find(item.step->ifindex);
      const std::uint32_t group = fact != nullptr && is_birth_group(fact->group) ? fact->group : kOwnGroup;
      perform_one(socket, set_group(item.step->ifindex, group));  // out of the group that failed
    }
    on_outcome(item, Outcome::replied, reply);
  }
}

std::uint32_t Remover::unused_group(const NamespaceFacts& facts) {
  for (;;) {
    const std::uint32_t group = random_() | kDeletingGroup;
    const auto in_group = [group](const auto& entry) { return entry.second.group == group; };
    if (std::none_of(facts.links().begin(), facts.links().end(), in_group)) return group;
  }
}

}  // namespace lanwright::netlink
