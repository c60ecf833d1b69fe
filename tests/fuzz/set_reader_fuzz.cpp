// Any bytes go through the reader; a set that it accepts must survive YAML, JSON and the store's rows.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/format/json.h"
#include "tests/unit/model/fixture.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lanwright;
  static const Grammar kGrammar = model_test::grammar();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ReadOutcome outcome = read_set(text, "fuzz.yaml", kGrammar);
  for (const Diagnostic& diagnostic : outcome.diagnostics) {
    require(diagnostic.line >= 1 && diagnostic.column >= 1 && !diagnostic.message.empty());
    to_json(diagnostic).dump();
  }
  if (!outcome.ok()) return 0;
  require(read_set(to_yaml(outcome.set), "again.yaml", kGrammar).set == outcome.set);
  require(read_set(to_json(outcome.set).dump(), "again.json", kGrammar).set == outcome.set);
  for (const auto& [name, spec] : outcome.set.attachments) {
    const auto again = spec_from_json(Kind::attachment, name, to_json(spec).dump(), kGrammar);
    require(again.ok() && *again == ObjectSpec(spec));
  }
  return 0;
}
