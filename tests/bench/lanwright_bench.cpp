// Measures what lanwright costs against what the kernel itself costs, side by side in one run, in namespaces
// of its own, and prints a table. Timing fails nothing; what is functionally wrong does.
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/figures.h"
#include "tests/bench/report.h"
#include "tests/docker/pid_namespace.h"

namespace lanwright::bench {

bool Options::wants_any(const std::set<std::string>& figures) const {
  return std::ranges::any_of(figures, [this](const auto& figure) { return wants(figure); });
}

std::vector<std::size_t> Options::sizes() const {
  std::vector<std::size_t> sizes;
  if (wants("F10")) {
    for (std::size_t each = 10; each < size; each *= 10) sizes.push_back(each);
  }
  sizes.push_back(size);
  return sizes;
}

void say(const std::string& what) {
  std::cerr << "# " << what << std::endl;
}

namespace {

constexpr double kMebibyte = 1 << 20;

Series one(double value) {
  Series series;
  series.add(value);
  return series;
}

Row row(const char* figure, std::string what, std::optional<Series> floor, Series ours,
        Unit unit = Unit::seconds) {
  return {figure, std::move(what), unit, std::move(floor), std::move(ours), {}, std::nullopt};
}

const Pair* at(const BySize& by_size, std::size_t size) {
  const auto found = by_size.find(size);
  return found == by_size.end() || found->second.ours.empty() ? nullptr : &found->second;
}

void add_lifecycle(const Options& options, const Figures& figures, std::vector<Row>& rows) {
  const std::size_t size = options.size;
  const std::string n = std::to_string(size);
  if (const Pair* pair = at(figures.create, size)) {
    rows.push_back(with_ratio(
        row("F1", "create " + n + " bridges + " + n + " veths, client included", pair->floor, pair->ours),
        1.5));
    if (const Pair* post = at(figures.create_by_post, size))
      rows.push_back(row("F1", "the agent's share: POST until converged", pair->floor, post->ours));
  }
  if (const Pair* pair = at(figures.create_taps, size))
    rows.push_back(row("F1", "add " + n + " taps to " + n + " bridges", pair->floor, pair->ours));
  if (const Pair* pair = at(figures.create_macvlans, size))
    rows.push_back(with_ratio(
        row("F1", "create " + n + " bridges + " + n + " macvlans, client included", pair->floor, pair->ours),
        1.5));
  if (const Pair* pair = at(figures.again, size))
    rows.push_back(
        with_limit(row("F2", "apply the same file again, 0 netlink writes", std::nullopt, pair->ours), 0.1));
  if (const Pair* pair = at(figures.remove_links, size))
    rows.push_back(with_ratio(row("F3", "remove " + n + " veths", pair->floor, pair->ours), 1.5));
  if (const Pair* pair = at(figures.remove_macvlans, size))
    rows.push_back(with_ratio(row("F3", "remove " + n + " macvlans", pair->floor, pair->ours), 1.5));
  if (const Pair* pair = at(figures.remove_bridges, size)) {
    rows.push_back(with_ratio(row("F4", "remove " + n + " bridges", pair->floor, pair->ours), 1.2));
    const Pair& wait = figures.longest_wait.at(size);
    Row longest =
        with_limit(row("F4", "longest wait of another process meanwhile", wait.floor, wait.ours), 0.5);
    longest.reached = wait.ours.max() <= 0.5;
    rows.push_back(std::move(longest));
  }
}

void add_repairs(const Options& options, const Figures& figures, std::vector<Row>& rows) {
  const Pair* pair = at(figures.repair, options.size);
  if (pair == nullptr) return;
  const std::string what = std::to_string(options.repairs) + " repairs of a bridge with 3 ports, " +
                           std::to_string(options.size) + " other networks";
  Row p50 = with_ratio(row("F5", what + ": p50", pair->floor, pair->ours), 2);
  const Row p99 =
      with_ratio(row("F5", "p99", one(pair->floor.percentile(99)), one(pair->ours.percentile(99))), 3);
  rows.push_back(std::move(p50));
  rows.push_back(p99);
}

void add_starts(const Options& options, const Figures& figures, std::vector<Row>& rows) {
  const std::string small = std::to_string(options.size) + " + " + std::to_string(options.size);
  if (const Pair* pair = at(figures.start, options.size))
    rows.push_back(row("F6", "start with " + small + ", to READY=1", std::nullopt, pair->ours));
  if (!figures.big_start.ours.empty()) {
    rows.push_back(row("F6", "apply until there are " + figures.big, std::nullopt, figures.big_create));
    rows.push_back(
        with_limit(row("F6", "start with those, to READY=1", std::nullopt, figures.big_start.ours), 1));
    rows.push_back(
        with_limit(row("F6", "netlink writes of that", std::nullopt, figures.big_writes, Unit::count), 0));
    rows.push_back(with_limit(
        row("F6", "packets lost over kill -9 and that", std::nullopt, figures.big_lost, Unit::count), 0));
  }
  if (!figures.memory.empty())
    rows.push_back(row("F7", "memory (Pss) with " + small, std::nullopt, figures.memory, Unit::bytes));
  if (!figures.big_memory.empty()) {
    rows.push_back(with_limit(row("F7", "memory (Pss) at the size of F6, after apply", std::nullopt,
                                  figures.big_memory_after_apply, Unit::bytes),
                              64 * kMebibyte));
    rows.push_back(with_limit(row("F7", "memory (Pss) at the size of F6, after start", std::nullopt,
                                  figures.big_memory, Unit::bytes),
                              64 * kMebibyte));
  }
  if (!figures.idle_switches.empty()) {
    const std::string during = " in " + std::to_string(options.idle_seconds) + " s of idleness";
    rows.push_back(with_limit(
        row("F7", "wake-ups of all threads" + during, std::nullopt, figures.idle_switches, Unit::count), 0));
    rows.push_back(with_limit(row("F7", "processor time" + during, std::nullopt, figures.idle_processor), 0));
  }
}

void add_endpoints(const Options& options, const Figures& figures, std::vector<Row>& rows) {
  constexpr double kSoon = 2e-3;
  for (const auto& [what_is_there, times] : figures.endpoints) {
    if (times.empty()) continue;
    const auto& [others, driver] = what_is_there;
    const std::string what = "create + join an endpoint, " + driver + ", " + std::to_string(others) +
                             " other networks: p50 of " + std::to_string(options.endpoints);
    rows.push_back(with_limit(row("F8", what, std::nullopt, times), kSoon));
    rows.push_back(row("F8", "p95", std::nullopt, one(times.percentile(95))));
  }
}

void add_docker(const Figures& figures, std::vector<Row>& rows) {
  const auto add = [&](const char* command, const Pair& pair) {
    if (pair.ours.empty() || pair.floor.empty()) return;
    rows.push_back(with_ratio(
        row("F8", std::string(command) + ", macvlan; floor Docker's own macvlan", pair.floor, pair.ours), 1));
  };
  add("docker run --rm", figures.run_by_docker);
  add("docker network create", figures.create_by_docker);
  add("docker network rm", figures.remove_by_docker);
}

void add_lans(const Figures& figures, std::vector<Row>& rows) {
  struct Comparison {
    const char* ours;
    const char* floor;
    double tcp;  // to reach, 0: nothing
    double frames;
  };
  constexpr std::array kComparisons = {
      Comparison{kHub, kNativeHub, 1, 1},
      Comparison{kHub, kManyPorts, 0, 5},
      Comparison{kHub, kBridge, 0, 0},
      Comparison{kJoinedHub, kNativeHub, 0, 0},
      Comparison{kLearning, kNativeSwitch, 0, 0},
  };
  const auto add = [&](const Comparison& each, const char* what, Series Carried::*measured, Unit unit,
                       double limit) {
    const auto ours = figures.lans.find(each.ours);
    const auto floor = figures.lans.find(each.floor);
    if (ours == figures.lans.end() || floor == figures.lans.end()) return;
    Row line = row("F9", std::string(what) + ": " + each.ours + "; floor " + each.floor,
                   floor->second.*measured, ours->second.*measured, unit);
    rows.push_back(limit > 0 ? with_at_least(std::move(line), limit) : std::move(line));
  };
  for (const auto& each : kComparisons) add(each, "TCP", &Carried::tcp, Unit::bits_per_second, each.tcp);
  for (const auto& each : kComparisons)
    add(each, "frames of 60 bytes received", &Carried::frames, Unit::per_second, each.frames);
  for (const auto& each : kComparisons) add(each, "of those lost", &Carried::lost, Unit::share, 0);
  for (const auto& each : kComparisons) add(each, "there and back", &Carried::round_trip, Unit::seconds, 0);
}

void add_lan_repairs(const Options& options, const Figures& figures, std::vector<Row>& rows) {
  constexpr double kSoon = 0.2;
  for (const auto& [what, times] : figures.lan_repairs) {
    rows.push_back(with_limit(row("F9",
                                  "frames again, " + std::to_string(options.lan_ports) + " ports, " + what +
                                      ": p50 of " + std::to_string(options.lan_repairs),
                                  std::nullopt, times),
                              kSoon));
    rows.push_back(row("F9", "p99", std::nullopt, one(times.percentile(99))));
  }
}

void add_open_vswitch(const Options& options, const Figures& figures, std::vector<Row>& rows) {
  if (figures.ovs_create.ours.empty()) return;
  const std::string n = std::to_string(options.size);
  rows.push_back(with_ratio(row("F11", "ovs: create " + n + " ports, client included; floor ip, ovs-vsctl",
                                figures.ovs_create.floor, figures.ovs_create.ours),
                            1.2));
  rows.push_back(
      with_limit(row("F11", "ovs: start with those, until converged", std::nullopt, figures.ovs_start), 1));
  if (figures.ovs_carried.ours.empty()) return;
  rows.push_back(with_ratio(row("F11", "ovs: repair of a port; floor ovs-vsctl add-port",
                                figures.ovs_repair.floor, figures.ovs_repair.ours),
                            2));
  rows.push_back(with_at_least(row("F11", "ovs: TCP; floor a bridge made by hand", figures.ovs_carried.floor,
                                   figures.ovs_carried.ours, Unit::bits_per_second),
                               0.97));
}

// Cost against size: time grows with size to the power that is shown; 1 is linear.
void add_growth(const Options& options, const char* figure, const std::string& what, const BySize& by_size,
                bool per_object, std::vector<Row>& rows) {
  constexpr double kNoise = 0.05;
  const Pair* previous = nullptr;
  std::size_t before = 0;
  for (const std::size_t size : options.sizes()) {
    const Pair* pair = at(by_size, size);
    if (pair == nullptr) continue;
    std::string text = std::string(figure) + " " + what + " at " + std::to_string(size);
    if (per_object)
      text += ": " + text_of(pair->ours.median() / static_cast<double>(size), Unit::seconds) + " each";
    std::optional<Series> floor;
    if (!pair->floor.empty()) floor = pair->floor;
    Row line = row("F10", std::move(text), std::move(floor), pair->ours);
    if (previous != nullptr) {
      const double growth = std::log(pair->ours.median() / previous->ours.median()) /
                            std::log(static_cast<double>(size) / static_cast<double>(before));
      const long percent = std::lround(growth * 100);
      line.target = "~ size^" + std::to_string(percent / 100) + "." +
                    (std::labs(percent % 100) < 10 ? "0" : "") + std::to_string(std::labs(percent % 100)) +
                    ", <= size^1";
      line.reached = growth <= 1 + kNoise;
    }
    rows.push_back(std::move(line));
    previous = pair;
    before = size;
  }
}

std::vector<Row> rows_of(const Options& options, const Figures& figures) {
  std::vector<Row> rows;
  add_lifecycle(options, figures, rows);
  add_repairs(options, figures, rows);
  add_starts(options, figures, rows);
  add_endpoints(options, figures, rows);
  add_docker(figures, rows);
  add_lans(figures, rows);
  add_lan_repairs(options, figures, rows);
  add_open_vswitch(options, figures, rows);
  if (options.wants("F10")) {
    constexpr double kAtMost = 1e-3;
    for (const auto& [attachments, times] : figures.change)
      rows.push_back(
          with_limit(row("F10", "a change on the loop, " + std::to_string(attachments) + " attachments",
                         std::nullopt, times),
                     kAtMost));
    add_growth(options, "F1", "create", figures.create, true, rows);
    add_growth(options, "F3", "remove veths", figures.remove_links, true, rows);
    add_growth(options, "F1", "create, macvlans", figures.create_macvlans, true, rows);
    add_growth(options, "F3", "remove macvlans", figures.remove_macvlans, true, rows);
    add_growth(options, "F5", "repair, p50", figures.repair, false, rows);
    add_growth(options, "F6", "start", figures.start, true, rows);
  }
  std::erase_if(rows, [&](const Row& each) { return !options.wants(each.figure); });
  return rows;
}

std::string machine() {
  utsname name{};
  uname(&name);
  return std::string("Linux ") + name.release + ", " + std::to_string(std::thread::hardware_concurrency()) +
         " processors";
}

std::string load_average() {
  std::array<double, 1> average{};
  if (getloadavg(average.data(), 1) != 1) return "unknown";
  return text_of(average[0], Unit::count);
}

// Figures of which something is functionally wrong do not keep the others from being shown.
bool attempt(const std::string& what, const std::function<void()>& measure) {
  try {
    measure();
    return true;
  } catch (const std::exception& error) {
    std::cerr << "error: " << what << ": " << error.what() << std::endl;
    return false;
  }
}

// A machine without Docker is good for the other figures.
bool attempt_docker(const Options& options, Figures& figures) {
  if (docker_is_there()) return attempt("F8", [&] { measure_docker(options, figures); });
  std::cerr << "F8 is not measured: Docker is not installed; tests/packages.sh docker installs it"
            << std::endl;
  return !options.only.contains("F8");
}

int measure(const Options& options) {
  Figures figures;
  bool good = true;
  if (options.wants_any({"F1", "F2", "F3", "F4", "F10"}))
    good = attempt("F1 to F4", [&] { measure_lifecycle(options, figures); }) && good;
  if (options.wants_any({"F1", "F3", "F10"}))
    good = attempt("F1 and F3 of macvlan links", [&] { measure_macvlans(options, figures); }) && good;
  if (options.wants_any({"F5", "F6", "F7", "F10"}))
    good = attempt("F5 to F7", [&] { measure_service(options, figures); }) && good;
  if (options.wants("F10"))
    good = attempt("F10, a change",
                   [&] {
                     for (const std::size_t attachments : options.change_sizes)
                       figures.change[attachments] = measure_change(attachments);
                   }) &&
           good;
  if (options.wants("F8")) good = attempt_docker(options, figures) && good;
  if (options.wants("F11")) good = attempt("F11", [&] { measure_open_vswitch(options, figures); }) && good;
  if (options.wants("F9")) good = attempt("F9", [&] { measure_vde(options, figures); }) && good;
  std::cout << machine() << "; " << options.runs
            << " runs; the floor is `ip -batch`, `ip link delete group` (F3, F4) "
            << "and a bare netlink program (F5), elsewhere as told; load average " << load_average()
            << "\n\n";
  print(std::cout, rows_of(options, figures));
  for (const std::string& error : figures.errors) std::cerr << "error: " << error << std::endl;
  return good && figures.errors.empty() ? 0 : 1;
}

// What containers leave behind ends for sure with a process namespace only.
int measure_apart(const Options& options) {
  const bool apart = options.wants("F8") && docker_is_there();
  return apart ? test::in_pid_namespace([&] { return measure(options); }) : measure(options);
}

}  // namespace
}  // namespace lanwright::bench

int main(int argc, char** argv) {
  using lanwright::bench::Options;
  CLI::App app("Measures lanwright against the kernel's own cost, in namespaces of its own (as root).",
               "lanwright_bench");
  Options options;
  std::vector<std::string> only;
  bool quick = false;
  app.add_option("--only", only, "Figures to measure, as F1,F5 (F1 to F11)")
      ->delimiter(',')
      ->check(CLI::IsMember({"F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11"}));
  auto* runs =
      app.add_option("--runs", options.runs, "Repetitions")->capture_default_str()->check(CLI::Range(1, 100));
  auto* size = app.add_option("--size", options.size, "Networks, and attachments of F1 to F3")
                   ->capture_default_str()
                   ->check(CLI::Range(10, 10'000));
  app.add_flag("--quick", quick, "Small sizes and few repetitions: whether everything works, not how fast");
  CLI11_PARSE(app, argc, argv);
  options.only = {only.begin(), only.end()};
  if (quick) {
    if (size->count() == 0) options.size = 100;
    if (runs->count() == 0) options.runs = 2;
    options.repairs = 20;
    options.idle_seconds = 3;
    options.docker_networks = {10};
    options.endpoints = 6;
    options.container_runs = 3;
    options.network_runs = 3;
    options.lan_rounds = 2;
    options.lan_milliseconds = 600;
    options.lan_repairs = 4;
    options.lan_ports = 5;
  }
  try {
    return lanwright::bench::measure_apart(options);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
