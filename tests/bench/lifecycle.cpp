// F1 to F4: from empty to everything, the same again, and back to empty. The floor is `ip`.
#include <functional>

#include "tests/bench/figures.h"
#include "tests/bench/plant.h"
#include "tests/bench/rtnetlink.h"
#include "tests/bench/subject.h"

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using test::Sandbox;

constexpr auto kCommandTimeout = 600s;

Plant bare(Plant plant) {
  plant.attachments = 0;
  plant.taps = 0;
  return plant;
}

Plant with_taps(Plant plant, std::size_t taps) {
  plant.taps = taps;
  return plant;
}

// Runs a removal, which answers its time, while somebody else changes a link.
void remove_bridges(Figures& figures, std::size_t size, Series Pair::*side,
                    const std::function<double()>& removal) {
  Bystander bystander;
  (figures.remove_bridges[size].*side).add(removal());
  (figures.longest_wait[size].*side).add(bystander.stop());
}

void run_ip(const std::vector<std::string>& arguments, const std::string& netns = {}) {
  test::RunOptions options;
  options.netns = netns;
  options.limit = kCommandTimeout;
  must(test::run(arguments, options), "ip");
}

void ip_batch(const std::filesystem::path& file, const std::string& netns = {}) {
  run_ip({"ip", "-batch", file}, netns);
}

void delete_group(int group) {
  run_ip({"ip", "link", "delete", "group", std::to_string(group)});
}

void run_floor(const Plant& plant, bool taps, Figures& figures) {
  const Sandbox sandbox;
  add_namespaces(sandbox, plant);
  wait_for_quiet_kernel();
  const std::size_t size = plant.networks;
  const auto host = sandbox.write_file("host", batch_of_networks(plant) + batch_of_attachments(plant));
  const auto inside = sandbox.write_file("inside", batch_of_inner_ends(plant));
  figures.create[size].floor.add(seconds_of([&] {
    ip_batch(host);
    ip_batch(inside, "h0");
  }));
  check_kernel(sandbox, plant);
  if (taps) {
    const auto file = sandbox.write_file("taps", batch_of_taps(with_taps(plant, size)));
    figures.create_taps[size].floor.add(seconds_of([&] { ip_batch(file); }));
    check_kernel(sandbox, with_taps(plant, size));
    delete_group(kTapGroup);
  }
  wait_for_quiet_kernel();
  figures.remove_links[size].floor.add(seconds_of([] { delete_group(kVethGroup); }));
  check_kernel(sandbox, bare(plant));
  remove_bridges(figures, size, &Pair::floor, [] { return seconds_of([] { delete_group(kBridgeGroup); }); });
  check_kernel(sandbox, Plant{});
}

void apply_again(const Subject& agent, const Plant& plant, Figures& figures) {
  const std::uint64_t before = agent.writes();
  figures.again[plant.networks].ours.add(agent.apply(plant));
  const std::uint64_t written = agent.writes() - before;
  if (written != 0)
    figures.errors.push_back("applying the same file wrote " + std::to_string(written) + " netlink messages");
}

void run_ours(const Plant& plant, bool by_post, bool taps, Figures& figures) {
  const Sandbox sandbox;
  add_namespaces(sandbox, plant);
  wait_for_quiet_kernel();
  const std::size_t size = plant.networks;
  Subject agent(sandbox);
  if (by_post) {
    figures.create_by_post[size].ours.add(agent.post(plant));
  } else {
    figures.create[size].ours.add(agent.apply(plant));
  }
  apply_again(agent, plant, figures);
  if (taps) {
    figures.create_taps[size].ours.add(agent.apply(with_taps(plant, size)));
    agent.apply(plant);
  }
  wait_for_quiet_kernel();
  figures.remove_links[size].ours.add(agent.apply(bare(plant)));
  remove_bridges(figures, size, &Pair::ours, [&] { return agent.remove(); });
  agent.stop();
}

Plant without_macvlans(Plant plant) {
  plant.macvlans = 0;
  return plant;
}

void run_macvlan_floor(const Plant& plant, Figures& figures) {
  const Sandbox sandbox;
  add_namespaces(sandbox, plant);
  add_parent(sandbox, plant);
  wait_for_quiet_kernel();
  const auto host = sandbox.write_file("host", batch_of_networks(plant) + batch_of_macvlans(plant));
  const auto inside = sandbox.write_file("inside", batch_of_inner_macvlans(plant));
  figures.create_macvlans[plant.networks].floor.add(seconds_of([&] {
    ip_batch(host);
    ip_batch(inside, "h0");
  }));
  check_kernel(sandbox, plant);
  wait_for_quiet_kernel();
  figures.remove_macvlans[plant.networks].floor.add(seconds_of([] {
    run_ip({"ip", "link", "delete", "group", std::to_string(kMacvlanGroup)}, "h0");
  }));
  check_kernel(sandbox, without_macvlans(plant));
}

void run_our_macvlans(const Plant& plant, Figures& figures) {
  const Sandbox sandbox;
  add_namespaces(sandbox, plant);
  add_parent(sandbox, plant);
  wait_for_quiet_kernel();
  Subject agent(sandbox);
  figures.create_macvlans[plant.networks].ours.add(agent.apply(plant));
  check_kernel(sandbox, plant);
  wait_for_quiet_kernel();
  figures.remove_macvlans[plant.networks].ours.add(agent.apply(without_macvlans(plant)));
  check_kernel(sandbox, without_macvlans(plant));
  agent.stop();
}

}  // namespace

void measure_macvlans(const Options& options, Figures& figures) {
  for (const std::size_t size : options.sizes()) {
    Plant plant;
    plant.networks = size;
    plant.macvlans = size;
    for (std::size_t run = 0; run < options.runs; ++run) {
      say("F1 and F3: " + plant.text() + ", run " + std::to_string(run + 1) + " of " +
          std::to_string(options.runs));
      run_macvlan_floor(plant, figures);
      run_our_macvlans(plant, figures);
    }
  }
}

void measure_lifecycle(const Options& options, Figures& figures) {
  for (const std::size_t size : options.sizes()) {
    const Plant plant{.networks = size, .attachments = size, .namespaces = 1, .taps = 0, .targets = 0};
    for (std::size_t run = 0; run < options.runs; ++run) {
      const std::string what =
          plant.text() + ", run " + std::to_string(run + 1) + " of " + std::to_string(options.runs);
      const bool taps = run == 0 && size == options.size;
      say("F1 to F4: " + what + ": ip");
      run_floor(plant, taps, figures);
      say("F1 to F4: " + what + ": lanwright");
      run_ours(plant, false, taps, figures);
    }
    say("F1 to F4: " + plant.text() + ", by POST: lanwright");
    run_ours(plant, true, false, figures);
  }
}

}  // namespace lanwright::bench
