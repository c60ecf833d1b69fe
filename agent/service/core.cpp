#include "agent/service/core.h"

#include <utility>
#include <vector>

namespace lanwright::service {
namespace {

std::vector<std::unique_ptr<Source>> listed(std::unique_ptr<Source> switches,
                                            std::unique_ptr<Source> open_vswitch) {
  std::vector<std::unique_ptr<Source>> sources;
  sources.push_back(std::move(switches));
  sources.push_back(std::move(open_vswitch));
  return sources;
}

}  // namespace

Core::Core(boost::asio::io_context& io, std::unique_ptr<state::Store> store,
           std::unique_ptr<LinkBackend> links, std::unique_ptr<SwitchBackend> switches,
           std::unique_ptr<Source> open_vswitch, AgentService::Options options)
    : store_(std::move(store)),
      switches_(*switches),
      sources_(io, std::move(links), listed(std::move(switches), std::move(open_vswitch))),
      journal_(io, *store_),
      reconciler_(io, *store_, sources_, journal_),
      service_(io, View{*store_, journal_, sources_, switches_}, reconciler_, std::move(options)) {}

}  // namespace lanwright::service
