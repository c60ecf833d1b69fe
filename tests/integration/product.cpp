#include "tests/integration/product.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace lanwright::test {

std::string agent_program() {
  return LANWRIGHTD;
}
std::string client_program() {
  return LANWRIGHT;
}

Json object_of(const AgentProcess& agent, const std::string& kinds, const std::string& name) {
  return agent.get_json("/v1/" + kinds + "/" + name);
}

std::string phase_of(const AgentProcess& agent, const std::string& kinds, const std::string& name) {
  return object_of(agent, kinds, name).at("status").at("phase");
}

std::string message_of(const AgentProcess& agent, const std::string& kinds, const std::string& name) {
  return object_of(agent, kinds, name).at("status").at("message");
}

testing::AssertionResult reaches(const AgentProcess& agent, const std::string& kinds, const std::string& name,
                                 const std::string& phase, Milliseconds limit) {
  if (wait_until([&] { return phase_of(agent, kinds, name) == phase; }, limit))
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << name << " is not " << phase << ": "
                                     << object_of(agent, kinds, name).dump(2);
}

testing::AssertionResult converges(const AgentProcess& agent, const std::string& limit) {
  const Finished waited = agent.cli({"status", "--wait", "converged=" + limit}, {.limit = 300s});
  if (waited.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << waited.text();
}

Json inventory_of(const Sandbox& sandbox, const AgentProcess& agent) {
  Json now;
  now["links"] = sandbox.links();
  for (const char* kinds : {"networks", "vlans", "attachments"}) {
    Json& names = now[kinds] = Json::array();
    for (const Json& object : agent.get_json(std::string("/v1/") + kinds)) names.push_back(object.at("name"));
  }
  return now;
}

Milliseconds processor_time(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 1));  // the name before may contain anything
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::int64_t user = 0;
  std::int64_t system = 0;
  if (!(fields >> user >> system)) throw HarnessError("no times in " + text);
  return Milliseconds((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

std::map<pid_t, Milliseconds> processor_times(const std::vector<pid_t>& pids, Milliseconds during) {
  std::map<pid_t, Milliseconds> used;
  for (const pid_t pid : pids) used[pid] = -processor_time(pid);
  std::this_thread::sleep_for(during);  // what is measured is this time
  for (const pid_t pid : pids) used[pid] += processor_time(pid);
  return used;
}

}  // namespace lanwright::test
