// A host in memory, what is desired of it, and what the planner and the executors do about the difference.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/desired/desired_state.h"
#include "reconcilers/plan/planner.h"
#include "tests/support/builders.h"
#include "tests/support/memory_kernel.h"
#include "tests/support/memory_ovs.h"
#include "tests/support/memory_switches.h"

namespace lanwright::test {

inline desired::Declaration declaration(const ResourceId& id, ObjectSpec spec, std::string set = "default") {
  return {
      id, std::move(set), uid_of(id), 1, false, false, std::make_shared<const ObjectSpec>(std::move(spec))};
}

struct World {
  desired::DesiredState desired;
  Observed observed;  // as of the last look
  MemoryKernel kernel;
  MemorySwitches switches;
  MemoryOvs ovs{kernel};

  // What was allocated to it stays, as in the agent.
  void put(const ResourceId& id, ObjectSpec spec, std::string set = "default") {
    desired::Declaration object = declaration(id, std::move(spec), std::move(set));
    if (const auto* known = desired.find(id)) object.allocations = known->object.allocations;
    desired.put(std::move(object));
  }
  template <class Edit>
  void edit(const ResourceId& id, Edit change) {
    desired::Declaration object = desired.find(id)->object;
    change(object);
    desired.put(std::move(object));
  }
  void mark_deleting(const ResourceId& id) {
    edit(id, [](desired::Declaration& object) { object.deleting = true; });
  }
  void adopt(const ResourceId& id) {
    edit(id, [](desired::Declaration& object) { object.adopt = true; });
  }

  const Observed& look() {
    kernel.watch(desired.namespaces(), observed);
    EXPECT_TRUE(kernel.resync(observed).ok());
    EXPECT_TRUE(switches.resync(observed).ok());
    EXPECT_TRUE(ovs.resync(observed).ok());
    return observed;
  }
  Plan plan() { return planning::plan(desired, look()); }
  Plan plan(const std::set<ResourceId>& scope) { return planning::plan(desired, look(), &scope); }

  // One action as it is carried out in its turn: each sees what the one before it has done.
  Result<void> run(const Action& action) {
    const Action* one = &action;
    look();
    Source* carrier = &kernel;
    if (carrier_of(action.step) == Carrier::switches) carrier = &switches;
    if (carrier_of(action.step) == Carrier::ovs) carrier = &ovs;
    return carrier->execute({&one, 1}, observed).front();
  }
  void run(const Plan& plan) {
    for (const Action& action : plan.actions) {
      const auto done = run(action);
      EXPECT_TRUE(done.ok()) << action.text() << ": " << done.error().text();
    }
  }
  // How many plans it took until there was nothing left to do.
  int converge(int most = 6) {
    for (int rounds = 0; rounds < most; ++rounds) {
      const Plan todo = plan();
      if (todo.empty()) return rounds;
      run(todo);
    }
    const Plan left = plan();
    if (left.empty()) return most;
    ADD_FAILURE() << "does not converge: " << left.actions.front().text() << ": "
                  << left.actions.front().reason;
    return -1;
  }
  const LinkFact* find(const LinkName& link) const { return kernel.real().find(link); }
};

}  // namespace lanwright::test
