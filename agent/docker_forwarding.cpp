#include "agent/docker_forwarding.h"

#include <vector>

#include "reconcilers/processes/command.h"
#include "reconcilers/processes/process.h"

namespace lanwright {
namespace {

constexpr int kNoSuchRule = 1;  // exit status of iptables -C and -D

std::vector<std::string> command(const std::string& program, const char* verb, const std::string& bridge) {
  // -w: others may be changing rules at the same time.
  return {program, "-w", "5",       verb,        "FORWARD",   "-i", bridge,  "-o",
          bridge,  "-m", "comment", "--comment", "lanwright", "-j", "ACCEPT"};
}

Result<CommandResult> change(const std::string& program, const char* verb, const std::string& bridge) {
  auto result = run_command(command(program, verb, bridge));
  if (!result || result->status == 0 || result->status == kNoSuchRule) return result;
  return Error{ErrorKind::busy,
               "let through what it forwards",
               "bridge " + bridge,
               0,
               program + ": " + result->words,
               "see iptables -S FORWARD"};
}

Result<void> insert(const std::string& program, const std::string& bridge) {
  auto there = change(program, "-C", bridge);
  if (!there) return there.error();
  if (there->status == 0) return {};
  auto inserted = change(program, "-I", bridge);
  if (!inserted) return inserted.error();
  return {};
}

Result<void> remove(const std::string& program, const std::string& bridge) {
  for (;;) {
    auto removed = change(program, "-D", bridge);
    if (!removed) return removed.error();
    if (removed->status == kNoSuchRule) return {};
  }
}

Result<void> for_each_family(const std::string& bridge,
                             Result<void> (*work)(const std::string&, const std::string&)) {
  for (const char* name : {"iptables", "ip6tables"}) {
    const std::string program = find_program(name);
    if (program.empty()) continue;  // then nobody has made rules with it
    if (auto done = work(program, bridge); !done) return done;
  }
  return {};
}

}  // namespace

Result<void> let_bridge_forward(const std::string& bridge) {
  return for_each_family(bridge, insert);
}

Result<void> forget_bridge(const std::string& bridge) {
  return for_each_family(bridge, remove);
}

}  // namespace lanwright
