#include "reconcilers/ovsdb/session.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "reconcilers/ovsdb/message.h"

namespace lanwright::ovsdb {
namespace {

constexpr const char* kMonitor = "lanwright";  // our name for it, in each of its notifications

Result<void> listen(const os::Descriptor& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return error_from_errno(errno, "watch", "descriptor " + std::to_string(fd));
  return {};
}

Error unexpected(std::string words) {
  return {ErrorKind::invalid, "talk to", "ovsdb-server", 0, std::move(words), {}};
}

// What a user can do about a socket that cannot be used.
Error with_hint(Error error) {
  if (error.kind == ErrorKind::not_found || error.kind == ErrorKind::waiting)
    error.hint = "start Open vSwitch: systemctl start openvswitch-switch";
  if (error.kind == ErrorKind::denied) error.hint = "the socket is root's; let the agent's user use it";
  return error;
}

}  // namespace

Session::Session(boost::asio::io_context& io, SessionOptions options, os::Descriptor events,
                 os::Descriptor wake, os::PathWatch paths)
    : options_(std::move(options)),
      events_(std::move(events)),
      wake_(std::move(wake)),
      paths_(std::move(paths)),
      timer_(io, [this] { ::eventfd_write(wake_.get(), 1); }) {}

Result<std::unique_ptr<Session>> Session::open(boost::asio::io_context& io, SessionOptions options) {
  os::Descriptor events(::epoll_create1(EPOLL_CLOEXEC));
  if (!events) return error_from_errno(errno, "create", "epoll descriptor");
  os::Descriptor wake(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));  // due at once
  if (!wake) return error_from_errno(errno, "create", "eventfd");
  auto paths = os::PathWatch::open();
  if (!paths) return paths.error();
  paths->watch({options.socket});
  for (const int fd : {wake.get(), paths->fd()}) {
    if (auto listened = listen(events, fd); !listened) return listened.error();
  }
  return std::unique_ptr<Session>(
      new Session(io, std::move(options), std::move(events), std::move(wake), std::move(*paths)));
}

Session::Change Session::drain() {
  const Time now = std::chrono::steady_clock::now();
  eventfd_t times = 0;
  ::eventfd_read(wake_.get(), &times);
  const bool is_socket_new = !paths_.drain().empty();
  if (is_socket_new) retry_ = {};
  if (!connection_ && (is_socket_new || retry_at_ <= now)) connect(now);
  if (connection_) {
    if (auto exchanged = exchange(now); !exchanged) lose(exchanged.error(), now);
  }
  commits_.advance(tables_, now);
  commits_.deliver();
  watch_output();
  set_timer();
  return std::exchange(change_, {});
}

// ---- the connection

void Session::connect(Time now) {
  auto opened = Connection::open(options_.socket, options_.limits);
  if (!opened) return lose(opened.error(), now);
  if (auto begun = begin(std::move(*opened), now); !begun) lose(begun.error(), now);
}

Result<void> Session::begin(Connection connection, Time now) {
  connection_ = std::move(connection);
  state_ = State::reading;
  heard_ = begun_ = now;
  if (auto listened = listen(events_, connection_->fd()); !listened) return listened;
  monitor_id_ = ++last_id_;
  return connection_->send(
      request(monitor_id_, "monitor", Json::array({kDatabase, kMonitor, monitor_requests()})));
}

// Another try that fails as before is no change. One that answers and breaks off
// every time is left alone for longer and longer too.
void Session::lose(Error why, Time now) {
  why = with_hint(std::move(why));
  change_.state = change_.state || state_ == State::live || trouble_ != why;
  if (state_ == State::live && now - begun_ > options_.longest_retry) retry_ = {};
  connection_.reset();
  state_ = State::down;
  probe_id_.reset();
  commits_.fail(why);
  trouble_ = std::move(why);
  retry_ = std::clamp(retry_ * 2, options_.first_retry, options_.longest_retry);
  retry_at_ = now + retry_;
}

Result<void> Session::exchange(Time now) {
  std::vector<Json> messages;
  const auto received = connection_->receive(messages);
  for (Json& message : messages) {
    if (auto handled = handle(std::move(message)); !handled) return handled;
  }
  if (!received) return received.error();
  if (*received) {
    heard_ = now;
    probe_id_.reset();
  }
  if (auto flushed = connection_->flush(); !flushed) return flushed;
  return probe(now);
}

// Only while an answer is owed: a server at rest is left alone, and causes no wake-ups.
Result<void> Session::probe(Time now) {
  if (!is_owed_an_answer() || now < heard_ + options_.probe_after) return {};
  if (probe_id_)
    return Error{ErrorKind::timeout,
                 "talk to",
                 options_.socket,
                 0,
                 "ovsdb-server does not answer",
                 "see whether it hangs: systemctl status ovsdb-server"};
  probe_id_ = ++last_id_;
  heard_ = now;
  return connection_->send(request(*probe_id_, "echo", Json::array({kMonitor})));
}

// A server may take its time to read: then the rest is sent as soon as it does.
void Session::watch_output() {
  if (!connection_) return;
  epoll_event event{};
  event.events = connection_->has_unsent() ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.fd = connection_->fd();
  ::epoll_ctl(events_.get(), EPOLL_CTL_MOD, connection_->fd(), &event);
}

void Session::set_timer() {
  std::optional<Time> due = commits_.next_due();
  const auto no_later_than = [&](Time when) { due = due ? std::min(*due, when) : when; };
  if (!connection_) no_later_than(retry_at_);
  if (connection_ && is_owed_an_answer()) no_later_than(heard_ + options_.probe_after);
  if (!due)
    timer_.cancel();
  else if (!timer_.is_set() || timer_.due() != *due)
    timer_.set_at(*due);
}

// ---- messages

Result<void> Session::handle(Json json) {
  auto message = message_from(std::move(json));
  if (!message) return message.error();
  if (const auto* answer = std::get_if<Reply>(&*message)) return handle_reply(*answer);
  return handle_request(std::get<Request>(*message));
}

Result<void> Session::handle_reply(const Reply& answer) {
  const std::int64_t id = answer.id.is_number_integer() ? answer.id.get<std::int64_t>() : 0;
  if (state_ == State::reading && id == monitor_id_) {
    if (!answer.error.is_null())
      return error_from(answer.error, "read", std::string("database ") + kDatabase);
    auto taken = take_rows(answer.result, true);
    if (!taken) return taken;
    state_ = State::live;
    change_.state = true;
    trouble_.reset();
    return {};
  }
  // Of a probe that something else answered meanwhile, too.
  const bool is_probe = id > monitor_id_ && id <= last_id_ && answer.result == Json::array({kMonitor});
  if (is_probe || commits_.take(id, answer)) return {};
  return unexpected("an answer to nothing that was asked: " + shown(answer.id));
}

Result<void> Session::handle_request(const Request& request) {
  if (request.method == "update" && request.id.is_null()) {
    if (state_ != State::live) return unexpected("an update before the rows that there are");
    if (request.params.size() != 2 || request.params[0] != kMonitor)
      return unexpected("an update that was not asked for: " + shown(request.params));
    return take_rows(request.params[1], false);
  }
  if (request.id.is_null()) return {};  // a notification of something that was not asked for
  return connection_->send(request.method == "echo" ? reply(request.id, request.params)
                                                    : refusal(request.id, "unknown method"));
}

Result<void> Session::take_rows(const Json& updates, bool whole) {
  auto changes = whole ? tables_.replace(updates) : tables_.update(updates);
  if (!changes) return changes.error();
  change_.rows.add(*changes);
  return {};
}

// ---- transactions

Result<void> Session::commit(Transaction transaction, Commits::Done done) {
  if (!is_live())
    return transaction.error(ErrorKind::waiting,
                             trouble_ ? trouble_->text() : "Open vSwitch's database is not read yet");
  const Uuid* root = tables_.root_uuid();
  if (root == nullptr)
    return transaction.error(ErrorKind::waiting, "Open vSwitch's database is not initialised",
                             "start Open vSwitch, or: ovs-vsctl --no-wait init");
  const Time now = std::chrono::steady_clock::now();
  if (commits_.empty()) heard_ = now;
  const std::int64_t id = ++last_id_;
  const std::string bytes = request(id, "transact", transaction.params(*root));
  commits_.begin(id, std::move(transaction), std::move(done), now + options_.commit_limit);
  if (auto sent = connection_->send(bytes); !sent) lose(sent.error(), now);
  watch_output();
  set_timer();
  ::eventfd_write(wake_.get(), 1);  // what failed at once ends in the next drain()
  return {};
}

}  // namespace lanwright::ovsdb
