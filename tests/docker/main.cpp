// The main function of the tests with Docker: all of a program's tests run in a process namespace.
#include <gtest/gtest.h>

#include "tests/docker/pid_namespace.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  return lanwright::test::in_pid_namespace([] { return RUN_ALL_TESTS(); });
}
