// A change of the desired state on its way: made in place, and put back unless it is kept. Pure; the thread
// that owns the desired state.
//
//   Changeset changes(desired, new_uid);
//   changes.upsert(declaration); changes.mark_deleting(id);
//   if (auto complete = changes.complete(); !complete) return complete.error();   // nothing has changed
//   ... plan, commit ...
//   changes.keep();
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/base/abandoned.h"
#include "model/base/ids.h"
#include "model/base/result.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::desired {

class Changeset {
 public:
  // `new_uid` names the VLAN links that a change brings with it. One that is given up is neither complete nor
  // checked, and must not be kept.
  Changeset(DesiredState& desired, std::function<ObjectUid()> new_uid, Abandoned abandoned = {});
  ~Changeset();
  Changeset(const Changeset&) = delete;
  Changeset& operator=(const Changeset&) = delete;

  void upsert(Declaration object);
  void include(const ResourceId& id);        // as it is, to be compared all the same
  void mark_deleting(const ResourceId& id);  // a declared object

  // Adds what follows from the above (VLAN links that networks name as their parent, addresses from subnets),
  // and checks the whole, as DesiredState::check() does.
  Result<void> complete(const NamespaceFacts* host = nullptr);
  // Adds whoever shares a namespace with these, or did, by whichever path. Once the namespaces are observed.
  void include_neighbours(const Observed& observed);

  // What is declared or removed, and whatever depends on it: to be compared anew.
  const std::set<ResourceId>& scope() const { return scope_; }
  const std::set<ResourceId>& upserted() const { return upserted_; }
  const std::set<ResourceId>& deleted() const { return deleted_; }
  // Whether this change makes the object want other resources than before.
  bool alters(const ResourceId& id) const;

  // A namespace in which an object had links and will have none: looked at until nothing of it is left there.
  struct LeftNamespace {
    ObjectUid uid;
    std::string path;
  };
  std::vector<LeftNamespace> left_namespaces() const;
  // Whether the change may add or drop namespaces that matter.
  bool moves_namespaces() const;

  bool is_given_up() const { return nobody_waits(abandoned_); }
  void keep() { kept_ = true; }

 private:
  void remember(const ResourceId& id);
  void include_with_dependents(const ResourceId& id);
  void sync_implicit_vlans();
  Result<void> allocate();
  Result<void> allocate_on(const std::string& network);

  DesiredState& desired_;
  std::function<ObjectUid()> new_uid_;
  Abandoned abandoned_;
  // As it was before the first change of it; nullptr: not there.
  std::map<ResourceId, std::shared_ptr<const DesiredObject>> before_;
  std::set<ResourceId> scope_;
  std::set<ResourceId> upserted_;
  std::set<ResourceId> deleted_;
  bool kept_ = false;
};

}  // namespace lanwright::desired
