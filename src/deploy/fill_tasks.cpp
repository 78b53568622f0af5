#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "deploy/fillings.h"
#include "model/deployable.h"
#include "model/slowest_start.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

json::object variable(const std::string& name, json::value value) {
  return {{"Name", name}, {"Value", std::move(value)}};
}

/// Settings of `berth serve` in a task (docs/task.md).
json::array environment_variables(const model::Spec& spec) {
  json::array out;
  out.push_back(variable("BERTH_TLS", "self-signed"));
  // Host names under which requests come, besides those of the file.
  out.push_back(variable("BERTH_HOSTS", spec.aws.domain.empty() ? get_att("LoadBalancer", "DNSName")
                                                                : json::value(spec.aws.domain)));
  // Longer than the load balancer's 120 s, so that it is never the task that closes first.
  out.push_back(variable("BERTH_IDLE_TIMEOUT", "150"));
  out.push_back(variable("BERTH_METRICS", "emf"));
  if (spec.scaling.high_resolution) out.push_back(variable("BERTH_METRICS_PERIOD", "20"));
  if (spec.aws.traces) out.push_back(variable("BERTH_TRACES", "otlp"));
  if (spec.aws.open) out.push_back(variable("BERTH_OPEN", "1"));
  return out;
}

json::object secret(const std::string& name, json::value from) {
  return {{"Name", name}, {"ValueFrom", std::move(from)}};
}

/// "arn:…:secret:NAME:KEY" as the secret's ARN and the key, which may be empty.
std::pair<std::string, std::string> secret_and_key(const std::string& arn) {
  std::size_t at = arn.find(":secret:");
  std::size_t colon = at == std::string::npos ? at : arn.find(':', at + 8);
  if (colon == std::string::npos) return {arn, ""};
  return {arn.substr(0, colon), arn.substr(colon + 1)};
}

json::array secrets(const model::Spec& spec) {
  json::array out;
  out.push_back(secret("BERTH_FLEET_KEY", reference("FleetKeyArn")));
  if (makes_api_key(spec)) out.push_back(secret("BERTH_API_KEY", reference("ApiKeyArn")));
  for (const std::string& name : model::secret_variables(spec))
    out.push_back(secret(name, sub(fmt::format("${{EnvironmentArn}}:{}::", name))));
  for (const auto& [name, arn] : spec.aws.secrets) {
    auto [whole, key] = secret_and_key(arn);
    out.push_back(secret(name, json::value(key.empty() ? whole : fmt::format("{}:{}::", whole, key))));
  }
  return out;
}

/// What the execution role may read: these secrets and no other.
json::array secret_arns(const model::Spec& spec) {
  json::array out{reference("FleetKeyArn")};
  if (makes_api_key(spec)) out.push_back(reference("ApiKeyArn"));
  if (!model::secret_variables(spec).empty()) out.push_back(reference("EnvironmentArn"));
  for (const auto& [name, arn] : spec.aws.secrets) {
    json::value whole(secret_and_key(arn).first);
    if (std::ranges::find(out, whole) == out.end()) out.push_back(std::move(whole));
  }
  return out;
}

json::object policy(const std::string& name, json::array statements) {
  return {{"PolicyName", name},
          {"PolicyDocument", {{"Version", "2012-10-17"}, {"Statement", std::move(statements)}}}};
}

json::object allow(std::initializer_list<std::string_view> actions, json::value resource) {
  json::array list;
  for (std::string_view action : actions) list.emplace_back(action);
  return {{"Effect", "Allow"}, {"Action", std::move(list)}, {"Resource", std::move(resource)}};
}

json::array task_policies(const model::Spec& spec) {
  json::object files =
      allow({"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"}, get_att("FileSystem", "Arn"));
  files["Condition"] = {
      {"StringEquals", {{"elasticfilesystem:AccessPointArn", get_att("AccessPoint", "Arn")}}}};
  json::array out{policy("files", {std::move(files)})};
  if (spec.aws.traces) {
    out.push_back(policy(
        "traces", {allow({"xray:PutTraceSegments", "xray:PutSpans", "xray:PutSpansForIndexing"}, "*")}));
  }
  if (spec.aws.exec) {
    out.push_back(policy("exec", {allow({"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
                                         "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"},
                                        "*")}));
  }
  json::array own;
  for (const model::PermissionSpec& permission : spec.permissions) {
    own.push_back({{"Effect", "Allow"},
                   {"Action", json::array(permission.actions.begin(), permission.actions.end())},
                   {"Resource", json::array(permission.resources.begin(), permission.resources.end())}});
  }
  if (!own.empty()) out.push_back(policy("permissions", std::move(own)));
  return out;
}

/// Why the task role has a star in it, for those who check; null when it has none.
json::value task_role_reason(const model::Spec& spec) {
  auto has_star = [](const std::string& text) { return text.contains('*'); };
  bool asked = std::ranges::any_of(spec.permissions, [&](const model::PermissionSpec& permission) {
    return std::ranges::any_of(permission.actions, has_star) ||
           std::ranges::any_of(permission.resources, has_star);
  });
  std::string reason;
  if (spec.aws.traces || spec.aws.exec) reason = "Traces and ECS Exec know no resource.";
  if (asked) reason += reason.empty() ? "berth.yaml asks for it." : " The rest is what berth.yaml asks for.";
  if (reason.empty()) return nullptr;
  return {
      {"cdk_nag", {{"rules_to_suppress", json::array{{{"id", "AwsSolutions-IAM5"}, {"reason", reason}}}}}}};
}

json::array capacity(const model::AwsSpec& aws) {
  json::object on_demand{{"CapacityProvider", "FARGATE"}, {"Weight", 1}};
  if (aws.spot_weight == 0) return json::array({on_demand});
  on_demand["Base"] = aws.spot_base;
  return {on_demand, json::object{{"CapacityProvider", "FARGATE_SPOT"}, {"Weight", aws.spot_weight}}};
}

std::string architecture(model::AwsSpec::Architecture chosen) {
  using Architecture = model::AwsSpec::Architecture;
#if defined(__aarch64__)
  if (chosen == Architecture::own) return "ARM64";
#endif
  return chosen == Architecture::arm64 ? "ARM64" : "X86_64";
}

/// How long ECS lets a new task be unready, in seconds: a task waits for each server's start_timeout before
/// it serves without one, and the load balancer sees that after two checks.
std::int64_t health_grace(const model::Spec& spec) {
  constexpr std::int64_t least = 60;
  constexpr std::int64_t until_seen = 30;
  const auto longest = std::chrono::ceil<std::chrono::seconds>(model::slowest_start(spec));
  return std::max<std::int64_t>(least, longest.count() + until_seen);
}

}  // namespace

void fill_tasks(const model::Spec& spec, Fillings& fillings) {
  auto& values = fillings.values;
  constexpr double units_per_cpu = 1024;
  values["cpu"] = fmt::format("{:.0f}", spec.tasks.cpu * units_per_cpu);
  values["memory"] = fmt::format("{}", spec.tasks.memory_bytes >> 20);
  values["architecture"] = architecture(spec.aws.architecture);
  values["environment_variables"] = environment_variables(spec);
  values["secrets"] = secrets(spec);
  values["secret_arns"] = secret_arns(spec);
  values["task_policies"] = task_policies(spec);
  values["task_role_reason"] = task_role_reason(spec);
  values["capacity"] = capacity(spec.aws);
  values["exec"] = spec.aws.exec;
  values["health_grace"] = health_grace(spec);
  fillings.conditions["bake"] = spec.aws.bake.count() > 0;
  values["bake_minutes"] = std::chrono::ceil<std::chrono::minutes>(spec.aws.bake).count();
  values["read_only_root"] = !spec.aws.exec;
}

}  // namespace berth::deploy
