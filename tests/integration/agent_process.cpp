#include "tests/integration/agent_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <sstream>

namespace lanwright::test {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

HttpAnswer parse_answer(const std::string& text) {
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos)
    throw HarnessError("no HTTP answer: " + text);
  HttpAnswer answer;
  answer.status = std::stoi(text.substr(9, 3));
  answer.body = text.substr(end + 4);
  std::istringstream lines(text.substr(0, end));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) throw HarnessError("bad header line: " + line);
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    answer.headers[lower(line.substr(0, colon))] = value == std::string::npos ? "" : line.substr(value);
  }
  return answer;
}

}  // namespace

HttpAnswer http(const std::filesystem::path& socket, const std::string& method, const std::string& target,
                const std::string& body, const std::vector<std::string>& headers, Milliseconds limit) {
  const Fd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const timeval time{limit.count() / 1000, (limit.count() % 1000) * 1000};
  setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  UnixAddress address(socket);
  if (connect(connection.get(), address.get(), UnixAddress::size) != 0)
    fail_errno("connect " + socket.string());

  std::string request = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  for (const auto& header : headers) request += header + "\r\n";
  if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  request += "\r\n" + body;
  for (std::size_t done = 0; done < request.size();) {
    const ssize_t size = send(connection.get(), request.data() + done, request.size() - done, MSG_NOSIGNAL);
    if (size < 0 && errno == EPIPE) break;  // refused before it read everything: the answer says why
    if (size < 0) fail_errno("send request");
    done += static_cast<std::size_t>(size);
  }

  std::string text;
  std::array<char, 65536> buffer{};
  ssize_t size = 0;
  while ((size = recv(connection.get(), buffer.data(), buffer.size(), 0)) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  if (size < 0 && text.empty()) fail_errno(method + " " + target);
  return parse_answer(text);
}

AgentProcess::AgentProcess(const Sandbox& sandbox, AgentOptions options)
    : sandbox_(sandbox), options_(std::move(options)) {
  const auto home = sandbox.directory() / options_.name;
  state_directory_ = home / "state";
  socket_ = home / "run" / "api.sock";
  docker_directory_ = options_.docker_directory.empty() ? home / "docker" : options_.docker_directory;
  log_ = home / "log";
  std::filesystem::create_directories(state_directory_);
  std::filesystem::create_directories(home / "run");
  notify_.emplace(home / "notify");

  Spawn what;
  what.arguments = options_.under;
  const std::vector<std::string> own{
      LANWRIGHTD,    "--state-dir",         state_directory_,
      "--run-dir",   home / "run",          "--api-socket",
      socket_,       "--docker-socket-dir", options_.docker ? docker_directory_.string() : "",
      "--log-level", options_.log_level};
  std::ranges::copy(own, std::back_inserter(what.arguments));
  if (!options_.netns.empty()) {
    what.arguments.insert(what.arguments.end(), {"--netns", "/run/netns/" + options_.netns});
  }
  std::ranges::copy(options_.more, std::back_inserter(what.arguments));
  what.environment = options_.environment;
  what.environment.push_back("NOTIFY_SOCKET=" + (home / "notify").string());
  const Fd output(open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600),
                  "open " + log_.string());
  what.out = what.err = output.get();
  pid_ = spawn(what);
  if (options_.wait_ready && !wait_notified("READY=1", options_.ready_within)) {
    kill();
    throw HarnessError("lanwrightd did not become ready: " + log());
  }
}

AgentProcess::~AgentProcess() {
  if (!status_) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (testing::Test::HasFailure()) {
    std::cerr << "--- the end of the log of " << options_.name << ":\n"
              << last_lines(log(), 100) << "\n---\n";
  }
}

bool AgentProcess::running() const {
  if (status_) return false;
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

std::string AgentProcess::log() const {
  return read_file(log_);
}

bool AgentProcess::wait_notified(const std::string& state, Milliseconds limit) {
  return !status_ && notify_->wait(state, pid_, limit);
}

void AgentProcess::signal(int number) const {
  if (status_) throw HarnessError("the agent has ended already");
  if (::kill(pid_, number) != 0) fail_errno("kill");
}

void AgentProcess::kill() {
  signal(SIGKILL);
  wait(20s);
}

int AgentProcess::stop(Milliseconds limit) {
  signal(SIGTERM);
  if (!wait(limit)) throw HarnessError("the agent does not stop on SIGTERM: " + last_lines(log(), 20));
  return *status_;
}

std::optional<int> AgentProcess::wait(Milliseconds limit) {
  if (!status_) status_ = wait_exit(pid_, limit);
  return status_;
}

Finished AgentProcess::cli(const std::vector<std::string>& arguments, const RunOptions& options) const {
  std::vector<std::string> command{LANWRIGHT, "--socket", socket_};
  std::ranges::copy(arguments, std::back_inserter(command));
  return run(command, options);
}

Json AgentProcess::cli_json(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"-o", "json"});
  const Finished result = cli(arguments);
  if (!result.ok()) throw HarnessError("lanwright " + arguments.at(0) + ": " + result.text());
  return Json::parse(result.out);
}

void AgentProcess::apply(const std::string& yaml, const std::string& wait_time) const {
  const auto file = sandbox_.write_file(options_.name + ".yaml", yaml);
  const Finished result = cli({"apply", "-f", file, "--wait=" + wait_time}, {.limit = 120s});
  if (!result.ok()) throw HarnessError("apply: " + result.text());
}

Json AgentProcess::get_json(const std::string& target) const {
  const HttpAnswer answer = get(target);
  if (answer.status != 200) {
    throw HarnessError("GET " + target + ": " + std::to_string(answer.status) + " " + answer.body);
  }
  return Json::parse(answer.body);
}

std::uint64_t AgentProcess::metric(const std::string& name) const {
  std::istringstream lines(get("/metrics").body);
  const std::string start = "lanwright_" + name + " ";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(start)) return std::stoull(line.substr(start.size()));
  }
  throw HarnessError("no metric lanwright_" + name);
}

}  // namespace lanwright::test
