#include "model/homes.h"

#include <fmt/format.h>

namespace berth::model {

namespace {

std::string sentence_of_service(const ServerSpec& server) {
  return fmt::format(
      "server {}: one process in one task, to which the others forward (isolation: service): more tasks "
      "carry "
      "no more of its load. When that task stops or is lost, the next one starts it anew{}",
      server.name,
      server.state == State::none ? "." : ", and each caller is told that what it kept in memory is lost.");
}

std::string sentence_of_callers(const Spec& spec, const ServerSpec& server) {
  const std::string_view when =
      server.era == EraChoice::automatic ? "if it speaks the legacy era, " : std::string_view();
  const std::string_view without =
      spec.auth.keys.empty() ? "without it all of them are one caller" : "without it by their key alone";
  const std::string_view loss = server.state == State::process
                                    ? "after a loss of its process its next call is refused once"
                                    : "after a loss of its process its next result says so";
  return fmt::format(
      "server {}: {}the state of each caller is at home in one task (state: {}); {}. Modern clients are told "
      "apart by the header Berth-Client (`berth connect` prints one), {}.",
      server.name, when, server.state == State::process ? "process" : "auto", loss, without);
}

}  // namespace

std::vector<StateHome> state_homes(const Spec& spec) {
  std::vector<StateHome> out;
  for (const ServerSpec& server : spec.servers) {
    const bool is_ours = server.kind == ServerSpec::Kind::command || server.kind == ServerSpec::Kind::url;
    if (server.isolation == Isolation::service) {
      out.push_back({server.name, StateHome::Of::service, sentence_of_service(server)});
    } else if (is_ours && server.era != EraChoice::modern && server.state != State::none) {
      out.push_back({server.name, StateHome::Of::caller, sentence_of_callers(spec, server)});
    }
  }
  return out;
}

}  // namespace berth::model
