#include "model/observed.h"

#include <algorithm>
#include <utility>

namespace lanwright {

namespace {

// A copied alias may put one mark on two links: ours is the one in our group, else the older one.
bool better(const LinkFact& a, const LinkFact& b) {
  const bool a_ours = is_birth_group(a.group);
  const bool b_ours = is_birth_group(b.group);
  if (a_ours != b_ours) return a_ours;
  return a.ifindex < b.ifindex;
}

}  // namespace

const LinkFact* NamespaceFacts::find(int ifindex) const {
  const auto found = links_.find(ifindex);
  return found == links_.end() ? nullptr : &found->second;
}

// Names and alternative names share one index, as they share one table in the kernel (netdev_name_node).
const LinkFact* NamespaceFacts::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : find(found->second);
}

const LinkFact* NamespaceFacts::find(const OwnerTag& mark) const {
  const LinkFact* best = nullptr;
  const auto [begin, end] = by_uid_.equal_range(mark.uid);
  if (begin == end) return nullptr;
  const std::string alias = mark.text();
  for (auto entry = begin; entry != end; ++entry) {
    const LinkFact& fact = links_.at(entry->second);
    if (fact.alias == alias && (best == nullptr || better(fact, *best))) best = &fact;
  }
  return best;
}

std::vector<const LinkFact*> NamespaceFacts::marked(const ObjectUid& uid) const {
  std::vector<const LinkFact*> result;
  const auto [begin, end] = by_uid_.equal_range(uid);
  for (auto entry = begin; entry != end; ++entry) result.push_back(&links_.at(entry->second));
  std::sort(result.begin(), result.end(),
            [](const LinkFact* a, const LinkFact* b) { return a->ifindex < b->ifindex; });
  return result;
}

std::vector<int> NamespaceFacts::ports_of(int master) const {
  std::vector<int> result;
  for (const auto& [ifindex, fact] : links_) {
    if (fact.master == master) result.push_back(ifindex);
  }
  std::sort(result.begin(), result.end());
  return result;
}

void NamespaceFacts::put(LinkFact fact) {
  const int ifindex = fact.ifindex;
  const auto found = links_.find(ifindex);
  if (found == links_.end()) {
    index(links_.emplace(ifindex, std::move(fact)).first->second);
    return;
  }
  LinkFact& known = found->second;
  // Most events change neither name nor mark: leave the indexes alone then.
  const bool same_keys =
      known.name == fact.name && known.alias == fact.alias && known.altnames == fact.altnames;
  if (same_keys) {
    known = std::move(fact);
    return;
  }
  unindex(known);
  known = std::move(fact);
  index(known);
}

void NamespaceFacts::erase(int ifindex) {
  const auto found = links_.find(ifindex);
  if (found == links_.end()) return;
  unindex(found->second);
  links_.erase(found);
}

void NamespaceFacts::clear() {
  links_.clear();
  by_name_.clear();
  by_uid_.clear();
}

LinkFact* NamespaceFacts::edit(int ifindex) {
  const auto found = links_.find(ifindex);
  return found == links_.end() ? nullptr : &found->second;
}

void NamespaceFacts::index(const LinkFact& fact) {
  by_name_[fact.name] = fact.ifindex;
  for (const std::string& altname : fact.altnames) by_name_[altname] = fact.ifindex;
  if (const auto mark = OwnerTag::parse(fact.alias)) by_uid_.emplace(mark->uid, fact.ifindex);
}

void NamespaceFacts::unindex(const LinkFact& fact) {
  // A name may have passed to another link in the meantime: it is that link's entry then.
  const auto drop = [&](const std::string& name) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end() && found->second == fact.ifindex) by_name_.erase(found);
  };
  drop(fact.name);
  for (const std::string& altname : fact.altnames) drop(altname);
  const auto mark = OwnerTag::parse(fact.alias);
  if (!mark) return;
  const auto [begin, end] = by_uid_.equal_range(mark->uid);
  const auto entry = std::find_if(begin, end, [&](const auto& e) { return e.second == fact.ifindex; });
  if (entry != end) by_uid_.erase(entry);
}

const NamespaceFacts* Observed::find(const std::string& netns) const {
  const auto found = namespaces.find(netns);
  return found == namespaces.end() ? nullptr : &found->second;
}

NamespaceId Observed::id_of(const std::string& netns) const {
  const NamespaceFacts* facts = find(netns);
  if (facts == nullptr || !facts->present || facts->inode == 0) return {0, netns};
  return {facts->inode, {}};
}

const LinkFact* Observed::find(const LinkName& where) const {
  const NamespaceFacts* facts = find(where.netns);
  return facts == nullptr ? nullptr : facts->find(where.name);
}

}  // namespace lanwright
