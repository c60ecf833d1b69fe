#include "reconcilers/netlink/request.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace lanwright::netlink {

namespace {

// What one sendmsg takes: the acks of this many messages fit the receive buffer many times over.
constexpr std::size_t kWindowMessages = 512;
constexpr std::size_t kWindowBytes = 128U << 10U;

// Only in this process: an ack that never came because the receive buffer was full.
constexpr int kNoReply = ENOBUFS;

std::size_t window_end(std::span<const Request> requests, std::size_t begin) {
  std::size_t bytes = 0;
  std::size_t end = begin;
  for (std::size_t next = begin; next < requests.size();) {
    const std::size_t owner = requests[next].owner;
    for (; next < requests.size() && requests[next].owner == owner; ++next) {
      bytes += requests[next].message.header().nlmsg_len;
    }
    const bool fits = next - begin <= kWindowMessages && bytes <= kWindowBytes;
    if (!fits && end > begin) return end;
    if (!fits) return std::min(next, begin + kWindowMessages);
    end = next;
  }
  return end;
}

// One sendmsg and its replies.
class Window {
 public:
  Window(Socket& socket, std::span<Request> requests, std::size_t begin, std::span<Reply> replies,
         const OnAnswer& on_answer)
      : socket_(socket), requests_(requests), begin_(begin), replies_(replies), on_answer_(on_answer) {}

  void run() {
    if (const int error = send()) {
      for (Reply& reply : replies_) reply = {error, {}};
      return;
    }
    // The kernel answers while it takes the messages: every answer is there already.
    while (open_ > 0) {
      const int error = socket_.receive([this](const Socket::Datagram& datagram) { take(datagram); });
      if (error != 0 && error != ENOBUFS) break;  // ENOBUFS is told once; what did arrive can still be read
    }
  }

 private:
  int send() {
    std::vector<std::span<const std::byte>> parts;
    parts.reserve(requests_.size());
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      nlmsghdr& header = requests_[i].message.header();
      header.nlmsg_seq = socket_.next_sequence();
      if (i == 0) first_ = header.nlmsg_seq;
      const bool whole = !requests_[i].message.overflow();
      replies_[i] = {whole ? kNoReply : EMSGSIZE, {}};
      if (whole)
        parts.emplace_back(reinterpret_cast<const std::byte*>(&header), NLMSG_ALIGN(header.nlmsg_len));
    }
    open_ = parts.size();
    return parts.empty() ? 0 : socket_.send(parts);
  }

  void take(const Socket::Datagram& datagram) {
    for_each_message(datagram.bytes, [this](const nlmsghdr& message) {
      const std::uint32_t index = message.nlmsg_seq - first_;  // wraps around as the numbers do
      if (index >= requests_.size()) return;                   // of an earlier, failed window
      if (message.nlmsg_type != NLMSG_ERROR) {
        if (on_answer_) on_answer_(begin_ + index, message);
        return;
      }
      replies_[index] = read_reply(message);
      --open_;
    });
  }

  Socket& socket_;
  std::span<Request> requests_;
  std::size_t begin_;
  std::span<Reply> replies_;
  const OnAnswer& on_answer_;
  std::uint32_t first_ = 0;
  std::size_t open_ = 0;
};

}  // namespace

Reply read_reply(const nlmsghdr& message) {
  const auto* error = fixed_part<nlmsgerr>(message);
  if (error == nullptr) return {EBADMSG, "the kernel's answer is too short"};
  Reply reply{-error->error, {}};
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return reply;
  std::size_t fixed = sizeof *error;
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) fixed += error->msg.nlmsg_len - sizeof error->msg;
  reply.words = Attributes(message, fixed).text(NLMSGERR_ATTR_MSG);
  return reply;
}

std::vector<Reply> perform(Socket& socket, std::span<Request> requests, const OnAnswer& on_answer) {
  std::vector<Reply> replies(requests.size());
  for (std::size_t begin = 0; begin < requests.size();) {
    const std::size_t size = window_end(requests, begin) - begin;
    Window(socket, requests.subspan(begin, size), begin, std::span(replies).subspan(begin, size), on_answer)
        .run();
    begin += size;
  }
  return replies;
}

Reply perform_one(Socket& socket, Message message, const std::function<void(const nlmsghdr&)>& on_answer) {
  Request request{std::move(message), 0};
  const OnAnswer forward = [&](std::size_t, const nlmsghdr& answer) {
    if (on_answer) on_answer(answer);
  };
  return perform(socket, {&request, 1}, forward).front();
}

Reply dump_once(Socket& socket, Message& request, const std::function<void(const nlmsghdr&)>& on_message) {
  nlmsghdr& header = request.header();
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  header.nlmsg_seq = socket.next_sequence();
  const std::span<const std::byte> part(reinterpret_cast<const std::byte*>(&header), header.nlmsg_len);
  if (const int error = socket.send({&part, 1})) return {error, {}};

  std::optional<Reply> done;
  bool interrupted = false;
  bool truncated = false;
  const auto take = [&](const nlmsghdr& message) {
    if (message.nlmsg_seq != header.nlmsg_seq) return;
    if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
    if (message.nlmsg_type == NLMSG_ERROR) {
      done = read_reply(message);
    } else if (message.nlmsg_type == NLMSG_DONE) {
      const auto* error = fixed_part<int>(message);
      done = Reply{error == nullptr ? 0 : -*error, {}};
      if (done->error != 0) done->words = Attributes(message, sizeof *error).text(NLMSGERR_ATTR_MSG);
    } else {
      on_message(message);
    }
  };
  while (!done) {
    const int error = socket.receive([&](const Socket::Datagram& datagram) {
      truncated = truncated || datagram.truncated;
      for_each_message(datagram.bytes, take);
    });
    if (error != 0 && error != ENOBUFS) return {error, {}};
  }
  if (truncated) return {EMSGSIZE, "a part of the list was longer than the receive buffer"};
  if (interrupted && done->ok()) return {EINTR, "the list changed while it was read"};
  return *done;
}

}  // namespace lanwright::netlink
