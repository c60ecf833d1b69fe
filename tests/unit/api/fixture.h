// A server over an agent that keeps its objects in memory, and ways to talk to it: httplib's client, and bare
// sockets for what a well-behaved client does not send.
#pragma once

#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/rest/server.h"
#include "model/format/json.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/kinds/bridge.h"

namespace lanwright {

inline constexpr const char* kCampus = R"(version: 1
name: campus
vlans:
  eth0.50: {parent: eth0, id: 50}
networks:
  lab: {driver: bridge, mtu: 9000, uplinks: [eth1, eth0.50], bridge: {stp: false}}
  office: {driver: bridge, subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]}
attachments:
  r1: {network: lab, netns: r1, interface: eth0, addresses: [10.0.0.1/24], routes: [{to: default, via: 10.0.0.254}]}
  vm1: {network: lab, tap: {name: tap-vm1, owner: 1000}}
)";

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lanwright-api-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// With a port of ours and one of another program.
inline SwitchView example_switch() {
  SwitchView view;
  view.network = "lab";
  view.set = "campus";
  view.driver = "vde";
  view.engine = "vde_switch";
  view.socket = "/run/lanwright/vde/lab";
  view.pid = 4711;
  view.plug_pid = 4712;
  view.hub = true;
  view.connected = true;
  view.ports.resize(2);
  view.ports[0].object = ResourceId{Kind::attachment, "r1"};
  view.ports[0].link = {"/run/netns/r1", "eth0"};
  view.ports[0].counters = {1, 60, 2, 120, 3, 4};
  view.ports[1].program = "QEMU user=teacher pid=99";
  return view;
}

// An agent without a kernel: applied objects are Pending until the test says that they are ready.
class MemoryAgent final : public AgentApi {
 public:
  MemoryAgent() {
    state_.ready = true;
    state_.started = moment(0);
    state_.counters = {{"repairs_total", 3}, {"netlink_messages_total", 40}};
  }

  // What tests turn.
  void set_ready(const std::string& set) {
    change([&] {
      each(set, [](ObjectView& object) {
        object.status.phase = Phase::ready;
        object.status.observed_generation = object.generation;
      });
      erase_deleting();
    });
  }
  void edit(const ResourceId& id, const std::function<void(ObjectView&)>& with) {
    change([&] {
      for (auto& object : state_.objects) {
        if (object->id == id) object = edited(*object, with);
      }
    });
  }
  void edit(const std::function<void(Snapshot&)>& with) {
    change([&] { with(state_); });
  }
  void fail_with(std::optional<Error> error) {
    change([&] { failure_ = std::move(error); });
  }
  void throw_next(std::exception_ptr what) {
    change([&] { throws_ = std::move(what); });
  }
  void say(const std::string& type, const std::string& message) {
    change([&] { add_event(type, {}, "", message); });
  }
  // Until so many calls of wait_converged and events_after are waiting.
  void await_waiting(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }
  Peer last_peer() const {
    const std::lock_guard lock(mutex_);
    return last_peer_;
  }
  std::optional<std::uint64_t> last_if_generation() const {
    const std::lock_guard lock(mutex_);
    return last_if_generation_;
  }
  std::size_t changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }
  std::uint64_t last_event() const {
    const std::lock_guard lock(mutex_);
    return events_.empty() ? 0 : events_.back().id;
  }

  void set_switches(std::vector<SwitchView> switches) {
    change([&] { switches_ = std::move(switches); });
  }

  // AgentApi
  Result<std::vector<SwitchView>> switches(Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure_) return *failure_;
    return switches_;
  }
  Result<ApplyOutcome> apply(const ApplyRequest& request, Deadline /*deadline*/,
                             const Abandoned& /*abandoned*/) override {
    const std::lock_guard lock(mutex_);
    last_peer_ = request.peer;
    last_if_generation_ = request.if_generation;
    if (failure_) return *failure_;
    if (throws_) std::rethrow_exception(throws_);
    const SetView* known = find_set(request.set.name);
    if (request.if_generation && *request.if_generation != (known == nullptr ? 0 : known->generation))
      return moved(request.set.name);
    ApplyOutcome outcome;
    const std::uint64_t generation = state_.generation + 1;
    std::vector<std::shared_ptr<const ObjectView>> objects;
    for (const auto& object : state_.objects) {
      if (object->set != request.set.name) objects.push_back(object);
    }
    const auto add = [&](Kind kind, const std::string& name, const ObjectSpec& spec) {
      objects.push_back(made({kind, name}, request.set.name, spec, generation));
      outcome.objects.push_back({{kind, name}, "created"});
      outcome.plan.actions.push_back(creation({kind, name}));
    };
    for (const auto& [name, spec] : request.set.vlans) add(Kind::vlan, name, spec);
    for (const auto& [name, spec] : request.set.networks) add(Kind::network, name, spec);
    for (const auto& [name, spec] : request.set.attachments) add(Kind::attachment, name, spec);
    outcome.plan.blocked.push_back({{Kind::attachment, "r1"}, absent_namespace()});
    outcome.generation = known == nullptr ? 0 : known->generation;
    if (request.dry_run) return outcome;
    outcome.generation = state_.generation = generation;
    std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
    state_.objects = std::move(objects);
    put_set(request.set.name, generation);
    ++changes_;
    add_event("Applied", {}, request.set.name, "applied");
    changed_.notify_all();
    return outcome;
  }

  Result<ApplyOutcome> remove(const DeleteRequest& request, Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    last_peer_ = request.peer;
    last_if_generation_ = request.if_generation;
    if (failure_) return *failure_;
    ApplyOutcome outcome;
    const std::string what = request.set ? "set " + *request.set : request.object->text();
    for (auto& object : state_.objects) {
      if ((request.set ? object->set != *request.set : object->id != *request.object) || object->deleting)
        continue;
      if (request.if_generation && *request.if_generation != object->generation) return moved(what);
      outcome.objects.push_back({object->id, "removed"});
      object = edited(*object, [](ObjectView& view) {
        view.deleting = true;
        view.status.phase = Phase::deleting;
      });
    }
    if (outcome.objects.empty())
      return Error{.kind = ErrorKind::not_found, .tried = "delete", .object = what, .words = {}, .hint = {}};
    outcome.generation = ++state_.generation;
    if (request.set) std::erase_if(state_.sets, [&](const SetView& set) { return set.name == *request.set; });
    ++changes_;
    add_event("Deleted", request.object, request.set.value_or(""), "deleted");
    changed_.notify_all();
    return outcome;
  }

  Result<ApplyOutcome> change_uplink(const UplinkRequest& request, Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    last_peer_ = request.peer;
    last_if_generation_ = request.if_generation;
    last_uplink_ = request;
    if (failure_) return *failure_;
    ApplyOutcome outcome;
    outcome.objects.push_back({{Kind::network, request.network}, "changed"});
    outcome.generation = state_.generation;
    if (request.dry_run) return outcome;
    outcome.generation = ++state_.generation;
    ++changes_;
    changed_.notify_all();
    return outcome;
  }
  std::optional<UplinkRequest> last_uplink() const {
    const std::lock_guard lock(mutex_);
    return last_uplink_;
  }

  Result<Plan> difference(const std::optional<std::string>& set, Deadline /*deadline*/,
                          const Abandoned& /*abandoned*/) override {
    const std::lock_guard lock(mutex_);
    if (failure_) return *failure_;
    if (set && find_set(*set) == nullptr)
      return Error{
          .kind = ErrorKind::not_found, .tried = "compare", .object = "set " + *set, .words = {}, .hint = {}};
    Plan plan;
    plan.actions.push_back(creation({Kind::network, "lab"}));
    return plan;
  }

  Result<Description> describe(const ResourceId& id, Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    for (const auto& object : state_.objects) {
      if (object->id == id) return described(object);
    }
    return Error{
        .kind = ErrorKind::not_found, .tried = "describe", .object = id.text(), .words = {}, .hint = {}};
  }

  Result<std::shared_ptr<const Snapshot>> snapshot(Deadline /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    if (failure_ && failure_->kind == ErrorKind::timeout) return *failure_;
    return std::make_shared<const Snapshot>(state_);
  }

  bool wait_converged(const std::optional<std::string>& set, std::uint64_t /*generation*/,
                      Deadline deadline) override {
    return wait(deadline, [&] {
      return std::all_of(state_.objects.begin(), state_.objects.end(), [&](const auto& object) {
        return (set && object->set != *set) || object->status.phase == Phase::ready;
      });
    });
  }

  std::vector<Event> events_after(std::uint64_t after, std::size_t limit, Deadline deadline) override {
    std::vector<Event> found;
    wait(deadline, [&] {
      for (const Event& event : events_) {
        if (event.id > after && found.size() < limit) found.push_back(event);
      }
      return !found.empty();
    });
    return found;
  }

  std::vector<Event> recent_events(std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    return {events_.end() - static_cast<std::ptrdiff_t>(std::min(limit, events_.size())), events_.end()};
  }

 private:
  static WallTime moment(int seconds) { return WallTime(std::chrono::seconds(1'780'000'000 + seconds)); }

  static Error absent_namespace() {
    return {.kind = ErrorKind::waiting,
            .tried = "open",
            .object = "/run/netns/r1",
            .number = ENOENT,
            .words = {},
            .hint = {}};
  }

  static Error moved(const std::string& what) {
    return {.kind = ErrorKind::conflict,
            .tried = "change",
            .object = what,
            .words = "its generation moved",
            .hint = "look again"};
  }

  static LinkSpec link(const ResourceId& id) {
    LinkSpec link;
    link.at = {"", "lw-" + id.name};
    link.kind = "bridge";
    link.mtu = 9000;
    link.mac = MacAddress::parse("02:00:00:00:00:01");
    link.attributes = {{kinds::bridge::kStpState, 0}};
    link.vlans = PortVlans{.pvid = 10, .tagged = {20, 30}};
    link.addresses = {*IpPrefix::parse("10.0.0.1/24")};
    link.routes = {
        {.to = *IpPrefix::parse("10.1.0.0/16"), .via = IpAddress::parse("10.0.0.254"), .metric = 5}};
    return link;
  }

  static Action creation(const ResourceId& id) {
    Action action;
    action.object = id;
    action.step = CreateLink{.link = link(id), .mark = {"00000000000000aa", ""}, .peer = {}, .peer_mark = {}};
    action.reason = "missing";
    return action;
  }

  static std::shared_ptr<const ObjectView> made(const ResourceId& id, const std::string& set,
                                                const ObjectSpec& spec, std::uint64_t generation) {
    auto view = std::make_shared<ObjectView>();
    view->id = id;
    view->set = set;
    view->uid = "00000000000000aa";
    view->generation = generation;
    view->created = moment(1);
    view->spec = std::make_shared<const ObjectSpec>(spec);
    view->status.message = "not looked at yet";
    view->status.since = moment(1);
    view->links = {{"", "lw-" + id.name}};
    return view;
  }

  static std::shared_ptr<const ObjectView> edited(const ObjectView& object,
                                                  const std::function<void(ObjectView&)>& with) {
    auto copy = std::make_shared<ObjectView>(object);
    with(*copy);
    return copy;
  }

  Description described(const std::shared_ptr<const ObjectView>& object) const {
    Description description;
    description.object = object;
    LinkReport report;
    report.wanted = link(object->id);
    LinkFact fact;
    fact.ifindex = 7;
    fact.name = report.wanted.at.name;
    fact.kind = "bridge";
    fact.mtu = 1500;
    fact.mac = report.wanted.mac;
    fact.addresses = {{.prefix = *IpPrefix::parse("10.0.0.1/24"), .protocol = kOwnProtocol}};
    report.found = fact;
    report.master = "lw-other";
    description.links = {report};
    report.found.reset();
    description.links.push_back(report);
    description.ports = {"eth1", "lw-r1"};
    description.differences = {creation(object->id)};
    description.history = {events_.rbegin(), events_.rend()};
    return description;
  }

  const SetView* find_set(const std::string& name) const {
    for (const SetView& set : state_.sets) {
      if (set.name == name) return &set;
    }
    return nullptr;
  }

  void put_set(const std::string& name, std::uint64_t generation) {
    std::erase_if(state_.sets, [&](const SetView& set) { return set.name == name; });
    state_.sets.push_back({name, generation, moment(2)});
    std::sort(state_.sets.begin(), state_.sets.end(),
              [](const SetView& a, const SetView& b) { return a.name < b.name; });
  }

  void each(const std::string& set, const std::function<void(ObjectView&)>& with) {
    for (auto& object : state_.objects) {
      if (object->set == set) object = edited(*object, with);
    }
  }

  void erase_deleting() {
    std::erase_if(state_.objects, [](const auto& object) { return object->deleting; });
  }

  void add_event(const std::string& type, std::optional<ResourceId> object, const std::string& set,
                 const std::string& message) {
    Event event;
    event.id = events_.empty() ? 1 : events_.back().id + 1;
    event.time = moment(3);
    event.type = type;
    event.object = std::move(object);
    event.set = set;
    event.message = message;
    event.peer = last_peer_;
    events_.push_back(std::move(event));
  }

  void change(const std::function<void()>& with) {
    const std::lock_guard lock(mutex_);
    with();
    changed_.notify_all();
  }

  bool wait(Deadline deadline, const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    const bool reached = changed_.wait_until(lock, deadline, done);
    --waiting_;
    return reached;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Snapshot state_;
  std::vector<Event> events_;
  std::optional<Error> failure_;
  std::vector<SwitchView> switches_;
  std::exception_ptr throws_;
  Peer last_peer_;
  std::optional<UplinkRequest> last_uplink_;
  std::optional<std::uint64_t> last_if_generation_;
  std::size_t changes_ = 0;
  std::size_t waiting_ = 0;
};

// Packets that a test gives, the same to every capture.
class MemoryPackets final : public CaptureSource {
 public:
  ~MemoryPackets() override { ::close(there_); }

  void give(std::string frame) {
    const std::lock_guard lock(mutex_);
    frames_.push_back(std::move(frame));
    ::eventfd_write(there_, 1);
  }
  // No more come: a capture ends when it has had all.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    ::eventfd_write(there_, 1);
  }
  std::string last_filter() const {
    const std::lock_guard lock(mutex_);
    return last_filter_;
  }
  // Until so many captures are open.
  void await_open(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_ == count; });
  }

  Result<std::unique_ptr<Capture>> open(const Description& network, const std::string& filter) override {
    const std::lock_guard lock(mutex_);
    last_filter_ = filter;
    if (filter == "rubbish") return refusal(ErrorKind::invalid, "syntax error");
    if (network.object->status.phase == Phase::conflict) return refusal(ErrorKind::waiting, "no link");
    return std::unique_ptr<Capture>(std::make_unique<One>(*this));
  }

 private:
  static Error refusal(ErrorKind kind, std::string words) {
    return {.kind = kind, .tried = "capture", .object = "lab", .words = std::move(words), .hint = {}};
  }

  class One final : public Capture {
   public:
    explicit One(MemoryPackets& all) : all_(all) {
      ++all_.open_;
      all_.changed_.notify_all();
    }
    ~One() override {
      const std::lock_guard lock(all_.mutex_);
      --all_.open_;
      all_.changed_.notify_all();
    }
    One(const One&) = delete;
    One& operator=(const One&) = delete;
    int descriptor() const override { return all_.there_; }
    Result<std::optional<Packet>> next() override {
      const std::lock_guard lock(all_.mutex_);
      if (taken_ < all_.frames_.size()) {
        const std::string& frame = all_.frames_[taken_++];
        const std::chrono::sys_time<std::chrono::microseconds> time{std::chrono::microseconds(1'500'000)};
        return std::optional(Packet{time, static_cast<std::uint32_t>(frame.size()), frame});
      }
      if (all_.ended_) return refusal(ErrorKind::waiting, "the link is gone");
      eventfd_t count = 0;
      ::eventfd_read(all_.there_, &count);
      return std::optional<Packet>();
    }

   private:
    MemoryPackets& all_;
    std::size_t taken_ = 0;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> frames_;
  bool ended_ = false;
  std::string last_filter_;
  std::size_t open_ = 0;
  int there_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

// A bare connection. Reading gives up after 20 s, so that a server that does not answer fails the test.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = path.string();
    std::copy(name.begin(), name.end(), std::begin(address.sun_path));
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect to " + name);
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void end_of_input() const { ::shutdown(socket_, SHUT_WR); }

  bool send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // What comes until `mark`, or until the end; what comes behind the mark stays for the next call.
  std::string read_until(const std::string& mark) {
    for (;;) {
      if (const std::size_t found = buffer_.find(mark); found != std::string::npos) {
        std::string out = buffer_.substr(0, found + mark.size());
        buffer_.erase(0, found + mark.size());
        return out;
      }
      if (!more()) return std::exchange(buffer_, {});
    }
  }

  // Everything until the server closes; `closed` tells a close from a silence of 20 s.
  std::string read_to_end(bool* closed = nullptr) {
    while (more()) {
    }
    if (closed != nullptr) *closed = ended_;
    return std::exchange(buffer_, {});
  }

  // One answer with a Content-Length.
  std::string read_answer() {
    std::string head = read_until("\r\n\r\n");
    const std::size_t field = head.find("Content-Length: ");
    if (field == std::string::npos) return head;
    const std::size_t length = std::stoul(head.substr(field + 16));
    while (buffer_.size() < length && more()) {
    }
    head += buffer_.substr(0, length);
    buffer_.erase(0, length);
    return head;
  }

 private:
  bool more() {
    std::array<char, 65536> piece{};
    const ssize_t got = ::recv(socket_, piece.data(), piece.size(), 0);
    if (got == 0) ended_ = true;
    if (got > 0) buffer_.append(piece.data(), static_cast<std::size_t>(got));
    return got > 0;
  }

  int socket_;
  std::string buffer_;
  bool ended_ = false;
};

class Api : public testing::Test {
 protected:
  Api() { options.socket = directory / "api.sock"; }

  void start() {
    auto started = rest::Server::start(agent, packets, drivers::driver_grammar(), options);
    if (!started) throw std::runtime_error(started.error().text());
    server = *std::move(started);
  }
  void SetUp() override { start(); }

  httplib::Client client() const {
    httplib::Client http(options.socket.string(), 80);
    http.set_address_family(AF_UNIX);
    http.set_default_headers({{"Host", "localhost"}});
    http.set_keep_alive(true);
    http.set_read_timeout(20);
    return http;
  }
  httplib::Response get(const std::string& target, const httplib::Headers& headers = {}) const {
    auto http = client();
    return taken(http.Get(target, headers));
  }
  httplib::Response post(const std::string& target, const std::string& body,
                         const httplib::Headers& headers = {}) const {
    auto http = client();
    return taken(http.Post(target, headers, body, "application/yaml"));
  }
  httplib::Response remove(const std::string& target, const httplib::Headers& headers = {}) const {
    auto http = client();
    return taken(http.Delete(target, headers));
  }
  httplib::Response put(const std::string& target, const httplib::Headers& headers = {}) const {
    auto http = client();
    return taken(http.Put(target, headers, std::string(), std::string()));
  }
  void apply_campus() const { ASSERT_EQ(post("/v1/apply", kCampus).status, 200); }

  static httplib::Response taken(const httplib::Result& result) {
    if (!result) throw std::runtime_error("no answer: " + to_string(result.error()));
    return *result;
  }
  static Json json_of(const httplib::Response& response) { return Json::parse(response.body); }

  TemporaryDirectory directory;
  MemoryAgent agent;
  MemoryPackets packets;
  rest::ServerOptions options;
  std::unique_ptr<rest::Server> server;
};

}  // namespace lanwright
