// Requests to the kernel and its answers: pipelined changes (perform) and complete lists (dump).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/netlink/message.h"
#include "reconcilers/netlink/socket.h"

namespace lanwright::netlink {

// The kernel's answer to one request.
struct Reply {
  int error = 0;      // errno, 0 when done
  std::string words;  // the extended-ack text, a warning when error is 0
  bool ok() const { return error == 0; }
};

// From a message of type NLMSG_ERROR.
Reply read_reply(const nlmsghdr& message);

// Neighbours in a list that have the same `owner` belong together: they are never sent by two system calls,
// unless they alone exceed what one call takes.
struct Request {
  Message message;
  std::size_t owner = 0;
};

// Told for each message that answers request `index`, before its reply.
using OnAnswer = std::function<void(std::size_t index, const nlmsghdr& answer)>;

// Sends all, hundreds to a system call, and answers one reply for each, in order. The requests must carry
// NLM_F_ACK and must not be dumps. A failing one does not keep the following ones from being done.
std::vector<Reply> perform(Socket& socket, std::span<Request> requests, const OnAnswer& on_answer = {});
Reply perform_one(Socket& socket, Message message,
                  const std::function<void(const nlmsghdr&)>& on_answer = {});

// One complete pass of a dump. EINTR when the kernel said that the list changed meanwhile (NLM_F_DUMP_INTR).
Reply dump_once(Socket& socket, Message& request, const std::function<void(const nlmsghdr&)>& on_message);

// A complete and consistent list, as `decode` reads its messages; repeated a bounded number of times when
// interrupted, and an error (EINTR) if it still is.
inline constexpr int kDumpAttempts = 10;
template <class Value>
Result<std::vector<Value>> dump(Socket& socket, Message request,
                                std::optional<Value> (*decode)(const nlmsghdr&), const char* what) {
  Reply reply;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    std::vector<Value> values;
    reply = dump_once(socket, request, [&](const nlmsghdr& message) {
      if (auto value = decode(message)) values.push_back(std::move(*value));
    });
    if (reply.ok()) return values;
    if (reply.error != EINTR) break;
  }
  return error_from_errno(reply.error, "list", what, reply.words);
}

}  // namespace lanwright::netlink
