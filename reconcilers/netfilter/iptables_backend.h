// Keeps rules in the chain FORWARD of iptables(8) and ip6tables(8), on a thread of its own: the programs take
// milliseconds, more with many rules, and the loop waits for nobody.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "reconcilers/backends/firewall_backend.h"

namespace lanwright::netfilter {

// In the network namespace of the calling thread. Rules that others remove come back as soon as the kernel
// tells (nf_tables); where iptables is the legacy one, which nothing tells of, at look_again(). The same
// holds for a policy that becomes DROP. Where there is no such program nothing can be done, and that is an
// error
// (`unsupported`) for Docker's bridges where the kernel has bridged frames pass its chains. `tell` is called,
// on the keeper's thread, with each new reason why rules cannot be kept. Of which networks there may be rules
// it remembers in `record`, a file below /run.
Result<std::unique_ptr<FirewallBackend>> open_iptables_backend(const std::filesystem::path& record,
                                                               std::function<void(const Error&)> tell);

}  // namespace lanwright::netfilter
