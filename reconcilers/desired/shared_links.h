// Links of the host that several objects use, and what they cannot be at once. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/observed.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::desired {

// What the links of the managed namespace are called. One link may have several names (IFLA_ALT_IFNAME), and
// who declares a link may use any of them.
class HostNames {
 public:
  // Without facts each name is a link of its own. They outlive it.
  explicit HostNames(const NamespaceFacts* host = nullptr) : host_(host) {}
  // This name first, then the others of the link that has it.
  std::vector<std::string> of(const std::string& name) const;

 private:
  const NamespaceFacts* host_;
};

// Two objects that cannot use one link in the ways that they want to.
struct LinkClash {
  const DesiredObject* rival = nullptr;
  std::string link;  // as the object calls it
  std::string words;
  std::string hint;
};

// The first clash of this object with another one.
std::optional<LinkClash> find_clash(const DesiredState& desired, const DesiredObject& entry,
                                    const drivers::Resources& resources, const HostNames& host);
// The same with those only who call the link by another name, which the host may have given it after both
// were declared.
std::optional<LinkClash> find_clash_by_other_names(const DesiredState& desired, const DesiredObject& entry,
                                                   const drivers::Resources& resources,
                                                   const HostNames& host);

}  // namespace lanwright::desired
