// What was made so lately that Docker may not list it yet. Loop thread only.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace lanwright::docker_agent {

class GracePeriods {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kDefault{30};

  std::chrono::seconds length() const { return length_; }
  void set_length(std::chrono::seconds length) { length_ = length; }

  // From now on. By Docker's id of a network or an endpoint, or the key of a pool or an address.
  void start(const std::string& key) {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(since_, [&](const auto& each) { return now - each.second >= length_; });
    since_[key] = now;
  }
  void hold(const std::string& key) { since_[key] = SteadyTime::max(); }  // until it is started
  // Otherwise it was made long ago, or before this agent began.
  bool is_in(const std::string& key) const {
    const auto since = since_.find(key);
    return since != since_.end() && std::chrono::steady_clock::now() - since->second < length_;
  }
  // The same of what may have been made a moment before this agent began.
  bool may_be_in(const std::string& key) const {
    return is_in(key) || std::chrono::steady_clock::now() - opened_ < length_;
  }

 private:
  const SteadyTime opened_ = std::chrono::steady_clock::now();
  std::chrono::seconds length_ = kDefault;
  std::map<std::string, SteadyTime> since_;
};

}  // namespace lanwright::docker_agent
