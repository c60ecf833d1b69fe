#include "agent/reconcile/object_table.h"

#include <utility>

namespace lanwright::reconcile {

Transition ObjectTable::update(const Declaration& declared, const Input& input) {
  Row& row = rows_[declared.id];
  uncount(row);
  Transition transition = input(row.state);
  count(row, declared);
  row.view.reset();
  return transition;
}

void ObjectTable::set_created(const ResourceId& id, WallTime created) {
  Row& row = rows_[id];
  if (row.created == WallTime{}) row.state.begin(created);
  row.created = created;
  row.view.reset();
}

void ObjectTable::forget(const ResourceId& id) {
  const auto found = rows_.find(id);
  if (found == rows_.end()) return;
  uncount(found->second);
  rows_.erase(found);
}

const ObjectState* ObjectTable::find(const ResourceId& id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &found->second.state;
}

void ObjectTable::uncount(Row& row) {
  if (row.unready && --unready_[row.set] == 0) unready_.erase(row.set);
  if (row.busy) --busy_;
  row.unready = row.busy = false;
}

void ObjectTable::count(Row& row, const Declaration& declared) {
  const Version version{declared.generation, declared.deleting};
  row.set = declared.set;
  row.unready = !row.state.is_ready(version);
  row.busy = !row.state.is_idle(version);
  if (row.unready) ++unready_[row.set];
  if (row.busy) ++busy_;
}

std::shared_ptr<const ObjectView> ObjectTable::view_of(const DesiredObject& object) {
  Row& row = rows_[object.object.id];
  if (row.view) return row.view;
  auto view = std::make_shared<ObjectView>();
  view->id = object.object.id;
  view->set = object.object.set;
  view->uid = object.object.uid;
  view->generation = object.object.generation;
  view->created = row.created;
  view->deleting = object.object.deleting;
  view->spec = object.object.spec;
  view->status = row.state.status();
  view->allocations = object.object.allocations;
  const Resources resources = object.compile();
  for (const LinkSpec& link : resources.links) {
    if (!link.borrowed) view->links.push_back(link.at);
  }
  row.view = std::move(view);
  return row.view;
}

}  // namespace lanwright::reconcile
