// Runs the scenarios of this folder, a test for each file. With LANWRIGHT_REWRITE_SCENARIOS=1 what comes out
// is written into the files instead of being compared: the difference is then for people to look at.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/scenarios/script.h"
#include "tests/scenarios/stage.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> scenario_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(SOURCE_DIR "/tests/scenarios")) {
    if (entry.path().extension() == ".scenario") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string name_of_test(const testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::string content_of(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool rewrites() {
  return std::getenv("LANWRIGHT_REWRITE_SCENARIOS") != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

class Scenarios : public testing::TestWithParam<fs::path> {};

TEST_P(Scenarios, PlanAsWritten) {
  const std::string written = content_of(GetParam());
  Script script = parse_script(written);
  ASSERT_EQ(text_of(script), written) << "a line is neither a command nor indented by four spaces";
  Stage stage;
  for (Command& command : script.commands) {
    try {
      command.body = stage.play(command);
    } catch (const std::exception& mistake) {
      FAIL() << GetParam().string() << ":" << command.line << ": " << mistake.what();
    }
  }
  const std::string played = text_of(script);
  if (played == written) return;
  if (rewrites()) {
    std::ofstream(GetParam()) << played;
    return;
  }
  ADD_FAILURE() << GetParam().string() << ": lines with - are expected, lines with + came instead\n"
                << difference(written, played);
}

INSTANTIATE_TEST_SUITE_P(, Scenarios, testing::ValuesIn(scenario_files()), name_of_test);

}  // namespace
}  // namespace lanwright::test
