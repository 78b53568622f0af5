#include <algorithm>
#include <array>

#include "deploy/audit_checks.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using Statement = const json::object*;

/// Actions that know no resource: IAM asks for "*" (service authorization reference).
bool knows_no_resource(std::string_view action) {
  constexpr std::array names{"ecr:GetAuthorizationToken",
                             "xray:PutTraceSegments",
                             "xray:PutTelemetryRecords",
                             "xray:PutSpans",
                             "xray:PutSpansForIndexing",
                             "xray:GetSamplingRules",
                             "xray:GetSamplingTargets",
                             "xray:GetSamplingStatisticSummaries",
                             "cloudwatch:PutMetricData",
                             "logs:DescribeLogGroups",
                             "ssmmessages:CreateControlChannel",
                             "ssmmessages:CreateDataChannel",
                             "ssmmessages:OpenControlChannel",
                             "ssmmessages:OpenDataChannel",
                             "sts:GetCallerIdentity",
                             "secretsmanager:ListSecrets",
                             "secretsmanager:GetRandomPassword",
                             "s3:ListAllMyBuckets"};
  return std::ranges::find(names, action) != names.end() || action.starts_with("ec2:Describe");
}

struct RoleStatement {
  std::string resource;
  Statement statement;
};

/// What roles are allowed: inline policies and policy resources.
std::vector<RoleStatement> allowed(const Document& document) {
  std::vector<RoleStatement> out;
  auto add = [&](const std::string& id, const json::value* policy) {
    for (Statement statement : statements(policy)) {
      if (text_at(*statement, "Effect") == "Allow") out.push_back({id, statement});
    }
  };
  for (const Resource& role : document.of_type("AWS::IAM::Role")) {
    for (const json::value* policy : list_at(*role.properties, "Policies")) {
      if (policy->is_object()) add(role.id, at(policy->get_object(), "PolicyDocument"));
    }
  }
  for (std::string_view type : {"AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy"}) {
    for (const Resource& policy : document.of_type(type))
      add(policy.id, at(*policy.properties, "PolicyDocument"));
  }
  return out;
}

void narrow_actions(const Subject& subject, Outcome& outcome) {
  for (const RoleStatement& one : allowed(subject.document)) {
    outcome.expect(!one.statement->contains("NotAction"), one.resource, "It allows all but some actions.");
    for (const json::value* action : list_at(*one.statement, "Action")) {
      std::string name = text_of(*action);
      outcome.expect(name != "*" && !name.ends_with(":*"), one.resource, "It allows " + name + ".");
    }
  }
}

void narrow_resources(const Subject& subject, Outcome& outcome) {
  for (const RoleStatement& one : allowed(subject.document)) {
    auto resources = list_at(*one.statement, "Resource");
    bool everything =
        std::ranges::any_of(resources, [](const json::value* value) { return text_of(*value) == "*"; });
    outcome.applies();
    if (!everything) continue;
    for (const json::value* action : list_at(*one.statement, "Action")) {
      std::string name = text_of(*action);
      outcome.expect(knows_no_resource(name), one.resource, "It allows " + name + " on every resource.");
    }
  }
}

void no_wide_managed_policy(const Subject& subject, Outcome& outcome) {
  for (const Resource& role : subject.document.of_type("AWS::IAM::Role")) {
    outcome.applies();
    for (const json::value* policy : list_at(*role.properties, "ManagedPolicyArns")) {
      std::string arn = text_of(*policy);
      bool wide = arn.find("AdministratorAccess") != std::string::npos ||
                  arn.find("PowerUserAccess") != std::string::npos ||
                  arn.find("FullAccess") != std::string::npos;
      if (wide) outcome.fail(role.id, "It has " + arn + ".");
    }
  }
}

void trust_is_narrow(const Subject& subject, Outcome& outcome) {
  for (const Resource& role : subject.document.of_type("AWS::IAM::Role")) {
    for (Statement statement : statements(at(*role.properties, "AssumeRolePolicyDocument"))) {
      const json::value* condition = at(*statement, "Condition");
      std::string text = condition != nullptr ? json::serialize(*condition) : "";
      bool narrow = text.find("aws:SourceAccount") != std::string::npos ||
                    text.find("aws:SourceArn") != std::string::npos ||
                    text.find("sts:ExternalId") != std::string::npos;
      outcome.expect(narrow, role.id, "Its trust policy does not ask for which account the service works.");
    }
  }
}

void separate_roles(const Subject& subject, Outcome& outcome) {
  for (const Resource& task : subject.document.of_type("AWS::ECS::TaskDefinition")) {
    const json::value* own = at(*task.properties, "TaskRoleArn");
    const json::value* execution = at(*task.properties, "ExecutionRoleArn");
    outcome.expect(own != nullptr && execution != nullptr && *own != *execution, task.id,
                   "Task and execution role are not two roles.");
  }
}

void bounded(const Subject& subject, Outcome& outcome) {
  const std::string& boundary = subject.spec.aws.permissions_boundary;
  if (boundary.empty()) return;
  for (const Resource& role : subject.document.of_type("AWS::IAM::Role"))
    outcome.expect(text_at(*role.properties, "PermissionsBoundary") == boundary, role.id,
                   "It lacks the boundary.");
}

void closed(const Subject& subject, Outcome& outcome) {
  bool key = !subject.spec.auth.keys.empty();
  outcome.expect(key || !subject.spec.aws.open, "Service", "aws.open is true and auth.keys names no key.");
}

void no_exec(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service"))
    outcome.expect(!true_at(*service.properties, "EnableExecuteCommand"), service.id,
                   "EnableExecuteCommand is true.");
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

bool sounds_secret(std::string_view name) {
  constexpr std::array words{"PASSWORD", "PASSWD",      "SECRET",     "TOKEN",     "APIKEY",
                             "API_KEY",  "PRIVATE_KEY", "ACCESS_KEY", "CREDENTIAL"};
  std::string shouted = upper(std::string(name));
  return std::ranges::any_of(words,
                             [&](std::string_view word) { return shouted.find(word) != std::string::npos; });
}

/// Beginnings by which scanners know secrets.
bool looks_secret(std::string_view value) {
  constexpr std::array starts{"AKIA",        "ASIA",     "ghp_",  "gho_",  "ghs_",
                              "github_pat_", "glpat-",   "xoxb-", "xoxp-", "sk-",
                              "sk_live_",    "rk_live_", "AIza",  "npm_",  "-----BEGIN"};
  return value.size() >= 16 &&
         std::ranges::any_of(starts, [&](std::string_view start) { return value.starts_with(start); });
}

void no_plain_secret(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document)) {
    outcome.applies();
    for (const json::value* pair : list_at(*container.definition, "Environment")) {
      if (!pair->is_object()) continue;
      std::string name = text_at(pair->get_object(), "Name");
      const json::value* value = pair->get_object().if_contains("Value");
      // A reference to something else of the template is no literal.
      if (value == nullptr || !value->is_string() || value->get_string().empty()) continue;
      bool file = name.ends_with("_FILE") || name.ends_with("_ARN") || name.ends_with("_NAME");
      bool secret = looks_secret(value->get_string()) || (sounds_secret(name) && !file);
      if (secret) outcome.fail(container.resource, "The plain variable " + name + " looks like a secret.");
    }
  }
}

void no_secret_in_spec(const Subject& subject, Outcome& outcome) {
  outcome.applies();
  auto judge = [&](const std::string& where, const std::string& name, const std::string& value) {
    if (value.empty() || value.find("${") != std::string::npos) return;
    bool named = sounds_secret(name) || upper(name) == "AUTHORIZATION";
    if (named || looks_secret(value))
      outcome.fail(
          "", where + "." + name + " of berth.yaml is written out; it goes into the image with the file.");
  };
  for (const model::ServerSpec& server : subject.spec.servers) {
    for (const auto& [name, value] : server.environment) judge(server.name + ".env", name, value);
    for (const auto& [name, value] : server.headers) judge(server.name + ".headers", name, value);
  }
}

void injected(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document)) {
    for (const json::value* pair : list_at(*container.definition, "Secrets")) {
      if (!pair->is_object()) continue;
      const json::value* from = pair->get_object().if_contains("ValueFrom");
      std::string text = from != nullptr ? json::serialize(*from) : "";
      bool good = !text.empty() && text.find(":ssm:") == std::string::npos;
      outcome.expect(good, container.resource,
                     text_at(pair->get_object(), "Name") + " does not come from Secrets Manager.");
    }
  }
}

void no_secret_in_template(const Subject& subject, Outcome& outcome) {
  for (const Resource& secret : subject.document.of_type("AWS::SecretsManager::Secret")) {
    std::string value = text_at(*secret.properties, "SecretString");
    outcome.expect(value.empty() || value == "{}", secret.id, "Its value stands in the template.");
  }
}

constexpr Check all_access_checks[] = {
    {"closed", "Callers need a key", Gravity::high, closed, "Whoever finds the address may call every tool.",
     "aws.open: false, or auth.keys"},
    {"narrow-actions", "Roles allow named actions", Gravity::high, narrow_actions,
     "A server that was taken over could do everything that the service offers.",
     "permissions: name actions instead of *"},
    {"narrow-resources", "Roles allow actions on named resources", Gravity::medium, narrow_resources,
     "A server that was taken over reaches what belongs to others in the account.",
     "permissions: name ARNs instead of *"},
    {"no-wide-managed-policy", "No role has an administrator's policy", Gravity::high, no_wide_managed_policy,
     "A server that was taken over owns the account.", "permissions: name what the servers need"},
    {"trust-is-narrow", "Roles trust services for this account alone", Gravity::medium, trust_is_narrow,
     "A service could be talked into using the role for somebody else (confused deputy).",
     "Deploy again to undo a change made by hand."},
    {"separate-roles", "Starting a task and being one are two roles", Gravity::medium, separate_roles,
     "Servers could read every secret that is handed to any of them.",
     "Deploy again to undo a change made by hand."},
    {"bounded", "Every role has the permissions boundary", Gravity::medium, bounded,
     "Roles could be given more than your organisation allows.", "aws.permissions_boundary"},
    {"no-exec", "Nobody opens a shell in a task", Gravity::medium, no_exec,
     "Whoever may call ecs:ExecuteCommand reads the secrets and the state of the tasks.", "aws.exec: false"},
    {"no-plain-secret", "No secret is in the plain environment", Gravity::high, no_plain_secret,
     "Whoever may read the task definition reads it; so do logs and support tools.",
     "env: NAME: ${NAME} makes it a secret; aws.secrets names one that exists."},
    {"no-secret-in-spec", "No secret is written out in berth.yaml", Gravity::high, no_secret_in_spec,
     "It is in version control and in every image.", "env: NAME: ${NAME}, and set NAME where you deploy."},
    {"secrets-injected", "Secrets come from Secrets Manager", Gravity::medium, injected,
     "Elsewhere they are neither rotated nor is their use logged.", "aws.secrets"},
    {"no-secret-in-template", "No secret's value is in the template", Gravity::high, no_secret_in_template,
     "Whoever may read the stack reads it.", "Deploy again to undo a change made by hand."},
};

}  // namespace

std::span<const Check> access_checks() { return all_access_checks; }

}  // namespace berth::deploy
