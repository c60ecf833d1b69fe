// What is done to bridges of Open vSwitch, as transactions with what must still be so for them to be right.
// Pure; any thread.
#pragma once

#include <span>
#include <string>

#include "model/plan.h"
#include "reconcilers/ovsdb/tables.h"
#include "reconcilers/ovsdb/transaction.h"

namespace lanwright::ovs {

// The bridge that a step of Carrier::ovs is about, and the mark of what it makes or changes there.
const std::string& bridge_of(const Step& step);
OwnerTag mark_of(const Step& step);

// Whether these go into one transaction: additions to one bridge, or removals from one.
bool go_together(const Step& one, const Step& other);

// One step of Carrier::ovs, or several that go together. `conflict` when what it is about is not there any
// more, or not that owner's; `waiting` when a port's bridge is not there yet.
Result<ovsdb::Transaction> transaction_of(std::span<const Step* const> steps, const ovsdb::Tables& tables);

}  // namespace lanwright::ovs
