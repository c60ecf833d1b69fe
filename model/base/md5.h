// MD5 (RFC 1321). For names that others derive by it, never for secrets. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lanwright {

std::array<std::uint8_t, 16> md5(std::string_view text);

}  // namespace lanwright
