#include "deploy/pipeline_proof.h"

#include <fmt/format.h>

#include <algorithm>

#include "deploy/secrets.h"

namespace berth::deploy {
namespace {

constexpr Duration proof_timeout = std::chrono::minutes(5);
constexpr Duration silent_timeout = std::chrono::seconds(30);
constexpr Duration proof_interval = std::chrono::seconds(3);

bool is_refused(const ServerProof& one) {
  return !one.tools && one.tools.error().code() == ErrorCode::permission_denied;
}

}  // namespace

Task<aws::Reply<Secret>> find_proof_key(aws::Client& client, model::Spec spec, StackState base,
                                        std::map<std::string, std::string> environment) {
  const std::string arn = base.output("ApiKeyArn");
  if (!arn.empty()) co_return co_await read_secret(client, arn);
  if (spec.auth.keys.empty()) co_return Secret();
  const std::string& variable = spec.auth.keys.front().environment;
  const auto given = environment.find(variable);
  if (given != environment.end() && !given->second.empty()) co_return Secret(given->second);
  const auto named = spec.aws.secrets.find(variable);
  if (named != spec.aws.secrets.end()) co_return co_await read_named_secret(client, named->second);
  const auto values = co_await read_values(client, base.output("EnvironmentArn"));
  if (!values) co_return std::unexpected(values.error());
  const auto value = values->find(variable);
  co_return value == values->end() ? Secret() : value->second;
}

std::set<std::string> Proof::answering() const {
  std::set<std::string> out;
  for (const ServerProof& one : servers) {
    if (one.tools) out.insert(one.server);
  }
  return out;
}

std::string Proof::summary() const {
  std::size_t tools = 0;
  for (const ServerProof& one : servers) tools += one.tools.value_or(0);
  return fmt::format("{} tool{} in {} ms, over verified TLS", tools, tools == 1 ? "" : "s",
                     std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
}

Task<Proof> ask_servers(Clock& clock, Prove prove, std::string url, Secret key) {
  const TimePoint begin = clock.now();
  Proof proof;
  proof.servers = co_await prove(std::move(url), std::move(key));
  proof.took = clock.now() - begin;
  co_return proof;
}

Task<Proof> await_proof(DeployWorld& world, Prove prove, std::string url, Secret key, bool internal) {
  TimePoint deadline = world.clock.now() + proof_timeout;
  while (true) {
    Proof proof = co_await ask_servers(world.clock, prove, url, key);
    const std::size_t answering = proof.answering().size();
    if (answering == proof.servers.size()) co_return proof;
    if (answering > 0) deadline = std::min(deadline, world.clock.now() + silent_timeout);
    const bool refused = std::ranges::any_of(proof.servers, is_refused);
    if (refused || world.clock.now() >= deadline) {
      proof.reached = !internal || answering > 0;
      co_return proof;
    }
    world.progress.detail(silent_servers(proof));
    co_await world.clock.sleep_for(proof_interval);
  }
}

bool lost_a_server(const Proof& proof, const std::set<std::string>& before) {
  return std::ranges::any_of(proof.servers, [&](const ServerProof& one) {
    return !one.tools && !is_refused(one) && before.contains(one.server);
  });
}

std::string silent_servers(const Proof& proof) {
  std::string out;
  for (const ServerProof& one : proof.servers) {
    if (one.tools) continue;
    out += fmt::format("{}{} does not answer: {}", out.empty() ? "" : "\n", one.server,
                       one.tools.error().message());
  }
  return out;
}

Error proof_failure(const Proof& proof) {
  const std::string_view what = proof.answering().empty()
                                    ? "Every task is healthy, but the service does not answer a client."
                                    : "The service is up, but not every server of it answers a client.";
  return Error(
      ErrorCode::unavailable,
      fmt::format("{}\n{}\n`berth doctor --on aws` looks for the broken link, `berth logs` shows what "
                  "a server says.",
                  what, silent_servers(proof)));
}

}  // namespace berth::deploy
