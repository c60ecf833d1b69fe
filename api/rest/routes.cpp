#include "api/rest/routes.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <memory>
#include <set>
#include <system_error>
#include <utility>
#include <variant>

#include "api/http/problem.h"
#include "api/rest/capture_stream.h"
#include "api/rest/embedded.h"
#include "api/rest/event_stream.h"
#include "api/rest/metrics.h"
#include "api/rest/pcap_file.h"
#include "api/rest/views.h"
#include "model/format/schema.h"
#include "model/format/set_reader.h"

namespace lanwright::rest {
namespace {

using std::chrono::steady_clock;
using Type = ParameterType;

constexpr std::chrono::seconds kReadTime{10};   // for the agent to answer what changes nothing
constexpr std::chrono::seconds kWriteTime{60};  // for it to make a change durable
constexpr std::size_t kLargeBody = 1U << 20U;   // takes up to a hundred times as much while it is read
constexpr std::uint64_t kMostEvents = 10'000;
constexpr std::uint64_t kLastVid = 4094;

Deadline soon() {
  return steady_clock::now() + kReadTime;
}

std::optional<std::uint64_t> quoted_number(std::string_view text) {
  if (text.size() < 3 || text.front() != '"' || text.back() != '"') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// What If-Match and If-None-Match say of the generation.
struct Precondition {
  std::optional<std::uint64_t> generation;
  std::optional<http::Response> mistake;
};

Precondition precondition_of(const http::RequestHead& head, bool may_be_new) {
  const std::string& match = head.field("if-match");
  const std::string& none_match = head.field("if-none-match");
  Precondition precondition;
  if (!match.empty() && !none_match.empty()) {
    precondition.mistake = http::invalid("If-Match and If-None-Match exclude each other");
  } else if (!none_match.empty()) {
    if (none_match == "*" && may_be_new) {
      precondition.generation = 0;
    } else {
      precondition.mistake = http::invalid(
          "If-None-Match is `" + none_match + "`",
          may_be_new ? "only * is understood: the set must not exist yet" : "use If-Match with a generation");
    }
  } else if (!match.empty()) {
    precondition.generation = quoted_number(match);
    if (!precondition.generation)
      precondition.mistake = http::invalid("If-Match is `" + match + "`",
                                           "give one generation in quotes, as ETag has it: \"7\"");
  }
  return precondition;
}

std::pair<std::string, std::string> etag(std::uint64_t generation) {
  return {"ETag", '"' + std::to_string(generation) + '"'};
}

bool matches(const Call& call, const ObjectView& object, const Json& json) {
  const Parameters& wanted = call.parameters;
  if (const auto set = wanted.text("set"); set && object.set != *set) return false;
  if (const auto phase = wanted.phase("phase"); phase && object.status.phase != *phase) return false;
  if (const auto driver = wanted.text("driver"); driver && json.value("driver", "") != *driver) return false;
  return true;
}

// The target of this request with another offset.
std::string link_to(const Call& call, std::uint64_t offset) {
  std::string target = call.head.target_path;
  char separator = '?';
  for (const auto& [name, value] : call.head.query) {
    if (name == "offset") continue;
    target += separator + http::percent_encoded(name) + '=' + http::percent_encoded(value);
    separator = '&';
  }
  return target + separator + "offset=" + std::to_string(offset);
}

// Cuts a page out of what `make` gives for each of `count` things.
template <class Make>
http::Response page_of(const Call& call, std::size_t count, Make&& make) {
  const std::uint64_t offset = std::min<std::uint64_t>(call.parameters.count("offset").value_or(0), count);
  const std::uint64_t left = count - offset;
  const std::uint64_t size = std::min<std::uint64_t>(call.parameters.count("limit").value_or(left), left);
  Json list = Json::array();
  for (std::uint64_t i = offset; i < offset + size; ++i) list.push_back(make(i));
  http::Response answer = http::json_answer(list);
  answer.headers.emplace_back("X-Total-Count", std::to_string(count));
  if (size < left)
    answer.headers.emplace_back("Link", '<' + link_to(call, offset + size) + ">; rel=\"next\"");
  return answer;
}

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t begin = 1; begin != std::string_view::npos + 1;) {
    const std::size_t end = path.find('/', begin);
    segments.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

// The names in the path when it is this route's.
std::optional<PathNames> match(const Route& route, const std::vector<std::string>& path) {
  const auto wanted = segments_of(route.path);
  if (wanted.size() != path.size()) return std::nullopt;
  PathNames names;
  for (std::size_t i = 0; i < path.size(); ++i) {
    std::string* const place = wanted[i] == "{name}"        ? &names.name
                               : wanted[i] == "{interface}" ? &names.interface
                                                            : nullptr;
    if (place != nullptr && !path[i].empty()) {
      *place = path[i];
    } else if (wanted[i] != path[i]) {
      return std::nullopt;
    }
  }
  return names;
}

http::Response wrong_method(const std::string& method, const std::set<std::string>& allowed) {
  std::string list;
  for (const std::string& each : allowed) list += (list.empty() ? "" : ", ") + each;
  http::Response answer =
      http::problem(http::HttpError{.status = 405,
                                    .detail = "the method " + method + " does not fit this path",
                                    .hint = "allowed here: " + list});
  answer.headers.emplace_back("Allow", list);
  return answer;
}

http::Response busy(std::string detail) {
  http::Response answer = http::problem(
      http::HttpError{.status = 503, .detail = std::move(detail), .hint = "try again in a moment"});
  answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

http::Response too_many_waiting() {
  return busy("as many requests as this server lets wait are waiting already");
}

http::Response no_such(const ResourceId& id) {
  return http::not_found("there is no " + id.text(), "see: lanwright get " + std::string(plural_of(id.kind)));
}

http::Response no_set(const std::string& name) {
  return http::not_found("there is no set " + name, "see: lanwright get sets");
}

const SetState* find(const std::vector<SetState>& sets, const std::string& name) {
  const auto found =
      std::find_if(sets.begin(), sets.end(), [&](const SetState& set) { return set.view.name == name; });
  return found == sets.end() ? nullptr : &*found;
}

SetSpec declared_by(const Snapshot& snapshot, const std::string& name) {
  SetSpec set;
  set.name = name;
  for (const auto& object : snapshot.objects) {
    if (object->set != name || object->deleting) continue;
    const std::string& id = object->id.name;
    if (const auto* vlan = std::get_if<VlanSpec>(object->spec.get())) set.vlans.emplace(id, *vlan);
    if (const auto* network = std::get_if<NetworkSpec>(object->spec.get()))
      set.networks.emplace(id, *network);
    if (const auto* attachment = std::get_if<AttachmentSpec>(object->spec.get()))
      set.attachments.emplace(id, *attachment);
  }
  return set;
}

struct ReadBody {
  SetSpec set;
  std::optional<http::Response> mistake;
};

ReadBody read_body(const Call& call, const Grammar& grammar) {
  ReadBody read;
  if (call.body.empty()) {
    read.mistake =
        http::invalid("the body is empty", "send a set as YAML or JSON, for curl with --data-binary @FILE");
    return read;
  }
  ReadOutcome outcome = read_set(call.body, call.parameters.text("file").value_or("body"), grammar);
  if (!outcome.ok()) {
    read.mistake = http::problem(outcome);
  } else {
    read.set = std::move(outcome.set);
  }
  return read;
}

// Who asked has gone, or the server stops.
Abandoned abandoned(const Call& call) {
  return [&connection = call.connection] { return connection.cancelled(); };
}

http::Response probe(bool fine, const char* name, const char* otherwise) {
  if (fine) return http::json_answer({{name, true}});
  return busy(otherwise);
}

}  // namespace

Routes::Routes(AgentApi& agent, CaptureSource& packets, const Grammar& grammar, const RoutesOptions& options)
    : agent_(agent),
      packets_(packets),
      grammar_(grammar),
      options_(options),
      streams_(options.event_streams),
      captures_(options.captures),
      waiting_(options.waiting),
      large_bodies_(options.large_bodies) {}

const std::vector<Route>& Routes::table() {
  static const std::vector<Parameter> kList{
      {"set", Type::text}, {"phase", Type::phase}, {"limit", Type::limit}, {"offset", Type::count}};
  static const std::vector<Parameter> kNetworks{{"set", Type::text},
                                                {"phase", Type::phase},
                                                {"driver", Type::driver},
                                                {"limit", Type::limit},
                                                {"offset", Type::count}};
  static const std::vector<Parameter> kUnphased{
      {"set", Type::text}, {"limit", Type::limit}, {"offset", Type::count}};
  static const std::vector<Parameter> kSet{{"wait", Type::duration}, {"generation", Type::count}};
  static const std::vector<Parameter> kWait{{"wait", Type::duration}};
  static const std::vector<Parameter> kPlan{
      {"file", Type::text}, {"prune", Type::flag}, {"adopt", Type::flag}};
  static const std::vector<Parameter> kApply{{"file", Type::text},
                                             {"prune", Type::flag},
                                             {"adopt", Type::flag},
                                             {"dry_run", Type::flag},
                                             {"wait", Type::duration}};
  static const std::vector<Parameter> kOfSet{{"set", Type::text}};
  static const std::vector<Parameter> kEvents{
      {"after", Type::count}, {"limit", Type::limit}, {"follow", Type::flag}};
  static const std::vector<Parameter> kCapture{{"filter", Type::text}};
  static const std::vector<Parameter> kStatus{{"wait", Type::condition}, {"timeout", Type::duration}};
  static const std::vector<Parameter> kPutUplink{
      {"vlan", Type::count}, {"dry_run", Type::flag}, {"wait", Type::duration}};
  static const std::vector<Parameter> kDeleteUplink{{"dry_run", Type::flag}, {"wait", Type::duration}};
  static const std::vector<Route> kTable{
      {"GET", "/v1/sets", kUnphased, &Routes::list_sets},
      {"GET", "/v1/sets/{name}", kSet, &Routes::get_set},
      {"DELETE", "/v1/sets/{name}", kWait, &Routes::delete_set},
      {"GET", "/v1/vlans", kList, &Routes::list_objects<Kind::vlan>},
      {"GET", "/v1/vlans/{name}", {}, &Routes::get_object<Kind::vlan>},
      {"GET", "/v1/vlans/{name}/describe", {}, &Routes::describe_object<Kind::vlan>},
      {"DELETE", "/v1/vlans/{name}", kWait, &Routes::delete_object<Kind::vlan>},
      {"GET", "/v1/networks", kNetworks, &Routes::list_objects<Kind::network>},
      {"GET", "/v1/networks/{name}", {}, &Routes::get_object<Kind::network>},
      {"GET", "/v1/networks/{name}/describe", {}, &Routes::describe_object<Kind::network>},
      {"GET", "/v1/networks/{name}/capture", kCapture, &Routes::capture_network},
      {"DELETE", "/v1/networks/{name}", kWait, &Routes::delete_object<Kind::network>},
      {"PUT", "/v1/networks/{name}/uplinks/{interface}", kPutUplink, &Routes::put_uplink},
      {"DELETE", "/v1/networks/{name}/uplinks/{interface}", kDeleteUplink, &Routes::delete_uplink},
      {"GET", "/v1/attachments", kList, &Routes::list_objects<Kind::attachment>},
      {"GET", "/v1/attachments/{name}", {}, &Routes::get_object<Kind::attachment>},
      {"GET", "/v1/attachments/{name}/describe", {}, &Routes::describe_object<Kind::attachment>},
      {"DELETE", "/v1/attachments/{name}", kWait, &Routes::delete_object<Kind::attachment>},
      {"GET", "/v1/switches", kUnphased, &Routes::list_switches},
      {"GET", "/v1/switches/{name}", {}, &Routes::get_switch},
      {"GET", "/v1/plan", kOfSet, &Routes::get_plan},
      {"POST", "/v1/plan", kPlan, &Routes::post_plan, true},
      {"POST", "/v1/apply", kApply, &Routes::post_apply, true},
      {"GET", "/v1/export", kOfSet, &Routes::get_export},
      {"GET", "/v1/events", kEvents, &Routes::get_events},
      {"GET", "/v1/status", kStatus, &Routes::get_status},
      {"GET", "/v1/schema", {}, &Routes::get_schema},
      {"GET", "/metrics", {}, &Routes::get_metrics},
      {"GET", "/healthz", {}, &Routes::get_healthz},
      {"GET", "/readyz", {}, &Routes::get_readyz},
      {"GET", "/openapi.json", {}, &Routes::get_openapi},
  };
  return kTable;
}

http::Response Routes::respond(http::Connection& connection) {
  http::Response answer;
  try {
    answer = connection.refusal().detail.empty() ? route(connection) : http::problem(connection.refusal());
  } catch (const std::system_error& exhausted) {  // threads, descriptors
    answer = http::problem(Error{.kind = ErrorKind::busy,
                                 .tried = "answer the request",
                                 .object = {},
                                 .words = exhausted.what(),
                                 .hint = "try again when the host has more to give"});
  } catch (const std::exception& exception) {
    answer = http::problem(Error{.kind = ErrorKind::internal,
                                 .tried = "answer the request",
                                 .object = {},
                                 .words = exception.what(),
                                 .hint = "this is a defect of the agent: report it"});
  }
  const std::lock_guard lock(mutex_);
  ++answers_[answer.status];
  return answer;
}

http::Response Routes::route(http::Connection& connection) {
  const http::RequestHead& head = connection.head();
  const std::string method = head.method == "HEAD" ? "GET" : head.method;
  std::set<std::string> allowed;
  for (const Route& route : table()) {
    auto names = match(route, head.path);
    if (!names) continue;
    if (route.method == method) return serve(route, connection, *std::move(names));
    allowed.emplace(route.method);
    if (route.method == "GET") allowed.emplace("HEAD");
  }
  if (!allowed.empty()) return wrong_method(head.method, allowed);
  return http::problem(http::HttpError{.status = 404,
                                       .detail = "there is nothing at " + head.target_path,
                                       .hint = "the paths are listed in /openapi.json"});
}

// What a large request took is given back to the system, whatever became of it.
struct Trim {
  Trim() = default;
  ~Trim() { malloc_trim(0); }
  Trim(const Trim&) = delete;
  Trim& operator=(const Trim&) = delete;
};

http::Response Routes::serve(const Route& route, http::Connection& connection, PathNames names) {
  const http::RequestHead& head = connection.head();
  auto read = Parameters::read(head.query, route.parameters, grammar_);
  if (auto* mistake = std::get_if<Parameters::Mistake>(&read))
    return http::invalid(mistake->what, mistake->hint);
  if (route.takes_body && !head.content_length) {
    return http::problem(http::HttpError{.status = 411,
                                         .detail = "there is no Content-Length",
                                         .hint = "send the set as the body of the request"});
  }
  Call call{.connection = connection,
            .head = head,
            .parameters = std::get<Parameters>(std::move(read)),
            .name = std::move(names.name),
            .interface = std::move(names.interface),
            .body = {}};
  if (route.takes_body) {
    if (auto refusal = connection.read_body(call.body)) {
      connection.make_last();
      return http::problem(*refusal);
    }
  }
  if (call.body.size() < kLargeBody) return (this->*route.handler)(call);
  const http::ConcurrencyLimit::Pass pass = large_bodies_.enter();
  if (!pass) return busy("as many large requests as this server takes at a time are being read");
  const Trim trim;
  return (this->*route.handler)(call);
}

Result<std::shared_ptr<const Snapshot>> Routes::snapshot() {
  return agent_.snapshot(soon());
}

bool Routes::may_wait(const Call& call, std::string_view parameter, http::ConcurrencyLimit::Pass& pass) {
  if (!call.parameters.has(parameter)) return true;
  pass = waiting_.enter();
  return pass != nullptr;
}

bool Routes::wait_converged(const Call& call, const std::optional<std::string>& set, std::uint64_t generation,
                            std::chrono::milliseconds time) {
  return wait_in_turns(call.connection, steady_clock::now() + time,
                       [&](Deadline turn) { return agent_.wait_converged(set, generation, turn); });
}

// ---- sets

http::Response Routes::list_sets(Call& call) {
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  std::vector<SetState> sets = sets_of(**seen);
  if (const auto name = call.parameters.text("set"))
    std::erase_if(sets, [&](const SetState& set) { return set.view.name != *name; });
  return page_of(call, sets.size(), [&](std::size_t i) { return set_json(sets[i]); });
}

http::Response Routes::get_set(Call& call) {
  http::ConcurrencyLimit::Pass pass;
  if (!may_wait(call, "wait", pass)) return too_many_waiting();
  auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const auto before = sets_of(**seen);
  const SetState* set = find(before, call.name);
  if (set == nullptr) return no_set(call.name);
  const auto time = call.parameters.duration("wait");
  if (!time) {
    http::Response answer = http::json_answer(set_json(*set));
    answer.headers.push_back(etag(set->view.generation));
    return answer;
  }
  const std::uint64_t generation = call.parameters.count("generation").value_or(set->view.generation);
  const bool converged = wait_converged(call, call.name, generation, *time);
  seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const auto after = sets_of(**seen);
  const SetState* now = find(after, call.name);
  if (now == nullptr) return no_set(call.name);
  SetState told = *now;
  told.converged = converged;
  http::Response answer = http::json_answer(set_json(told));
  answer.headers.push_back(etag(told.view.generation));
  return answer;
}

http::Response Routes::delete_set(Call& call) {
  DeleteRequest request;
  request.set = call.name;
  return remove(call, std::move(request), call.name);
}

// ---- objects

http::Response Routes::list(const Call& call, Kind kind) {
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  std::vector<Json> found;
  for (const auto& object : (*seen)->objects) {
    if (object->id.kind != kind) continue;
    Json json = object_json(*object, **seen);
    if (matches(call, *object, json)) found.push_back(std::move(json));
  }
  return page_of(call, found.size(), [&](std::size_t i) { return std::move(found[i]); });
}

template <Kind kind>
http::Response Routes::list_objects(Call& call) {
  return list(call, kind);
}

template <Kind kind>
http::Response Routes::get_object(Call& call) {
  const ResourceId id{kind, call.name};
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const ObjectView* object = rest::find(**seen, id);
  if (object == nullptr) return no_such(id);
  http::Response answer = http::json_answer(object_json(*object, **seen));
  answer.headers.push_back(etag(object->generation));
  return answer;
}

template <Kind kind>
http::Response Routes::describe_object(Call& call) {
  const auto description = agent_.describe({kind, call.name}, soon());
  if (!description) return http::problem(description.error());
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  return http::json_answer(description_json(*description, **seen));
}

template <Kind kind>
http::Response Routes::delete_object(Call& call) {
  const ResourceId id{kind, call.name};
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const ObjectView* object = rest::find(**seen, id);
  if (object == nullptr) return no_such(id);
  DeleteRequest request;
  request.object = id;
  return remove(call, std::move(request), object->set);
}

http::Response Routes::capture_network(Call& call) {
  const auto network = agent_.describe({Kind::network, call.name}, soon());
  if (!network) return http::problem(network.error());
  const http::ConcurrencyLimit::Pass pass = captures_.enter();
  if (!pass) return busy("all " + std::to_string(options_.captures) + " captures are in use");
  auto opened = packets_.open(*network, call.parameters.text("filter").value_or(""));
  if (!opened) return http::problem(opened.error());
  http::Response answer;
  answer.content_type = kPcapType;
  answer.stream = [pass, capture = std::shared_ptr<Capture>(*std::move(opened)),
                   &connection = call.connection](const http::Write& write) {
    stream_capture(*capture, connection, write);
  };
  return answer;
}

http::Response Routes::list_switches(Call& call) {
  auto switches = agent_.switches(soon());
  if (!switches) return http::problem(switches.error());
  if (const auto set = call.parameters.text("set"))
    std::erase_if(*switches, [&](const SwitchView& each) { return each.set != *set; });
  return page_of(call, switches->size(), [&](std::size_t i) { return switch_json((*switches)[i]); });
}

http::Response Routes::get_switch(Call& call) {
  const auto switches = agent_.switches(soon());
  if (!switches) return http::problem(switches.error());
  for (const SwitchView& each : *switches) {
    if (each.network == call.name) return http::json_answer(switch_json(each));
  }
  return http::problem(Error{ErrorKind::not_found, "read", "switch " + call.name, 0,
                             "there is no such switch", "see `lanwright get switches`"});
}

// ---- changes

http::Response Routes::remove(Call& call, DeleteRequest request, const std::string& set) {
  Precondition precondition = precondition_of(call.head, false);
  if (precondition.mistake) return *std::move(precondition.mistake);
  http::ConcurrencyLimit::Pass pass;
  if (!may_wait(call, "wait", pass)) return too_many_waiting();
  request.if_generation = precondition.generation;
  request.peer = call.connection.peer();
  const auto outcome = agent_.remove(request, steady_clock::now() + kWriteTime);
  if (!outcome) return http::problem(outcome.error());
  return finish(call, set, *outcome, false);
}

http::Response Routes::change_uplink(Call& call, bool remove) {
  const bool dry_run = call.parameters.flag("dry_run", false);
  if (dry_run && call.parameters.has("wait"))
    return http::invalid("dry_run and wait exclude each other",
                         "a dry run changes nothing that could be waited for");
  Precondition precondition = precondition_of(call.head, false);
  if (precondition.mistake) return *std::move(precondition.mistake);
  UplinkRequest request;
  if (const auto vlan = call.parameters.count("vlan")) {
    if (*vlan < 1 || *vlan > kLastVid)
      return http::invalid("the query parameter `vlan` is " + std::to_string(*vlan),
                           "it has to be the id of a VLAN, from 1 to " + std::to_string(kLastVid));
    request.uplink.vlans.pvid = static_cast<std::uint16_t>(*vlan);
  }
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const ObjectView* network = rest::find(**seen, {Kind::network, call.name});
  if (network == nullptr) return no_such({Kind::network, call.name});
  http::ConcurrencyLimit::Pass pass;
  if (!may_wait(call, "wait", pass)) return too_many_waiting();
  request.network = call.name;
  request.uplink.interface = call.interface;
  request.remove = remove;
  request.dry_run = dry_run;
  request.if_generation = precondition.generation;
  request.peer = call.connection.peer();
  const auto outcome = agent_.change_uplink(request, steady_clock::now() + kWriteTime);
  if (!outcome) return http::problem(outcome.error());
  return finish(call, network->set, *outcome, dry_run);
}

http::Response Routes::put_uplink(Call& call) {
  return change_uplink(call, false);
}

http::Response Routes::delete_uplink(Call& call) {
  return change_uplink(call, true);
}

http::Response Routes::finish(Call& call, const std::string& set, const ApplyOutcome& outcome, bool dry_run) {
  const auto time = dry_run ? std::nullopt : call.parameters.duration("wait");
  const bool converged = time && wait_converged(call, set, outcome.generation, *time);
  // It is done and durable: that what became of it cannot be told is no reason to answer an error.
  const auto after = time ? snapshot() : Result<std::shared_ptr<const Snapshot>>(nullptr);
  Json json = outcome_json(set, outcome, dry_run, after ? after->get() : nullptr);
  if (time) json["converged"] = converged;
  http::Response answer = http::json_answer(json);
  if (!dry_run) answer.headers.push_back(etag(outcome.generation));
  return answer;
}

http::Response Routes::post_plan(Call& call) {
  ReadBody read = read_body(call, grammar_);
  if (read.mistake) return *std::move(read.mistake);
  ApplyRequest request;
  request.set = std::move(read.set);
  request.dry_run = true;
  request.prune = call.parameters.flag("prune", true);
  request.adopt = call.parameters.flag("adopt", false);
  request.peer = call.connection.peer();
  const auto outcome = agent_.apply(request, steady_clock::now() + kWriteTime, abandoned(call));
  if (!outcome) return http::problem(outcome.error());
  return http::json_answer(to_json(outcome->plan));
}

http::Response Routes::get_plan(Call& call) {
  const auto plan = agent_.difference(call.parameters.text("set"), soon(), abandoned(call));
  if (!plan) return http::problem(plan.error());
  return http::json_answer(to_json(*plan));
}

http::Response Routes::post_apply(Call& call) {
  const bool dry_run = call.parameters.flag("dry_run", false);
  if (dry_run && call.parameters.has("wait"))
    return http::invalid("dry_run and wait exclude each other",
                         "a dry run changes nothing that could be waited for");
  Precondition precondition = precondition_of(call.head, true);
  if (precondition.mistake) return *std::move(precondition.mistake);
  ReadBody read = read_body(call, grammar_);
  if (read.mistake) return *std::move(read.mistake);
  http::ConcurrencyLimit::Pass pass;
  if (!may_wait(call, "wait", pass)) return too_many_waiting();
  ApplyRequest request;
  request.set = std::move(read.set);
  request.dry_run = dry_run;
  request.prune = call.parameters.flag("prune", true);
  request.adopt = call.parameters.flag("adopt", false);
  request.if_generation = precondition.generation;
  request.peer = call.connection.peer();
  const auto outcome = agent_.apply(request, steady_clock::now() + kWriteTime, abandoned(call));
  if (!outcome) return http::problem(outcome.error());
  return finish(call, request.set.name, *outcome, dry_run);
}

// ---- looking

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

http::Response Routes::get_export(Call& call) {
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const auto wanted = call.parameters.text("set");
  std::vector<std::string> declared;  // what is Docker's cannot be applied
  for (const SetView& set : (*seen)->sets) {
    if (set.name != kDockerSet) declared.push_back(set.name);
  }
  if (!wanted && declared.size() > 1)
    return http::invalid("there are several sets: " + joined(declared),
                         "say which one with ?set=NAME (lanwright export --set NAME)");
  if (!wanted && declared.empty())
    return http::not_found("there is no set yet", "declare one: lanwright apply -f FILE");
  const std::string name = wanted ? *wanted : declared.front();
  for (const SetView& set : (*seen)->sets) {
    if (set.name != name) continue;
    http::Response answer;
    answer.content_type = "application/yaml";
    answer.body = to_yaml(declared_by(**seen, name));
    answer.headers.push_back(etag(set.generation));
    return answer;
  }
  return no_set(name);
}

http::Response Routes::get_events(Call& call) {
  const bool stream = call.head.field("accept").find("text/event-stream") != std::string::npos;
  if (call.parameters.flag("follow", stream)) return follow(call);
  const std::uint64_t limit = std::min(call.parameters.count("limit").value_or(100), kMostEvents);
  const auto after = call.parameters.count("after");
  const std::vector<Event> events =
      after ? agent_.events_after(*after, limit, steady_clock::now()) : agent_.recent_events(limit);
  Json list = Json::array();
  for (const Event& event : events) list.push_back(to_json(event));
  return http::json_answer(list);
}

http::Response Routes::follow(Call& call) {
  auto after = call.parameters.count("after");
  if (const std::string& last = call.head.field("last-event-id"); !last.empty()) {
    std::uint64_t id = 0;
    const auto [end, failed] = std::from_chars(last.data(), last.data() + last.size(), id);
    if (failed != std::errc() || end != last.data() + last.size())
      return http::invalid("Last-Event-ID is `" + last + "`", "it has to be the id of an event");
    after = id;
  }
  const http::ConcurrencyLimit::Pass pass = streams_.enter();
  if (!pass) return busy("all " + std::to_string(options_.event_streams) + " event streams are in use");
  std::vector<Event> first;
  if (!after) {
    const auto limit = call.parameters.count("limit");
    const auto recent = agent_.recent_events(std::min(limit.value_or(1), kMostEvents));
    after = recent.empty() ? 0 : recent.back().id;
    if (limit) first = recent;
  }
  http::Response answer;
  answer.content_type = "text/event-stream";
  answer.stream = [this, pass, first = std::move(first), from = *after,
                   &connection = call.connection](const http::Write& write) {
    stream_events(agent_, connection, first, from, options_.heartbeat, write);
  };
  return answer;
}

http::Response Routes::get_status(Call& call) {
  if (call.parameters.has("timeout") && !call.parameters.has("wait"))
    return http::invalid("timeout without wait", "add wait=converged");
  http::ConcurrencyLimit::Pass pass;
  if (!may_wait(call, "wait", pass)) return too_many_waiting();
  auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  if (!call.parameters.has("wait")) return http::json_answer(status_json(**seen));
  const auto time = call.parameters.duration("timeout").value_or(std::chrono::seconds(30));
  const bool converged = wait_converged(call, std::nullopt, (*seen)->generation, time);
  seen = snapshot();
  if (!seen) return http::problem(seen.error());
  Json json = status_json(**seen);
  json["converged"] = converged;
  return http::json_answer(json);
}

http::Response Routes::get_metrics(Call& /*call*/) {
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  const auto switches = agent_.switches(soon());
  if (!switches) return http::problem(switches.error());
  HttpCounts counts;
  counts.event_streams = streams_.inside();
  {
    const std::lock_guard lock(mutex_);
    counts.answers = answers_;
  }
  return {.content_type = kMetricsType, .body = metrics_text(**seen, *switches, counts)};
}

http::Response Routes::get_healthz(Call& /*call*/) {
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  return probe((*seen)->live, "live", "the reconcile loop makes no progress");
}

http::Response Routes::get_readyz(Call& /*call*/) {
  const auto seen = snapshot();
  if (!seen) return http::problem(seen.error());
  return probe((*seen)->ready, "ready", "the first complete look at the kernel is not done yet");
}

http::Response Routes::get_openapi(Call& /*call*/) {
  Json document = Json::parse(kOpenApi);
  Json& network = document.at("components").at("schemas").at("NetworkSpec").at("properties");
  for (const DriverSchema& driver : grammar_)
    network[driver.name] = {{"$ref", "#/components/schemas/DriverSettings"}};
  return {.body = document.dump(2)};
}

http::Response Routes::get_schema(Call& /*call*/) {
  return {.content_type = "application/schema+json", .body = yaml_schema(kYamlSchema, grammar_).dump(2)};
}

}  // namespace lanwright::rest
