#include "reconcilers/vde/plug/control.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace lanwright::plug {
namespace {

constexpr std::size_t kMostDescriptors = 16;  // in one message
constexpr std::size_t kLongestText = 1 << 20;
constexpr timeval kSendTimeout{0, 200'000};  // with an agent that does not read its answers

}  // namespace

Control::Control(Poller& poller, Hub& hub, SwitchWatch& watch, os::Descriptor listener, std::string directory)
    : poller_(poller),
      hub_(hub),
      watch_(watch),
      listener_(std::move(listener)),
      directory_(std::move(directory)),
      done_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  poller_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_agent(); });
  poller_.watch(done_.get(), EPOLLIN, [this](std::uint32_t) { on_connected(); });
  hub_.on_gone = [this](const OwnerTag& mark) { say("gone " + mark.text()); };
  hub_.on_lost = [this] { say("lost"); };
}

Control::~Control() {
  if (connecting_ && connecting_->thread.joinable()) connecting_->thread.join();
}

// A new agent takes over from one that may have been killed.
void Control::accept_agent() {
  os::Descriptor agent(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!agent) return;
  ::setsockopt(agent.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  drop_agent();
  agent_ = std::move(agent);
  poller_.watch(agent_.get(), EPOLLIN, [this](std::uint32_t) { on_readable(); });
}

void Control::drop_agent() {
  if (agent_) poller_.forget(agent_.get());
  agent_ = {};
  awaited_ = false;
  text_.clear();
  descriptors_.clear();
}

void Control::on_readable() {
  std::array<char, 65536> bytes{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> extra{};
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = extra.data();
  message.msg_controllen = extra.size();
  const ssize_t size = ::recvmsg(agent_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); size > 0 && each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    std::array<int, kMostDescriptors> received{};
    const std::size_t length = each->cmsg_len - CMSG_LEN(0);
    std::memcpy(received.data(), CMSG_DATA(each), length);
    for (std::size_t i = 0; i < length / sizeof(int); ++i) descriptors_.emplace_back(received[i]);
  }
  if (size <= 0 || text_.size() > kLongestText) return drop_agent();
  text_.append(bytes.data(), static_cast<std::size_t>(size));
  carry_out();
}

bool Control::is_answered_at_once(const std::string& line) {
  return line == "list" || line == "ping";
}

// One command at a time: the next one may rest on what this one does.
void Control::carry_out() {
  for (;;) {
    const std::size_t end = text_.find('\n');
    if (end == std::string::npos) return;
    const std::string line = text_.substr(0, end);
    if (connecting_ && !is_answered_at_once(line)) return;
    text_.erase(0, end + 1);
    obey(line);
  }
}

void Control::obey(const std::string& line) {
  const auto words = words_of(line);
  const std::string verb = words.empty() ? std::string() : words.front();
  if (verb == "list") return list();
  if (verb == "ping") return say("alive");
  if (verb == "watch") return watch();
  if (verb == "connect") return begin_connecting(0);
  if (verb == "add") return add(line.substr(std::strlen("add ")));
  const auto mark = words.size() == 2 ? OwnerTag::parse(words[1]) : std::nullopt;
  if (verb != "remove" || !mark) return say("error this is no command: " + line);
  hub_.remove(*mark);
  say("ok");
}

void Control::list() {
  for (const PortLine& line : hub_.list()) say(text_of(line));
  say(text_of(hub_.shared()));
  say("ok");
}

void Control::watch() {
  const std::string words = watch_.connected() ? std::string() : watch_.connect();
  say(words.empty() ? "ok" : "error " + words);
}

void Control::add(const std::string& line) {
  const auto port = port_line_from(line);
  if (!port && !descriptors_.empty()) descriptors_.pop_front();  // it came with this line
  if (!port || descriptors_.empty())
    return say("error this is no port, or it came without a descriptor: " + line);
  os::Descriptor descriptor = std::move(descriptors_.front());
  descriptors_.pop_front();
  std::unique_ptr<Endpoint> endpoint;
  if (port->plug.tap)
    endpoint = std::make_unique<TapEndpoint>(std::move(descriptor));
  else
    endpoint = std::make_unique<PacketEndpoint>(std::move(descriptor));
  if (port->plug.port == 0) {
    hub_.add(port->plug, std::move(endpoint), nullptr);
    return say("ok");
  }
  hub_.remove(port->plug.mark);
  begin_connecting(static_cast<int>(port->plug.port));
  connecting_->plug = port->plug;
  connecting_->endpoint = std::move(endpoint);
}

void Control::begin_connecting(int port) {
  awaited_ = true;
  connecting_ = std::make_unique<Connecting>();
  Connecting* const into = connecting_.get();
  try {
    connecting_->thread = std::thread([this, port, into] {
      into->made = SwitchEndpoint::open(directory_, port, kPlugName, into->words);
      ::eventfd_write(done_.get(), 1);
    });
  } catch (const std::system_error& failed) {  // told as any other reason why there is no connection
    into->words = std::string("no thread to connect to the switch: ") + failed.what();
    ::eventfd_write(done_.get(), 1);
  }
}

void Control::on_connected() {
  eventfd_t times = 0;
  ::eventfd_read(done_.get(), &times);
  if (!connecting_) return;
  const auto done = std::move(connecting_);
  if (done->thread.joinable()) done->thread.join();
  std::string words = done->words;
  if (done->made && done->endpoint) {
    hub_.add(done->plug, std::move(done->endpoint), std::move(done->made));
  } else if (done->made) {
    hub_.connect(std::move(done->made));
  }
  if (words.empty() && !watch_.connected()) words = watch_.connect();
  // Who took over from the one that asked did not ask.
  if (awaited_) say(words.empty() ? "ok" : "error " + words);
  carry_out();
}

void Control::say(const std::string& line) {
  if (!agent_) return;
  const std::string text = line + "\n";
  std::size_t sent = 0;
  while (sent < text.size()) {
    // It reads what it asked for; one that does not is as good as gone.
    const ssize_t size = ::send(agent_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size < 0) return drop_agent();
    sent += static_cast<std::size_t>(size);
  }
}

}  // namespace lanwright::plug
