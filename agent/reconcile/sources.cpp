#include "agent/reconcile/sources.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "agent/host/log.h"

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;

constexpr auto kQuietAfterOverrun = 20ms;
constexpr auto kReadRetry = 100ms;
constexpr auto kProcPoll = 1s;

}  // namespace

Sources::Sources(boost::asio::io_context& io, std::unique_ptr<LinkBackend> links,
                 std::vector<std::unique_ptr<Source>> others)
    : links_(std::move(links)),
      others_(std::move(others)),
      mounts_(io),
      path_events_(io),
      reread_timer_(io, [this]() LANWRIGHT_ON_LOOP { reread(); }),
      poll_timer_(io, [this]() LANWRIGHT_ON_LOOP { recheck_namespaces(true); }) {
  all_.push_back(links_.get());
  for (const auto& source : others_) all_.push_back(source.get());
  for (std::size_t i = 0; i < all_.size(); ++i) events_.emplace_back(io);
}

Sources::~Sources() {
  stop();
}

Result<void> Sources::open(std::function<void(const ObservedChange&)> on_change) {
  on_change_ = std::move(on_change);
  const int mounts = ::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (mounts < 0) return error_from_errno(errno, "open", "/proc/self/mountinfo");
  mounts_.assign(mounts);
  auto paths = os::PathWatch::open();
  if (!paths) return paths.error();
  paths_ = std::move(*paths);
  path_events_.assign(paths_->fd());
  for (std::size_t i = 0; i < all_.size(); ++i) events_[i].assign(all_[i]->event_fd());
  auto first = read_all();
  if (!first) return first.error();
  return {};
}

void Sources::listen() {
  for (std::size_t i = 0; i < all_.size(); ++i) wait_for_events(i);
  recheck_namespaces(false);
  wait_for_mounts();
  wait_for_paths();
}

void Sources::stop() {
  reread_timer_.cancel();
  poll_timer_.cancel();
  boost::system::error_code ignored;  // of waits that are over
  mounts_.cancel(ignored);
  if (path_events_.is_open()) path_events_.release();
  for (Descriptor& events : events_) {
    if (events.is_open()) events.release();  // it belongs to the source: asio must not close it
  }
}

void Sources::wait_for_events(std::size_t number) {
  events_[number].async_wait(Descriptor::wait_read,
                             [this, number](const boost::system::error_code& error) LANWRIGHT_ON_LOOP {
                               if (error) return;
                               report(all_[number]->drain(observed_));
                               wait_for_events(number);
                             });
}

// `ip netns add`, Docker and others make a namespace visible by a mount: /proc/self/mountinfo polls as an
// exceptional condition whenever the mounts change (proc_pid_mountinfo(5)).
void Sources::wait_for_mounts() {
  mounts_.async_wait(Descriptor::wait_error,
                     [this](const boost::system::error_code& error) LANWRIGHT_ON_LOOP {
                       if (error) return;
                       recheck_namespaces(false);
                       wait_for_mounts();
                     });
}

// A symbolic link, as container tools make them, leads to a namespace without any mount.
void Sources::wait_for_paths() {
  path_events_.async_wait(Descriptor::wait_read,
                          [this](const boost::system::error_code& error) LANWRIGHT_ON_LOOP {
                            if (error) return;
                            for (const std::string& path : paths_->drain())
                              report(links_->recheck(path, observed_));
                            poll_proc_paths();
                            wait_for_paths();
                          });
}

void Sources::recheck_namespaces(bool only_absent) {
  const std::set<std::string> paths = watched_;
  for (const std::string& path : paths) {
    const NamespaceFacts* facts = observed_.find(path);
    const bool absent = facts == nullptr || !facts->present;
    if (!only_absent || (absent && paths_->leads_to_proc(path))) report(links_->recheck(path, observed_));
  }
  poll_proc_paths();
}

// Namespaces below /proc appear without a mount, and without any event.
void Sources::poll_proc_paths() {
  const bool needed = std::any_of(watched_.begin(), watched_.end(), [this](const std::string& path) {
    const NamespaceFacts* facts = observed_.find(path);
    return paths_->leads_to_proc(path) && (facts == nullptr || !facts->present);
  });
  if (needed) poll_timer_.set_in(kProcPoll);
}

void Sources::reread() {
  observed_.complete = false;
  auto read = read_all();
  if (read) return report(*read);
  log::warning("reading the kernel failed; trying again", {{"error", read.error().text()}});
  reread_timer_.set_in(kReadRetry);
}

void Sources::reread_links() {
  auto read = links_->resync(observed_);
  if (read) return report(*read);
  log::warning("reading links failed; trying again", {{"error", read.error().text()}});
  observed_.complete = false;
  reread_timer_.set_in(kReadRetry);
}

// Links last: they say whether what is known is complete.
Result<ObservedChange> Sources::read_all() {
  for (auto source = all_.rbegin(); source != all_.rend(); ++source) {
    auto read = (*source)->resync(observed_);
    if (!read) {
      observed_.complete = false;
      return read.error();
    }
  }
  ObservedChange change;
  change.full_resync = true;
  return change;
}

void Sources::report(const ObservedChange& change) {
  on_change_(change);
  // Never pushed out: a storm without end must not keep us from reading.
  if (change.overrun && !reread_timer_.is_set()) reread_timer_.set_in(kQuietAfterOverrun);
}

void Sources::watch(std::set<std::string> namespaces) {
  if (namespaces == watched_) return;
  watched_ = std::move(namespaces);
  paths_->watch(watched_);  // before they are looked at: what changes in between is told
  report(links_->watch(watched_, observed_));
  poll_proc_paths();
}

void Sources::serve(std::set<std::string> drivers) {
  if (drivers == drivers_) return;
  drivers_ = std::move(drivers);
  for (Source* source : all_) {
    const auto served = source->serve(*drivers_, observed_);
    if (served) continue;
    log::warning("a source of observed state cannot be opened; it is tried again with the next change",
                 {{"error", served.error().text()}});
    drivers_.reset();
  }
}

void Sources::watch_also(std::set<std::string> namespaces) {
  namespaces.insert(watched_.begin(), watched_.end());
  watch(std::move(namespaces));
}

// What one did is taken in before the next one acts: it may rest on it.
std::vector<Result<void>> Sources::execute(const std::vector<const Action*>& batch) {
  std::vector<Result<void>> results(batch.size());
  for (std::size_t number = 0; number < all_.size(); ++number) {
    std::vector<const Action*> part;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!all_[number]->carries_out(batch[i]->step)) continue;
      part.push_back(batch[i]);
      places.push_back(i);
    }
    if (part.empty()) continue;
    auto done = all_[number]->execute(part, observed_);
    for (std::size_t i = 0; i < done.size(); ++i) results[places[i]] = std::move(done[i]);
    report(links_->drain(observed_));
    if (number > 0) report(all_[number]->drain(observed_));
  }
  return results;
}

}  // namespace lanwright::reconcile
