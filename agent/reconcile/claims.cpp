#include "agent/reconcile/claims.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "agent/host/log.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {
namespace {

// Whether this change makes a link a port that is an uplink of the object.
bool takes_uplink(const ChangeLink& change, const DesiredObject& object) {
  if (!change.master || change.master->empty()) return false;
  const drivers::Resources resources = object.compile();
  return std::any_of(resources.links.begin(), resources.links.end(),
                     [&](const LinkSpec& link) { return !link.owned && link.where == change.where; });
}

}  // namespace

Result<void> Claims::load() {
  auto stored = store_.claims();
  if (!stored) return stored.error();
  std::vector<Claim> held;
  std::vector<Claim> idle;
  for (const Claim& claim : *stored) (desired_.find_uid(claim.uid) == nullptr ? idle : held).push_back(claim);
  if (auto dropped = store_.drop_claims(idle); !dropped) return dropped;
  add(held);
  return {};
}

void Claims::add(const std::vector<Claim>& claims) {
  std::map<ObjectUid, std::set<std::string>> links;
  for (const Claim& claim : claims) links[claim.uid].insert(claim.link);
  for (auto& [uid, its] : links) {
    its.insert(desired_.claims_of(uid).begin(), desired_.claims_of(uid).end());
    desired_.set_claims(uid, std::move(its));
  }
}

std::optional<Claims::Refused> Claims::claim_uplinks(const Plan& plan) {
  std::vector<Claim> claims;
  std::set<ResourceId> claimants;
  for (const Action& action : plan.actions) {
    const auto* change = std::get_if<ChangeLink>(&action.step);
    const auto* object = desired_.find(action.object);
    if (change == nullptr || object == nullptr) continue;
    const ObjectUid& uid = object->object.uid;
    if (desired_.claims_of(uid).contains(change->where.name) || !takes_uplink(*change, *object)) continue;
    claims.push_back({uid, change->where.name});
    claimants.insert(action.object);
  }
  if (claims.empty()) return std::nullopt;
  if (auto stored = store_.add_claims(claims); !stored) return Refused{stored.error(), std::move(claimants)};
  add(claims);
  return std::nullopt;
}

void Claims::drop_settled(const DesiredObject& object, const Observed& observed) {
  const auto settled = planning::settled_claims(object, desired_, observed);
  if (settled.empty()) return;
  const ObjectUid& uid = object.object.uid;
  std::vector<Claim> claims;
  std::set<std::string> rest = desired_.claims_of(uid);
  for (const std::string& link : settled) {
    claims.push_back({uid, link});
    rest.erase(link);
  }
  if (auto dropped = store_.drop_claims(claims); !dropped) {
    log::warning("store", {{"error", dropped.error().text()}});
    return;
  }
  desired_.set_claims(uid, std::move(rest));
}

void Claims::end_adoption(const std::set<ResourceId>& objects) {
  if (objects.empty()) return;
  for (const ResourceId& id : objects) {
    const DesiredObject* known = desired_.find(id);
    if (known == nullptr || !known->object.adopt) continue;
    desired::Declaration object = known->object;
    object.adopt = false;
    desired_.put(std::move(object));
  }
  if (auto ended = store_.end_adoption(objects); !ended)
    log::warning("store", {{"error", ended.error().text()}});
}

}  // namespace lanwright::reconcile
