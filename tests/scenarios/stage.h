// Plays a scenario: what is declared, what others do to the host, and what the planner does about it. What
// the agent does around the planner (finalizers, VLAN links on demand, addresses from subnets) is done here
// in short.
#pragma once

#include <string>

#include "tests/scenarios/script.h"
#include "tests/support/world.h"

namespace lanwright::test {

class Stage {
 public:
  // The host has a loopback interface.
  //
  //   namespace NAME | drop namespace NAME
  //   path PATH [NAME] | drop path PATH  another path to this namespace, or to the managed one
  //   link LINK [SETTING…]               somebody makes a link
  //   set LINK SETTING…                  or changes one
  //   delete LINK
  //   move LINK to LINK                  into another namespace, or to another name
  //   kill switch NETWORK | kill plug NETWORK
  //   give NETWORK UID                   its switch carries the mark of another agent
  //   occupy NETWORK                     the body says who has its place
  //   ovs stop|start|empty|tso           of Open vSwitch: away, back, without rows, userspace-tso-enable
  //   ovs add-br|del-br BRIDGE [DPID] | ovs add-port|del-port BRIDGE PORT
  //   ovs set-br BRIDGE SETTING…         fail_mode=, controller=, in-band, no-ofport
  //   ovs set-port BRIDGE PORT SETTING…  ofport=, no-ofport, tag=
  //   apply [SET] [adopt]                the body is a set as YAML, which replaces that of this name
  //   endpoint NAME SETTING…             an attachment whose link another manager (Docker) has its hands on:
  //                                      network=, address=, sandbox=, interface=, left=yes,
  //                                      default-route=yes, sysctl=
  //   plan                               plans and acts until nothing is left; the body is what came of it
  //   preview                            the same without acting
  //
  // LINK is NAME or NAME@NAMESPACE. SETTING is kind=, mtu=, mac=, master=, parent=, port=, alias=, group=,
  // name=, altname= (or "none"), address= (an own one of the agent's when it ends in "!"), addresses=none,
  // default-route= (to this router, by hand; by DHCP when it ends in "!"), routes=none, or an attribute of
  // the kind ("vlan.id=50"), or up, down, or raw (no Ethernet).
  //
  // What the command put into its body: for `plan` and `preview` what they found, otherwise as it was. Fails
  // the test when the command is none.
  std::string play(const Command& command);

 private:
  std::string apply(const Command& command);
  void change_ovs(const std::vector<std::string>& words);
  void declare_endpoint(const Command& command);
  void commit(desired::DesiredState candidate);
  std::string act();
  std::string preview();
  std::string carry_out(const Plan& plan);
  void forget_what_is_done();

  World world_;
  std::string refusal_;  // of what was applied last
};

}  // namespace lanwright::test
