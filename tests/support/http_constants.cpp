// Debian's libcpp-httplib is not instrumented: the thread sanitizer does not see that its constants, such as
// the names of methods, are made once under a guard, and takes it for a race when a worker reads what another
// one made. Here they are made before any thread is.
#include <httplib.h>

#include <string_view>

namespace {

struct OneRequest : private httplib::Server {
  OneRequest() {
    httplib::detail::BufferStream stream;
    constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";
    stream.write(kRequest.data(), kRequest.size());
    bool closed = false;
    process_request(stream, true, closed, nullptr);
  }
};

const OneRequest kMadeBeforeMain;  // NOLINT(cert-err58-cpp): nothing to catch it before a test program begins

}  // namespace
