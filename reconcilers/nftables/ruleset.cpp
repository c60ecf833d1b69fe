#include "reconcilers/nftables/ruleset.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>

#include "reconcilers/nftables/messages.h"

namespace lanwright::nftables {
namespace {

using netlink::Reply;

constexpr int kReceiveBuffer = 1 << 20;

std::string hint_of(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "CAP_NET_ADMIN is needed";
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case ENOENT:
    case EINVAL:
      return "the kernel needs nf_tables with nat, masquerading and fib: modprobe -a nf_tables nft_chain_nat "
             "nft_masq nft_fib_inet nft_ct";
    default:
      return {};
  }
}

Error failed(const char* tried, const std::string& object, const Reply& reply) {
  Error error = error_from_errno(reply.error, tried, object, reply.words);
  error.hint = hint_of(reply.error);
  return error;
}

// The messages that NFNL_MSG_BATCH_BEGIN and _END are.
Message frame(int type) {
  nfgenmsg fixed{};
  fixed.nfgen_family = AF_UNSPEC;
  fixed.version = NFNETLINK_V0;
  fixed.res_id = htons(NFNL_SUBSYS_NFTABLES);
  return {type, NLM_F_REQUEST, fixed, 64};
}

// One datagram: what the kernel does as a whole.
class Batch {
 public:
  explicit Batch(netlink::Socket& socket) : socket_(socket) {}

  // A message that did not fit itself is refused by the answer EMSGSIZE.
  void put(Message& message, int flags = 0) {
    overflow_ = overflow_ || message.overflow();
    nlmsghdr& header = message.header();
    header.nlmsg_flags |= static_cast<std::uint16_t>(flags);
    header.nlmsg_seq = socket_.next_sequence();
    if (first_ == 0) first_ = header.nlmsg_seq;
    last_ = header.nlmsg_seq;
    const auto* begin = reinterpret_cast<const std::byte*>(&header);
    bytes_.insert(bytes_.end(), begin, begin + header.nlmsg_len);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  // Of the first message that failed: its place. An answer to the one that asked for it (`acknowledged`)
  // means that all is done; none at all that the kernel was interrupted, and did nothing.
  struct Outcome {
    Reply reply;
    std::size_t index = 0;
  };
  Outcome send(std::uint32_t acknowledged) {
    if (overflow_) return {{EMSGSIZE, "a message is too long"}};
    socket_.make_room(bytes_.size() + (64U << 10U));
    const std::span<const std::byte> part(bytes_);
    if (const int error = socket_.send({&part, 1})) return {{error, {}}};
    Outcome outcome{{EINTR, "the kernel was interrupted"}};
    int error = 0;
    while (error == 0 || error == ENOBUFS) {
      error = socket_.receive([&](const netlink::Socket::Datagram& datagram) {
        netlink::for_each_message(datagram.bytes,
                                  [&](const nlmsghdr& each) { take(each, acknowledged, outcome); });
      });
    }
    return outcome;
  }

  std::uint32_t last() const { return last_; }

 private:
  void take(const nlmsghdr& message, std::uint32_t acknowledged, Outcome& outcome) {
    if (message.nlmsg_type != NLMSG_ERROR || message.nlmsg_seq - first_ > last_ - first_) return;
    Reply reply = netlink::read_reply(message);
    if (failed_) return;
    failed_ = !reply.ok();
    if (failed_ || message.nlmsg_seq == acknowledged)
      outcome = {std::move(reply), message.nlmsg_seq - first_};
  }

  netlink::Socket& socket_;
  std::vector<std::byte> bytes_;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  bool overflow_ = false;
  bool failed_ = false;
};

}  // namespace

Error busy(const char* tried, const std::string& object) {
  return {ErrorKind::busy, tried, object, 0, "others keep changing firewall rules", "see `nft monitor`"};
}

Result<Ruleset> Ruleset::open(const os::Descriptor& netns, Concerns concerns) {
  auto socket = netlink::Socket::open(netns, kReceiveBuffer, NETLINK_NETFILTER);
  if (!socket) return socket.error();
  auto events = Events::open(netns);
  if (!events) return events.error();
  return Ruleset(std::move(*socket), std::move(*events), std::move(concerns));
}

// News of generations that were looked at, or made here, are old.
bool Ruleset::drain() {
  const bool whole = events_.drain([this](const nlmsghdr& message) {
    const auto generation = decode_generation(message);
    if (!generation) {
      concerned_ = concerned_ || concerns_(message);
      return;
    }
    const bool is_new = static_cast<std::int32_t>(*generation - generation_) > 0;
    if (is_new && concerned_) is_known_ = false;
    if (is_new) generation_ = *generation;
    concerned_ = false;
  });
  if (!whole) is_known_ = false;
  return is_known_;
}

Result<void> Ruleset::look(const std::function<Result<bool>()>& look_once) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto before = read_generation();
    if (!before) return before.error();
    const auto whole = look_once();
    if (!whole) return whole.error();
    const auto after = read_generation();
    if (!after) return after.error();
    if (!*whole || *before != *after) continue;
    generation_ = *after;
    is_known_ = true;
    return {};
  }
  return busy("read", "the host's firewall rules");
}

Result<std::uint32_t> Ruleset::read_generation() {
  const std::string what = "the generation of the host's firewall rules";
  std::optional<std::uint32_t> generation;
  const auto got = get(make_message(NFT_MSG_GETGEN, 0, AF_UNSPEC), what,
                       [&](const nlmsghdr& message) { generation = decode_generation(message); });
  if (!got) return got.error();
  if (!generation) return failed("read", what, {EBADMSG, {}});
  return *generation;
}

Result<bool> Ruleset::list(netlink::Message request, const std::string& what,
                           const std::function<void(const nlmsghdr&)>& take) {
  const Reply reply = netlink::dump_once(socket_, request, take);
  if (reply.error == EINTR || reply.error == ENOENT) return false;
  if (!reply.ok()) return failed("list", what, reply);
  return true;
}

Result<bool> Ruleset::get(netlink::Message request, const std::string& what,
                          const std::function<void(const nlmsghdr&)>& take) {
  request.header().nlmsg_flags |= NLM_F_ACK;
  const Reply reply = netlink::perform_one(socket_, std::move(request), take);
  if (reply.error == ENOENT) return false;
  if (!reply.ok()) return failed("read", what, reply);
  return true;
}

// In one datagram, and only if nothing was changed since that is not known here.
Result<bool> Ruleset::change(std::vector<Message> messages, const std::string& object) {
  Batch batch(socket_);
  Message begin = frame(NFNL_MSG_BATCH_BEGIN);
  begin.put_u32(NFNL_BATCH_GENID, htonl(generation_));
  batch.put(begin);
  for (Message& message : messages) batch.put(message, &message == &messages.back() ? NLM_F_ACK : 0);
  const std::uint32_t acknowledged = batch.last();
  Message end = frame(NFNL_MSG_BATCH_END);
  batch.put(end);
  const Batch::Outcome outcome = batch.send(acknowledged);
  if (outcome.reply.ok()) {
    if (++generation_ == 0) ++generation_;  // as the kernel counts
    ++transactions_;
    return true;
  }
  if (outcome.reply.error == ERESTART) return false;
  is_known_ = false;
  if (outcome.reply.error == EINTR) return false;
  const bool is_one = outcome.index > 0 && outcome.index <= messages.size();
  return failed("change", is_one ? object_of(messages[outcome.index - 1].header()) : object, outcome.reply);
}

}  // namespace lanwright::nftables
