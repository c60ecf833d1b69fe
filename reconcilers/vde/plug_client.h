// The agent's end of a plug's control socket (plug/protocol.h). Loop thread only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/vde/plug/protocol.h"

namespace lanwright::vde {

class PlugClient {
 public:
  PlugClient() = default;
  static Result<PlugClient> open(const std::string& socket);

  struct Ports {
    std::vector<plug::PortLine> lines;
    plug::SharedLine shared;
  };
  // A question that is not answered within `patience` fails with ErrorKind::timeout, and so does each further
  // one, at once, until the answer is there, which news() tells.
  using Milliseconds = std::chrono::milliseconds;
  Result<Ports> list(Milliseconds patience);
  Result<void> connect(Milliseconds patience);
  Result<void> watch(Milliseconds patience);
  // `descriptor` stays the caller's; the plug has one of its own.
  Result<void> add(const PlugFact& plug, const os::Descriptor& descriptor, Milliseconds patience);
  Result<void> remove(const OwnerTag& mark, Milliseconds patience);

  // Whether something was told since the last look; false in `alive` when the plug closed the connection.
  struct News {
    bool any = false;
    bool alive = true;
  };
  News news();

  // Asks for a sign of life, which news() takes in; no more than one at a time. Does not wait.
  void ping();
  // For how long a ping, and for how long any question, has not been answered: by what has arrived, whether
  // or not anybody looked at it before.
  std::chrono::steady_clock::duration silence();
  std::chrono::steady_clock::duration debt();
  bool owes() const { return asked_.has_value(); }

  int fd() const { return socket_.get(); }
  const os::Descriptor& connection() const { return socket_; }
  explicit operator bool() const { return static_cast<bool>(socket_); }

 private:
  // Sends a command; answers the lines of data before its "ok".
  Result<std::vector<std::string>> ask(const std::string& command, Milliseconds patience,
                                       const os::Descriptor* descriptor = nullptr);
  Result<void> send(const std::string& line, const os::Descriptor* descriptor, const std::string& tried);
  void take_in();
  std::optional<std::string> take_line();
  Result<std::string> next_line(std::chrono::steady_clock::time_point end, const std::string& tried);

  os::Descriptor socket_;
  std::string path_;
  std::string text_;
  bool told_ = false;                                            // something came that nobody waits for
  bool closed_ = false;                                          // by the plug
  std::optional<std::chrono::steady_clock::time_point> pinged_;  // for a sign of life that has not come
  // For an answer that nobody waits for any more.
  std::optional<std::chrono::steady_clock::time_point> asked_;
};

}  // namespace lanwright::vde
