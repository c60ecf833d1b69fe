#include "reconcilers/ovsdb/ports.h"

namespace lanwright::ovsdb {

Result<std::int64_t> ofport_of(const Tables& tables, const std::string& interface) {
  const auto refuse = [&](ErrorKind kind, std::string words, std::string hint) {
    return Error{kind, "plug in",        "port " + interface + " of Open vSwitch",
                 0,    std::move(words), std::move(hint)};
  };
  const InterfaceRow* row = tables.of<InterfaceRow>().find(interface);
  if (row == nullptr)
    return refuse(ErrorKind::conflict, "its row is gone", "see what removes it: ovsdb-tool show-log");
  if (row->error && !row->error->empty())
    return refuse(ErrorKind::waiting, *row->error, "Open vSwitch tries again when the device changes");
  if (!row->ofport || *row->ofport <= 0)
    return refuse(ErrorKind::unsupported, "ovs-vswitchd gave it no OpenFlow port and does not say why",
                  "see its log; for datapath `system` load the module openvswitch");
  if (row->ofport_request && *row->ofport_request != *row->ofport)
    return refuse(ErrorKind::conflict,
                  "OpenFlow port " + std::to_string(*row->ofport_request) + " was requested, and it got " +
                      std::to_string(*row->ofport) + ": another port has that one",
                  "choose another ofport");
  return *row->ofport;
}

Outcome outcome_of(const Tables& tables, const std::set<std::string>& interfaces) {
  Outcome outcome;
  for (const std::string& name : interfaces) {
    const auto port = ofport_of(tables, name);
    if (port)
      outcome.ofports.emplace(name, *port);
    else
      outcome.failed.emplace(name, port.error());
  }
  return outcome;
}

}  // namespace lanwright::ovsdb
