#include "reconcilers/os/command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "reconcilers/os/descriptor.h"

namespace lanwright::os {
namespace {

constexpr int kSignalled = 128;  // as a shell has it

struct FileActions {
  posix_spawn_file_actions_t list{};
  FileActions() { ::posix_spawn_file_actions_init(&list); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&list); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

std::string read_all(const Descriptor& from) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(from.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

Result<CommandResult> run_command(const std::vector<std::string>& command) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return error_from_errno(errno, "run", command.front(), "pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  FileActions actions;
  ::posix_spawn_file_actions_addopen(&actions.list, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions.list, writing.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions.list, writing.get(), STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  arguments.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::string language = "LC_ALL=C";
  std::array<char*, 3> environment{path.data(), language.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, command.front().c_str(), &actions.list, nullptr, arguments.data(),
                                  environment.data());
  if (error != 0) return error_from_errno(error, "run", command.front());
  writing = {};
  CommandResult result;
  result.words = read_all(reading);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return error_from_errno(errno, "wait for", command.front());
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
  while (!result.words.empty() && result.words.back() == '\n') result.words.pop_back();
  return result;
}

}  // namespace lanwright::os
