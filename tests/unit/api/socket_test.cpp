// The socket file: its mode, its owner, and what is there already.
#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "api/http/unix_listener.h"
#include "tests/unit/api/fixture.h"

namespace lanwright {
namespace {

class ApiSocket : public Api {
 protected:
  void SetUp() override {}  // each test starts the server itself

  Error refusal() {
    auto started = rest::Server::start(agent, packets, drivers::driver_grammar(), options);
    if (started) throw std::runtime_error("it started");
    return started.error();
  }
  struct stat status() const {
    struct stat found {};
    EXPECT_EQ(::lstat(options.socket.c_str(), &found), 0);
    return found;
  }
};

TEST_F(ApiSocket, HasTheModeWhateverTheUmask) {
  const mode_t before = ::umask(0);
  start();
  EXPECT_EQ(status().st_mode & 07777U, 0660U);
  ::umask(0777);
  server.reset();
  options.mode = 0600;
  start();
  ::umask(before);
  EXPECT_EQ(status().st_mode & 07777U, 0600U);
}

TEST_F(ApiSocket, IsNeverWiderThanForItsOwnerBeforeTheGroupIsSet) {
  // What bind(2) makes of the mode that listen() gives the socket first, under the widest umask.
  const mode_t before = ::umask(0);
  auto made = http::UnixListener::listen(options.socket, "", 0600);
  ::umask(before);
  ASSERT_TRUE(made) << made.error().text();
  struct stat own {};
  ASSERT_EQ(::fstat(made->descriptor(), &own), 0);
  EXPECT_EQ(own.st_mode & 0777U, 0600U);
  EXPECT_NE(::fcntl(made->descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ApiSocket, AMissingGroupIsTold) {
  options.group = "no-such-group-here";
  start();
  EXPECT_NE(server->notice().find("no-such-group-here does not exist"), std::string::npos)
      << server->notice();
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ApiSocket, AGroupThatExistsGetsIt) {
  options.group = "root";
  start();
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give it to a group of which it is no member";
  EXPECT_EQ(server->notice(), "");
  EXPECT_EQ(status().st_gid, 0U);
}

TEST_F(ApiSocket, AStaleOneIsReplaced) {
  {
    const int left = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = options.socket.string();
    std::copy(name.begin(), name.end(), std::begin(address.sun_path));
    ASSERT_EQ(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(left);
  }
  ASSERT_TRUE(std::filesystem::exists(options.socket));
  start();
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ApiSocket, ALiveOneIsAnError) {
  start();
  const Error error = refusal();
  EXPECT_EQ(error.kind, ErrorKind::conflict);
  EXPECT_NE(error.text().find("another agent listens on " + options.socket.string()), std::string::npos)
      << error.text();
  EXPECT_EQ(get("/healthz").status, 200) << "the first one goes on";
}

TEST_F(ApiSocket, WhatIsNoSocketIsLeftAlone) {
  std::ofstream(options.socket) << "precious";
  EXPECT_EQ(refusal().kind, ErrorKind::invalid);
  std::ifstream file(options.socket);
  std::string content;
  file >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(ApiSocket, APathThatIsTooLongIsSaid) {
  options.socket = directory / std::string(120, 'x');
  const Error error = refusal();
  EXPECT_EQ(error.kind, ErrorKind::invalid);
  EXPECT_NE(error.text().find("at most 107"), std::string::npos) << error.text();
}

TEST_F(ApiSocket, AMissingDirectoryIsSaid) {
  options.socket = directory / "none/api.sock";
  EXPECT_NE(refusal().text().find("make the directory"), std::string::npos);
}

TEST_F(ApiSocket, TooFewThreadsAreRefused) {
  options.threads = 1;
  EXPECT_EQ(refusal().kind, ErrorKind::invalid);
  EXPECT_FALSE(std::filesystem::exists(options.socket));
}

TEST_F(ApiSocket, GoesWithTheServer) {
  start();
  server->stop();
  server->stop();
  EXPECT_FALSE(std::filesystem::exists(options.socket));
}

TEST_F(ApiSocket, OfSomebodyElseStays) {
  start();
  std::filesystem::remove(options.socket);
  auto other = http::UnixListener::listen(options.socket, "", 0600);
  ASSERT_TRUE(other);
  server.reset();
  EXPECT_TRUE(std::filesystem::exists(options.socket));
}

}  // namespace
}  // namespace lanwright
