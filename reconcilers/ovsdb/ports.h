// What ovs-vswitchd made of interfaces. Pure, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "reconcilers/ovsdb/tables.h"

namespace lanwright::ovsdb {

// What a transaction came to, after ovs-vswitchd took it up: each awaited interface is in one of the two.
struct Outcome {
  std::map<std::string, std::int64_t> ofports;
  std::map<std::string, Error> failed;  // these are in the database and carry nothing
};

// To be called when cur_cfg has reached the change: before that there is no answer yet. The port has its
// number in OpenFlow, the one that was requested if any. Otherwise the words of ovs-vswitchd: `waiting` for a
// device that it cannot open, which it does by itself as soon as it can; `conflict` when another port has the
// number; `unsupported` when it says nothing, as for a datapath that the host does not have.
Result<std::int64_t> ofport_of(const Tables& tables, const std::string& interface);
Outcome outcome_of(const Tables& tables, const std::set<std::string>& interfaces);

}  // namespace lanwright::ovsdb
