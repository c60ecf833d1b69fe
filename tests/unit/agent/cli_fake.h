// An agent that answers what a test tells it to, on a Unix socket of its own; and a run of the client against
// it.
#pragma once

#include <gtest/gtest.h>
#include <httplib.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "agent/cli/command_line.h"
#include "agent/cli/time.h"

namespace lanwright {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lanwright-cli-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name)) << text;
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

struct SeenRequest {
  std::string line;  // "POST /v1/apply?file=..."
  std::string body;
  std::string if_match;
};

class FakeAgent {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;

  explicit FakeAgent(std::string socket) : socket_(std::move(socket)) {
    server_.set_address_family(AF_UNIX);
    if (!server_.bind_to_port(socket_, 80)) throw std::runtime_error("cannot listen at " + socket_);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();  // stop() before that would be lost
  }
  ~FakeAgent() {
    server_.stop();
    thread_.join();
  }
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;

  static Handler answer(std::string json, int status = 200) {
    return [json = std::move(json), status](const httplib::Request&, httplib::Response& response) {
      response.status = status;
      response.set_content(json, status < 400 ? "application/json" : "application/problem+json");
    };
  }
  void on_get(const std::string& path, Handler handler) { server_.Get(path, recorded(std::move(handler))); }
  void on_get(const std::string& path, std::string json, int status = 200) {
    on_get(path, answer(std::move(json), status));
  }
  void on_post(const std::string& path, std::string json, int status = 200) {
    server_.Post(path, recorded(answer(std::move(json), status)));
  }
  void on_put(const std::string& path, std::string json, int status = 200) {
    server_.Put(path, recorded(answer(std::move(json), status)));
  }
  void on_delete(const std::string& path, std::string json, int status = 200) {
    server_.Delete(path, recorded(answer(std::move(json), status)));
  }

  std::vector<SeenRequest> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  const std::string& socket() const { return socket_; }

 private:
  Handler recorded(Handler handler) {
    return
        [this, handler = std::move(handler)](const httplib::Request& request, httplib::Response& response) {
          {
            const std::lock_guard lock(mutex_);
            seen_.push_back(
                {request.method + ' ' + request.target, request.body, request.get_header_value("If-Match")});
          }
          handler(request, response);
        };
  }

  std::string socket_;
  httplib::Server server_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;
};

struct RunResult {
  int status = 0;
  std::string out;
  std::string err;
};

inline RunResult run(const std::vector<std::string>& arguments, const std::string& input = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  cli::CliIo io{in, out, err, false, false, cli::parse_rfc3339("2026-11-20T12:00:00Z")};
  const int status = cli::run_cli(arguments, io);
  return {status, out.str(), err.str()};
}

}  // namespace lanwright
