// What a test cannot ask of a program that was built with AddressSanitizer.
#pragma once

namespace lanwright::test {

// It maps terabytes of addresses at the start, and makes a process of its own at the end.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kAddressSanitized = true;
#else
inline constexpr bool kAddressSanitized = false;
#endif

}  // namespace lanwright::test
