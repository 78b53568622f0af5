#include "deploy/audit_account.h"
#include "deploy/audit_readers.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using aws::text;

/// "arn:…:service/CLUSTER/NAME" → "CLUSTER".
std::string cluster_of(std::string_view arn) {
  std::size_t from = arn.find('/');
  std::size_t to = arn.rfind('/');
  return from == std::string_view::npos || to == from ? "" : std::string(arn.substr(from + 1, to - from - 1));
}

Task<Properties> service(aws::Client& client, LiveResource resource) {
  json::object input{{"services", json::array{json::value(resource.physical)}}};
  if (std::string cluster = cluster_of(resource.physical); !cluster.empty()) input["cluster"] = cluster;
  Properties answer = co_await client.call("ecs", "DescribeServices", std::move(input));
  if (!answer) co_return answer;
  json::value out = capitalized(first(*answer, "services"));
  co_return out.as_object();
}

/// EfsVolumeConfiguration is EFSVolumeConfiguration in templates.
void rename_volumes(json::object& definition) {
  json::value* volumes = definition.if_contains("Volumes");
  if (volumes == nullptr || !volumes->is_array()) return;
  for (json::value& volume : volumes->get_array()) {
    json::object* object = volume.if_object();
    json::value* files = object != nullptr ? object->if_contains("EfsVolumeConfiguration") : nullptr;
    if (files == nullptr) continue;
    json::value copy = *files;
    object->erase("EfsVolumeConfiguration");
    if (json::value* access = copy.as_object().if_contains("AuthorizationConfig");
        access != nullptr && access->is_object()) {
      json::object& settings = access->get_object();
      if (const json::value* iam = settings.if_contains("Iam"); iam != nullptr)
        settings["IAM"] = json::value(*iam);
    }
    object->insert_or_assign("EFSVolumeConfiguration", std::move(copy));
  }
}

Task<Properties> task_definition(aws::Client& client, LiveResource resource) {
  json::object input{{"taskDefinition", resource.physical}};
  Properties answer = co_await client.call("ecs", "DescribeTaskDefinition", std::move(input));
  if (!answer) co_return answer;
  json::value out = capitalized(aws::object(*answer, "taskDefinition"));
  rename_volumes(out.as_object());
  co_return out.as_object();
}

Task<Properties> repository(aws::Client& client, LiveResource resource) {
  json::object input{{"repositoryNames", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("ecr", "DescribeRepositories", std::move(input));
  if (!answer) co_return answer;
  json::value out = capitalized(first(*answer, "repositories"));
  json::object one{{"repositoryName", resource.physical}};
  Properties policy = co_await client.call("ecr", "GetLifecyclePolicy", std::move(one));
  if (policy) {
    json::object lifecycle{{"LifecyclePolicyText", text(*policy, "lifecyclePolicyText")}};
    out.as_object()["LifecyclePolicy"] = std::move(lifecycle);
  }
  co_return out.as_object();
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// IAM answers policy documents percent-encoded (RFC 3986).
json::value policy_document(const json::object& answer, std::string_view name) {
  const json::value* given = answer.if_contains(name);
  if (given == nullptr) return json::object{};
  if (!given->is_string()) return *given;
  std::string_view encoded = given->get_string();
  std::string plain;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    bool coded =
        encoded[i] == '%' && i + 2 < encoded.size() && hex(encoded[i + 1]) >= 0 && hex(encoded[i + 2]) >= 0;
    plain += coded ? static_cast<char>(hex(encoded[i + 1]) * 16 + hex(encoded[i + 2])) : encoded[i];
    if (coded) i += 2;
  }
  boost::system::error_code error;
  json::value document = json::parse(plain, error);
  return error ? json::value(json::object{}) : document;
}

Task<Properties> role(aws::Client& client, LiveResource resource) {
  json::object name{{"RoleName", resource.physical}};
  Properties answer = co_await client.call("iam", "GetRole", name);
  if (!answer) co_return answer;
  const json::object& live = aws::object(*answer, "Role");
  json::object out{{"AssumeRolePolicyDocument", policy_document(live, "AssumeRolePolicyDocument")}};
  std::string boundary = text(aws::object(live, "PermissionsBoundary"), "PermissionsBoundaryArn");
  if (!boundary.empty()) out["PermissionsBoundary"] = boundary;

  aws::Reply<json::array> inline_names = co_await client.list("iam", "ListRolePolicies", name, "PolicyNames");
  if (!inline_names) co_return std::unexpected(inline_names.error());
  json::array policies;
  for (const json::value& policy_name : *inline_names) {
    json::object input{{"RoleName", resource.physical}, {"PolicyName", policy_name}};
    Properties policy = co_await client.call("iam", "GetRolePolicy", std::move(input));
    if (!policy) co_return policy;
    policies.push_back({{"PolicyDocument", policy_document(*policy, "PolicyDocument")}});
  }
  out["Policies"] = std::move(policies);

  aws::Reply<json::array> attached =
      co_await client.list("iam", "ListAttachedRolePolicies", name, "AttachedPolicies");
  if (!attached) co_return std::unexpected(attached.error());
  json::array arns;
  for (const json::value& policy : *attached) {
    if (policy.is_object()) arns.emplace_back(text(policy.get_object(), "PolicyArn"));
  }
  out["ManagedPolicyArns"] = std::move(arns);
  co_return out;
}

constexpr TypeReader all_task_readers[] = {
    {"AWS::ECS::Service", service},
    {"AWS::ECS::TaskDefinition", task_definition},
    {"AWS::ECR::Repository", repository},
    {"AWS::IAM::Role", role},
};

}  // namespace

std::span<const TypeReader> task_readers() { return all_task_readers; }

}  // namespace berth::deploy
