#include "api/http/unix_listener.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace lanwright::http {
namespace {

constexpr const char* kTried = "listen on";
constexpr int kBacklog = 1024;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  return address;
}

// What bind(2) and connect(2) ask for.
const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
}

Error failure(int number, const std::string& path, std::string hint) {
  Error error = error_from_errno(number, kTried, path);
  error.hint = std::move(hint);
  return error;
}

std::optional<Error> wrong_path(const std::string& path) {
  constexpr std::size_t kRoom = sizeof(sockaddr_un::sun_path) - 1;
  Error error{.kind = ErrorKind::invalid, .tried = kTried, .object = path, .words = {}, .hint = {}};
  if (path.empty()) {
    error.words = "the path of the socket is empty";
  } else if (path.size() > kRoom) {
    error.words = "the path has " + std::to_string(path.size()) +
                  " bytes; that of a Unix socket has at most " + std::to_string(kRoom);
    error.hint = "choose a shorter one";
  } else if (path.find('\0') != std::string::npos) {
    error.words = "the path contains a zero byte";
  } else {
    return std::nullopt;
  }
  return error;
}

// Removes a socket file on which nobody listens; an error for everything else that is there.
Result<void> make_way(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return failure(errno, path, "");
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{.kind = ErrorKind::invalid,
                 .tried = kTried,
                 .object = path,
                 .words = "something that is not a socket is there",
                 .hint = "move it away or choose another path"};
  }
  const os::Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return failure(errno, path, "");
  const sockaddr_un address = address_of(path);
  const int failed = ::connect(probe.get(), generic(address), sizeof address);
  if (failed == 0 || errno == EAGAIN) {  // EAGAIN: its queue is full
    return Error{.kind = ErrorKind::conflict,
                 .tried = kTried,
                 .object = path,
                 .number = EADDRINUSE,
                 .words = "another agent listens on " + path,
                 .hint = "stop it, or choose another path"};
  }
  if (errno != ECONNREFUSED && errno != ENOENT) return failure(errno, path, "");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return failure(errno, path, "remove the stale socket file");
  return {};
}

std::optional<gid_t> find_group(const std::string& name) {
  std::array<char, 16384> buffer{};
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return entry.gr_gid;
}

// Empty when the group has it now.
std::string give_to_group(const std::string& path, const std::string& group) {
  if (group.empty()) return {};
  const auto gid = find_group(group);
  if (!gid) {
    return "the group " + group + " does not exist: only root and the agent's own group can use " + path +
           "; make it with: groupadd --system " + group;
  }
  if (::lchown(path.c_str(), static_cast<uid_t>(-1), *gid) != 0) {
    return "cannot give " + path + " to the group " + group + ": " + std::strerror(errno);
  }
  return {};
}

}  // namespace

UnixListener::UnixListener(os::Descriptor descriptor, std::filesystem::path path)
    : descriptor_(std::move(descriptor)), path_(std::move(path)) {
  struct stat status {};
  if (::lstat(path_.c_str(), &status) == 0) {
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }
}

UnixListener::UnixListener(UnixListener&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(std::exchange(other.inode_, 0)),
      notice_(std::move(other.notice_)) {}

UnixListener::~UnixListener() {
  close();
}

void UnixListener::close() {
  descriptor_ = {};
  const ino_t inode = std::exchange(inode_, 0);
  struct stat status {};
  if (inode == 0 || ::lstat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode) ::unlink(path_.c_str());
}

Result<UnixListener> UnixListener::listen(const std::filesystem::path& path, const std::string& group,
                                          unsigned mode) {
  const std::string name = path.string();
  if (auto wrong = wrong_path(name)) return *std::move(wrong);
  if (auto made = make_way(name); !made) return made.error();
  os::Descriptor descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!descriptor) return failure(errno, name, "");
  // bind(2) gives the file the socket's own mode, less the umask: so it is narrow from its first moment,
  // without touching the umask, which other threads share.
  if (::fchmod(descriptor.get(), 0600) != 0) return failure(errno, name, "");
  const sockaddr_un address = address_of(name);
  if (::bind(descriptor.get(), generic(address), sizeof address) != 0) {
    return failure(errno, name, errno == ENOENT ? "make the directory " + path.parent_path().string() : "");
  }
  UnixListener made(std::move(descriptor), path);
  made.notice_ = give_to_group(name, group);
  if (::chmod(name.c_str(), mode) != 0) return failure(errno, name, "");
  if (::listen(made.descriptor(), kBacklog) != 0) return failure(errno, name, "");
  return made;
}

Peer peer_of(int descriptor) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  // Cannot fail on a connected Unix socket; the answer for "unknown" is nobody.
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return {.pid = 0, .uid = static_cast<std::uint32_t>(-1), .gid = static_cast<std::uint32_t>(-1)};
  return {.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
}

}  // namespace lanwright::http
