// What the kernel says of links, addresses and routes, in a form that two moments can be compared in.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/link_watcher.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

// {"links": {NAME: what ip(8) says of it, with addresses}, "routes": [...]} of a namespace, without what
// changes by itself (timers, duplicate address detection). Nothing of `lo`.
Json facts_of(const Sandbox& sandbox, const std::string& netns = "");

// The same without what differs when a link is made again: ifindexes, port numbers, limits.
Json without_indexes(Json facts);

// Of several namespaces, by name.
Json facts_of_all(const Sandbox& sandbox, const std::vector<std::string>& namespaces);

// Waits for what the kernel does by itself after a link came up, and tells: its carrier, and duplicate
// address detection. False when a limit passed first.
bool settles(const Sandbox& sandbox, const std::vector<std::string>& namespaces);

// Where two facts differ, a line each (RFC 6902 as text); empty when they are equal.
std::string differences(const Json& before, const Json& after);

}  // namespace lanwright::test
