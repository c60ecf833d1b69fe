// What macvlan and ipvlan networks have in common: no switch and no ports, but links that stand on one link
// of the host, their parent, and live in the namespaces that are attached.
#pragma once

#include <string>
#include <utility>

#include "reconcilers/driver.h"

namespace lanwright {

// How a driver's links differ from another's.
struct OnParent {
  std::string kind;       // IFLA_INFO_KIND
  LinkAttrs attributes;   // mode and flags
  bool own_mac = true;    // otherwise all have the parent's
  bool broadcast = true;  // otherwise there is no neighbour to ask for a gateway: routes name the device only
};

// A network without `parent` gets a dummy of its own, which leads nowhere.
class OnParentDriver final : public Driver {
 public:
  OnParentDriver(DriverGrammar grammar, OnParent (*how)(const NetworkSpec&))
      : grammar_(std::move(grammar)), how_(how) {}
  const DriverGrammar& grammar() const override { return grammar_; }
  Parts network(const Named<NetworkSpec>& network) const override;
  Parts attachment(const Named<AttachmentSpec>& attachment, const Named<NetworkSpec>& network) const override;

 private:
  DriverGrammar grammar_;
  OnParent (*how_)(const NetworkSpec&);
};

// What both refuse.
void check_network_on_parent(const NetworkSpec& spec, const Complain& complain);
void check_attachment_on_parent(const AttachmentSpec& spec, const NetworkSpec& network,
                                const std::string& driver, const Complain& complain);

}  // namespace lanwright
