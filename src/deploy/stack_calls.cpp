#include <fmt/format.h>

#include <algorithm>

#include "deploy/stack.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr Duration change_set_poll = std::chrono::milliseconds(1500);
constexpr Duration change_set_timeout = std::chrono::minutes(5);

json::array pairs(const std::map<std::string, std::string>& values, std::string_view key,
                  std::string_view value) {
  json::array out;
  for (const auto& [name, text] : values) out.push_back(json::object{{key, name}, {value, text}});
  return out;
}

std::map<std::string, std::string> map_of(const json::array& list, std::string_view key,
                                          std::string_view value) {
  std::map<std::string, std::string> out;
  for (const json::value& item : list) {
    if (!item.is_object()) continue;
    out[aws::text(item.get_object(), key)] = aws::text(item.get_object(), value);
  }
  return out;
}

/// CloudFormation has no code of its own for a stack that is not there.
bool is_absent(const aws::Fault& fault) {
  return (fault.is("ValidationError") && fault.message.find("does not exist") != std::string::npos) ||
         fault.is("ChangeSetNotFound") || fault.is("ChangeSetNotFoundException");
}

bool has_no_changes(const std::string& reason) {
  return reason.find("didn't contain changes") != std::string::npos ||
         reason.find("No updates are to be performed") != std::string::npos;
}

ResourceChange change_of(const json::object& change) {
  const json::object& resource = aws::object(change, "ResourceChange");
  ResourceChange out{.resource = aws::text(resource, "LogicalResourceId"),
                     .type = aws::text(resource, "ResourceType"),
                     .action = aws::text(resource, "Action"),
                     .replacement = aws::text(resource, "Replacement"),
                     .causes = {}};
  for (const json::value& detail : aws::array(resource, "Details")) {
    if (!detail.is_object()) continue;
    const json::object& target = aws::object(detail.get_object(), "Target");
    std::string cause = aws::text(target, "Name");
    if (cause.empty()) cause = aws::text(target, "Attribute");
    if (std::ranges::find(out.causes, cause) == out.causes.end()) out.causes.push_back(cause);
  }
  return out;
}

aws::Fault change_set_fault(std::string code, std::string message) {
  aws::Fault fault;
  fault.service = "cloudformation";
  fault.operation = "CreateChangeSet";
  fault.code = std::move(code);
  fault.message = std::move(message);
  return fault;
}

}  // namespace

Task<aws::Reply<StackState>> describe_stack(aws::Client& client, std::string name) {
  json::object input{{"StackName", name}};
  const auto reply = co_await client.call("cloudformation", "DescribeStacks", std::move(input));
  StackState state;
  state.name = name;
  if (!reply) {
    if (is_absent(reply.error())) co_return state;
    co_return std::unexpected(reply.error());
  }
  const json::array& stacks = aws::array(*reply, "Stacks");
  if (stacks.empty() || !stacks.front().is_object()) co_return state;
  const json::object& stack = stacks.front().get_object();
  state.id = aws::text(stack, "StackId");
  state.status = aws::text(stack, "StackStatus");
  state.reason = aws::text(stack, "StackStatusReason");
  state.outputs = map_of(aws::array(stack, "Outputs"), "OutputKey", "OutputValue");
  state.parameters = map_of(aws::array(stack, "Parameters"), "ParameterKey", "ParameterValue");
  state.tags = map_of(aws::array(stack, "Tags"), "Key", "Value");
  if (state.status == "DELETE_COMPLETE") state = StackState{.name = name};
  co_return state;
}

Task<aws::Reply<std::string>> stack_body(aws::Client& client, std::string name) {
  json::object input{{"StackName", name}, {"TemplateStage", "Original"}};
  const auto reply = co_await client.call("cloudformation", "GetTemplate", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  co_return aws::text(*reply, "TemplateBody");
}

Task<aws::Reply<std::string>> operation_token(aws::Client& client, std::string name) {
  json::object input{{"StackName", name}};
  const auto reply = co_await client.call("cloudformation", "DescribeStackEvents", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  // Newest first; every event of an operation carries its token.
  for (const json::value& event : aws::array(*reply, "StackEvents")) {
    if (event.is_object()) co_return aws::text(event.get_object(), "ClientRequestToken");
  }
  co_return std::string();
}

Task<aws::Reply<ChangeSet>> make_change_set(aws::Client& client, Clock& clock, const StackTarget& target,
                                            ChangeKind kind, std::string name) {
  if (kind == ChangeKind::revert) {
    const auto removed = co_await delete_change_set(client, target.name, name);
    if (!removed) co_return std::unexpected(removed.error());
  }
  json::object input{{"StackName", target.name},
                     {"ChangeSetName", name},
                     {"ChangeSetType", kind == ChangeKind::create ? "CREATE" : "UPDATE"},
                     {"TemplateBody", target.body},
                     {"Parameters", pairs(target.parameters, "ParameterKey", "ParameterValue")},
                     {"Tags", pairs(target.tags, "Key", "Value")},
                     {"Capabilities", json::array{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}}};
  if (kind == ChangeKind::revert) input["DeploymentMode"] = "REVERT_DRIFT";
  const auto created = co_await client.call("cloudformation", "CreateChangeSet", std::move(input));
  // One of the same name is that of an earlier try: equal content has equal names.
  if (!created && !created.error().is("AlreadyExistsException")) co_return std::unexpected(created.error());
  ChangeSet out{.name = name, .id = created ? aws::text(*created, "Id") : "", .changes = {}};
  const TimePoint deadline = clock.now() + change_set_timeout;
  while (true) {
    json::object ask{{"StackName", target.name}, {"ChangeSetName", name}};
    const auto reply = co_await client.call("cloudformation", "DescribeChangeSet", std::move(ask));
    if (!reply) co_return std::unexpected(reply.error());
    const std::string status = aws::text(*reply, "Status");
    if (status == "CREATE_COMPLETE") {
      json::object pages{{"StackName", target.name}, {"ChangeSetName", name}};
      const auto changes =
          co_await client.list("cloudformation", "DescribeChangeSet", std::move(pages), "Changes");
      if (!changes) co_return std::unexpected(changes.error());
      for (const json::value& change : *changes) {
        if (change.is_object()) out.changes.push_back(change_of(change.get_object()));
      }
      co_return out;
    }
    if (status == "FAILED") {
      const std::string reason = aws::text(*reply, "StatusReason");
      const auto removed = co_await delete_change_set(client, target.name, name);
      if (!removed) co_return std::unexpected(removed.error());
      if (has_no_changes(reason)) co_return out;
      co_return std::unexpected(change_set_fault("ChangeSetFailed", reason));
    }
    if (clock.now() >= deadline) {
      co_return std::unexpected(change_set_fault(
          "ChangeSetTimeout", fmt::format("The change set {} is {} after five minutes.", name, status)));
    }
    co_await clock.sleep_for(change_set_poll);
  }
}

Task<aws::Reply<void>> delete_change_set(aws::Client& client, std::string stack, std::string name) {
  json::object input{{"StackName", stack}, {"ChangeSetName", name}};
  const auto reply = co_await client.call("cloudformation", "DeleteChangeSet", std::move(input));
  if (!reply && !is_absent(reply.error())) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<void>> execute_change_set(aws::Client& client, std::string stack, std::string name,
                                          std::string token) {
  json::object input{{"StackName", stack}, {"ChangeSetName", name}, {"ClientRequestToken", token}};
  const auto reply = co_await client.call("cloudformation", "ExecuteChangeSet", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<void>> update_image(aws::Client& client, const StackState& state, const StackTarget& target) {
  json::array parameters;
  for (const auto& [name, value] : state.parameters) {
    const auto wanted = target.parameters.find(name);
    const bool image = name == "ImageUri" && wanted != target.parameters.end();
    json::object parameter{{"ParameterKey", name}};
    if (image) {
      parameter["ParameterValue"] = wanted->second;
    } else if (name == count_parameter) {
      parameter["ParameterValue"] = "";
    } else {
      parameter["UsePreviousValue"] = true;
    }
    parameters.push_back(std::move(parameter));
  }
  json::object input{{"StackName", state.name},
                     {"UsePreviousTemplate", true},
                     {"Parameters", std::move(parameters)},
                     {"Tags", pairs(state.tags, "Key", "Value")},
                     {"Capabilities", json::array{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}},
                     {"ClientRequestToken", token_of(target)}};
  const auto reply = co_await client.call("cloudformation", "UpdateStack", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<void>> delete_stack(aws::Client& client, std::string name, std::string token) {
  json::object input{{"StackName", name}, {"ClientRequestToken", token}};
  const auto reply = co_await client.call("cloudformation", "DeleteStack", std::move(input));
  if (!reply && !is_absent(reply.error())) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<std::vector<StackResource>>> stack_resources(aws::Client& client, std::string name) {
  json::object input{{"StackName", name}};
  const auto reply = co_await client.list("cloudformation", "ListStackResources", std::move(input),
                                          "StackResourceSummaries");
  std::vector<StackResource> out;
  if (!reply) {
    if (is_absent(reply.error())) co_return out;
    co_return std::unexpected(reply.error());
  }
  for (const json::value& item : *reply) {
    if (!item.is_object()) continue;
    const json::object& resource = item.get_object();
    StackResource one{.id = aws::text(resource, "LogicalResourceId"),
                      .type = aws::text(resource, "ResourceType"),
                      .physical = aws::text(resource, "PhysicalResourceId"),
                      .status = aws::text(resource, "ResourceStatus")};
    out.push_back(std::move(one));
  }
  co_return out;
}

Task<aws::Reply<std::vector<std::string>>> stacks_that_hold(aws::Client& client, std::string physical) {
  std::vector<std::string> out;
  json::object input{{"PhysicalResourceId", std::move(physical)}};
  const auto reply = co_await client.call("cloudformation", "DescribeStackResources", std::move(input));
  if (!reply) {
    if (is_absent(reply.error())) co_return out;
    co_return std::unexpected(reply.error());
  }
  for (const json::value& item : aws::array(*reply, "StackResources")) {
    // A stack that let go of a resource, or is gone itself, is still told of.
    if (!item.is_object() || aws::text(item.get_object(), "ResourceStatus").starts_with("DELETE_")) continue;
    const auto stack = co_await describe_stack(client, aws::text(item.get_object(), "StackId"));
    if (!stack) co_return std::unexpected(stack.error());
    if (stack->exists()) out.push_back(stack->id);
  }
  co_return out;
}

}  // namespace berth::deploy
