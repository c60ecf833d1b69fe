// What the agent keeps of a network that Docker made, beside the objects made for it. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/base/result.h"
#include "model/docker.h"

namespace lanwright::docker_agent {

struct DockerRecord {
  std::string network;  // name of the network object that carries it
  bool view = false;    // which somebody else declared
  bool internal = false;
  std::string interface_prefix;
  std::vector<DockerPool> pools;
  // Docker has been told that it is there, or is about to be. It remembers no other: one that is found not to
  // be when the agent begins is nobody's.
  bool answered = false;
  bool operator==(const DockerRecord&) const = default;
};

inline constexpr const char* kController = "docker";  // that keeps these in the store's annexes

// Where is kept that Docker was asked for networks which this database does not know.
inline constexpr const char* kSearched = "docker-searched";

std::string text_of(const DockerRecord& record);  // JSON
// Errors are `internal`: nobody but the agent writes it.
Result<DockerRecord> docker_record_from(const std::string& text);

}  // namespace lanwright::docker_agent
