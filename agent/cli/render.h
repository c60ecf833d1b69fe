// The REST answers as people read them. Works on the JSON that the agent sent, so that a field that an older
// agent does not know shows as "-" rather than as an error. Pure but for the stream; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/cli/table.h"
#include "model/format/json.h"
#include "model/status.h"

namespace lanwright::cli {

// What `get` and `describe` name: the kinds of objects, and what the agent lists besides.
enum class Resource : std::uint8_t { vlan, network, attachment, switch_process, set };

const char* name_of(Resource resource);    // "network"
const char* plural_of(Resource resource);  // "networks"; also the segment of the REST path
// Accepts the singular, the plural and short forms ("net", "att").
std::optional<Resource> resource_from(std::string_view text);

enum class OutputFormat : std::uint8_t { table, wide, json, yaml };
std::optional<OutputFormat> format_from(std::string_view text);

// How things are shown.
struct Style {
  bool wide = false;
  bool colour = false;
  WallTime now{};
};

// json or yaml.
void print_data(std::ostream& out, const Json& value, OutputFormat format);

using PortCounts = std::map<std::string, std::size_t>;  // attachments by network
PortCounts count_ports(const Json& attachments);

void print_list(std::ostream& out, Resource resource, const Json& list, const PortCounts& ports,
                const Style& style);
void print_plan(std::ostream& out, const Json& plan, const Style& style);
void print_description(std::ostream& out, const Json& description, const Style& style);
void print_switch(std::ostream& out, const Json& found, const Style& style);
// The header is printed when `header` is set: a followed stream prints it once.
void print_events(std::ostream& out, const Json& events, bool header, const Style& style);
void print_status(std::ostream& out, const Json& status, const Style& style);

// Reading of answers: the text at the path of keys, numbers included; "" when there is none.
std::string text_at(const Json& object, std::initializer_list<const char*> path);
// The number there; 0 when there is none.
std::uint64_t number_at(const Json& object, std::initializer_list<const char*> path);
// The array there; an empty one when there is none.
const Json& list_at(const Json& object, std::initializer_list<const char*> path);
// Of an attachment: the addresses that it declares, otherwise those that it was given.
const Json& addresses_of(const Json& attachment);
// Where an attachment ends: an interface in a namespace (a container's sandbox has one as soon as Docker has
// named it), or a tap.
struct AttachedPlace {
  std::string netns;
  std::string interface;
  std::string tap;
  bool docker = false;  // has it, and may not have put it anywhere yet
  bool left = false;    // Docker took it out again
};
AttachedPlace place_of(const Json& attachment);
std::string text_of(const AttachedPlace& place);  // "eth0 in r1", "tap tap-vm1"
// "network lab" of anything that names an object.
std::string object_text(const Json& value);
Colour colour_of_phase(std::string_view phase);
// Why an object is not Ready, its message or its last error; and that Docker forgot it.
std::string why_of(const Json& object);

}  // namespace lanwright::cli
