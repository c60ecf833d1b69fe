#include "agent/docker/record.h"

#include <optional>

#include "model/format/json.h"

namespace lanwright::docker_agent {
namespace {

Json pool_json(const DockerPool& pool) {
  Json json = {{"space", pool.space}, {"cidr", pool.cidr.text()}};
  if (pool.gateway) json["gateway"] = pool.gateway->text();
  if (pool.chosen) json["chosen"] = true;
  for (const auto& [name, address] : pool.auxiliary) json["auxiliary"][name] = address.text();
  return json;
}

// Throws what nlohmann-json throws, and std::bad_optional_access.
IpPrefix prefix_from(const Json& json) {
  return IpPrefix::parse(json.get<std::string>()).value();
}

DockerPool pool_from(const Json& json) {
  DockerPool pool;
  pool.space = json.value("space", std::string());  // earlier versions did not keep it
  pool.cidr = prefix_from(json.at("cidr"));
  if (json.contains("gateway")) pool.gateway = prefix_from(json.at("gateway"));
  pool.chosen = json.value("chosen", false);
  if (!json.contains("auxiliary")) return pool;
  for (const auto& [name, address] : json.at("auxiliary").items())
    pool.auxiliary.emplace(name, prefix_from(address));
  return pool;
}

}  // namespace

std::string text_of(const DockerRecord& record) {
  Json json = {{"network", record.network},
               {"view", record.view},
               {"internal", record.internal},
               {"interfacePrefix", record.interface_prefix},
               {"pools", Json::array()}};
  if (!record.answered) json["answered"] = false;
  for (const DockerPool& pool : record.pools) json["pools"].push_back(pool_json(pool));
  return json.dump();
}

Result<DockerRecord> docker_record_from(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    DockerRecord record;
    json.at("network").get_to(record.network);
    json.at("view").get_to(record.view);
    json.at("internal").get_to(record.internal);
    json.at("interfacePrefix").get_to(record.interface_prefix);
    record.answered = json.value("answered", true);  // earlier versions did not keep it
    for (const Json& pool : json.at("pools")) record.pools.push_back(pool_from(pool));
    return record;
  } catch (const std::exception& wrong) {
    return Error{ErrorKind::internal, "read the stored network of Docker", {}, 0, wrong.what(), {}};
  }
}

}  // namespace lanwright::docker_agent
