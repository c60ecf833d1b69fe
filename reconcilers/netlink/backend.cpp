// Ties observing and executing together behind LinkBackend.
#include <memory>
#include <utility>

#include "reconcilers/netlink/announcements.h"
#include "reconcilers/netlink/backend.h"
#include "reconcilers/netlink/executor.h"
#include "reconcilers/netlink/observer.h"

namespace lanwright::netlink {

namespace {

class NetlinkBackend final : public LinkBackend {
 public:
  explicit NetlinkBackend(std::unique_ptr<Observer> observer)
      : observer_(std::move(observer)), executor_(*observer_) {}

  int event_fd() const override { return observer_->event_fd(); }
  ObservedChange drain(Observed& observed) override { return observer_->drain(observed); }
  Result<ObservedChange> resync(Observed& observed) override { return observer_->resync(observed); }
  ObservedChange watch(const std::set<std::string>& paths, Observed& observed) override {
    return observer_->watch(paths, observed);
  }
  ObservedChange recheck(const std::string& path, Observed& observed) override {
    return observer_->recheck(path, observed);
  }
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override {
    return executor_.execute(actions, observed);
  }
  void announce(const LinkName& where, const Observed& observed) override {
    const LinkFact* link = observed.find(where);
    Announcements announcements;
    if (link != nullptr) announcements.note_all(0, where, *link);
    announcements.send(*observer_, {});
  }
  std::uint64_t writes() const override { return executor_.writes(); }

 private:
  std::unique_ptr<Observer> observer_;
  Executor executor_;
};

}  // namespace

Result<std::unique_ptr<LinkBackend>> open_netlink_backend(const NetlinkOptions& options) {
  auto observer = Observer::open(options);
  if (!observer) return observer.error();
  return std::unique_ptr<LinkBackend>(std::make_unique<NetlinkBackend>(std::move(*observer)));
}

}  // namespace lanwright::netlink
