#include "reconcilers/vde/engine.h"

#include <array>

namespace lanwright {

const SwitchEngine& stock_engine();

const SwitchEngine* find_engine(const std::string& name) {
  static const std::array kEngines = {
      &stock_engine(),
  };
  for (const SwitchEngine* engine : kEngines) {
    if (name == engine->name()) return engine;
  }
  return nullptr;
}

const SwitchEngine& default_engine() {
  return stock_engine();
}

}  // namespace lanwright
