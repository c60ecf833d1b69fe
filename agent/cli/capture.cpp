#include "agent/cli/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <functional>
#include <optional>
#include <ostream>
#include <string_view>
#include <system_error>
#include <thread>

#include "api/rest/pcap_file.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::cli {
namespace {

using os::Descriptor;

// Waits beside the stream for what ends it: a signal, or that nobody reads the output any more. A second
// signal kills, should the output be stuck.
class EndWatch {
 public:
  EndWatch(int output, std::function<void()> end) : end_(std::move(end)) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    signal_ = Descriptor(signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
    done_ = Descriptor(eventfd(0, EFD_CLOEXEC));
    if (!signal_ || !done_) {
      const int number = errno;
      pthread_sigmask(SIG_SETMASK, &before_, nullptr);
      throw std::system_error(number, std::generic_category(), "cannot wait for signals");
    }
    thread_ = std::thread([this, output] { run(output); });
  }
  ~EndWatch() {
    static_cast<void>(eventfd_write(done_.get(), 1));  // fails only when it was written to before
    thread_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  EndWatch(const EndWatch&) = delete;
  EndWatch& operator=(const EndWatch&) = delete;

 private:
  void run(int output) {
    // Of the output only its end is asked for (POLLERR, POLLHUP).
    std::array<pollfd, 3> polled{{{done_.get(), POLLIN, 0}, {signal_.get(), POLLIN, 0}, {output, 0, 0}}};
    while (::poll(polled.data(), polled.size(), -1) < 0 && errno == EINTR) {
    }
    if (polled[0].revents != 0) return;
    signalfd_siginfo taken{};
    static_cast<void>(::read(signal_.get(), &taken, sizeof taken));  // nothing when the output ended it
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
    end_();
    while (::poll(polled.data(), 1, -1) < 0 && errno == EINTR) {
    }
  }

  const std::function<void()> end_;
  sigset_t signals_{};
  sigset_t before_{};
  Descriptor signal_;
  Descriptor done_;
  std::thread thread_;
};

bool to_standard_output(const CaptureOptions& options) {
  return options.file.empty() || options.file == "-";
}

// The stream on its way from the agent to the output, in whole records.
class Recorder {
 public:
  Recorder(Session& session, const CaptureOptions& options) : session_(session), options_(options) {}

  bool begin() {
    if (!to_standard_output(options_)) {
      constexpr mode_t kMode = 0666;  // and the umask
      file_ = Descriptor(::open(options_.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
      if (!file_) return cannot_write(errno);
    }
    try {
      watch_.emplace(output(), [this] { session_.client.end_stream(); });
    } catch (const std::system_error& error) {
      failure_ = error.what();
    }
    began_ = failure_.empty();
    return began_;
  }

  bool take(std::string_view piece) {
    std::string whole;
    const bool goes_on = cutter_.feed(piece, [&](std::string_view part) {
      whole += part;
      return options_.count == 0 || cutter_.records() < options_.count;
    });
    return write(whole) && goes_on;
  }

  // The exit status, given how the stream ended.
  int finish(const client::Reply& reply) {
    watch_.reset();
    if (failure_.empty() && !cutter_.fault().empty())
      failure_ = "what the agent sent is not understood: " + cutter_.fault();
    if (!failure_.empty()) {
      session_.io.err << "error: " << failure_ << '\n';
      return kFailed;
    }
    if (!reply) return failed(*reply.error);
    if (!to_standard_output(options_))
      session_.io.err << cutter_.records() << (cutter_.records() == 1 ? " packet in " : " packets in ")
                      << options_.file << '\n';
    return kDone;
  }

 private:
  int output() const { return file_ ? file_.get() : session_.io.out_descriptor; }

  bool write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(output(), text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno == EPIPE && !file_) return false;  // its reader has had enough
      if (written < 0) return cannot_write(errno);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  int failed(client::ClientError error) {
    if (began_)
      error.hint =
          "what carries the network went away, or the agent was stopped; see: lanwright describe network " +
          options_.network;
    return fail(session_, error, "capture of network " + options_.network);
  }

  bool cannot_write(int number) {
    failure_ = "cannot write to " + (to_standard_output(options_) ? "standard output" : options_.file) +
               ": " + std::generic_category().message(number);
    return false;
  }

  Session& session_;
  const CaptureOptions& options_;
  Descriptor file_;
  bool began_ = false;
  std::string failure_;  // of this side
  rest::PcapCutter cutter_;
  std::optional<EndWatch> watch_;
};

}  // namespace

int capture_packets(Session& session, const CaptureOptions& options) {
  if (to_standard_output(options) && session.io.out_is_terminal) {
    session.io.err << "error: packets are nothing for a terminal; write them to a file (-w FILE), or into a "
                      "program: lanwright capture "
                   << options.network << " | wireshark -k -i -\n";
    return kUsage;
  }
  Recorder recorder(session, options);
  const client::Reply reply = session.client.stream(
      path_of(Resource::network, options.network) + "/capture",
      options.filter.empty() ? client::Query{} : client::Query{{"filter", options.filter}},
      [&] { return recorder.begin(); }, [&](std::string_view piece) { return recorder.take(piece); });
  return recorder.finish(reply);
}

}  // namespace lanwright::cli
