// The sources of observed state, as one: what they observe together, one callback when it moves, and the
// actions of a plan given to whom they concern. Loop thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/base/loop_thread.h"
#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/backends/link_backend.h"
#include "reconcilers/os/path_watch.h"
#include "reconcilers/os/timer.h"

namespace lanwright::reconcile {

class Sources {
 public:
  // `links` also says which namespaces there are. The others stand on links: of one stage, their actions come
  // after those of links, in this order.
  Sources(boost::asio::io_context& io, std::unique_ptr<LinkBackend> links,
          std::vector<std::unique_ptr<Source>> others);
  ~Sources();
  Sources(const Sources&) = delete;
  Sources& operator=(const Sources&) = delete;

  // Reads everything for the first time, without a call; from then on calls `on_change` whenever anything
  // moved, during the methods below too. Events are heard once listen() was called.
  Result<void> open(std::function<void(const ObservedChange&)> on_change) LANWRIGHT_ON_LOOP;
  void listen() LANWRIGHT_ON_LOOP;
  void stop() LANWRIGHT_ON_LOOP;

  const Observed& observed() const LANWRIGHT_ON_LOOP { return observed_; }
  // Incomplete until everything is read anew, now or, when that fails, soon.
  void reread() LANWRIGHT_ON_LOOP;
  // The same of links alone, without calling what is known incomplete meanwhile.
  void reread_links() LANWRIGHT_ON_LOOP;
  bool is_reread_pending() const LANWRIGHT_ON_LOOP { return reread_timer_.is_set(); }
  // Exactly these network namespaces matter, by path, and the managed one.
  void watch(std::set<std::string> namespaces) LANWRIGHT_ON_LOOP;
  // Exactly these drivers have networks, or have left something.
  void serve(std::set<std::string> drivers) LANWRIGHT_ON_LOOP;
  void watch_also(std::set<std::string> namespaces) LANWRIGHT_ON_LOOP;
  // The actions of one batch, which are of one stage: one result each.
  std::vector<Result<void>> execute(const std::vector<const Action*>& batch) LANWRIGHT_ON_LOOP;
  void announce(const LinkName& link) LANWRIGHT_ON_LOOP { links_->announce(link, observed_); }
  std::uint64_t writes() const LANWRIGHT_ON_LOOP { return links_->writes(); }  // see LinkBackend

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  void wait_for_events(std::size_t number) LANWRIGHT_ON_LOOP;
  void wait_for_mounts() LANWRIGHT_ON_LOOP;
  void wait_for_paths() LANWRIGHT_ON_LOOP;
  void recheck_namespaces(bool only_absent) LANWRIGHT_ON_LOOP;
  void poll_proc_paths() LANWRIGHT_ON_LOOP;
  Result<ObservedChange> read_all() LANWRIGHT_ON_LOOP;
  void report(const ObservedChange& change) LANWRIGHT_ON_LOOP;

  std::unique_ptr<LinkBackend> links_;
  std::vector<std::unique_ptr<Source>> others_;
  std::vector<Source*> all_;  // links first
  std::function<void(const ObservedChange&)> on_change_;
  Observed observed_;
  std::set<std::string> watched_;
  std::optional<std::set<std::string>> drivers_;
  std::deque<Descriptor> events_;  // by the number of the source
  Descriptor mounts_;
  std::optional<os::PathWatch> paths_;
  Descriptor path_events_;
  os::Timer reread_timer_;
  os::Timer poll_timer_;
};

}  // namespace lanwright::reconcile
