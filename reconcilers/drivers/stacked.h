// What macvlan and ipvlan networks have in common: no switch and no ports, but links that stand on one link
// of the host, their parent, and live in the namespaces that are attached.
#pragma once

#include <string>
#include <utility>

#include "reconcilers/drivers/driver.h"
#include "reconcilers/kinds/kind.h"

namespace lanwright::drivers {

// How a driver's links differ from another's.
struct Stacked {
  const kinds::LinkKind& kind;
  LinkAttributes attributes;  // mode and flags
  bool own_mac = true;        // otherwise all have the parent's
  bool broadcast = true;  // otherwise there is no neighbour to ask for a gateway: routes name the device only
};

// A network without `parent` gets a dummy of its own, which leads nowhere.
class StackedDriver final : public Driver {
 public:
  StackedDriver(DriverSchema grammar, Stacked (*how)(const NetworkSpec&))
      : grammar_(std::move(grammar)), how_(how) {}
  const DriverSchema& grammar() const override { return grammar_; }
  Resources network(const Named<NetworkSpec>& network) const override;
  Resources attachment(const Named<AttachmentSpec>& attachment,
                       const Named<NetworkSpec>& network) const override;

 private:
  DriverSchema grammar_;
  Stacked (*how_)(const NetworkSpec&);
};

// What both refuse.
void check_stacked_network(const NetworkSpec& spec, const ReportFault& complain);
void check_stacked_attachment(const AttachmentSpec& spec, const NetworkSpec& network,
                              const std::string& driver, const ReportFault& complain);

}  // namespace lanwright::drivers
