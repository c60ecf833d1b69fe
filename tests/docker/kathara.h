// What Kathara 3.8 says to Docker for a lab, call by call; its code is not here. Networks are created without
// addresses, devices with their first interface, the others are connected to the running device, and commands
// run in it give it its addresses. Source: DockerLink.py, DockerMachine.py of KatharaFramework/Kathara.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/docker/dockerd.h"
#include "tests/integration/libnetwork.h"

namespace lanwright::test {

struct LabDevice {
  std::string name;
  Words lans;           // eth0 is on the first
  std::string startup;  // commands of its .startup file
  std::string image = "busybox";
};

struct Lab {
  std::vector<LabDevice> devices;
  Words lans() const;  // each once, sorted
  const LabDevice& device(const std::string& name) const;
};

// Its calls throw HarnessError with Docker's words when one is refused or breaks off. What was done is found
// by asking Docker, so that they can be made again.
class Kathara {
 public:
  // `driver` is what the networks are made with.
  Kathara(const Dockerd& docker, std::string driver, Lab lab);

  void lstart() const;  // the whole lab, several networks and then several devices at once
  void lclean() const;

  // ---- of what these consist
  void create_network(const std::string& lan) const;  // unless Docker has it
  void remove_network(const std::string& lan) const;
  void create_device(const std::string& device) const;
  void start_device(const std::string& device) const;
  void connect(const std::string& device, std::size_t interface) const;      // unless it is
  void disconnect(const std::string& device, const std::string& lan) const;  // lconfig --rm
  void run_in(const std::string& device, const std::string& commands) const;
  void stop_device(const std::string& device) const;
  void remove_device(const std::string& device) const;  // whether it runs or not

  const Lab& lab() const { return lab_; }
  static std::string network_name(const std::string& lan) { return "kathara_root_" + lan + "_lab"; }
  static std::string container_name(const std::string& device) { return "kathara_root_" + device + "_lab"; }
  std::string mac(const std::string& device, std::size_t interface) const;
  bool runs(const std::string& device) const;
  Words connected(const std::string& device) const;  // LANs of those of its interfaces that Docker knows
  std::string netns_of(const std::string& device) const { return docker_.netns_of(container_name(device)); }

 private:
  Json ask(const std::string& method, const std::string& path, const Json& body = nullptr) const;
  Json listed_networks() const;
  Json listed_devices() const;
  Json driver_options(const std::string& device, std::size_t interface) const;
  Json sysctls() const;

  const Dockerd& docker_;
  const std::string driver_;
  const Lab lab_;
  const int engine_;  // Docker's version, before the first point: what it says differs
};

// Two devices on two LANs, built and taken apart again in steps of a call or a few each.
struct LabStep {
  std::string name;
  std::function<void(const Kathara&)> work;
};
Lab small_lab();
std::vector<LabStep> steps_of_small_lab();

// Does the step on another thread, and `strike` on this one as soon as the agent, whose database is in
// `state`, writes down what it is asked; or after the step, if it is asked nothing. Answers the words with
// which the step failed, or "".
std::string do_and_strike(const LabStep& step, const Kathara& kathara, const std::filesystem::path& state,
                          const std::function<void()>& strike);

// Each device has an address on each of its LANs, whatever Docker calls the interface there; and all that run
// reach each other on each LAN that they are connected to.
testing::AssertionResult small_lab_works(const Sandbox& sandbox, const Kathara& kathara);

}  // namespace lanwright::test
