#include "reconcilers/netlink/message.h"

#include <netlink/attr.h>
#include <netlink/msg.h>

#include <new>

namespace lanwright::netlink {

namespace {

std::span<const std::uint8_t> bytes_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const std::uint8_t*>(nla_data(attribute)),
          static_cast<std::size_t>(nla_len(attribute))};
}

template <class Visit>
void walk(const nlattr* first, int size, Visit&& visit) {
  for (const nlattr* each = first; nla_ok(each, size) != 0; each = nla_next(each, &size)) visit(each);
}

}  // namespace

void Message::Free::operator()(nl_msg* message) const {
  nlmsg_free(message);
}

Message::Message(int type, int flags, const void* fixed, std::size_t size, std::size_t capacity)
    : message_(nlmsg_alloc_size(capacity)) {
  if (!message_ || nlmsg_put(message_.get(), 0, 0, type, 0, flags) == nullptr) throw std::bad_alloc();
  append(fixed, size);
}

nlmsghdr& Message::header() {
  return *nlmsg_hdr(message_.get());
}
const nlmsghdr& Message::header() const {
  return *nlmsg_hdr(message_.get());
}

void Message::put(int type, const void* data, std::size_t size) {
  if (nla_put(message_.get(), type, static_cast<int>(size), data) < 0) overflow_ = true;
}

void Message::append(const void* data, std::size_t size) {
  if (nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO) < 0) overflow_ = true;
}

nlattr* Message::begin_nest(int type) {
  return nla_nest_start(message_.get(), type);
}

void Message::end_nest(nlattr* start) {
  if (start == nullptr || nla_nest_end_keep_empty(message_.get(), start) < 0) overflow_ = true;
}

Attributes::Attributes(const nlmsghdr& message, std::size_t fixed_size) {
  if (message.nlmsg_len < NLMSG_LENGTH(fixed_size)) return;
  const auto fixed = static_cast<int>(fixed_size);
  walk(nlmsg_attrdata(&message, fixed), nlmsg_attrlen(&message, fixed),
       [this](const nlattr* each) { take(each); });
}

Attributes::Attributes(const nlattr* nest) {
  if (nest == nullptr) return;
  walk(static_cast<const nlattr*>(nla_data(nest)), nla_len(nest), [this](const nlattr* each) { take(each); });
}

void Attributes::take(const nlattr* attribute) {
  const auto type = static_cast<std::size_t>(nla_type(attribute));
  if (type < found_.size()) found_[type] = attribute;
}

std::string Attributes::text(int type) const {
  return text_of(bytes(type));
}

std::span<const std::uint8_t> Attributes::bytes(int type) const {
  return bytes_of(find(type));
}

void for_each_attribute(const nlattr* nest,
                        const std::function<void(int type, std::span<const std::uint8_t> bytes)>& visit) {
  if (nest == nullptr) return;
  walk(static_cast<const nlattr*>(nla_data(nest)), nla_len(nest),
       [&visit](const nlattr* each) { visit(nla_type(each), bytes_of(each)); });
}

std::string text_of(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return {};
  const char* begin = reinterpret_cast<const char*>(bytes.data());
  return {begin, ::strnlen(begin, bytes.size())};
}

}  // namespace lanwright::netlink
