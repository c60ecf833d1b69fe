#include "tests/bench/subject.h"

#include <chrono>

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using test::Finished;
using test::HarnessError;
using test::Json;

constexpr auto kCommandTimeout = 600s;
constexpr const char* kWait = "--wait=9m";

}  // namespace

double seconds_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void must(const Finished& result, const std::string& what) {
  constexpr std::size_t kEnough = 4000;
  if (!result.ok())
    throw HarnessError(what + ": " + result.err.substr(0, kEnough) + result.text().substr(0, kEnough));
}

Subject::Subject(const test::Sandbox& sandbox) : sandbox_(sandbox) {
  start();
}

double Subject::start() {
  test::AgentOptions options;
  options.log_level = "info";
  options.ready_within = 120s;
  return seconds_of([&] { process_ = std::make_unique<test::AgentProcess>(sandbox_, options); });
}

Finished Subject::client(const std::vector<std::string>& arguments) const {
  test::RunOptions options;
  options.limit = kCommandTimeout;
  return process_->cli(arguments, options);
}

double Subject::apply(const Plant& plant) const {
  const auto file = sandbox_.write_file("plant.yaml", yaml_of(plant));
  Finished result;
  const double time = seconds_of([&] { result = client({"apply", "-f", file, kWait}); });
  must(result, "lanwright apply of " + plant.text());
  check_kernel(sandbox_, plant);
  return time;
}

double Subject::post(const Plant& plant) const {
  const std::string yaml = yaml_of(plant);
  test::HttpAnswer converged;
  const double time = seconds_of([&] {
    const auto stored = test::http(process_->socket(), "POST", "/v1/apply", yaml,
                                   {"Content-Type: application/yaml"}, kCommandTimeout);
    if (stored.status != 200) throw HarnessError("POST /v1/apply: " + stored.body);
    const auto generation = Json::parse(stored.body).at("generation").get<std::uint64_t>();
    const std::string target = "/v1/sets/bench?wait=60s&generation=" + std::to_string(generation);
    converged = test::http(process_->socket(), "GET", target, {}, {}, kCommandTimeout);
  });
  if (converged.status != 200 || !Json::parse(converged.body).value("converged", false))
    throw HarnessError("not converged: " + converged.body);
  check_kernel(sandbox_, plant);
  return time;
}

double Subject::remove() const {
  Finished result;
  const double time = seconds_of([&] { result = client({"delete", "set", "bench", kWait}); });
  must(result, "lanwright delete set");
  check_kernel(sandbox_, Plant{});
  return time;
}

void Subject::wait_converged() const {
  must(client({"status", "--wait", "converged=2m"}), "lanwright status --wait converged");
}

}  // namespace lanwright::bench
