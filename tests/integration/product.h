// The product's programs, and what the agent says of an object.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tests/integration/agent_process.h"

namespace lanwright::test {

std::string agent_program();   // path of lanwrightd
std::string client_program();  // path of lanwright

// One object as GET /v1/KINDS/NAME tells it; `kinds` is "networks", "vlans" or "attachments".
Json object_of(const AgentProcess& agent, const std::string& kinds, const std::string& name);
std::string phase_of(const AgentProcess& agent, const std::string& kinds, const std::string& name);
std::string message_of(const AgentProcess& agent, const std::string& kinds, const std::string& name);

// Waits until the object is in this phase, for phases that no event tells.
testing::AssertionResult reaches(const AgentProcess& agent, const std::string& kinds, const std::string& name,
                                 const std::string& phase, Milliseconds limit = 30s);

// Waits until nothing is left to do for the agent (`lanwright status --wait`).
testing::AssertionResult converges(const AgentProcess& agent, const std::string& limit = "30s");

// Names of the host's links and of the agent's objects, to compare with those of later.
Json inventory_of(const Sandbox& sandbox, const AgentProcess& agent);

// Time that the process has spent on a processor.
Milliseconds processor_time(pid_t pid);
// The same of several, within the next time that is given: nothing is done meanwhile.
std::map<pid_t, Milliseconds> processor_times(const std::vector<pid_t>& pids, Milliseconds during);

}  // namespace lanwright::test
