#include "task/runtime/readiness.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/descriptor.h"

namespace berth::task {

namespace {

std::string why_silent(const HostHealth& health) {
  return health.reason.empty() ? "It has not started yet." : health.reason.whole();
}

/// Readers see the old text or the new one.
Result<void> replace_private_file(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.number() < 0 || !write_all(file.number(), text))
    return Failure(errno_error(errno, "writing " + fresh));
  if (std::rename(fresh.c_str(), path.c_str()) == 0) return {};
  return Failure(errno_error(errno, "renaming " + fresh));
}

/// So that a file need not be written for each call.
std::uint64_t rounded(std::uint64_t calls) {
  std::uint64_t unit = 1;
  while (calls / unit >= 100) unit *= 10;
  return calls / unit * unit;
}

std::string homes_text(const HomeLoad& load) {
  std::string text = R"(,"homes":)" + std::to_string(load.homes);
  if (load.homes == 0) return text;
  text += R"(,"home_calls":)" + std::to_string(rounded(load.calls));
  text += R"(,"busiest":)" + json_quote(load.busiest) + R"(,"busiest_calls":)" +
          std::to_string(rounded(load.busiest_calls));
  text +=
      R"(,"holder":)" + json_quote(load.holder) + R"(,"holder_homes":)" + std::to_string(load.holder_homes);
  return text;
}

}  // namespace

Readiness::Readiness(Options options, Clock& clock, Log& log)
    : options_(std::move(options)), clock_(clock), log_(log), began_(clock.now()) {}

void Readiness::set_handed_over() {
  handed_over_ = true;
  if (!options_.file.empty()) tell_file();
}

bool Readiness::look() {
  bool each_did = true;
  bool one_answers = false;
  bool silent_are_remote = true;
  bool none_starts = true;
  for (WatchedServer& server : options_.servers) {
    const HostHealth health = server.host->health();
    const bool answers = health.ready;
    server.silent_since = answers ? TimePoint::max() : std::min(server.silent_since, clock_.now());
    server.answered = server.answered || answers;
    each_did = each_did && server.answered;
    none_starts = none_starts && (server.answered || health.refused);
    one_answers = one_answers || answers;
    silent_are_remote = silent_are_remote && (answers || server.remote);
  }
  const bool late = clock_.now() - began_ >= options_.patience;
  began_serving_ =
      began_serving_ || each_did || ((late || none_starts) && (one_answers || silent_are_remote));
  sick_ =
      std::ranges::any_of(options_.servers, [&](const WatchedServer& s) { return is_down_for_long(s); }) &&
      options_.sister_is_whole && options_.sister_is_whole();
  if (!options_.file.empty()) tell_file();
  return is_ready();
}

/// Longer than a start that fails and another one take.
bool Readiness::is_down_for_long(const WatchedServer& server) const {
  return !server.remote && server.silent_since != TimePoint::max() &&
         clock_.now() - server.silent_since >= 2 * options_.patience;
}

bool Readiness::is_whole() const {
  return std::ranges::all_of(options_.servers, [](const WatchedServer& server) {
    return server.remote || server.silent_since == TimePoint::max();
  });
}

std::string Readiness::body(bool tells_why) const {
  std::string out = R"({"ready":)";
  out += is_ready() ? "true" : "false";
  std::string servers;
  std::string reasons;
  if (draining_) reasons = R"("The task is draining.")";
  if (sick_) reasons += std::string(reasons.empty() ? "" : ",") + R"("A server is down in this task alone.")";
  for (const WatchedServer& server : options_.servers) {
    const HostHealth health = server.host->health();
    servers += (servers.empty() ? "" : ",") + json_quote(server.name) + (health.ready ? ":true" : ":false");
    if (health.ready) continue;
    const std::string why = tells_why ? why_silent(health) : "It does not answer; the log says why.";
    reasons += (reasons.empty() ? "" : ",") + json_quote(server.name + ": " + why);
  }
  return out + R"(,"servers":{)" + servers + R"(},"reasons":[)" + reasons + "]}";
}

void Readiness::tell_file() {
  std::string text;
  for (const WatchedServer& server : options_.servers) {
    const HostHealth health = server.host->health();
    text += (text.empty() ? R"({"name":)" : R"(,{"name":)") + json_quote(server.name);
    text +=
        health.ready ? R"(,"ready":true)" : R"(,"ready":false,"reason":)" + json_quote(why_silent(health));
    if (!health.ready && health.refused) text += R"(,"refused":true)";
    if (!health.not_separated.empty()) text += R"(,"not_separated":)" + json_quote(health.not_separated);
    text += R"(,"restarts":)" + std::to_string(health.restarts) + R"(,"oom_kills":)" +
            std::to_string(health.oom_kills);
    if (server.homes) text += homes_text(server.homes());
    if (server.states_lost) text += R"(,"states_lost":)" + std::to_string(server.states_lost());
    if (health.rests) text += R"(,"rests":true)";
    text += "}";
  }
  text = R"({"draining":)" + std::string(handed_over_ ? "true" : "false") + R"(,"servers":[)" + text + "]}\n";
  if (text == told_) return;
  const auto written = replace_private_file(options_.file, text);
  if (!written) log_.warning("readiness_not_told", {{"problem", written.error().message()}});
  told_ = std::move(text);
}

}  // namespace berth::task
