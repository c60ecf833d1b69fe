// "Loop thread only", in a form that clang checks (-Wthread-safety, which clang-tidy runs in tests/lint.sh):
// what is declared LANWRIGHT_ON_LOOP is called by functions that are declared so too, or after
// os::assert_on_loop(), where work arrives on the loop. A lambda is a function of its own: one that is handed
// to a timer or to another thread's request is declared so as well. Other compilers see nothing of it.
// Source: clang's ThreadSafetyAnalysis.html.
#pragma once

#ifdef __clang__
#define LANWRIGHT_CAPABILITY(name) __attribute__((capability(name)))
#define LANWRIGHT_REQUIRES(capability) __attribute__((requires_capability(capability)))
#define LANWRIGHT_ASSERTS(capability) __attribute__((assert_capability(capability)))
#else
#define LANWRIGHT_CAPABILITY(name)
#define LANWRIGHT_REQUIRES(capability)
#define LANWRIGHT_ASSERTS(capability)
#endif

namespace lanwright {

// To stand on the one thread that runs the loop.
class LANWRIGHT_CAPABILITY("loop") LoopThread {};
inline constexpr LoopThread loop_thread;

}  // namespace lanwright

#define LANWRIGHT_ON_LOOP LANWRIGHT_REQUIRES(::lanwright::loop_thread)
