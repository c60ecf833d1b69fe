// Everything that is wanted, compiled to links, with the indexes that tell whom a change concerns. A value:
// cheap to copy (what did not change is shared), so that a request is tried on a copy and kept or thrown
// away.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/desired.h"
#include "model/ids.h"
#include "model/link.h"
#include "model/result.h"
#include "reconcilers/driver.h"

namespace lanwright {

struct WantedObject {
  ResourceId id;
  std::string set;
  Uid uid;
  std::uint64_t generation = 0;
  bool deleting = false;
  bool adopt = false;
  std::shared_ptr<const ObjectSpec> spec;
};

class Blueprint {
 public:
  struct Entry {
    WantedObject object;
    Parts parts;  // while deleting: what it used to want
  };

  // Adds an object or replaces the one with this id. Order does not matter: what depends on it is compiled
  // anew.
  void put(WantedObject object);
  void erase(const ResourceId& id);
  void set_claims(const Uid& uid, std::set<std::string> links);

  // The first thing that cannot be, naming both sides: two objects that want one link, an attachment whose
  // network is missing, a link that stands on itself.
  Result<void> check() const;

  const Entry* find(const ResourceId& id) const;
  const Entry* find_uid(const Uid& uid) const;
  const std::map<ResourceId, std::shared_ptr<const Entry>>& entries() const { return entries_; }
  // Whose link this is, by its wanted name. Of an object that is being deleted only when nobody else wants
  // it.
  const Entry* owner_of(const LinkName& link) const;
  // Objects that use this link without owning it: as uplink, master or parent.
  const std::set<ResourceId>* users_of(const LinkName& link) const;
  // Objects with links in this namespace, by path.
  const std::set<ResourceId>* in_namespace(const std::string& netns) const;
  std::set<std::string> namespaces() const;  // all but the managed one
  // 0 for what stands on nothing of ours, otherwise one above what it stands on: the order of creation.
  int depth_of(const ResourceId& id) const;
  std::vector<ResourceId> attachments_of(const std::string& network) const;
  const std::set<std::string>& claims_of(const Uid& uid) const;

 private:
  void compile(WantedObject object);
  void index(const Entry& entry);
  void unindex(const Entry& entry);
  int depth_of(const Entry& entry, std::map<const Entry*, int>& known) const;

  std::map<ResourceId, std::shared_ptr<const Entry>> entries_;
  std::map<Uid, ResourceId> by_uid_;
  std::map<LinkName, std::set<ResourceId>> owners_;  // more than one is what check() refuses
  std::map<LinkName, std::set<ResourceId>> users_;
  std::map<std::string, std::set<ResourceId>> by_namespace_;
  std::map<std::string, std::set<std::string>> by_network_;  // attachments
  std::map<Uid, std::set<std::string>> claims_;
};

}  // namespace lanwright
