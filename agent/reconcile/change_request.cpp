#include "agent/reconcile/change_request.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "model/desired.h"

namespace lanwright::reconcile {
namespace {

using desired::Declaration;
using desired::DesiredObject;

Error belongs_to(const ResourceId& id, const std::string& set) {
  return {ErrorKind::conflict,
          "apply",
          id.text(),
          0,
          "it belongs to set " + set,
          "give it another name, or remove it there first"};
}

Declaration declaration_of(const ResourceId& id, const DesiredObject* known, const std::string& set,
                           ChangeRequest::Wanted wanted) {
  Declaration object;
  object.id = id;
  object.set = set;
  object.uid = known != nullptr ? known->object.uid : wanted.uid.empty() ? new_uid() : wanted.uid;
  object.generation = known != nullptr ? known->object.generation : 0;
  if (known != nullptr) object.allocations = known->object.allocations;
  object.adopt = wanted.adopt;
  object.spec = std::make_shared<const ObjectSpec>(std::move(wanted.spec));
  return object;
}

}  // namespace

ObjectUid new_uid() {
  std::uint64_t bits = 0;
  while (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
  }
  ObjectUid uid(16, '0');
  for (std::size_t i = uid.size(); i-- > 0; bits >>= 4U) uid[i] = "0123456789abcdef"[bits & 0xfU];
  return uid;
}

Result<void> declare(ChangeRequest& request, const DesiredState& desired, const NamespaceFacts* host,
                     Changeset& changes) {
  bool changes_set = false;
  for (auto& [id, wanted] : request.upsert) {
    if (changes.is_given_up()) return {};
    const DesiredObject* known = desired.find(id);
    const bool implicit = known != nullptr && known->object.implicit();
    if (known != nullptr && !implicit && known->object.set != request.set)
      return belongs_to(id, known->object.set);
    const bool same = known != nullptr && !implicit && !known->object.deleting && known->object.spec &&
                      *known->object.spec == wanted.spec;
    if (same && !wanted.adopt) continue;
    changes.upsert(declaration_of(id, known, request.set, std::move(wanted)));
    changes_set = true;
  }
  for (const ResourceId& id : request.remove) {
    const DesiredObject* known = desired.find(id);
    if (known == nullptr || known->object.deleting) continue;
    changes.mark_deleting(id);
    changes_set = true;
  }
  const auto& dropped = request.beside.drop_sets;
  if (changes_set && std::find(dropped.begin(), dropped.end(), request.set) == dropped.end())
    request.beside.put_sets.push_back(request.set);
  return changes.complete(host);
}

}  // namespace lanwright::reconcile
