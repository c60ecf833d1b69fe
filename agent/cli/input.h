// The files that a command names.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "agent/cli/command_line.h"
#include "model/desired.h"
#include "model/format/set_reader.h"

namespace lanwright::cli {

struct InputFile {
  std::string name;  // as given; "standard input" for "-"
  std::string text;
  ReadOutcome outcome;
};

// Reads and checks all files, so that every mistake of every file is known at once. That a file cannot be
// read is a diagnostic too.
std::vector<InputFile> read_files(const std::vector<std::string>& paths, CliIo& io);

// Makes it a mistake that two files declare one set: applying the second would remove what the first
// declared.
void refuse_shared_sets(std::vector<InputFile>& files);

// Prints the mistakes on standard error; false when there are any.
bool report_mistakes(const std::vector<InputFile>& files, CliIo& io);

// "2 networks, 1 attachment"; "nothing" when the set is empty.
std::string summary(const SetSpec& set);

}  // namespace lanwright::cli
