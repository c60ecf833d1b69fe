#include "reconcilers/netlink/message.h"

#include <cstring>
#include <new>

namespace lanwright {

Message::Message(int type, int flags, const void* fixed, std::size_t size, std::size_t capacity)
    : message_(nlmsg_alloc_size(capacity)) {
  if (!message_ || nlmsg_put(message_.get(), 0, 0, type, 0, flags) == nullptr) throw std::bad_alloc();
  append(fixed, size);
}

void Message::put(int type, const void* data, std::size_t size) {
  if (nla_put(message_.get(), type, static_cast<int>(size), data) < 0) overflow_ = true;
}

void Message::append(const void* data, std::size_t size) {
  if (nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO) < 0) overflow_ = true;
}

Attributes::Attributes(const nlmsghdr& message, std::size_t fixed_size) {
  if (message.nlmsg_len < NLMSG_LENGTH(fixed_size)) return;
  int rest = nlmsg_attrlen(&message, static_cast<int>(fixed_size));
  for (const nlattr* each = nlmsg_attrdata(&message, static_cast<int>(fixed_size)); nla_ok(each, rest) != 0;
       each = nla_next(each, &rest)) {
    const auto type = static_cast<std::size_t>(nla_type(each));
    if (type < found_.size()) found_[type] = each;
  }
}

Attributes::Attributes(const nlattr* nest) {
  for_each_attribute(nest, [this](const nlattr* each) {
    const auto type = static_cast<std::size_t>(nla_type(each));
    if (type < found_.size()) found_[type] = each;
  });
}

std::string Attributes::text(int type) const {
  const std::span<const std::uint8_t> raw = bytes(type);
  if (raw.empty()) return {};
  const char* begin = reinterpret_cast<const char*>(raw.data());
  return {begin, ::strnlen(begin, raw.size())};
}

std::span<const std::uint8_t> Attributes::bytes(int type) const {
  return bytes_of(find(type));
}

std::span<const std::uint8_t> bytes_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const std::uint8_t*>(nla_data(attribute)),
          static_cast<std::size_t>(nla_len(attribute))};
}

}  // namespace lanwright
