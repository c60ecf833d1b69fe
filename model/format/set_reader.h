// The YAML reader: text in, a set or every mistake out. Pure; any thread may call. JSON is YAML here, so the
// same reader takes both.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/desired.h"
#include "model/format/grammar.h"

namespace lanwright {

struct Diagnostic {
  std::string file;  // as given by the caller
  int line = 0;      // 1-based; 0 when the mistake has no place (an unreadable file)
  int column = 0;    // 1-based, in characters
  std::string path;  // "networks.lab.bridge.stp"
  std::string message;
  std::string suggestion;   // the nearest known word, empty when there is none near
  std::string source_line;  // at most 200 bytes of it, cut around the column
  int caret = 0;            // 1-based place of `column` within `source_line`, in characters; 0 = none
  bool operator==(const Diagnostic&) const = default;
  // "lab.yaml:4:14: unknown key `stpp`; did you mean `stp`?\n    bridge: {stpp: true}\n             ^~~~\n"
  std::string text() const;
};

struct ReadLimits {
  // What yaml-cpp reads in about a second whatever is in it, and room for some 30,000 objects.
  std::size_t bytes = 6U << 20U;  // of a file
  std::size_t nodes = 750'000;    // scalars, sequences and mappings
  std::size_t depth = 32;
  std::size_t diagnostics = 100;  // further mistakes are counted, not told
};

struct ReadOutcome {
  SetSpec set;                          // meaningful only when there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // in the order of the file
  std::size_t untold = 0;               // mistakes beyond ReadLimits::diagnostics
  bool ok() const { return diagnostics.empty(); }
};

// Of what is right object by object: what its objects, together, cannot be. Paths begin at the file's top.
using CheckSet = std::function<void(const SetSpec&, const ReportFault&)>;

// Aliases, anchors used as aliases, cycles, several documents, and what exceeds the limits are refused.
ReadOutcome read_set(std::string_view text, const std::string& file, const Grammar& grammar,
                     const ReadLimits& limits = {}, const CheckSet& check = {});

}  // namespace lanwright
