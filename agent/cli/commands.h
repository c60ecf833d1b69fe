// The commands, after the command line was understood. Each answers its exit status.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/cli/render.h"
#include "agent/cli/session.h"
#include "agent/cli/topology/topology.h"

namespace lanwright::cli {

using Wait = std::optional<std::chrono::milliseconds>;  // absent: do not wait

struct ApplyOptions {
  std::vector<std::string> files;
  bool dry_run = false;
  bool no_prune = false;
  bool adopt = false;
  std::optional<std::uint64_t> if_generation;
  Wait wait;
};

struct DeleteOptions {
  std::vector<std::string> files;  // or an object:
  Resource resource = Resource::network;
  std::string name;
  Wait wait;
};

struct UplinkOptions {
  std::string network;
  std::string interface;
  std::optional<unsigned> vlan;
  bool remove = false;
  bool dry_run = false;
  Wait wait;
};

struct GetOptions {
  Resource resource = Resource::network;
  std::string name;  // empty: all
  std::string set;   // empty: of all sets
};

struct EventOptions {
  bool follow = false;
  std::size_t limit = 100;
};

int validate_files(CliIo& io, OutputFormat format, const std::vector<std::string>& files);
int show_plan(Session& session, const ApplyOptions& options);
int show_difference(Session& session, const std::string& set);
int apply_files(Session& session, const ApplyOptions& options);
int delete_objects(Session& session, const DeleteOptions& options);
int change_uplink(Session& session, const UplinkOptions& options);
int get_objects(Session& session, const GetOptions& options);
int describe_object(Session& session, Resource resource, const std::string& name);
int export_sets(Session& session, const std::string& set);
int show_events(Session& session, const EventOptions& options);
int show_topology(Session& session, PictureFormat format);
int show_status(Session& session, Wait wait);

}  // namespace lanwright::cli
