#include "deploy/pipeline_proof.h"

#include <fmt/format.h>

#include "deploy/secrets.h"

namespace berth::deploy {
namespace {

constexpr Duration proof_timeout = std::chrono::minutes(5);
constexpr Duration proof_interval = std::chrono::seconds(3);

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

Task<Result<Proof>> await_proof(DeployWorld& world, Prove prove, std::string url, Secret key, bool internal) {
  const TimePoint deadline = world.clock.now() + proof_timeout;
  while (true) {
    const Result<std::string> proof = co_await prove(url, key);
    if (proof) co_return Proof{.summary = *proof};
    const bool over = world.clock.now() >= deadline || proof.error().code() == ErrorCode::permission_denied;
    if (over && internal) {
      std::string why =
          fmt::format("the internal load balancer is not reachable from here: {}", proof.error().message());
      co_return Proof{.reached = false, .summary = std::move(why)};
    }
    if (over) {
      co_return Failure(proof.error().within(
          "Every task is healthy, but the service does not answer a client; `berth doctor "
          "--on aws` looks for the broken link"));
    }
    world.progress.detail(proof.error().message());
    co_await world.clock.sleep_for(proof_interval);
  }
}

}  // namespace berth::deploy
