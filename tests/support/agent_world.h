// An agent over a kernel in memory, without its sockets: the loop on a thread of its own, as in the daemon.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "agent/service/core.h"
#include "tests/support/memory_kernel.h"
#include "tests/support/memory_ovs.h"
#include "tests/support/memory_switches.h"

namespace lanwright::test {

class AgentWorld {
 public:
  // The loop turns once run() was called. The kernel outlives this.
  AgentWorld(MemoryKernel& kernel, const std::filesystem::path& directory,
             service::AgentService::Options options = {})
      : kernel_(kernel), work_(io_.get_executor()) {
    auto opened = state::Store::open(directory);
    EXPECT_TRUE(opened.ok()) << (opened ? "" : opened.error().text());
    auto switches = std::make_unique<MemorySwitches>();
    switches_ = switches.get();
    core_ = std::make_unique<service::Core>(io_, std::move(opened->store),
                                            std::make_unique<BorrowedKernel>(kernel), std::move(switches),
                                            std::make_unique<MemoryOvs>(kernel), std::move(options));
  }
  ~AgentWorld() {
    if (thread_.joinable()) {
      on_loop([this] { core_->reconciler().stop(); });
      expect_documented_events();
      io_.stop();
      thread_.join();
    }
    core_.reset();  // before the io_context that its timers belong to
  }
  AgentWorld(const AgentWorld&) = delete;
  AgentWorld& operator=(const AgentWorld&) = delete;

  void expect_documented_events() {
    for (const Event& event : api().recent_events(1000)) {
      EXPECT_EQ(std::count(kEventTypes.begin(), kEventTypes.end(), event.type), 1) << event.type;
    }
  }

  void run() {
    thread_ = std::thread([this] { io_.run(); });
  }
  void start_and_run() {
    const auto started = core_->reconciler().start();
    EXPECT_TRUE(started.ok()) << (started ? "" : started.error().text());
    run();
  }

  // What the kernel in memory, the reconciler and the store hold belongs to the loop's thread.
  template <class Work>
  decltype(std::declval<Work>()()) on_loop(Work work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto done = task.get_future();
    boost::asio::post(io_, [&] { task(); });
    return done.get();
  }
  void kernel(const std::function<void(MemoryKernel&)>& work) {
    on_loop([&] { work(kernel_); });
  }
  void switches(const std::function<void(MemorySwitches&)>& work) {
    on_loop([&] { work(*switches_); });
  }

  boost::asio::io_context& io() { return io_; }
  AgentApi& api() { return core_->service(); }
  reconcile::Reconciler& reconciler() { return core_->reconciler(); }
  state::Store& store() { return core_->store(); }

 private:
  MemoryKernel& kernel_;
  MemorySwitches* switches_ = nullptr;  // the agent's
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<service::Core> core_;
  std::thread thread_;
};

}  // namespace lanwright::test
