// lanwright-plug: carries frames between a host's interfaces and one switch. Started by lanwrightd, which it
// outlives. It opens no interface itself: it is given descriptors, and needs no privilege at all.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>

#include "reconcilers/vde/plug/control.h"

namespace {

using namespace lanwright;

constexpr std::size_t kLastCapability = 63;  // <linux/capability.h>: two words of them

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void give_up_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("set no_new_privs");
  for (unsigned long each = 0; each <= kLastCapability; ++each) ::prctl(PR_CAPBSET_DROP, each, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) fail("give up capabilities");
}

os::Descriptor listen_at(const std::string& path) {
  os::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + " is too long for a socket");
  path.copy(address.sun_path, path.size());
  ::unlink(path.c_str());  // of a plug that was killed; nobody else may write in this directory
  ::umask(0077);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 4) != 0)
    fail("listen at " + path);
  return socket;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Carries frames between interfaces and a VDE switch; started by lanwrightd.",
               "lanwright-plug");
  std::string directory;
  std::string management;
  std::string control;
  plug::Hub::Options options;
  bool hub = false;
  app.add_option("--switch", directory, "directory of the switch's socket")->required();
  app.add_option("--management", management, "its management socket")->required();
  app.add_option("--control", control, "socket to listen at for the agent")->required();
  app.add_option("--mtu", options.mtu, "longest payload of a frame, bytes")->required();
  app.add_flag("--hub", hub, "all interfaces share one port of the switch");
  CLI11_PARSE(app, argc, argv);
  options.shared = hub;
  try {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    ::unsetenv("VDEPLUGIN_PATH");  // NOLINT(concurrency-mt-unsafe): before any thread
    give_up_privileges();
    plug::Poller poller;
    plug::SwitchWatch watch(poller, management, ::getpid());
    plug::Hub ports(poller, options, [&] { return !watch.others(); });
    const plug::Control agent(poller, ports, watch, listen_at(control), directory);
    for (;;) poller.turn();
  } catch (const std::exception& error) {
    std::cerr << "lanwright-plug: " << error.what() << '\n';
    return 1;
  }
}
