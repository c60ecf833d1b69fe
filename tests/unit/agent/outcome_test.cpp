#include "agent/reconcile/outcome.h"

#include <gtest/gtest.h>

#include "tests/support/builders.h"

namespace lanwright::reconcile {
namespace {

class OutcomeTest : public testing::Test {
 protected:
  OutcomeTest() {
    desired::Declaration lab;
    lab.id = id_;
    lab.set = "set";
    lab.uid = "0123456789abcdef";
    lab.generation = 1;
    lab.spec = std::make_shared<const ObjectSpec>(test::network("bridge"));
    desired_.put(lab);
  }
  // How many failures in a row of this kind whoever waits sits through.
  int tolerated(ErrorKind kind) {
    for (int failures = 0; failures < 100; ++failures) {
      const Error error{kind, "make", "network lab", 0, "no", {}};
      table_.update(desired_.find(id_)->object,
                    [&](ObjectState& state) { return state.failed(error, Now{}); });
      if (const auto outcome = outcome_of({id_}, desired_, table_)) {
        EXPECT_FALSE(outcome->ok());
        return failures;
      }
    }
    return 100;
  }

  const ResourceId id_{Kind::network, "lab"};
  desired::DesiredState desired_;
  ObjectTable table_;
};

TEST_F(OutcomeTest, WhatTheKernelRefusesIsToldAfterAFewTries) {
  EXPECT_EQ(tolerated(ErrorKind::busy), 2);
}

// A busy machine keeps a process from answering; whoever waits has his own deadline.
TEST_F(OutcomeTest, WhatIsSilentIsGivenMoreOfThem) {
  EXPECT_EQ(tolerated(ErrorKind::timeout), 6);
}

}  // namespace
}  // namespace lanwright::reconcile
