#include "agent/cli/commands.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <utility>

#include "agent/cli/input.h"
#include "agent/cli/table.h"
#include "agent/cli/time.h"

namespace lanwright::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The files of a command that changes a set each.
std::optional<std::vector<InputFile>> files_to_send(CliIo& io, const std::vector<std::string>& paths) {
  std::vector<InputFile> files = read_files(paths, io);
  refuse_shared_sets(files);
  if (!report_mistakes(files, io)) return std::nullopt;
  return files;
}

client::Query apply_query(const ApplyOptions& options, const InputFile& file) {
  client::Query query{{"file", one_line(file.name)}};
  if (options.no_prune) query.emplace_back("prune", "false");
  if (options.adopt) query.emplace_back("adopt", "true");
  if (options.dry_run) query.emplace_back("dry_run", "true");
  return query;
}

// What the agent answered to a change of one set.
struct Stored {
  std::string set;
  Json answer;
};

// One answer is printed as it came, several as an array.
void print_answers(Session& session, const std::vector<Stored>& stored) {
  Json answers = Json::array();
  for (const Stored& each : stored) answers.push_back(each.answer);
  print_as_data(session, answers.size() == 1 ? answers.front() : answers);
}

void print_results(Session& session, const Stored& stored, const char* suffix = "") {
  for (const Json& object : list_at(stored.answer, {"objects"})) {
    session.io.out << one_line(object_text(object)) << ' ' << text_at(object, {"result"}) << suffix << '\n';
  }
  if (list_at(stored.answer, {"objects"}).empty())
    session.io.out << "set " << stored.set << ": nothing to change\n";
}

// A converged set says it all: what was removed is gone, and everything else is Ready.
void print_converged(Session& session, const Stored& stored) {
  Table table({"OBJECT", "RESULT", "PHASE", "MESSAGE"});
  for (const Json& outcome : list_at(stored.answer, {"objects"})) {
    const std::string result = text_at(outcome, {"result"});
    const std::string phase = result == "removed" ? "gone" : "Ready";
    table.add({{object_text(outcome)}, {result}, {phase, colour_of_phase(phase)}, {}});
  }
  if (!table.empty()) table.print(session.io.out, session.style.colour);
}

// Each object's phase after waiting in vain, with what apply did to it.
std::optional<client::ClientError> print_phases(Session& session, const Stored& stored) {
  std::map<std::string, Json> found;
  for (const Resource resource : {Resource::vlan, Resource::network, Resource::attachment}) {
    const Answer list = get_list(session, resource, stored.set);
    if (!list) return list.error;
    for (const Json& object : list.json) found.emplace(object_text(object), object);
  }
  Table table({"OBJECT", "RESULT", "PHASE", "MESSAGE"});
  for (const Json& outcome : list_at(stored.answer, {"objects"})) {
    const std::string object = object_text(outcome);
    const auto now = found.find(object);
    if (now == found.end()) {
      table.add({{object}, {text_at(outcome, {"result"})}, {"gone"}, {}});
      continue;
    }
    const std::string phase = text_at(now->second, {"status", "phase"});
    table.add(
        {{object}, {text_at(outcome, {"result"})}, {phase, colour_of_phase(phase)}, {why_of(now->second)}});
  }
  if (!table.empty()) table.print(session.io.out, session.style.colour);
  return std::nullopt;
}

int timed_out(Session& session, const std::string& what, milliseconds after, const std::string& set) {
  session.io.err << "error: " << what << " is not Ready after " << age_text(after) << ":\n";
  if (const auto error = tell_unready(session, set)) fail(session, *error);
  session.io.err << "the agent keeps trying; look with: lanwright status, lanwright describe KIND NAME\n";
  return kTimedOut;
}

// Waits for all sets within the one time, shows what became of them.
int wait_for(Session& session, const std::vector<Stored>& stored, milliseconds time, bool show_phases) {
  const Moment deadline = steady_clock::now() + time;
  int status = kDone;
  for (const Stored& each : stored) {
    const Waited waited = wait_for_set(session, each.set, number_at(each.answer, {"generation"}), deadline);
    if (waited.error) return fail(session, *waited.error, "while waiting for the set " + each.set);
    if (show_phases && session.for_people() && waited.converged) {
      print_converged(session, each);
    } else if (show_phases && session.for_people()) {
      if (const auto error = print_phases(session, each)) return fail(session, *error);
    }
    if (!waited.converged) status = timed_out(session, "set " + each.set, time, each.set);
  }
  return status;
}

// Prints the results of what was stored before something failed, so that nobody has to guess.
int stopped_half_way(Session& session, const std::vector<Stored>& stored, const client::ClientError& error,
                     const std::string& about) {
  for (const Stored& each : stored) {
    if (session.for_people()) print_results(session, each);
  }
  return fail(session, error, about);
}

int finish_changes(Session& session, const std::vector<Stored>& stored, const Wait& wait, bool show_phases) {
  if (!session.for_people()) {
    print_answers(session, stored);
  } else if (!wait || !show_phases) {
    for (const Stored& each : stored) print_results(session, each);
  }
  return wait ? wait_for(session, stored, *wait, show_phases) : kDone;
}

// What the answers of a dry run say: which objects would change, and by which actions.
int show_dry_run(Session& session, const std::vector<Stored>& answers) {
  static const Json kNoPlan = Json::object();
  for (const Stored& each : answers) {
    if (!session.for_people()) break;
    print_results(session, each, " (dry run)");
    session.io.out << '\n';
    print_plan(session.io.out, each.answer.value("plan", kNoPlan), session.style);
  }
  if (!session.for_people()) print_answers(session, answers);
  return kDone;
}

std::set<ResourceId> declared_by(const SetSpec& set) {
  std::set<ResourceId> ids;
  for (const auto& [name, spec] : set.vlans) ids.insert({Kind::vlan, name});
  for (const auto& [name, spec] : set.networks) ids.insert({Kind::network, name});
  for (const auto& [name, spec] : set.attachments) ids.insert({Kind::attachment, name});
  return ids;
}

Resource resource_of(Kind kind) {
  if (kind == Kind::vlan) return Resource::vlan;
  return kind == Kind::network ? Resource::network : Resource::attachment;
}

// What the set has now, of which the deletion is not under way yet.
struct Existing {
  std::set<ResourceId> ids;
  std::optional<client::ClientError> error;
};

Existing objects_of(Session& session, const std::string& set) {
  Existing existing;
  for (const Kind kind : {Kind::vlan, Kind::network, Kind::attachment}) {
    Answer list = get_list(session, resource_of(kind), set);
    if (!list) return {.ids = {}, .error = std::move(list.error)};
    for (const Json& object : list.json) {
      if (text_at(object, {"deleting"}) != "true") existing.ids.insert({kind, text_at(object, {"name"})});
    }
  }
  return existing;
}

// Deletes what the file declares and the set has: the whole set at once when nothing else is in it, otherwise
// one by one, what hangs on others first.
int delete_declared(Session& session, const InputFile& file, std::vector<Stored>& stored) {
  const std::string& set = file.outcome.set.name;
  const Existing existing = objects_of(session, set);
  if (existing.error) return fail(session, *existing.error);
  const std::set<ResourceId> declared = declared_by(file.outcome.set);
  if (std::includes(declared.begin(), declared.end(), existing.ids.begin(), existing.ids.end())) {
    Answer answer = parsed(session.client.remove(path_of(Resource::set, set)));
    if (!answer) return fail(session, *answer.error, file.name);
    stored.push_back({set, std::move(answer.json)});
    return kDone;
  }
  std::vector<ResourceId> doomed;
  std::set_intersection(declared.rbegin(), declared.rend(), existing.ids.rbegin(), existing.ids.rend(),
                        std::back_inserter(doomed), std::greater<>());
  for (const ResourceId& id : doomed) {
    Answer answer = parsed(session.client.remove(path_of(resource_of(id.kind), id.name)));
    if (!answer) return stopped_half_way(session, stored, *answer.error, file.name);
    stored.push_back({set, std::move(answer.json)});
  }
  if (doomed.empty()) session.io.err << file.name << ": set " << set << " has nothing of what it declares\n";
  return kDone;
}

int delete_files(Session& session, const DeleteOptions& options) {
  const auto files = files_to_send(session.io, options.files);
  if (!files) return kFailed;
  std::vector<Stored> stored;
  for (const InputFile& file : *files) {
    if (const int status = delete_declared(session, file, stored); status != kDone) return status;
  }
  return finish_changes(session, stored, options.wait, false);
}

Json diagnostics_of(const InputFile& file) {
  Json list = Json::array();
  for (const Diagnostic& diagnostic : file.outcome.diagnostics) list.push_back(to_json(diagnostic));
  return list;
}

int print_objects(Session& session, Resource resource, const Json& list) {
  PortCounts ports;
  if (resource == Resource::network) {
    const Answer attachments = get_list(session, Resource::attachment);
    if (!attachments) return fail(session, *attachments.error);
    ports = count_ports(attachments.json);
  }
  print_list(session.io.out, resource, list, ports, session.style);
  return kDone;
}

// The set, and its objects below it.
int describe_set(Session& session, const std::string& name) {
  const Answer set = get(session, path_of(Resource::set, name));
  if (!set) return fail(session, *set.error);
  if (print_as_data(session, set.json)) return kDone;
  print_list(session.io.out, Resource::set, Json::array({set.json}), {}, session.style);
  for (const Resource resource : {Resource::vlan, Resource::network, Resource::attachment}) {
    const Answer list = get_list(session, resource, name);
    if (!list) return fail(session, *list.error);
    if (list.json.empty()) continue;
    session.io.out << '\n';
    if (const int status = print_objects(session, resource, list.json); status != kDone) return status;
  }
  return kDone;
}

// Prints one event at once; answers whether it could.
bool print_event(Session& session, const Json& event) {
  if (session.for_people()) {
    print_events(session.io.out, Json::array({event}), false, session.style);
  } else if (session.format == OutputFormat::yaml) {
    session.io.out << "---\n" << yaml_text(event);
  } else {
    session.io.out << event.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }
  session.io.out.flush();
  return session.io.out.good();
}

int follow_events(Session& session, std::uint64_t after) {
  const client::Reply reply = session.client.follow_events(after, [&](std::string_view data) {
    const Json event = Json::parse(data, nullptr, false);
    return event.is_discarded() || print_event(session, event);
  });
  return reply ? kDone : fail(session, *reply.error);
}

}  // namespace

int validate_files(CliIo& io, OutputFormat format, const std::vector<std::string>& paths) {
  const std::vector<InputFile> files = read_files(paths, io);
  const bool fine =
      std::all_of(files.begin(), files.end(), [](const InputFile& file) { return file.outcome.ok(); });
  if (format == OutputFormat::json || format == OutputFormat::yaml) {
    Json list = Json::array();
    for (const InputFile& file : files) {
      list.push_back({{"file", file.name},
                      {"ok", file.outcome.ok()},
                      {"set", file.outcome.ok() ? to_json(file.outcome.set) : Json()},
                      {"errors", diagnostics_of(file)}});
    }
    print_data(io.out, list, format);
    return fine ? kDone : kFailed;
  }
  report_mistakes(files, io);
  for (const InputFile& file : files) {
    if (file.outcome.ok()) io.out << file.name << ": ok: " << summary(file.outcome.set) << '\n';
  }
  return fine ? kDone : kFailed;
}

int show_plan(Session& session, const ApplyOptions& options) {
  const auto files = files_to_send(session.io, options.files);
  if (!files) return kFailed;
  std::vector<Stored> plans;
  for (const InputFile& file : *files) {
    Answer answer = parsed(session.client.post("/v1/plan", apply_query(options, file), file.text));
    if (!answer) return fail(session, *answer.error, file.name);
    if (session.for_people()) {
      if (files->size() > 1) session.io.out << file.name << ":\n";
      print_plan(session.io.out, answer.json, session.style);
    }
    plans.push_back({file.outcome.set.name, std::move(answer.json)});
  }
  if (!session.for_people()) print_answers(session, plans);
  return kDone;
}

int show_difference(Session& session, const std::string& set) {
  const Answer answer = get(session, "/v1/plan", set.empty() ? client::Query{} : client::Query{{"set", set}});
  if (!answer) return fail(session, *answer.error);
  if (!print_as_data(session, answer.json)) print_plan(session.io.out, answer.json, session.style);
  const bool same = list_at(answer.json, {"actions"}).empty() && list_at(answer.json, {"blocked"}).empty();
  return same ? kDone : kDiffers;
}

int apply_files(Session& session, const ApplyOptions& options) {
  const auto files = files_to_send(session.io, options.files);
  if (!files) return kFailed;
  std::vector<Stored> stored;
  for (const InputFile& file : *files) {
    Answer answer = parsed(
        session.client.post("/v1/apply", apply_query(options, file), file.text, options.if_generation));
    if (!answer && options.dry_run) return fail(session, *answer.error, file.name);
    if (!answer) return stopped_half_way(session, stored, *answer.error, file.name);
    stored.push_back({file.outcome.set.name, std::move(answer.json)});
  }
  return options.dry_run ? show_dry_run(session, stored)
                         : finish_changes(session, stored, options.wait, true);
}

int delete_objects(Session& session, const DeleteOptions& options) {
  if (!options.files.empty()) return delete_files(session, options);
  const std::string path = path_of(options.resource, options.name);
  std::string set = options.name;
  if (options.wait && options.resource != Resource::set) {
    const Answer object = get(session, path);
    if (!object) return fail(session, *object.error);
    set = text_at(object.json, {"set"});
  }
  Answer answer = parsed(session.client.remove(path));
  if (!answer) return fail(session, *answer.error);
  return finish_changes(session, {{set, std::move(answer.json)}}, options.wait, false);
}

int change_uplink(Session& session, const UplinkOptions& options) {
  const std::string path =
      path_of(Resource::network, options.network) + "/uplinks/" + client::path_segment(options.interface);
  client::Query query;
  if (options.vlan) query.emplace_back("vlan", std::to_string(*options.vlan));
  if (options.dry_run) query.emplace_back("dry_run", "true");
  Answer answer =
      parsed(options.remove ? session.client.remove(path, query) : session.client.put(path, query));
  if (!answer) return fail(session, *answer.error);
  const std::string set = text_at(answer.json, {"set"});
  const std::vector<Stored> stored{{set, std::move(answer.json)}};
  return options.dry_run ? show_dry_run(session, stored)
                         : finish_changes(session, stored, options.wait, true);
}

int get_objects(Session& session, const GetOptions& options) {
  if (!options.name.empty()) {
    const Answer object = get(session, path_of(options.resource, options.name));
    if (!object) return fail(session, *object.error);
    if (print_as_data(session, object.json)) return kDone;
    return print_objects(session, options.resource, Json::array({object.json}));
  }
  const Answer list = get_list(session, options.resource, options.set);
  if (!list) return fail(session, *list.error);
  if (print_as_data(session, list.json)) return kDone;
  if (!list.json.empty()) return print_objects(session, options.resource, list.json);
  session.io.err << "no " << plural_of(options.resource)
                 << (options.set.empty() ? "" : " in the set " + options.set) << '\n';
  return kDone;
}

int describe_object(Session& session, Resource resource, const std::string& name) {
  if (resource == Resource::set) return describe_set(session, name);
  if (resource == Resource::switch_process) {
    const Answer found = get(session, path_of(resource, name));
    if (!found) return fail(session, *found.error);
    if (!print_as_data(session, found.json)) print_switch(session.io.out, found.json, session.style);
    return kDone;
  }
  const Answer answer = get(session, path_of(resource, name) + "/describe");
  if (!answer) return fail(session, *answer.error);
  if (!print_as_data(session, answer.json)) print_description(session.io.out, answer.json, session.style);
  return kDone;
}

int export_sets(Session& session, const std::string& set) {
  const client::Reply reply =
      session.client.get("/v1/export", set.empty() ? client::Query{} : client::Query{{"set", set}});
  if (!reply) return fail(session, *reply.error);
  session.io.out << reply.body;
  return kDone;
}

int show_events(Session& session, const EventOptions& options) {
  const Answer answer = get(session, "/v1/events", {{"limit", std::to_string(options.limit)}});
  if (!answer) return fail(session, *answer.error);
  if (!options.follow) {
    if (!print_as_data(session, answer.json)) print_events(session.io.out, answer.json, true, session.style);
    return kDone;
  }
  if (session.for_people()) {
    print_events(session.io.out, answer.json, true, session.style);
  } else {
    for (const Json& event : answer.json) print_event(session, event);
  }
  if (!session.io.out.flush()) return kFailed;
  return follow_events(session, answer.json.empty() ? 0 : number_at(answer.json.back(), {"id"}));
}

int show_topology(Session& session, PictureFormat format) {
  std::map<Resource, Json> lists;
  for (const Resource resource : {Resource::network, Resource::vlan, Resource::attachment}) {
    Answer list = get_list(session, resource);
    if (!list) return fail(session, *list.error);
    lists.emplace(resource, std::move(list.json));
  }
  const Topology topology =
      topology_of(lists[Resource::network], lists[Resource::vlan], lists[Resource::attachment]);
  switch (format) {
    case PictureFormat::text:
      print_topology(session.io.out, topology, session.style);
      break;
    case PictureFormat::dot:
      session.io.out << topology_dot(topology);
      break;
    case PictureFormat::svg:
      session.io.out << topology_svg(topology);
      break;
    case PictureFormat::json:
      print_data(session.io.out, topology_json(topology), OutputFormat::json);
      break;
  }
  if (topology.networks.empty() && topology.vlans.empty()) session.io.err << "no networks\n";
  return kDone;
}

int show_status(Session& session, Wait wait) {
  // The agent waits no longer than it likes to in one request.
  constexpr milliseconds kTurn{10'000};
  const Moment deadline = steady_clock::now() + wait.value_or(milliseconds(0));
  Answer answer;
  bool converged = true;
  for (;;) {
    const auto left =
        std::max(std::chrono::ceil<milliseconds>(deadline - steady_clock::now()), milliseconds(0));
    const milliseconds turn = std::min(left, kTurn);
    answer = get(session, "/v1/status",
                 wait ? client::Query{{"wait", "converged"}, {"timeout", std::to_string(turn.count()) + "ms"}}
                      : client::Query{});
    if (wait && answer.error && ask_again(*answer.error, left)) continue;
    if (!answer) return fail(session, *answer.error);
    converged = text_at(answer.json, {"converged"}) == "true";
    if (!wait || converged || left <= kTurn) break;
  }
  if (!print_as_data(session, answer.json)) print_status(session.io.out, answer.json, session.style);
  return wait && !converged ? timed_out(session, "the host", *wait, "") : kDone;
}

}  // namespace lanwright::cli
