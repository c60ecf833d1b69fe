#include "agent/cli/session.h"

#include <algorithm>
#include <ostream>
#include <thread>

#include "agent/cli/table.h"

namespace lanwright::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

WallTime clock_now() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

// "12 of 40 Ready, 3 Retrying"
std::string progress_text(const Json& set) {
  std::uint64_t total = 0;
  std::uint64_t ready = 0;
  std::string others;
  const auto phases = set.find("phases");
  if (phases == set.end() || !phases->is_object()) return "waiting";
  for (const auto& [phase, count] : phases->items()) {
    if (!count.is_number_unsigned()) continue;
    const auto number = count.get<std::uint64_t>();
    total += number;
    if (phase == "Ready") {
      ready = number;
    } else if (number != 0) {
      others += ", " + std::to_string(number) + ' ' + phase;
    }
  }
  return std::to_string(ready) + " of " + std::to_string(total) + " Ready" + others;
}

// One line that changes on a terminal; elsewhere a line every two seconds, and none for what is over before.
class Progress {
 public:
  Progress(CliIo& io, std::string label) : io_(io), label_(std::move(label)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_ && io_.err_is_terminal) io_.err << "\r\x1b[K" << std::flush;
  }

  void show(const std::string& text) {
    constexpr std::chrono::seconds kPause{2};
    const auto now = steady_clock::now();
    if (io_.err_is_terminal) {
      io_.err << "\r\x1b[K" << label_ << ": " << text << std::flush;
      shown_ = true;
    } else if (now - last_ >= kPause) {
      io_.err << label_ << ": " << text << '\n' << std::flush;
      last_ = now;
    }
  }

 private:
  CliIo& io_;
  std::string label_;
  Moment last_ = steady_clock::now();
  bool shown_ = false;
};

}  // namespace

Session::Session(CliIo& streams, const std::string& socket, OutputFormat output)
    : io(streams),
      client(socket),
      format(output),
      style{.wide = output == OutputFormat::wide,
            .colour = streams.colour,
            .now = streams.now ? *streams.now : clock_now()} {}

Answer parsed(client::Reply reply) {
  if (reply.error) return {.json = {}, .error = std::move(reply.error)};
  Json json = Json::parse(reply.body, nullptr, false);
  if (!json.is_discarded()) return {.json = std::move(json), .error = {}};
  client::ClientError error;
  error.message = "what listens on the socket did not answer with JSON";
  error.hint = "is it lanwrightd? name its socket with --socket or LANWRIGHT_SOCKET";
  return {.json = {}, .error = std::move(error)};
}

Answer get(Session& session, const std::string& path, const client::Query& query) {
  return parsed(session.client.get(path, query));
}

Answer get_list(Session& session, Resource resource, const std::string& set) {
  return get(session, std::string("/v1/") + plural_of(resource),
             set.empty() ? client::Query{} : client::Query{{"set", set}});
}

std::string path_of(Resource resource, const std::string& name) {
  return std::string("/v1/") + plural_of(resource) + '/' + client::path_segment(name);
}

int fail(Session& session, const client::ClientError& error, const std::string& about) {
  for (const std::string& text : error.diagnostics)
    session.io.err << text << (text.ends_with('\n') ? "" : "\n");
  session.io.err << "error: " << (about.empty() ? "" : about + ": ") << one_line(error.message);
  if (!error.hint.empty()) session.io.err << "; " << one_line(error.hint);
  session.io.err << '\n';
  return kFailed;
}

bool print_as_data(Session& session, const Json& value) {
  if (session.for_people()) return false;
  print_data(session.io.out, value, session.format);
  return true;
}

bool ask_again(const client::ClientError& error, milliseconds left) {
  constexpr milliseconds kRetryAfter{1000};
  if (left <= kRetryAfter) return false;
  if (error.status == 503) std::this_thread::sleep_for(kRetryAfter);
  return error.status == 503 || error.status == 504;
}

Waited wait_for_set(Session& session, const std::string& set, std::uint64_t generation, Moment deadline) {
  constexpr milliseconds kTurn{1000};
  Progress progress(session.io, set);
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    const milliseconds turn = std::clamp(left, milliseconds(0), kTurn);
    const Answer answer =
        get(session, path_of(Resource::set, set),
            {{"wait", std::to_string(turn.count()) + "ms"}, {"generation", std::to_string(generation)}});
    if (answer.error && answer.error->status == 404) return {.converged = true, .error = {}};
    if (answer.error && ask_again(*answer.error, left)) continue;
    if (answer.error) return {.converged = false, .error = answer.error};
    if (text_at(answer.json, {"converged"}) == "true") return {.converged = true, .error = {}};
    if (left <= kTurn) return {};
    progress.show(progress_text(answer.json));
  }
}

std::optional<client::ClientError> tell_unready(Session& session, const std::string& set) {
  constexpr std::size_t kTold = 20;
  std::size_t unready = 0;
  for (const Resource resource : {Resource::vlan, Resource::network, Resource::attachment}) {
    const Answer list = get_list(session, resource, set);
    if (!list) return list.error;
    for (const Json& object : list.json) {
      const std::string phase = text_at(object, {"status", "phase"});
      if (phase == "Ready" || ++unready > kTold) continue;
      const std::string why = one_line(why_of(object));
      session.io.err << object_text(object) << ": " << phase << (why.empty() ? "" : ": " + why) << '\n';
    }
  }
  if (unready > kTold) session.io.err << "and " << unready - kTold << " more\n";
  return std::nullopt;
}

}  // namespace lanwright::cli
