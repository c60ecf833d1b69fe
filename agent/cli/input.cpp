#include "agent/cli/input.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <istream>
#include <map>
#include <ostream>
#include <system_error>
#include <utility>

#include "reconcilers/desired/set_check.h"
#include "reconcilers/drivers/registry.h"

namespace lanwright::cli {
namespace {

Diagnostic about_file(const std::string& file, std::string message) {
  Diagnostic diagnostic;
  diagnostic.file = file;
  diagnostic.message = std::move(message);
  return diagnostic;
}

// Reads no more than the reader of sets will take, and one byte, so that it says what is wrong.
bool read_all(std::istream& in, std::string& text) {
  const std::size_t most = ReadLimits{}.bytes + 1;
  std::array<char, 1U << 16U> piece{};
  while (text.size() < most && in) {
    in.read(piece.data(), static_cast<std::streamsize>(std::min(piece.size(), most - text.size())));
    text.append(piece.data(), static_cast<std::size_t>(in.gcount()));
  }
  return !in.bad();
}

// The reason for which it cannot be read, "" when it was.
std::string read_input(const std::string& path, std::istream& standard_input, std::string& text) {
  errno = 0;
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& in = path == "-" ? standard_input : file;
  if (in.good() && read_all(in, text)) return {};
  return "cannot read: " + std::generic_category().message(errno == 0 ? EIO : errno);
}

// "network lab" -> "networks.lab"
std::string path_of(const std::string& object) {
  const std::size_t space = object.find(' ');
  const auto kind = kind_from(object.substr(0, space));
  return kind && space != std::string::npos ? plural_of(*kind) + ("." + object.substr(space + 1)) : "";
}

void check_together(const SetSpec& set, const ReportFault& complain) {
  for (const Error& fault : desired::faults_between(set)) complain(path_of(fault.object), fault.text());
}

InputFile read_file(const std::string& path, CliIo& io) {
  InputFile file;
  file.name = path == "-" ? "standard input" : path;
  const std::string failure = read_input(path, io.in, file.text);
  if (failure.empty()) {
    file.outcome = read_set(file.text, file.name, drivers::driver_grammar(), {}, check_together);
  } else {
    file.outcome.diagnostics.push_back(about_file(file.name, failure));
  }
  return file;
}

std::string counted(std::size_t count, const char* singular, const char* plural) {
  return std::to_string(count) + ' ' + (count == 1 ? singular : plural);
}

}  // namespace

std::vector<InputFile> read_files(const std::vector<std::string>& paths, CliIo& io) {
  std::vector<InputFile> files;
  files.reserve(paths.size());
  for (const std::string& path : paths) files.push_back(read_file(path, io));
  return files;
}

void refuse_shared_sets(std::vector<InputFile>& files) {
  std::map<std::string, std::string> declared;
  for (InputFile& file : files) {
    if (!file.outcome.ok()) continue;
    const std::string& set = file.outcome.set.name;
    const auto [first, added] = declared.emplace(set, file.name);
    if (added) continue;
    file.outcome.diagnostics.push_back(
        about_file(file.name, "declares the set `" + set + "`, as " + first->second +
                                  " does; put both into one file, or give each a "
                                  "`name:` of its own"));
  }
}

bool report_mistakes(const std::vector<InputFile>& files, CliIo& io) {
  bool fine = true;
  for (const InputFile& file : files) {
    for (const Diagnostic& diagnostic : file.outcome.diagnostics) {
      const std::string text = diagnostic.text();
      io.err << text << (text.ends_with('\n') ? "" : "\n");
    }
    if (file.outcome.untold > 0) io.err << file.name << ": " << file.outcome.untold << " more mistakes\n";
    fine = fine && file.outcome.ok();
  }
  return fine;
}

std::string summary(const SetSpec& set) {
  std::string text;
  const auto add = [&](std::size_t count, Kind kind) {
    if (count == 0) return;
    if (!text.empty()) text += ", ";
    text += counted(count, name_of(kind), plural_of(kind));
  };
  add(set.vlans.size(), Kind::vlan);
  add(set.networks.size(), Kind::network);
  add(set.attachments.size(), Kind::attachment);
  return text.empty() ? "nothing" : text;
}

}  // namespace lanwright::cli
