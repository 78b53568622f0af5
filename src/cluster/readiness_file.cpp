#include "cluster/readiness_file.h"

#include <fcntl.h>

#include <algorithm>

#include "base/descriptor.h"
#include "codec/json.h"

namespace berth::cluster {

namespace {

constexpr std::size_t readiness_bytes_max = 1u << 20;

/// Empty where there is none.
std::string text_of_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  if (file.number() >= 0) static_cast<void>(read_all(file.number(), readiness_bytes_max, text));
  return text;
}

std::uint64_t count_of(json::Slice number) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(number.as_int().value_or(0), 0));
}

}  // namespace

TaskReadiness read_readiness_file(const std::string& path) {
  const std::string text = text_of_file(path);
  const auto object = json::parse(text);
  if (!object) return {};
  TaskReadiness out{object->find("draining").as_bool().value_or(false), {}};
  json::Elements servers(object->find("servers"));
  while (servers.next()) {
    const json::Slice server = servers.value();
    out.servers.push_back({.name = server.find("name").as_string().value_or(""),
                           .ready = server.find("ready").as_bool().value_or(false),
                           .reason = server.find("reason").as_string().value_or(""),
                           .refused = server.find("refused").as_bool().value_or(false),
                           .not_separated = server.find("not_separated").as_string().value_or(""),
                           .restarts = count_of(server.find("restarts")),
                           .oom_kills = count_of(server.find("oom_kills")),
                           .homes = count_of(server.find("homes")),
                           .home_calls = count_of(server.find("home_calls")),
                           .busiest = server.find("busiest").as_string().value_or(""),
                           .busiest_calls = count_of(server.find("busiest_calls")),
                           .holder = server.find("holder").as_string().value_or(""),
                           .holder_homes = count_of(server.find("holder_homes")),
                           .rests = server.find("rests").as_bool().value_or(false),
                           .states_lost = count_of(server.find("states_lost"))});
  }
  return out;
}

std::string why_unhealthy(std::string_view found_out, const std::vector<ServerState>& servers) {
  std::string silent;
  for (const ServerState& server : servers) {
    if (!server.ready) silent += (silent.empty() ? "" : " ") + server.name + ": " + server.reason;
  }
  return silent.empty() || !found_out.contains(" answered 503") ? std::string(found_out) : silent;
}

}  // namespace berth::cluster
