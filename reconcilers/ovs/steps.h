// What is done to bridges of Open vSwitch: each step is one transaction, with what must still be so for it to
// be right. Values, and pure; any thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "model/plan.h"
#include "reconcilers/ovs/bridges.h"
#include "reconcilers/ovsdb/tables.h"
#include "reconcilers/ovsdb/transaction.h"

namespace lanwright::ovs {

// With these ports, and its local one; without controllers. It must not be there.
struct CreateBridge {
  std::string bridge;
  BridgeSpec spec;
  bool operator==(const CreateBridge&) const = default;
};
// Sets what is present. The bridge must be this owner's, as it is for all that follow.
struct ChangeBridge {
  std::string bridge;
  ObjectUid uid;
  std::optional<std::string> datapath_type;
  std::optional<std::string> datapath_id;
  std::optional<std::string> fail_mode;
  std::optional<std::set<std::string>> protocols;
  bool out_of_band = false;
  bool operator==(const ChangeBridge&) const = default;
};
// In one piece: what stays connected is left alone, and there is no moment without any.
struct SetControllers {
  std::string bridge;
  ObjectUid uid;
  std::vector<ControllerSpec> controllers;
  bool operator==(const SetControllers&) const = default;
};
struct RemoveBridge {
  std::string bridge;
  ObjectUid uid;
  bool operator==(const RemoveBridge&) const = default;
};
struct AddPorts {
  std::string bridge;
  ObjectUid uid;
  std::map<std::string, PortSpec> ports;
  bool operator==(const AddPorts&) const = default;
};
struct ChangePort {
  std::string bridge;
  ObjectUid uid;
  std::string port;
  PortSpec spec;
  bool operator==(const ChangePort&) const = default;
};
// Only those with this mark.
struct RemovePorts {
  std::string bridge;
  ObjectUid uid;
  std::map<std::string, OwnerTag> ports;
  bool operator==(const RemovePorts&) const = default;
};

using Step =
    std::variant<CreateBridge, ChangeBridge, SetControllers, RemoveBridge, AddPorts, ChangePort, RemovePorts>;

struct Action {
  int stage = 0;  // actions of one stage do not depend on each other; stages run in ascending order
  Step step;
  std::string reason;
  std::vector<std::string> differences;  // names of what drifted: "fail_mode", "ports"
  Disruption disruption = Disruption::none;
  bool operator==(const Action&) const = default;
};

const std::string& bridge_of(const Step& step);

// `conflict` when what it is about is not there any more, or not that owner's.
Result<ovsdb::Transaction> transaction_of(const Step& step, const ovsdb::Tables& tables);

}  // namespace lanwright::ovs
