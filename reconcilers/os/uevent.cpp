#include "reconcilers/os/uevent.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "reconcilers/os/namespace.h"

namespace lanwright::os {

namespace {

// A sysfs of the calling thread's network namespace that is mounted nowhere: fsopen(2), fsmount(2).
int open_sysfs(Descriptor& sysfs) {
  const Descriptor context(::fsopen("sysfs", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return errno;
  sysfs = Descriptor(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  return sysfs ? 0 : errno;
}

int ifindex_of(const Descriptor& device) {
  std::array<char, 16> text{};
  const Descriptor file(::openat(device.get(), "ifindex", O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  int ifindex = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, ifindex);
  return ifindex;
}

// The directory stays the same link's, whatever it is renamed to after it was opened.
int announce_changed(const Descriptor& sysfs, const NetDevice& device) {
  const std::string path = "class/net/" + device.name;
  const Descriptor directory(::openat(sysfs.get(), path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno == ENOENT ? ENODEV : errno;
  if (ifindex_of(directory) != device.ifindex) return ENODEV;
  const Descriptor file(::openat(directory.get(), "uevent", O_WRONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT ? ENODEV : errno;
  constexpr const char* kAction = "change";
  return ::write(file.get(), kAction, std::strlen(kAction)) < 0 ? errno : 0;
}

}  // namespace

std::vector<int> announce_changed(const Descriptor& netns, std::span<const NetDevice> devices) {
  std::vector<int> errors(devices.size());
  const NamespaceVisit visit(netns);
  Descriptor sysfs;
  const int error = visit.error() != 0 ? visit.error() : open_sysfs(sysfs);
  for (std::size_t i = 0; i < devices.size(); ++i)
    errors[i] = error != 0 ? error : announce_changed(sysfs, devices[i]);
  return errors;
}

}  // namespace lanwright::os
