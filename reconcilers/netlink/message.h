// Netlink messages: building them (Message) and reading them (Attributes), over libnl's nl_msg and nla_*.
// Layout: RFC 3549, netlink(7), <linux/rtnetlink.h>.
#pragma once

#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

struct nl_msg;  // of libnl, which only message.cpp knows

namespace lanwright::netlink {

// One message to the kernel: header, fixed part, attributes. Sequence number and port are the sender's.
class Message {
 public:
  static constexpr std::size_t kUsualSize = 1024;

  template <class Fixed>
  Message(int type, int flags, const Fixed& fixed, std::size_t capacity = kUsualSize)
      : Message(type, flags, &fixed, sizeof fixed, capacity) {}

  void put_u8(int type, std::uint8_t value) { put(type, &value, sizeof value); }
  void put_u16(int type, std::uint16_t value) { put(type, &value, sizeof value); }
  void put_u32(int type, std::uint32_t value) { put(type, &value, sizeof value); }
  void put_s32(int type, std::int32_t value) { put(type, &value, sizeof value); }
  void put_text(int type, const std::string& text) { put(type, text.c_str(), text.size() + 1); }
  void put_bytes(int type, std::span<const std::uint8_t> bytes) { put(type, bytes.data(), bytes.size()); }
  template <class Value>
  void put_struct(int type, const Value& value) {
    put(type, &value, sizeof value);
  }
  // A further fixed part between attributes, as VETH_INFO_PEER begins with one.
  template <class Fixed>
  void append(const Fixed& fixed) {
    append(&fixed, sizeof fixed);
  }

  // Runs `fill`, whose attributes become the content of attribute `type`. An empty one is kept.
  template <class Fill>
  void nest(int type, Fill&& fill) {
    nlattr* start = begin_nest(type);
    std::forward<Fill>(fill)();
    end_nest(start);
  }

  nlmsghdr& header();
  const nlmsghdr& header() const;
  bool has_attributes(std::size_t fixed_size) const { return header().nlmsg_len > NLMSG_SPACE(fixed_size); }
  bool overflow() const { return overflow_; }  // something did not fit: it must not be sent

 private:
  struct Free {
    void operator()(nl_msg* message) const;
  };

  Message(int type, int flags, const void* fixed, std::size_t size, std::size_t capacity);
  void put(int type, const void* data, std::size_t size);
  void append(const void* data, std::size_t size);
  nlattr* begin_nest(int type);
  void end_nest(nlattr* start);

  std::unique_ptr<nl_msg, Free> message_;
  bool overflow_ = false;
};

// The attributes of a message or of a nest, by type, lengths checked: hostile bytes give absent attributes,
// never a read outside. Points into the bytes that it was made from.
class Attributes {
 public:
  Attributes(const nlmsghdr& message, std::size_t fixed_size);
  explicit Attributes(const nlattr* nest);  // nullptr is an empty nest

  const nlattr* find(int type) const {
    return type >= 0 && static_cast<std::size_t>(type) < found_.size()
               ? found_[static_cast<std::size_t>(type)]
               : nullptr;
  }
  Attributes nest(int type) const { return Attributes(find(type)); }
  bool has(int type) const { return find(type) != nullptr; }

  std::optional<std::uint8_t> u8(int type) const { return number<std::uint8_t>(type); }
  std::optional<std::uint16_t> u16(int type) const { return number<std::uint16_t>(type); }
  std::optional<std::uint32_t> u32(int type) const { return number<std::uint32_t>(type); }
  std::optional<std::int32_t> s32(int type) const { return number<std::int32_t>(type); }
  std::string text(int type) const;  // "" when absent
  std::span<const std::uint8_t> bytes(int type) const;

 private:
  static constexpr std::size_t kTypes = 80;  // more than any family that is read here has

  void take(const nlattr* attribute);

  template <class Value>
  std::optional<Value> number(int type) const {
    Value value{};
    const auto raw = bytes(type);
    if (raw.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  std::array<const nlattr*, kTypes> found_{};
};

// Every attribute of a nest in order, for nests that repeat a type. nullptr is an empty nest.
void for_each_attribute(const nlattr* nest,
                        const std::function<void(int type, std::span<const std::uint8_t> bytes)>& visit);
std::string text_of(std::span<const std::uint8_t> bytes);  // up to the first zero

// The fixed part of a received message; nullptr when the message is too short for it.
template <class Fixed>
const Fixed* fixed_part(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Fixed))) return nullptr;
  return static_cast<const Fixed*>(NLMSG_DATA(&message));
}

}  // namespace lanwright::netlink
