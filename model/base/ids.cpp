#include "model/base/ids.h"

namespace lanwright {

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::vlan:
      return "vlan";
    case Kind::network:
      return "network";
    case Kind::attachment:
      break;
  }
  return "attachment";
}

const char* plural_of(Kind kind) {
  switch (kind) {
    case Kind::vlan:
      return "vlans";
    case Kind::network:
      return "networks";
    case Kind::attachment:
      break;
  }
  return "attachments";
}

std::optional<Kind> kind_from(std::string_view text) {
  for (const Kind kind : {Kind::vlan, Kind::network, Kind::attachment}) {
    if (text == name_of(kind) || text == plural_of(kind)) return kind;
  }
  return std::nullopt;
}

}  // namespace lanwright
