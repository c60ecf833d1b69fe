#include "api/rest/metrics.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "api/rest/parameters.h"

namespace lanwright::rest {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

std::string escaped(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

std::string series(const std::string& name, const Labels& labels) {
  std::string out = name;
  char separator = '{';
  for (const auto& [label, value] : labels) {
    out += separator + label + "=\"" + escaped(value) + '"';
    separator = ',';
  }
  return labels.empty() ? out : out + '}';
}

class Page {
 public:
  void family(const std::string& name, const char* type, const std::string& help) {
    name_ = "lanwright_" + name;
    text_ += "# HELP " + name_ + ' ' + help + "\n# TYPE " + name_ + ' ' + type + '\n';
  }
  void sample(const Labels& labels, const std::string& value) {
    text_ += series(name_, labels) + ' ' + value + '\n';
  }
  void gauge(const std::string& name, const std::string& help, std::uint64_t value) {
    family(name, "gauge", help);
    sample({}, std::to_string(value));
  }
  // A sample whose labels are in its name already.
  void raw(const std::string& labelled, std::uint64_t value) {
    text_ += "lanwright_" + labelled + ' ' + std::to_string(value) + '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string seconds(WallTime time) {
  const auto count = time.time_since_epoch().count();
  const std::string fraction = std::to_string(1000 + count % 1000).substr(1);
  return std::to_string(count / 1000) + '.' + fraction;
}

void add_objects(Page& page, const Snapshot& snapshot) {
  std::map<std::pair<Kind, Phase>, std::uint64_t> counts;
  for (const auto& object : snapshot.objects) ++counts[{object->id.kind, object->status.phase}];
  page.family("objects", "gauge", "Declared objects by kind and phase.");
  for (const Kind kind : {Kind::vlan, Kind::network, Kind::attachment}) {
    for (const Phase phase : all_phases()) {
      page.sample({{"kind", name_of(kind)}, {"phase", name_of(phase)}},
                  std::to_string(counts[{kind, phase}]));
    }
  }
}

std::string help_of(const std::string& family) {
  std::string words = family.ends_with("_total") ? family.substr(0, family.size() - 6) : family;
  std::replace(words.begin(), words.end(), '_', ' ');
  return "The agent's count of " + words + '.';
}

void add_counters(Page& page, const Snapshot& snapshot) {
  // By family: "a_b" sorts between "a" and "a{...}", and a family must not be cut in two.
  std::map<std::string, std::vector<std::pair<std::string, std::uint64_t>>> families;
  for (const auto& [name, value] : snapshot.counters)
    families[name.substr(0, name.find('{'))].emplace_back(name, value);
  for (const auto& [family, samples] : families) {
    page.family(family, family.ends_with("_total") ? "counter" : "gauge", help_of(family));
    for (const auto& [name, value] : samples) page.raw(name, value);
  }
}

struct SwitchFamily {
  const char* name;
  const char* help;
  std::uint64_t PortCounters::*counter;
  std::uint64_t SwitchView::*lost = nullptr;  // where all share a port
};

void add_switches(Page& page, const std::vector<SwitchView>& switches) {
  page.family("switch_up", "gauge", "1 while a switch and its plug run.");
  for (const SwitchView& view : switches)
    page.sample({{"network", view.network}}, view.pid != 0 && view.plug_pid != 0 ? "1" : "0");
  static constexpr std::array kFamilies{
      SwitchFamily{"switch_received_frames_total", "Frames that ports gave to the switch.",
                   &PortCounters::received_frames},
      SwitchFamily{"switch_sent_frames_total", "Frames that the switch gave to ports.",
                   &PortCounters::sent_frames},
      SwitchFamily{"switch_dropped_frames_total", "Frames that ports did not take.", &PortCounters::dropped,
                   &SwitchView::dropped},
      SwitchFamily{"switch_too_long_frames_total",
                   "Frames above what the network carries, which were dropped.", &PortCounters::too_long,
                   &SwitchView::too_long},
  };
  for (const SwitchFamily& family : kFamilies) {
    page.family(family.name, "counter", family.help);
    for (const SwitchView& view : switches) {
      if (!view.answers) continue;  // not zero: not known
      std::uint64_t sum = family.lost != nullptr ? view.*family.lost : 0;
      for (const SwitchPortView& port : view.ports) sum += port.counters.*family.counter;
      page.sample({{"network", view.network}}, std::to_string(sum));
    }
  }
}

}  // namespace

std::string metrics_text(const Snapshot& snapshot, const std::vector<SwitchView>& switches,
                         const HttpCounts& http) {
  Page page;
  page.family("build_info", "gauge", "The version, as a label.");
  page.sample({{"version", LANWRIGHT_VERSION}}, "1");
  page.family("start_time_seconds", "gauge", "When the agent started, in seconds since the epoch.");
  page.sample({}, seconds(snapshot.started));
  page.gauge("live", "1 while the reconcile loop makes progress.", snapshot.live ? 1 : 0);
  page.gauge("ready", "1 once the kernel was read completely and the store is open.", snapshot.ready ? 1 : 0);
  page.gauge("converged", "1 while nothing that could be done differs.", snapshot.converged ? 1 : 0);
  page.gauge("store_generation", "The generation of the desired state.", snapshot.generation);
  page.gauge("sets", "Declared sets.", snapshot.sets.size());
  add_objects(page, snapshot);
  page.gauge("orphans", "Kernel links marked as the agent's that the store does not know.", snapshot.orphans);
  add_counters(page, snapshot);
  if (!switches.empty()) add_switches(page, switches);
  page.family("http_answers_total", "counter", "Answers to HTTP requests by status.");
  for (const auto& [status, count] : http.answers)
    page.sample({{"code", std::to_string(status)}}, std::to_string(count));
  page.gauge("event_streams", "Open event streams.", http.event_streams);
  return page.take();
}

}  // namespace lanwright::rest
