#include "agent/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <ostream>
#include <system_error>
#include <utility>

#include "agent/cli/capture.h"
#include "agent/cli/commands.h"
#include "agent/cli/table.h"
#include "agent/cli/time.h"

namespace lanwright::cli {
namespace {

constexpr const char* kDefaultSocket = "/run/lanwright/api.sock";
constexpr const char* kDefaultWait = "30s";

// What options hold until the whole line is understood.
struct Arguments {
  std::string socket;
  std::string format = "table";
  std::string picture = "text";
  std::string kind;
  std::string name;
  std::string set;
  std::string wait;
  ApplyOptions apply;
  UplinkOptions uplink;
  EventOptions events;
  CaptureOptions capture;
};

std::string check_resource(const std::string& text) {
  if (resource_from(text)) return {};
  return "no kind `" + text + "`; known are network, vlan, attachment, switch, set (or their plurals)";
}

std::string check_duration(const std::string& text) {
  if (parse_duration(text)) return {};
  return "`" + text + "` is no duration; write 30s, 500ms or 2m";
}

std::string check_name(const std::string& text) {
  return text.empty() ? "a name is empty" : std::string();
}

// "converged" or "converged=30s": what is behind the "=".
std::string check_condition(const std::string& text) {
  const std::string condition = text.substr(0, text.find('='));
  if (condition != "converged") return "no condition `" + condition + "`; known is converged";
  return condition == text ? std::string() : check_duration(text.substr(condition.size() + 1));
}

Wait wait_of(const std::string& text) {
  return text.empty() ? Wait() : parse_duration(text);
}

// A private method for each command declares its options: as many as there are commands.
class CommandLine {
 public:
  explicit CommandLine(CliIo& io) : io_(io) {
    const char* socket = std::getenv("LANWRIGHT_SOCKET");  // NOLINT(concurrency-mt-unsafe): before any thread
    arguments_.socket = socket != nullptr && *socket != '\0' ? socket : kDefaultSocket;
    app_.name("lanwright");
    app_.description("Tells lanwrightd which LANs this host should have, and shows what became of it.");
    app_.footer(
        "Example: lanwright apply -f lab.yaml --wait\n\n"
        "Exit status: 0 done, 1 refused or failed, 2 usage, 3 the plan is not empty (diff),\n"
        "4 waited in vain.");
    app_.set_version_flag("--version", "lanwright " LANWRIGHT_VERSION);
    app_.require_subcommand(1);
    add_socket(app_);
    add_reading();
    add_changing();
    add_showing();
  }

  // The exit status, after help, an error or the command.
  int run(const std::vector<std::string>& arguments) {
    try {
      app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::ParseError& error) {
      if (const auto rest = app_.remaining(); app_.get_subcommands().empty() && !rest.empty()) {
        io_.err << "no command `" << one_line(rest.front()) << "`; see: lanwright --help\n";
        return kUsage;
      }
      return app_.exit(error, io_.out, io_.err) == 0 ? kDone : kUsage;
    }
    return action_();
  }

 private:
  using Action = std::function<int()>;

  CLI::App& command(const std::string& name, const std::string& description, const std::string& example,
                    Action action) {
    CLI::App& sub = *app_.add_subcommand(name, description);
    sub.footer("Example: lanwright " + example);
    sub.callback([this, action = std::move(action)] { action_ = action; });
    return sub;
  }

  // For commands that ask the agent.
  CLI::App& command(const std::string& name, const std::string& description, const std::string& example,
                    std::function<int(Session&)> action) {
    CLI::App& sub = command(name, description, example, asking(std::move(action)));
    add_socket(sub);
    return sub;
  }

  Action asking(std::function<int(Session&)> action) {
    return [this, action = std::move(action)] {
      Session session(io_, arguments_.socket, *format_from(arguments_.format));
      return action(session);
    };
  }

  void add_socket(CLI::App& app) {
    app.add_option("--socket", arguments_.socket, "The agent's socket; LANWRIGHT_SOCKET does the same")
        ->type_name("PATH")
        ->check(check_name)
        ->default_str(arguments_.socket);
  }

  void add_format(CLI::App& app) {
    app.add_option("-o,--output", arguments_.format, "table, wide, json or yaml")
        ->type_name("FORMAT")
        ->check([](const std::string& text) {
          return format_from(text) ? std::string()
                                   : "no format `" + text + "`; known are table, wide, json, yaml";
        });
  }

  CLI::Option& add_files(CLI::App& app) {
    return *app.add_option("-f,--file", arguments_.apply.files, "Files in YAML or JSON; - is standard input")
                ->type_name("FILE")
                ->check(check_name);
  }

  void add_kind_and_name(CLI::App& app, bool name_required) {
    app.add_option("KIND", arguments_.kind, "network, vlan, attachment, switch or set")
        ->type_name("")
        ->required()
        ->check(check_resource);
    app.add_option("NAME", arguments_.name, name_required ? "Its name" : "Its name; all when absent")
        ->type_name("")
        ->required(name_required)
        ->check(check_name);
  }

  void add_set(CLI::App& app) {
    app.add_option("--set", arguments_.set, "Only this set")->type_name("NAME")->check(check_name);
  }

  void add_wait(CLI::App& app) {
    app.add_flag(std::string("--wait{") + kDefaultWait + "}", arguments_.wait,
                 "Wait until all is done, at most so long: --wait or --wait=2m (30s)")
        ->check(check_duration);
  }

  void add_apply_options(CLI::App& app) {
    add_files(app).required();
    app.add_flag("--no-prune", arguments_.apply.no_prune, "Keep what the file no longer declares");
    app.add_flag("--adopt", arguments_.apply.adopt, "Take over links of others that have the wanted names");
    add_format(app);
  }

  void add_reading() {
    CLI::App& validate =
        command("validate", "Checks files without an agent", "validate -f lab.yaml", Action([this] {
                  return validate_files(io_, *format_from(arguments_.format), arguments_.apply.files);
                }));
    add_files(validate).required();
    add_format(validate);

    CLI::App& plan = command("plan", "Shows what apply would do, in order", "plan -f lab.yaml",
                             [this](Session& session) { return show_plan(session, arguments_.apply); });
    add_apply_options(plan);

    CLI::App& diff = command("diff", "Shows what differs now between what is declared and what is there",
                             "diff --set campus",
                             [this](Session& session) { return show_difference(session, arguments_.set); });
    add_set(diff);
    add_format(diff);
  }

  void add_changing() {
    CLI::App& apply = command("apply", "Makes sets equal to files", "apply -f lab.yaml --wait=1m",
                              [this](Session& session) {
                                arguments_.apply.wait = wait_of(arguments_.wait);
                                return apply_files(session, arguments_.apply);
                              });
    add_apply_options(apply);
    apply.add_flag("--dry-run", arguments_.apply.dry_run, "Only show what would be done");
    apply
        .add_option(
            "--if-generation", arguments_.apply.if_generation,
            "Only if this is still the set's generation (see: get sets); 0: only if there is no such set")
        ->type_name("N");
    add_wait(apply);
    apply.parse_complete_callback([this] { check_apply(); });

    CLI::App& remove =
        command("delete", "Removes an object, a set, or what files declare", "delete network lab --wait",
                [this](Session& session) { return delete_objects(session, delete_options()); });
    add_kind_and_name(remove, false);
    remove.get_option("KIND")->required(false)->description("network, vlan, attachment or set");
    remove.get_option("NAME")->description("Its name");
    add_files(remove);
    add_format(remove);
    add_wait(remove);
    remove.parse_complete_callback([this] { check_delete(); });

    add_uplink();
  }

  // Two commands of two words.
  void add_uplink() {
    CLI::App& uplink = *app_.add_subcommand("uplink", "Plugs interfaces of the host into a network");
    uplink.require_subcommand(1);
    uplink.footer("Example: lanwright uplink add lab eth1 --wait\n         lanwright uplink remove lab eth1");
    CLI::App& add = add_uplink_command(uplink, "add", false,
                                       "Plugs an interface into a network, also into one that Docker made");
    add.add_option("--vlan", arguments_.uplink.vlan,
                   "The VLAN that is untagged at this port, as `vlan` of an uplink in YAML")
        ->type_name("VID")
        ->check(CLI::Range(1, 4094));
    add_uplink_command(uplink, "remove", true, "Unplugs an interface from a network");
  }

  CLI::App& add_uplink_command(CLI::App& uplink, const std::string& name, bool removes,
                               const std::string& description) {
    CLI::App& sub = *uplink.add_subcommand(name, description);
    sub.footer("Example: lanwright uplink " + name + " lab eth1 --wait");
    sub.callback([this, removes] {
      action_ = asking([this, removes](Session& session) {
        arguments_.uplink.remove = removes;
        arguments_.uplink.wait = wait_of(arguments_.wait);
        return change_uplink(session, arguments_.uplink);
      });
    });
    add_socket(sub);
    sub.add_option("NETWORK", arguments_.uplink.network, "The network's name")
        ->type_name("")
        ->required()
        ->check(check_name);
    sub.add_option("INTERFACE", arguments_.uplink.interface, "The interface's name")
        ->type_name("")
        ->required()
        ->check(check_name);
    sub.add_flag("--dry-run", arguments_.uplink.dry_run, "Only show what would be done");
    add_format(sub);
    add_wait(sub);
    sub.parse_complete_callback([this] {
      if (arguments_.uplink.dry_run && !arguments_.wait.empty())
        throw CLI::ValidationError("--wait", "there is nothing to wait for with --dry-run");
    });
    return sub;
  }

  void add_showing() {
    CLI::App& get = command("get", "Lists objects", "get networks -o wide", [this](Session& session) {
      return get_objects(session, {*resource_from(arguments_.kind), arguments_.name, arguments_.set});
    });
    add_kind_and_name(get, false);
    add_set(get);
    add_format(get);

    CLI::App& describe =
        command("describe", "Shows all of one object", "describe network lab", [this](Session& session) {
          return describe_object(session, *resource_from(arguments_.kind), arguments_.name);
        });
    add_kind_and_name(describe, true);
    add_format(describe);

    CLI::App& exporting = command("export", "Prints what is declared as YAML that apply accepts",
                                  "export --set campus > campus.yaml",
                                  [this](Session& session) { return export_sets(session, arguments_.set); });
    add_set(exporting);

    CLI::App& events = command("events", "Shows what happened", "events --follow",
                               [this](Session& session) { return show_events(session, arguments_.events); });
    events.add_flag("--follow", arguments_.events.follow, "Go on with what happens");
    events.add_option("--limit", arguments_.events.limit, "The newest so many")
        ->type_name("N")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    add_format(events);

    add_capture();

    CLI::App& topology =
        command("topology", "Draws the host's LANs", "topology -o svg > lans.svg", [this](Session& session) {
          return show_topology(session, *picture_format_from(arguments_.picture));
        });
    topology.add_option("-o,--output", arguments_.picture, "text, dot (for Graphviz), svg or json")
        ->type_name("FORMAT")
        ->check([](const std::string& text) {
          return picture_format_from(text) ? std::string()
                                           : "no format `" + text + "`; known are text, dot, svg, json";
        });

    CLI::App& status = command("status", "Shows how the agent is", "status --wait converged=1m",
                               [this](Session& session) { return show_status(session, status_wait()); });
    status.add_option("--wait", arguments_.wait, "Wait for it: converged, or converged=2m (30s)")
        ->type_name("CONDITION")
        ->check(check_condition);
    add_format(status);
  }

  void add_capture() {
    CLI::App& capture =
        command("capture", "Writes the live packets of a network as pcap", "capture lab | wireshark -k -i -",
                [this](Session& session) { return capture_packets(session, arguments_.capture); });
    capture.footer(
        "Example: lanwright capture lab --filter 'icmp or arp' -w lab.pcap\n"
        "         lanwright capture lab | wireshark -k -i -\n\n"
        "Of a bridge: what goes from port to port, each frame once. Of macvlan and ipvlan: what passes the "
        "parent,\n"
        "other users of the parent included; what attachments of one ipvlan network send to each other does "
        "not\n"
        "pass it, but for broadcasts. Ctrl-C ends it; the file is whole.");
    capture.add_option("NETWORK", arguments_.capture.network, "Its name")
        ->type_name("")
        ->required()
        ->check(check_name);
    capture.add_option("-w,--write", arguments_.capture.file, "A file; - or nothing is standard output")
        ->type_name("FILE")
        ->check(check_name);
    capture.add_option("--filter", arguments_.capture.filter, "Only packets that fit: see man pcap-filter")
        ->type_name("EXPR");
    capture.add_option("--count", arguments_.capture.count, "End after so many packets")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
  }

  void check_apply() const {
    if (arguments_.apply.if_generation && arguments_.apply.files.size() > 1) {
      throw CLI::ValidationError("--if-generation", "is about one set; name one file");
    }
    if (arguments_.apply.dry_run && !arguments_.wait.empty()) {
      throw CLI::ValidationError("--wait", "there is nothing to wait for with --dry-run");
    }
  }

  void check_delete() const {
    if (arguments_.apply.files.empty()) {
      if (arguments_.kind.empty()) throw CLI::RequiredError("KIND NAME or -f FILE");
      if (arguments_.name.empty()) throw CLI::RequiredError("NAME");
      if (*resource_from(arguments_.kind) == Resource::switch_process) {
        throw CLI::ValidationError("KIND", "a switch goes with its network; delete the network");
      }
    } else if (!arguments_.kind.empty()) {
      throw CLI::ValidationError("delete", "takes either KIND NAME or -f FILE");
    }
  }

  DeleteOptions delete_options() const {
    DeleteOptions options;
    options.files = arguments_.apply.files;
    if (!arguments_.kind.empty()) options.resource = *resource_from(arguments_.kind);
    options.name = arguments_.name;
    options.wait = wait_of(arguments_.wait);
    return options;
  }

  Wait status_wait() const {
    if (arguments_.wait.empty()) return {};
    const std::size_t sign = arguments_.wait.find('=');
    return parse_duration(sign == std::string::npos ? kDefaultWait : arguments_.wait.substr(sign + 1));
  }

  CliIo& io_;
  Arguments arguments_;
  CLI::App app_;
  Action action_;
};

// Whether standard output took everything: a full disk must not look like success.
int after_output(CliIo& io, int status) {
  errno = 0;
  if (io.out.flush()) return status;
  io.err << "error: cannot write to standard output";
  if (errno != 0) io.err << ": " << std::generic_category().message(errno);
  io.err << '\n';
  return kFailed;
}

}  // namespace

int run_cli(const std::vector<std::string>& arguments, CliIo& io) {
  try {
    const int status = CommandLine(io).run(arguments);
    return after_output(io, status);
  } catch (const Json::exception& error) {
    io.err << "error: the agent's answer is not understood: " << error.what()
           << "; are lanwright and lanwrightd of one version?\n";
    return kFailed;
  }
}

}  // namespace lanwright::cli
