#include "reconcilers/os/sysctl.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "reconcilers/os/descriptor.h"

namespace lanwright::os {
namespace {

// Below a mounted proc. The name of the interface may have dots in it.
std::string path_of(const std::string& interface, const Sysctl& sysctl) {
  constexpr std::string_view kPlace = "IFNAME";
  std::string path = sysctl.name;
  std::replace(path.begin(), path.end(), '.', '/');
  if (const std::size_t at = path.find(kPlace); at != std::string::npos)
    path.replace(at, kPlace.size(), interface);
  return "sys/" + path;
}

int write_at(int proc, const std::string& path, const std::string& value) {
  const Descriptor file(openat(proc, path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return write(file.get(), value.data(), value.size()) < 0 ? errno : 0;
}

// A proc that is mounted nowhere, and so read-only for nobody; it is gone with its descriptor.
Descriptor fresh_proc() {
  const Descriptor context(fsopen("proc", FSOPEN_CLOEXEC));
  if (!context || fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {};
  return Descriptor(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
}

}  // namespace

int set_sysctl(const std::string& interface, const Sysctl& sysctl) {
  const std::string path = path_of(interface, sysctl);
  const Descriptor proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return errno;
  const int error = write_at(proc.get(), path, sysctl.value);
  if (error != EROFS) return error;
  const Descriptor fresh = fresh_proc();
  return fresh ? write_at(fresh.get(), path, sysctl.value) : EROFS;
}

int get_sysctl(const std::string& interface, Sysctl& sysctl) {
  const Descriptor file(open(("/proc/" + path_of(interface, sysctl)).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno;
  std::array<char, 256> text{};
  const ssize_t size = read(file.get(), text.data(), text.size());
  if (size < 0) return errno;
  sysctl.value.assign(text.data(), static_cast<std::size_t>(size));
  if (sysctl.value.ends_with('\n')) sysctl.value.pop_back();
  return 0;
}

}  // namespace lanwright::os
