// The state of every object, and how many are not as declared: kept in step with each input, so that nobody
// goes through all objects to know. Loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/reconcile/object_state.h"
#include "api/rest/agent_api.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::reconcile {

using desired::Declaration;
using desired::DesiredObject;
using desired::DesiredState;
using drivers::Resources;

class ObjectTable {
 public:
  using Input = std::function<Transition(ObjectState&)>;

  // Gives the object's state an input. `declared` is what is wanted of it now; an object that is new here
  // begins as Pending.
  Transition update(const Declaration& declared, const Input& input);
  // When the object was first declared.
  void set_created(const ResourceId& id, WallTime created);
  void forget(const ResourceId& id);

  const ObjectState* find(const ResourceId& id) const;
  // Nobody waits for the agent: each object is ready, or waits for something outside.
  bool all_idle() const { return busy_ == 0; }
  bool is_ready(const std::string& set) const { return !unready_.contains(set); }  // all of the set's objects
  std::shared_ptr<const ObjectView> view_of(const DesiredObject& object);

 private:
  struct Row {
    ObjectState state;
    WallTime created{};
    std::shared_ptr<const ObjectView> view;  // made when asked for
    // As counted below.
    std::string set;
    bool unready = false;
    bool busy = false;
  };
  void uncount(Row& row);
  void count(Row& row, const Declaration& declared);

  std::map<ResourceId, Row> rows_;
  std::map<std::string, std::size_t> unready_;  // objects that are not Ready as declared now, by set
  std::size_t busy_ = 0;
};

// An input from which nothing follows.
template <class Change>
ObjectTable::Input silently(Change change) {
  return [change](ObjectState& state) {
    std::invoke(change, state);
    return Transition{};
  };
}

}  // namespace lanwright::reconcile
