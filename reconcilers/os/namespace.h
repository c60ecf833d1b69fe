// Network namespaces by path: opening them, and standing in one for the time of a call. See
// network_namespaces(7), setns(2). Nothing here outlives a call: a descriptor that is kept would keep a
// namespace alive that its owner has deleted.
#pragma once

#include <cstdint>
#include <string>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

struct NamespaceFile {
  Descriptor descriptor;
  std::uint64_t inode = 0;  // of the nsfs file; the kernel gives a freed number away again
};

// Opens a path that must name a network namespace; "" is the calling thread's own. `waiting` when there is
// nothing of that name, or when it is no network namespace (`ip netns add` makes a plain file first).
Result<NamespaceFile> open_namespace(const std::string& path);

// While it lives, the calling thread stands in another network namespace. Sockets and devices that are opened
// meanwhile belong to it for good. Aborts when there is no way back: the thread would go on managing the
// wrong namespace.
class NamespaceVisit {
 public:
  explicit NamespaceVisit(const Descriptor& netns);
  NamespaceVisit(const NamespaceVisit&) = delete;
  NamespaceVisit& operator=(const NamespaceVisit&) = delete;
  ~NamespaceVisit();

  int error() const { return error_; }  // errno when it could not be entered

 private:
  Descriptor home_;
  int error_ = 0;
  bool inside_ = false;
};

}  // namespace lanwright::os
