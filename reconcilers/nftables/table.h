// The table `inet lanwright` of one network namespace, kept as it is wanted: read, compared, changed by the
// difference in one transaction. One thread.
//
// Ownership is the table's name and its comment; a table of that name without it is never touched. Nothing
// else of the host's firewall is ever written. The table outlives the agent (no NFT_TABLE_F_OWNER): what it
// does for packets goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/nftables/firewall.h"
#include "reconcilers/nftables/messages.h"
#include "reconcilers/nftables/ruleset.h"

namespace lanwright::nftables {

// What the kernel has.
struct TableState {
  enum class Owner : std::uint8_t { nobody, us, somebody_else };  // nobody: there is no such table
  Owner owner = Owner::nobody;
  std::optional<std::string> fault;  // of the fixed part: "rule 2 of chain forward"
  Elements elements;
};

// What an apply() did.
struct Applied {
  bool made = false;      // the whole table, anew
  bool removed = false;   // the whole table
  std::string why = {};   // it was made anew: what of the fixed part was not as it should be
  std::size_t added = 0;  // elements
  std::size_t taken = 0;
  bool wrote() const { return made || removed || added + taken > 0; }
};

class Table {
 public:
  // Of this network namespace; with none, of the calling thread's. Fails where the kernel has no nf_tables.
  static Result<Table> open(const os::Descriptor& netns = {});

  int event_fd() const { return ruleset_.event_fd(); }  // readable when drain() has something to do
  // Takes in the kernel's news: whether the table may be another than it was read or made, by somebody else.
  bool drain() { return !ruleset_.drain(); }

  // What is there now; asks the kernel only when it may have changed. `busy` when others change rules faster
  // than they can be read.
  Result<TableState> read();

  // Makes the elements, and the fixed part around them, what they are to be; with none, there is no table.
  // One transaction: a packet, and whoever comes after a crash, finds either what was before or all of it.
  // `conflict` when the table is somebody else's.
  Result<Applied> apply(const Elements& want);

  std::uint64_t transactions() const { return ruleset_.transactions(); }  // none: nothing was written

 private:
  explicit Table(Ruleset ruleset) : ruleset_(std::move(ruleset)) {}

  Result<void> know();
  Result<bool> look_once();
  Result<void> find();
  Result<bool> list_fixed();
  Result<bool> list_elements();
  // What is to be done, and what of the elements that changes.
  struct Work {
    std::vector<Message> messages;
    ElementChanges changes;
    Applied applied;
  };
  Work work_for(const Elements& want) const;
  void take_in(const Work& work, const Elements& want);
  Result<void> verify_made();

  Ruleset ruleset_;
  TableState state_;  // as it was looked at, or made
};

}  // namespace lanwright::nftables
