#include "reconcilers/plan/draft.h"

#include <algorithm>

namespace lanwright::planning {

const NamespaceFacts& Draft::host() const {
  static const NamespaceFacts none;
  const NamespaceFacts* host = observed_.find(std::string{});
  return host != nullptr ? *host : none;
}

std::string Draft::name_of_index(const std::string& netns, int ifindex) const {
  const NamespaceFacts* place = observed_.find(netns);
  const LinkFact* fact = place != nullptr ? place->find(ifindex) : nullptr;
  if (fact != nullptr) return fact->name;
  return ifindex == 0 ? std::string{} : "ifindex " + std::to_string(ifindex);
}

const Resources& Draft::resources_of(const DesiredObject& entry) const {
  const auto known = resources_.find(&entry);
  return known != resources_.end() ? known->second
                                   : resources_.emplace(&entry, entry.compile()).first->second;
}

std::vector<std::string> Draft::paths_to(const std::string& netns) const {
  if (!paths_) {
    paths_.emplace();
    for (const auto& [path, facts] : observed_.namespaces) (*paths_)[observed_.id_of(path)].push_back(path);
  }
  const auto found = paths_->find(observed_.id_of(netns));
  return found != paths_->end() ? found->second : std::vector{netns};
}

void Draft::act(const Cursor& at, int stage, Step step, std::string reason,
                std::vector<std::string> differences, Disruption disruption) {
  plan_.actions.push_back(
      {at.entry.object.id, stage, std::move(step), std::move(reason), std::move(differences), disruption});
}

void Draft::block(const Cursor& at, Error why) {
  plan_.blocked.push_back({at.entry.object.id, std::move(why)});
}

void Draft::await(const Cursor& at, Error carrier) {
  plan_.blocked.push_back({at.entry.object.id, std::move(carrier), true});
}

// Several are told together, each once.
void Draft::note(const Cursor& at, const std::string& text) {
  std::string& notes = plan_.notes[at.entry.object.id];
  if (notes.find(text) == std::string::npos) notes += (notes.empty() ? "" : "; ") + text;
}

Plan Draft::take() && {
  std::stable_sort(plan_.actions.begin(), plan_.actions.end(),
                   [](const Action& a, const Action& b) { return a.stage < b.stage; });
  return std::move(plan_);
}

bool sends_whole_checksums(const Draft& draft, const LinkSpec& link) {
  return link.whole_checksums && !draft.observed().ovs.userspace_tso;
}

Error waiting(const DesiredObject& entry, const LinkName& link, std::string words, std::string hint) {
  return {ErrorKind::waiting, "make", label(entry, link), 0, std::move(words), std::move(hint)};
}

Error conflict(const DesiredObject& entry, const LinkName& link, std::string words, std::string hint) {
  return {ErrorKind::conflict, "make", label(entry, link), 0, std::move(words), std::move(hint)};
}

std::string label(const DesiredObject& entry, const LinkName& link) {
  return link.text() + " of " + entry.object.id.text();
}

std::string kind_or_physical(const LinkFact& fact) {
  return fact.kind.empty() ? std::string("physical") : fact.kind;
}

std::string text_or_none(const std::string& text) {
  return text.empty() ? std::string("none") : text;
}

ChangeLink change_of(const LinkName& where, const LinkFact& fact) {
  ChangeLink change;
  change.at = where;
  change.kind = fact.kind;
  change.ifindex = fact.ifindex;
  return change;
}

}  // namespace lanwright::planning
