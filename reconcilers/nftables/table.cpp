#include "reconcilers/nftables/table.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <iterator>

namespace lanwright::nftables {
namespace {

const std::string kObject = std::string("table inet ") + kTable;

Error conflict() {
  return {ErrorKind::conflict,
          "keep the firewall in",
          kObject,
          0,
          "a table of that name is there, and not the agent's own (its comment is not \"" +
              std::string(kMark) + "\")",
          std::string("see `nft list table inet ") + kTable +
              "`; if nobody needs it, `nft delete table inet " + kTable + "`"};
}

Message dump_of(int type, int table_attribute) {
  Message message = make_message(type, 0, NFPROTO_INET);
  message.put_text(table_attribute, kTable);
  return message;
}

}  // namespace

Result<Table> Table::open(const os::Descriptor& netns) {
  auto ruleset = Ruleset::open(netns, [](const nlmsghdr& message) {
    const About which = about(message);
    return which.family == NFPROTO_INET && which.table == kTable;
  });
  if (!ruleset) return ruleset.error();
  return Table(std::move(*ruleset));
}

Result<TableState> Table::read() {
  if (auto known = know(); !known) return known.error();
  return state_;
}

Result<void> Table::know() {
  return ruleset_.drain() ? Result<void>() : ruleset_.look([this] { return look_once(); });
}

Result<bool> Table::look_once() {
  state_ = {};
  if (auto found = find(); !found) return found.error();
  if (state_.owner != TableState::Owner::us) return true;
  auto listed = list_fixed();
  if (!listed || !*listed) return listed;
  return list_elements();
}

Result<void> Table::find() {
  Message request = make_message(NFT_MSG_GETTABLE, 0, NFPROTO_INET);
  request.put_text(NFTA_TABLE_NAME, kTable);
  std::optional<TableSeen> seen;
  const auto got = ruleset_.get(std::move(request), kObject,
                                [&](const nlmsghdr& message) { seen = decode_table(message); });
  if (!got) return got.error();
  if (!*got) return {};
  const bool is_ours = seen && seen->comment == kMark;
  state_.owner = is_ours ? TableState::Owner::us : TableState::Owner::somebody_else;
  if (is_ours && seen->flags != 0) state_.fault = "a flag of the table";  // dormant, say: it does nothing
  return {};
}

Result<bool> Table::list_fixed() {
  FixedSeen seen;
  // The kernel lists all chains of the family.
  auto listed = ruleset_.list(make_message(NFT_MSG_GETCHAIN, 0, NFPROTO_INET), "chains of " + kObject,
                              [&](const nlmsghdr& message) {
                                auto chain = decode_chain(message);
                                if (chain && chain->table == kTable) seen.chains.push_back(*std::move(chain));
                              });
  if (!listed || !*listed) return listed;
  listed = ruleset_.list(dump_of(NFT_MSG_GETSET, NFTA_SET_TABLE), "sets of " + kObject,
                         [&](const nlmsghdr& message) {
                           if (auto set = decode_set(message)) seen.sets.push_back(*std::move(set));
                         });
  if (!listed || !*listed) return listed;
  listed = ruleset_.list(dump_of(NFT_MSG_GETRULE, NFTA_RULE_TABLE), "rules of " + kObject,
                         [&](const nlmsghdr& message) {
                           if (auto rule = decode_rule(message)) seen.rules.push_back(*std::move(rule));
                         });
  if (!state_.fault) state_.fault = first_fault(seen);
  return listed;
}

// A set that is not there is a fault already.
Result<bool> Table::list_elements() {
  if (state_.fault) return true;
  for (const Set& set : layout().sets) {
    Message request = dump_of(NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE);
    request.put_text(NFTA_SET_ELEM_LIST_SET, set.name);
    auto listed = ruleset_.list(std::move(request), "elements of " + kObject, [&](const nlmsghdr& message) {
      for (auto& element : decode_elements(message, set.id)) state_.elements.insert(std::move(element));
    });
    if (!listed || !*listed) return listed;
  }
  return true;
}

Table::Work Table::work_for(const Elements& want) const {
  Work work;
  const auto append = [&](std::vector<Message> more) {
    std::move(more.begin(), more.end(), std::back_inserter(work.messages));
  };
  const bool is_there = state_.owner == TableState::Owner::us;
  const bool is_whole = is_there && !state_.fault;
  if (is_there && (want.empty() || !is_whole)) work.messages.push_back(removal_of_table());
  work.applied.removed = is_there && want.empty();
  if (want.empty()) return work;
  work.applied.made = !is_whole;
  if (work.applied.made) append(creation());
  work.applied.why = state_.fault.value_or("");
  static const Elements kNone;
  work.changes = difference(is_whole ? state_.elements : kNone, want);
  append(element_messages(NFT_MSG_DELSETELEM, work.changes.removed));
  append(element_messages(NFT_MSG_NEWSETELEM, work.changes.added));
  work.applied.taken = work.changes.removed.size();
  work.applied.added = work.changes.added.size();
  return work;
}

// In place: a thousand networks are many elements.
void Table::take_in(const Work& work, const Elements& want) {
  state_.owner = want.empty() ? TableState::Owner::nobody : TableState::Owner::us;
  state_.fault.reset();
  if (work.applied.made || work.applied.removed) state_.elements.clear();
  for (const auto& each : work.changes.removed) state_.elements.erase(each.first);
  for (const auto& each : work.changes.added) state_.elements.insert(each);
}

// That the kernel shows what it was given: otherwise each look would find it wrong.
Result<void> Table::verify_made() {
  const std::uint32_t made = ruleset_.generation();
  ruleset_.forget();
  if (auto known = know(); !known) return known;
  if (!state_.fault || ruleset_.generation() != made) return {};
  return Error{ErrorKind::unsupported,
               "make",
               kObject,
               0,
               "the kernel shows " + *state_.fault + " otherwise than it was made",
               "see `nft list table inet " + std::string(kTable) + "`"};
}

Result<Applied> Table::apply(const Elements& want) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (auto known = know(); !known) return known.error();
    if (state_.owner == TableState::Owner::somebody_else && !want.empty()) return conflict();
    Work work = work_for(want);
    if (work.messages.empty()) return work.applied;
    const auto changed = ruleset_.change(std::move(work.messages), kObject);
    if (!changed) return changed.error();
    if (!*changed) continue;
    take_in(work, want);
    if (work.applied.made) {
      if (auto verified = verify_made(); !verified) return verified.error();
    }
    return work.applied;
  }
  return busy("change", kObject);
}

}  // namespace lanwright::nftables
