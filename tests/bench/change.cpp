// What one change costs on the loop of an agent that has many objects: Docker's way in, without the kernel
// and without waiting for the disk.
#include <filesystem>
#include <stdexcept>

#include "agent/service/core.h"
#include "tests/bench/figures.h"
#include "tests/support/memory_kernel.h"
#include "tests/support/memory_ovs.h"
#include "tests/support/memory_switches.h"

namespace lanwright::bench {
namespace {

constexpr std::size_t kPerNetwork = 10;
constexpr int kChanges = 200;

ObjectSpec tap_in(const std::string& network) {
  AttachmentSpec spec;
  spec.network = network;
  spec.tap = TapEnd{};
  return spec;
}

std::string network_number(std::size_t number) {
  return "n" + std::to_string(number);
}

void submit(reconcile::Reconciler& reconciler, reconcile::ChangeRequest change) {
  change.set = "bench";
  change.beside.until_boot = true;
  const auto committed = reconciler.submit(std::move(change));
  if (!committed) throw std::runtime_error(committed.error().text());
}

}  // namespace

Series measure_change(std::size_t attachments) {
  const auto directory =
      std::filesystem::temp_directory_path() / ("lanwright-change-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  auto opened = state::Store::open(directory);
  if (!opened) throw std::runtime_error(opened.error().text());
  boost::asio::io_context io(1);  // does not turn: what is measured is what runs before the answer
  auto kernel = std::make_unique<test::MemoryKernel>();
  auto open_vswitch = std::make_unique<test::MemoryOvs>(*kernel);
  service::Core core(io, std::move(opened->store), std::move(kernel),
                     std::make_unique<test::MemorySwitches>(), std::move(open_vswitch), {});
  reconcile::ChangeRequest all;
  for (std::size_t i = 0; i < attachments / kPerNetwork; ++i) {
    NetworkSpec network;
    network.driver = "bridge";
    all.upsert.emplace(ResourceId{Kind::network, network_number(i)},
                       reconcile::ChangeRequest::Wanted{network});
    for (std::size_t j = 0; j < kPerNetwork; ++j)
      all.upsert.emplace(ResourceId{Kind::attachment, network_number(i) + "-" + std::to_string(j)},
                         reconcile::ChangeRequest::Wanted{tap_in(network_number(i))});
  }
  submit(core.reconciler(), std::move(all));

  Series times;
  for (int i = 0; i < kChanges; ++i) {
    reconcile::ChangeRequest change;
    change.upsert.emplace(ResourceId{Kind::attachment, "one-more-" + std::to_string(i)},
                          reconcile::ChangeRequest::Wanted{tap_in(network_number(0))});
    const auto begun = std::chrono::steady_clock::now();
    submit(core.reconciler(), std::move(change));
    times.add(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  }
  std::filesystem::remove_all(directory);
  return times;
}

}  // namespace lanwright::bench
