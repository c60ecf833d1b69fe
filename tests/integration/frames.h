// Ethernet frames by hand: what a virtual machine at the other side of a tap would send and receive.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// Opens the tap as a virtual machine does; its queue (and with it the carrier) lasts as long as the
// descriptor.
Fd open_tap(const std::string& name);

// Frames of an EtherType of ours go both ways between the tap in the sandbox and an interface of a namespace,
// each broadcast and received byte by byte. The tap is opened for that and closed again.
testing::AssertionResult tap_talks_to(const std::string& tap, const std::string& netns,
                                      const std::string& interface, Milliseconds limit = 10s);

}  // namespace lanwright::test
