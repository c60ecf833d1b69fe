#include "api/http/acceptor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace lanwright::http {
namespace {

using std::chrono::steady_clock;

os::Descriptor make_eventfd() {
  const int number = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (number < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return os::Descriptor(number);
}

void signal(const os::Descriptor& event) {
  // Fails only when it is signalled 2^64-1 times already.
  static_cast<void>(::eventfd_write(event.get(), 1));
}

}  // namespace

Acceptor::Acceptor(std::vector<int> listeners, const AcceptorOptions& options, Serve serve)
    : listeners_(std::move(listeners)),
      options_(options),
      serve_(std::move(serve)),
      stop_(make_eventfd()),
      wake_(make_eventfd()),
      workers_(options.workers),
      thread_([this] { run(); }) {}

Acceptor::~Acceptor() {
  stop();
}

void Acceptor::stop() {
  const std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) return;
  signal(stop_);
  thread_.join();
  workers_.stop();
  returned_.clear();
}

void Acceptor::wake() {
  signal(wake_);
}

void Acceptor::run() {
  while (turn()) {
  }
  idle_.clear();
}

int Acceptor::time_to_next() const {
  std::optional<SteadyTime> next = pause_;
  if (!idle_.empty()) {
    const SteadyTime expiry = idle_.front().since + options_.idle;
    next = next ? std::min(*next, expiry) : expiry;
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - steady_clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

bool Acceptor::turn() {
  constexpr std::size_t kEvents = 2;
  const std::size_t own = kEvents + listeners_.size();
  drop_expired();
  if (pause_ && steady_clock::now() >= *pause_) pause_.reset();
  const bool accepting = !pause_ && open_ < options_.connections;
  std::vector<pollfd> polled{{stop_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  for (const int listener : listeners_) polled.push_back({accepting ? listener : -1, POLLIN, 0});
  for (const Idle& idle : idle_) polled.push_back({idle.connection->descriptor(), POLLIN, 0});
  if (::poll(polled.data(), polled.size(), time_to_next()) < 0) return errno == EINTR || errno == ENOMEM;
  if (polled[0].revents != 0) return false;
  auto idle = idle_.begin();
  for (std::size_t i = own; i < polled.size(); ++i) {
    const auto here = idle++;
    if (polled[i].revents != 0) hand_over(here);
  }
  if (polled[1].revents != 0) take_back();
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (polled[kEvents + i].revents != 0) accept_some(i);
  }
  return true;
}

void Acceptor::drop_expired() {
  const SteadyTime now = steady_clock::now();
  // A full house makes room by ending those that have been idle longest, several at once because more will
  // come.
  const std::size_t wanted =
      open_ >= options_.connections ? options_.connections - options_.connections / 8 : options_.connections;
  while (!idle_.empty() && (now - idle_.front().since >= options_.idle || open_ >= wanted)) {
    idle_.pop_front();
    --open_;
  }
}

void Acceptor::accept_some(std::size_t listener) {
  while (open_ < options_.connections) {
    os::Descriptor socket(::accept4(listeners_[listener], nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      // Out of descriptors or memory: the client stays in the queue, and is asked for again a little later.
      if (errno != EAGAIN) pause_ = steady_clock::now() + std::chrono::milliseconds(100);
      return;
    }
    idle_.push_back({std::make_shared<Connection>(std::move(socket), stop_.get(), options_.limits,
                                                  options_.patience, listener),
                     steady_clock::now()});
    ++open_;
  }
}

void Acceptor::take_back() {
  eventfd_t count = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &count));
  std::vector<std::shared_ptr<Connection>> returned;
  {
    const std::lock_guard lock(mutex_);
    returned.swap(returned_);
    open_ -= std::exchange(ended_, 0);
  }
  for (auto& connection : returned) idle_.push_back({std::move(connection), steady_clock::now()});
}

void Acceptor::hand_over(std::list<Idle>::iterator idle) {
  workers_.enqueue([this, connection = idle->connection] { work(connection); });
  idle_.erase(idle);
}

void Acceptor::work(const std::shared_ptr<Connection>& connection) {
  bool stays = false;
  try {
    stays = serve_(*connection);
  } catch (const std::exception&) {
    stays = false;  // no memory for an answer: the client sees the end of the connection
  }
  if (!stays) connection->close_gently();
  const std::lock_guard lock(mutex_);
  if (stays) {
    returned_.push_back(connection);
  } else {
    ++ended_;
  }
  wake();
}

}  // namespace lanwright::http
