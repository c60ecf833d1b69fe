// One run of the client: its streams, its connection and how it shows things; and the requests that several
// commands share.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/cli/command_line.h"
#include "agent/cli/render.h"
#include "api/client/client.h"
#include "model/format/json.h"

namespace lanwright::cli {

struct Session {
  CliIo& io;
  client::Client client;
  OutputFormat format;
  Style style;

  Session(CliIo& streams, const std::string& socket, OutputFormat output);
  bool for_people() const { return format == OutputFormat::table || format == OutputFormat::wide; }
};

// A parsed answer, or why there is none.
struct Answer {
  Json json;
  std::optional<client::ClientError> error;
  explicit operator bool() const { return !error; }
};

Answer parsed(client::Reply reply);
Answer get(Session& session, const std::string& path, const client::Query& query = {});
// All of a kind, or those of one set; an array, as they were at one moment.
Answer get_list(Session& session, Resource resource, const std::string& set = {});

std::string path_of(Resource resource, const std::string& name);  // "/v1/networks/lab"

// Prints the error with its diagnostics and its hint; answers kFailed. `about` says what failed, and may be
// empty.
int fail(Session& session, const client::ClientError& error, const std::string& about = {});

// Prints it as it came when the user wants data; answers whether it did.
bool print_as_data(Session& session, const Json& value);

using Moment = std::chrono::steady_clock::time_point;

struct Waited {
  bool converged = false;  // otherwise the time is over, or there is an error
  std::optional<client::ClientError> error;
};

// Whether a wait with so much time `left` asks again after this error: the agent was held up (504), or as
// many clients as it lets wait are waiting (503: its Retry-After has passed then).
bool ask_again(const client::ClientError& error, std::chrono::milliseconds left);

// Waits until all objects of the set are Ready, and deleted ones gone, at that generation of it or a later
// one. Shows progress on standard error. A set that does not exist has converged.
Waited wait_for_set(Session& session, const std::string& set, std::uint64_t generation, Moment deadline);

// Names on standard error the objects (all, or of one set) that are not Ready, and why.
std::optional<client::ClientError> tell_unready(Session& session, const std::string& set);

}  // namespace lanwright::cli
