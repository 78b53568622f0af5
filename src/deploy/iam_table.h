#pragma once

#include <span>
#include <string_view>

namespace berth::deploy {

/// What a resource type (or Berth itself) calls.
struct ActionRow {
  /// "AWS::ECS::Service"; empty: calls of Berth's own; "kms": with a customer key; an endpoint of its kind:
  /// "AWS::EC2::VPCEndpoint Interface".
  std::string_view type;
  std::string_view service;  ///< prefix of the actions: "ecs"
  std::string_view scope;    ///< of ScopeRow, or "any"
  /// Names with blanks between them; "pass:ecs-tasks" hands a role to that service, "linked:ecs" lets the
  /// service make its own role.
  std::string_view actions;
};
std::span<const ActionRow> action_rows();

/// ARN patterns of a scope; P partition, R region, A account, NAME of the service (NAME5: its first five
/// letters, with which CloudFormation begins the names of load balancers), BUCKET the name in lower case.
struct ScopeRow {
  std::string_view scope;
  std::string_view pattern;
};
std::span<const ScopeRow> scope_rows();

}  // namespace berth::deploy
