#include "reconcilers/vde/program.h"

#include <array>

namespace lanwright::vde {

const SwitchProgram& stock_engine();

const SwitchProgram* find_switch_program(const std::string& name) {
  static const std::array kEngines = {
      &stock_engine(),
  };
  for (const SwitchProgram* engine : kEngines) {
    if (name == engine->name()) return engine;
  }
  return nullptr;
}

const SwitchProgram& default_switch_program() {
  return stock_engine();
}

}  // namespace lanwright::vde
