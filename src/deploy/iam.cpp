#include "deploy/iam.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "deploy/document.h"
#include "deploy/iam_table.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

std::string partition_of(std::string_view region) {
  if (region.starts_with("cn-")) return "aws-cn";
  return region.starts_with("us-gov-") ? "aws-us-gov" : "aws";
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t from = text.find(what); from != std::string::npos;
       from = text.find(what, from + with.size())) {
    text.replace(from, what.size(), with);
  }
}

/// Fills the ARN patterns of the table for one service.
class ArnFiller {
 public:
  ArnFiller(const model::Spec& spec, const Document& document) : spec_(spec), document_(document) {}

  /// The ARNs that a scope stands for; none where the spec does not use it.
  std::vector<std::string> arns(std::string_view scope) const {
    std::vector<std::string> out;
    for (const ScopeRow& row : scope_rows()) {
      if (row.scope == scope) out.push_back(fill(std::string(row.pattern)));
    }
    if (scope == "zone" && !spec_.aws.hosted_zone.empty())
      out.push_back(fill("arn:P:route53:::hostedzone/" + spec_.aws.hosted_zone));
    if (scope == "key" && !spec_.aws.kms_key.empty()) out.push_back(spec_.aws.kms_key);
    if (scope == "trail" && !spec_.aws.alarms.trail_log_group.empty())
      out.push_back(fill("arn:P:logs:R:A:log-group:" + spec_.aws.alarms.trail_log_group + ":*"));
    if (scope == "secrets") {
      // CloudFormation names a secret that has no name by its logical id.
      for (const Resource& secret : document_.of_type("AWS::SecretsManager::Secret"))
        out.push_back(fill("arn:P:secretsmanager:R:A:secret:" + secret.id + "-*"));
      add_existing_secrets(out);
    }
    return out;
  }

 private:
  std::string fill(std::string pattern) const {
    const std::string& region = spec_.aws.region;
    replace_all(pattern, ":P:", ":" + partition_of(region) + ":");
    replace_all(pattern, ":R:", ":" + (region.empty() ? "*" : region) + ":");
    replace_all(pattern, ":A:", ":" + (spec_.aws.account.empty() ? "*" : spec_.aws.account) + ":");
    replace_all(pattern, "NAME5", spec_.name.substr(0, 5));
    replace_all(pattern, "BUCKET", lower(spec_.name));
    replace_all(pattern, "NAME", spec_.name);
    return pattern;
  }
  /// Secrets that berth.yaml names are read by deploy to tell a missing one early.
  void add_existing_secrets(std::vector<std::string>& out) const {
    for (const auto& [variable, secret] : spec_.aws.secrets) {
      if (secret.starts_with("arn:")) {
        // An ARN may be followed by ":json-key"; the secret itself ends after seven parts.
        std::size_t end = 0;
        for (int colons = 0; end < secret.size() && colons < 7; ++end) colons += secret[end] == ':' ? 1 : 0;
        out.push_back(secret.substr(0, end == secret.size() ? end : end - 1));
      } else {
        out.push_back(fill("arn:P:secretsmanager:R:A:secret:" + secret.substr(0, secret.find(':')) + "-*"));
      }
    }
  }

  const model::Spec& spec_;
  const Document& document_;
};

json::array to_array(const std::set<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

/// "Ec2Subnets" from a scope: what a statement is called.
std::string title(std::string_view scope) {
  std::string out;
  bool upper = true;
  for (char c : scope) {
    if (c == '-') {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return out;
}

/// Without actions that another one of the list covers ("ecs:Describe*" covers "ecs:DescribeTasks").
std::set<std::string> without_covered(const std::set<std::string>& actions) {
  std::set<std::string> out;
  for (const std::string& action : actions) {
    bool covered = std::ranges::any_of(actions, [&](const std::string& other) {
      return other != action && other.ends_with('*') &&
             action.starts_with(std::string_view(other).substr(0, other.size() - 1));
    });
    if (!covered) out.insert(action);
  }
  return out;
}

json::object pass_role(const std::vector<std::string>& roles, const std::set<std::string>& services) {
  json::array arns;
  for (const std::string& role : roles) arns.emplace_back(role);
  return {{"Sid", "PassRoles"},
          {"Effect", "Allow"},
          {"Action", "iam:PassRole"},
          {"Resource", std::move(arns)},
          {"Condition", {{"StringEquals", {{"iam:PassedToService", to_array(services)}}}}}};
}

/// Wildcards of IAM: * is any text.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  std::string_view tail = pattern.substr(star + 1);
  for (std::size_t from = star; from <= text.size(); ++from) {
    if (matches(tail, text.substr(from))) return true;
  }
  return false;
}

/// Actions by scope, and the services that roles are handed to.
struct Needs {
  std::map<std::string, std::set<std::string>, std::less<>> actions;
  std::set<std::string> passed_to;
  std::set<std::string> linked_roles;
};

void need(Needs& needs, const ActionRow& row) {
  std::string_view rest = row.actions;
  while (!rest.empty()) {
    std::string_view action = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), action.size() + 1));
    if (action.starts_with("pass:")) {
      needs.passed_to.insert(std::string(action.substr(5)) + ".amazonaws.com");
    } else if (action.starts_with("linked:")) {
      needs.linked_roles.insert(std::string(action.substr(7)) + ".amazonaws.com");
    } else {
      needs.actions[std::string(row.scope)].insert(fmt::format("{}:{}", row.service, action));
    }
  }
}

Needs collect(const model::Spec& spec, const Document& document) {
  Needs needs;
  std::set<std::string> types;
  for (const Resource& resource : document.all()) {
    types.insert(resource.type);
    const std::string kind = text_at(*resource.properties, "VpcEndpointType");
    if (!kind.empty()) types.insert(resource.type + " " + kind);
  }
  for (const ActionRow& row : action_rows()) {
    const bool own_call = row.type.empty();
    const bool key_call = row.type == "kms" && !spec.aws.kms_key.empty();
    if (own_call || key_call || types.contains(std::string(row.type))) need(needs, row);
  }
  return needs;
}

}  // namespace

json::object deployer_policy(const model::Spec& spec, const json::object& base, const json::object& service) {
  Document document(base, service);
  ArnFiller names(spec, document);
  Needs needs = collect(spec, document);
  json::array statements;
  std::set<std::string> everywhere;
  for (const auto& [scope, actions] : needs.actions) {
    std::vector<std::string> arns = names.arns(scope);
    if (scope == "any") {
      everywhere.insert(actions.begin(), actions.end());
      continue;
    }
    if (arns.empty()) continue;
    json::array resources;
    for (std::string& arn : arns) resources.emplace_back(std::move(arn));
    json::object statement{{"Sid", title(scope)},
                           {"Effect", "Allow"},
                           {"Action", to_array(without_covered(actions))},
                           {"Resource", std::move(resources)}};
    statements.push_back(std::move(statement));
  }
  if (!needs.passed_to.empty()) statements.push_back(pass_role(names.arns("roles"), needs.passed_to));
  if (!needs.linked_roles.empty()) {
    statements.push_back(
        {{"Sid", "ServiceLinkedRoles"},
         {"Effect", "Allow"},
         {"Action", "iam:CreateServiceLinkedRole"},
         {"Resource", fmt::format("arn:{}:iam::*:role/aws-service-role/*", partition_of(spec.aws.region))},
         {"Condition", {{"StringEquals", {{"iam:AWSServiceName", to_array(needs.linked_roles)}}}}}});
  }
  statements.push_back({{"Sid", "Everywhere"},
                        {"Effect", "Allow"},
                        {"Action", to_array(without_covered(everywhere))},
                        {"Resource", "*"}});
  return {{"Version", "2012-10-17"}, {"Statement", std::move(statements)}};
}

std::vector<json::object> split_policy(const json::object& policy) {
  if (json::serialize(policy).size() <= policy_characters_max) return {policy};
  std::vector<json::object> parts;
  const std::size_t frame =
      json::serialize(json::object{{"Version", "2012-10-17"}, {"Statement", {}}}).size();
  std::size_t used = policy_characters_max;
  for (const json::value& statement : policy.at("Statement").as_array()) {
    std::size_t size = json::serialize(statement).size() + 1;
    if (used + size > policy_characters_max) {
      parts.push_back({{"Version", "2012-10-17"}, {"Statement", json::array{}}});
      used = frame;
    }
    parts.back()["Statement"].as_array().push_back(statement);
    used += size;
  }
  return parts;
}

std::vector<std::string> unknown_types(const json::object& base, const json::object& service) {
  std::set<std::string> known;
  for (const ActionRow& row : action_rows()) known.insert(std::string(row.type));
  std::set<std::string> unknown;
  Document document(base, service);
  for (const Resource& resource : document.all()) {
    if (!known.contains(resource.type)) unknown.insert(resource.type);
  }
  return {unknown.begin(), unknown.end()};
}

bool allows(const json::object& policy, std::string_view action) {
  const std::string wanted = lower(std::string(action));
  for (const json::value& statement : policy.at("Statement").as_array()) {
    for (const json::value* one : list_at(statement.as_object(), "Action")) {
      if (one->is_string() && matches(lower(std::string(one->get_string())), wanted)) return true;
    }
  }
  return false;
}

}  // namespace berth::deploy
