// Plugs an interface of the host into a switch of the agent's for as long as it runs, under the name and with
// the options of the program that Kathara starts for it in its plugin. It moves no frame: the agent makes the
// interface an uplink of the network, which outlives the agent, and keeps it repaired.
//
//   vde_ext -s DIRECTORY [-p PIDFILE] INTERFACE
//
// DIRECTORY is what programs name to join the switch, below the agent's run directory, or a way to it. SIGINT
// and SIGTERM end it; the interface is unplugged then. Exit status: 0 done, 1 refused or failed, 2 usage.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <string>

#include "api/client/client.h"

namespace {

using namespace std::chrono_literals;
using lanwright::ErrorKind;
using lanwright::client::Client;
using lanwright::client::ClientError;
using lanwright::client::Reply;
namespace fs = std::filesystem;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr auto kPatience = 20s;  // with an agent that is being started again
constexpr auto kPause = 200ms;
constexpr auto kLastWord = 2s;  // with one that held up what was asked of it

struct Options {
  std::string directory;
  std::string pid_file;
  std::string interface;
};

std::optional<Options> options_from(int argc, char** argv) {
  Options options;
  for (int option = 0; (option = getopt(argc, argv, "s:p:")) != -1;) {  // NOLINT(concurrency-mt-unsafe)
    if (option == 's')
      options.directory = optarg;
    else if (option == 'p')
      options.pid_file = optarg;
    else
      return std::nullopt;
  }
  if (options.directory.empty() || optind != argc - 1) return std::nullopt;
  options.interface = argv[optind];
  return options;
}

void complain(const std::string& words) {
  std::cerr << "vde_ext: " << words << std::endl;
}

void complain(const char* tried, const ClientError& error) {
  complain(std::string(tried) + ": " + error.message + (error.hint.empty() ? "" : "; " + error.hint));
}

// Where the agent is, and what it calls the network: see switch_paths() in reconcilers/vde/paths.h.
struct Place {
  fs::path socket;
  std::string path;  // of the uplink
};

std::optional<Place> place_of(const Options& options) {
  std::error_code why;
  const fs::path directory = fs::canonical(options.directory, why);
  if (why) {
    complain("find the switch at " + options.directory + ": " + why.message());
    return std::nullopt;
  }
  using lanwright::client::path_segment;
  return Place{directory.parent_path().parent_path() / "api.sock",
               "/v1/networks/" + path_segment(directory.filename().string()) + "/uplinks/" +
                   path_segment(options.interface)};
}

bool ended_within(const sigset_t& ends, std::chrono::milliseconds limit) {
  const timespec time{limit.count() / 1000, limit.count() % 1000 * 1'000'000};
  return sigtimedwait(&ends, nullptr, &time) > 0;
}

bool is_held_up(const ClientError& error) {
  return error.kind == ErrorKind::busy || error.kind == ErrorKind::timeout;
}

// Again while the agent is away or held up, until somebody ends this.
std::optional<ClientError> ask(const Place& place, const std::function<Reply(Client&)>& request,
                               const sigset_t& ends) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    Client client(place.socket);
    const Reply reply = request(client);
    if (reply) return std::nullopt;
    if (!is_held_up(*reply.error) || std::chrono::steady_clock::now() >= until || ended_within(ends, kPause))
      return *reply.error;
  }
}

// Of a request that nobody answered it is not known whether it was done: nothing is to be left of it.
bool plug_in(const Place& place, const sigset_t& ends) {
  const auto error = ask(
      place, [&](Client& client) { return client.put(place.path, {}); }, ends);
  if (!error) return true;
  complain("plug in", *error);
  if (is_held_up(*error)) Client(place.socket, kLastWord).remove(place.path);
  return false;
}

// What went with its network is unplugged.
bool unplug(const Place& place, const sigset_t& ends) {
  const auto error = ask(
      place, [&](Client& client) { return client.remove(place.path); }, ends);
  if (!error || error->kind == ErrorKind::not_found) return true;
  complain("unplug", *error);
  return false;
}

bool write_pid(const std::string& file) {
  if (file.empty()) return true;
  std::ofstream out(file, std::ios::trunc);
  out << getpid() << '\n';
  out.close();
  if (!out) complain("write " + file + " failed");
  return static_cast<bool>(out);
}

// Blocked from here on, also for threads. Who starts this in the background of a shell has it ignore SIGINT.
sigset_t await_later() {
  sigset_t ends{};
  sigemptyset(&ends);
  for (const int number : {SIGINT, SIGTERM}) {
    sigaddset(&ends, number);
    signal(number, SIG_DFL);
  }
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  return ends;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = options_from(argc, argv);
  if (!options) {
    std::cerr << "usage: vde_ext -s DIRECTORY [-p PIDFILE] INTERFACE\n";
    return kUsage;
  }
  const sigset_t ends = await_later();
  setsid();  // Ctrl-C at the terminal is for who started this
  const auto place = place_of(*options);
  if (!place) return kFailed;
  if (!plug_in(*place, ends)) return kFailed;
  if (!write_pid(options->pid_file)) {
    unplug(*place, ends);
    return kFailed;
  }
  int number = 0;
  sigwait(&ends, &number);
  const bool unplugged = unplug(*place, ends);
  std::error_code ignored;  // it may have gone with its directory
  if (!options->pid_file.empty()) fs::remove(options->pid_file, ignored);
  return unplugged ? 0 : kFailed;
}
