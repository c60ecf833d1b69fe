// Ties observing and executing together behind LinkPort.
#include <memory>
#include <utility>

#include "reconcilers/netlink/executor.h"
#include "reconcilers/netlink/netlink_port.h"
#include "reconcilers/netlink/observer.h"

namespace lanwright {

namespace {

class NetlinkPort final : public LinkPort {
 public:
  explicit NetlinkPort(std::unique_ptr<Observer> observer)
      : observer_(std::move(observer)), executor_(*observer_) {}

  int event_fd() const override { return observer_->event_fd(); }
  Touched drain(Observed& observed) override { return observer_->drain(observed); }
  Result<Touched> resync(Observed& observed) override { return observer_->resync(observed); }
  Touched watch(const std::set<std::string>& paths, Observed& observed) override {
    return observer_->watch(paths, observed);
  }
  Touched recheck(const std::string& path, Observed& observed) override {
    return observer_->recheck(path, observed);
  }
  std::vector<Result<void>> execute(std::span<const Action* const> actions,
                                    const Observed& observed) override {
    return executor_.execute(actions, observed);
  }
  std::uint64_t writes() const override { return executor_.writes(); }

 private:
  std::unique_ptr<Observer> observer_;
  Executor executor_;
};

}  // namespace

Result<std::unique_ptr<LinkPort>> open_netlink_port(const NetlinkOptions& options) {
  auto observer = Observer::open(options);
  if (!observer) return observer.error();
  return std::unique_ptr<LinkPort>(std::make_unique<NetlinkPort>(std::move(*observer)));
}

}  // namespace lanwright
