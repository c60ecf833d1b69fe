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
  const auto found = tables_->links.find(ifindex);
  return found == tables_->links.end() ? nullptr : &found->second;
}

// Names and alternative names share one index, as they share one table in the kernel (netdev_name_node).
const LinkFact* NamespaceFacts::find(const std::string& name) const {
  const auto found = tables_->by_name.find(name);
  return found == tables_->by_name.end() ? nullptr : find(found->second);
}

const LinkFact* NamespaceFacts::find(const OwnerTag& mark) const {
  const LinkFact* best = nullptr;
  const auto [begin, end] = tables_->by_uid.equal_range(mark.uid);
  if (begin == end) return nullptr;
  const std::string alias = mark.text();
  for (auto entry = begin; entry != end; ++entry) {
    const LinkFact& fact = tables_->links.at(entry->second);
    if (fact.alias == alias && (best == nullptr || better(fact, *best))) best = &fact;
  }
  return best;
}

std::vector<const LinkFact*> NamespaceFacts::marked(const ObjectUid& uid) const {
  std::vector<const LinkFact*> result;
  const auto [begin, end] = tables_->by_uid.equal_range(uid);
  for (auto entry = begin; entry != end; ++entry) result.push_back(&tables_->links.at(entry->second));
  std::sort(result.begin(), result.end(),
            [](const LinkFact* a, const LinkFact* b) { return a->ifindex < b->ifindex; });
  return result;
}

std::vector<int> NamespaceFacts::ports_of(int master) const {
  std::vector<int> result;
  for (const auto& [ifindex, fact] : tables_->links) {
    if (fact.master == master) result.push_back(ifindex);
  }
  std::sort(result.begin(), result.end());
  return result;
}

NamespaceFacts::Tables& NamespaceFacts::own() {
  if (tables_.use_count() > 1) tables_ = std::make_shared<Tables>(*tables_);
  return *tables_;
}

void NamespaceFacts::put(LinkFact fact) {
  Tables& tables = own();
  const int ifindex = fact.ifindex;
  const auto found = tables.links.find(ifindex);
  if (found == tables.links.end()) {
    tables.index(tables.links.emplace(ifindex, std::move(fact)).first->second);
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
  tables.unindex(known);
  known = std::move(fact);
  tables.index(known);
}

void NamespaceFacts::erase(int ifindex) {
  if (find(ifindex) == nullptr) return;
  Tables& tables = own();
  const auto found = tables.links.find(ifindex);
  tables.unindex(found->second);
  tables.links.erase(found);
}

void NamespaceFacts::clear() {
  tables_ = std::make_shared<Tables>();
}

LinkFact* NamespaceFacts::edit(int ifindex) {
  return find(ifindex) == nullptr ? nullptr : &own().links.at(ifindex);
}

void NamespaceFacts::Tables::index(const LinkFact& fact) {
  by_name[fact.name] = fact.ifindex;
  for (const std::string& altname : fact.altnames) by_name[altname] = fact.ifindex;
  if (const auto mark = OwnerTag::parse(fact.alias)) by_uid.emplace(mark->uid, fact.ifindex);
}

void NamespaceFacts::Tables::unindex(const LinkFact& fact) {
  // A name may have passed to another link in the meantime: it is that link's entry then.
  const auto drop = [&](const std::string& name) {
    const auto found = by_name.find(name);
    if (found != by_name.end() && found->second == fact.ifindex) by_name.erase(found);
  };
  drop(fact.name);
  for (const std::string& altname : fact.altnames) drop(altname);
  const auto mark = OwnerTag::parse(fact.alias);
  if (!mark) return;
  const auto [begin, end] = by_uid.equal_range(mark->uid);
  const auto entry = std::find_if(begin, end, [&](const auto& e) { return e.second == fact.ifindex; });
  if (entry != end) by_uid.erase(entry);
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
