#include "reconcilers/ovsdb/commits.h"

#include <algorithm>
#include <string>

namespace lanwright::ovsdb {
namespace {

Error not_answered(const Transaction& transaction) {
  return transaction.error(ErrorKind::timeout, "ovsdb-server does not answer; it may still do it",
                           "see whether it runs: systemctl status ovsdb-server");
}

Error not_taken_up(const Transaction& transaction, std::int64_t number, const RootRow* root) {
  const std::string reached = root == nullptr ? "none" : std::to_string(root->cur_cfg);
  return transaction.error(
      ErrorKind::timeout,
      "it is in the database, and ovs-vswitchd does not take it up: it is at configuration " + reached +
          " of " + std::to_string(number),
      "see whether ovs-vswitchd runs and is not busy: systemctl status ovs-vswitchd");
}

}  // namespace

void Commits::begin(std::int64_t id, Transaction transaction, Done done, os::SteadyTime due) {
  commits_.emplace(id, Commit{std::move(transaction), std::move(done), due, std::nullopt});
}

void Commits::end(std::map<std::int64_t, Commit>::iterator commit, Result<Outcome> result) {
  ended_.emplace_back(std::move(commit->second.done), std::move(result));
  commits_.erase(commit);
}

bool Commits::take(std::int64_t id, const Reply& reply) {
  if (late_.erase(id) != 0) return true;
  const auto commit = commits_.find(id);
  if (commit == commits_.end() || commit->second.number) return false;
  const Transaction& transaction = commit->second.transaction;
  if (!reply.error.is_null()) {
    end(commit, error_from(reply.error, transaction.tried(), transaction.object()));
    return true;
  }
  const auto number = transaction.read_result(reply.result);
  if (number)
    commit->second.number = *number;
  else
    end(commit, number.error());
  return true;
}

void Commits::advance(const Tables& tables, os::SteadyTime now) {
  const RootRow* root = tables.root();
  for (auto next = commits_.begin(); next != commits_.end();) {
    const auto commit = next++;
    const auto& number = commit->second.number;
    const bool is_taken_up = number && root != nullptr && root->cur_cfg >= *number;
    if (is_taken_up) {
      end(commit, outcome_of(tables, commit->second.transaction.awaited()));
    } else if (commit->second.due <= now) {
      if (!number) late_.insert(commit->first);
      end(commit, number ? not_taken_up(commit->second.transaction, *number, root)
                         : not_answered(commit->second.transaction));
    }
  }
}

void Commits::fail(const Error& why) {
  late_.clear();
  while (!commits_.empty()) {
    const Commit& commit = commits_.begin()->second;
    std::string words = commit.number
                            ? "it is in the database, and whether ovs-vswitchd took it up is not known: "
                            : "whether it was done is not known: ";
    end(commits_.begin(), commit.transaction.error(ErrorKind::waiting, std::move(words) + why.text(),
                                                   "the database is read anew as soon as it answers"));
  }
}

std::optional<os::SteadyTime> Commits::next_due() const {
  const auto earliest = std::min_element(commits_.begin(), commits_.end(), [](const auto& a, const auto& b) {
    return a.second.due < b.second.due;
  });
  return earliest == commits_.end() ? std::nullopt : std::optional(earliest->second.due);
}

void Commits::deliver() {
  for (auto& [done, result] : std::exchange(ended_, {})) done(std::move(result));
}

}  // namespace lanwright::ovsdb
