// The programs beside the agent that configure the host's links: systemd-networkd and NetworkManager, as far
// as they say in files what is theirs. Any thread; reads files.
#pragma once

#include <filesystem>
#include <string>

namespace lanwright::host {

// Which of them has this link of the host, which people declared as an uplink, as its own to configure, and
// would take it off its master; and what to do about that. "" when neither has. `run` is where they keep
// their files. Of networkd these are for networkctl, so that what cannot be read there is taken for nothing
// (https://systemd.io/PORTABILITY_AND_STABILITY/).
std::string remedy_for_uplink(const std::string& name, int ifindex,
                              const std::filesystem::path& run = "/run");

}  // namespace lanwright::host
