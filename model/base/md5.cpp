#include "model/base/md5.h"

#include <bit>
#include <string>

namespace lanwright {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kRounds = 64;
constexpr std::size_t kWord = 4;

using State = std::array<std::uint32_t, 4>;

// RFC 1321, 3.4: the integer parts of 2^32 * |sin(i + 1)|.
constexpr std::array<std::uint32_t, kRounds> kSines{
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr std::array<std::array<int, 4>, 4> kShifts{
    {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

std::uint32_t word_at(std::string_view block, std::size_t index) {
  std::uint32_t word = 0;
  for (std::size_t i = kWord; i-- > 0;)
    word = word << 8U | static_cast<unsigned char>(block[index * kWord + i]);
  return word;
}

// RFC 1321, 3.4: the function of the round, and the word of the block that it takes.
std::uint32_t mixed(std::size_t i, const State& s, std::string_view block) {
  const auto [a, b, c, d] = s;
  switch (i / 16) {
    case 0:
      return a + ((b & c) | (~b & d)) + word_at(block, i);
    case 1:
      return a + ((d & b) | (~d & c)) + word_at(block, (5 * i + 1) % 16);
    case 2:
      return a + (b ^ c ^ d) + word_at(block, (3 * i + 5) % 16);
    default:
      return a + (c ^ (b | ~d)) + word_at(block, (7 * i) % 16);
  }
}

void absorb(State& state, std::string_view block) {
  State s = state;
  for (std::size_t i = 0; i < kRounds; ++i) {
    const std::uint32_t sum = mixed(i, s, block) + kSines[i];
    s = {s[3], s[1] + std::rotl(sum, kShifts[i / 16][i % 4]), s[1], s[2]};
  }
  for (std::size_t i = 0; i < s.size(); ++i) state[i] += s[i];
}

// RFC 1321, 3.1 and 3.2: a one bit, zeros, and the length in bits.
std::string padded(std::string_view text) {
  constexpr std::size_t kLength = 8;
  std::string whole(text);
  whole += '\x80';
  while (whole.size() % kBlock != kBlock - kLength) whole += '\0';
  const std::uint64_t bits = std::uint64_t{text.size()} * 8;
  for (std::size_t i = 0; i < kLength; ++i) whole += static_cast<char>(bits >> (8 * i) & 0xffU);
  return whole;
}

}  // namespace

std::array<std::uint8_t, 16> md5(std::string_view text) {
  State state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const std::string whole = padded(text);
  for (std::size_t at = 0; at < whole.size(); at += kBlock)
    absorb(state, std::string_view(whole).substr(at, kBlock));
  std::array<std::uint8_t, 16> digest{};
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::uint8_t>(state[i / kWord] >> (8 * (i % kWord)) & 0xffU);
  return digest;
}

}  // namespace lanwright
