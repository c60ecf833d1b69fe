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
  static Result<PlugClient> open(const std::string& socket, std::chrono::milliseconds patience);

  struct Ports {
    std::vector<plug::PortLine> lines;
    plug::SharedLine shared;
  };
  // A question that is not answered in time ends the connection: this client is empty then.
  Result<Ports> list();
  Result<void> connect();
  Result<void> watch();
  // `descriptor` stays the caller's; the plug has one of its own.
  Result<void> add(const PlugFact& plug, const os::Descriptor& descriptor);
  Result<void> remove(const OwnerTag& mark);

  // Whether something was told since the last look; false in `alive` when the plug closed the connection.
  struct News {
    bool any = false;
    bool alive = true;
  };
  News news();

  // Asks for a sign of life, which news() takes in; no more than one at a time. Does not wait.
  void ping();
  // For how long a ping has not been answered.
  std::chrono::steady_clock::duration silence() const;
  // Waits for one.
  bool answers_within(std::chrono::milliseconds patience);

  int fd() const { return socket_.get(); }
  const os::Descriptor& connection() const { return socket_; }
  explicit operator bool() const { return static_cast<bool>(socket_); }

 private:
  // Sends a command; answers the lines of data before its "ok".
  Result<std::vector<std::string>> ask(const std::string& command,
                                       const os::Descriptor* descriptor = nullptr);
  std::optional<std::string> take_line();
  Result<std::string> next_line(std::chrono::steady_clock::time_point end, const std::string& tried);

  os::Descriptor socket_;
  std::string path_;
  std::chrono::milliseconds patience_{};
  std::string text_;
  bool told_ = false;  // something came in between that is not an answer
  std::optional<std::chrono::steady_clock::time_point> asked_;  // for a sign of life that has not come
};

}  // namespace lanwright::vde
