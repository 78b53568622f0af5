#include "deploy/testing/fake_account.h"

#include <fmt/format.h>

#include "aws/pages.h"
#include "deploy/stack.h"
#include "storage/files.h"

namespace berth::deploy::testing {
namespace {

namespace json = boost::json;

constexpr int polls_of_operation = 3;
constexpr std::string_view account = "123456789012";

std::unexpected<aws::Fault> fault(std::string code, std::string message, int status = 400) {
  aws::Fault out;
  out.code = std::move(code);
  out.message = std::move(message);
  out.status = status;
  return std::unexpected(out);
}

std::map<std::string, std::string> pairs_of(const json::object& input, std::string_view list) {
  std::map<std::string, std::string> out;
  for (const json::value& item : aws::array(input, list)) {
    out[aws::text(item.as_object(), "ParameterKey")] = aws::text(item.as_object(), "ParameterValue");
  }
  return out;
}

json::array pairs(const std::map<std::string, std::string>& values, std::string_view key,
                  std::string_view value) {
  json::array out;
  for (const auto& [name, text] : values) out.push_back(json::object{{key, name}, {value, text}});
  return out;
}

std::string arn_of(const std::string& stack) {
  return fmt::format("arn:aws:cloudformation:us-east-1:{}:stack/{}/1", account, stack);
}

std::string name_of(const std::string& stack) {
  if (!stack.starts_with("arn:")) return stack;
  const std::size_t slash = stack.find('/');
  return stack.substr(slash + 1, stack.rfind('/') - slash - 1);
}

}  // namespace

FakeAccount::FakeAccount() {
  on("sts", "GetCallerIdentity", [](const Object&) -> Answer {
    return Object{{"Account", account}, {"Arn", "arn:aws:iam::123456789012:user/me"}};
  });
  answer_stacks();
  answer_change_sets();
  answer_service();
  answer_rest();
}

void FakeAccount::on(std::string_view service, std::string_view operation,
                     std::function<Answer(const Object&)> handler) {
  client.handle(service, operation, std::move(handler));
}

void FakeAccount::begin(const std::string& name, const std::string& kind, const std::string& token) {
  Stack& stack = stacks[name];
  stack.status = kind + "_IN_PROGRESS";
  stack.polls_left = polls_of_operation;
  stack.ends_as = kind + "_COMPLETE";
  stack.events.push_back({std::to_string(++next_event_), name, "AWS::CloudFormation::Stack", stack.status,
                          "User Initiated", token});
  if (next_failure && name == "app") {
    Event event = *next_failure;
    event.id = std::to_string(++next_event_);
    event.token = token;
    stack.events.push_back(event);
    stack.ends_as = kind == "CREATE" ? "ROLLBACK_COMPLETE" : "UPDATE_ROLLBACK_COMPLETE";
    next_failure.reset();
  }
}

void FakeAccount::step(const std::string& name, Stack& stack) {
  if (!in_progress(stack.status) || --stack.polls_left > 0) return;
  stack.status = stack.ends_as;
  stack.events.push_back(
      {std::to_string(++next_event_), name, "AWS::CloudFormation::Stack", stack.status, "", ""});
  finish(name, stack);
}

void FakeAccount::finish(const std::string& name, Stack& stack) {
  if (stack.status == "DELETE_COMPLETE") {
    stacks.erase(name);
    return;
  }
  if (stack.status.find("ROLLBACK") != std::string::npos) return;
  if (name == "app-base") {
    stack.outputs = {{"RepositoryUri", "123456789012.dkr.ecr.us-east-1.amazonaws.com/app"},
                     {"RepositoryArn", "arn:aws:ecr:us-east-1:123456789012:repository/app"},
                     {"RepositoryName", "app"},
                     {"FleetKeyArn", "arn:fleet"},
                     {"ApiKeyArn", "arn:key"}};
    secrets["arn:key"] = "the-key";
    if (stack.body.find("EnvironmentArn") != std::string::npos) {
      stack.outputs["EnvironmentArn"] = "arn:environment";
      secrets.try_emplace("arn:environment", "");
    }
    return;
  }
  deployed_at = now++;
  stack.outputs = {
      {"Url", "https://app.example.com"}, {"ClusterName", "app"},         {"ServiceName", "app"},
      {"TargetGroupArn", "arn:tg"},       {"LogGroupName", "/berth/app"}, {"FileSystemId", "fs-1"},
      {"ArtifactsBucketName", "app-a"},   {"LogsBucketName", "app-l"}};
}

FakeAccount::Answer FakeAccount::describe(const Object& input) {
  const std::string name = name_of(aws::text(input, "StackName"));
  const auto found = stacks.find(name);
  if (found != stacks.end()) step(name, found->second);
  const auto after = stacks.find(name);
  if (after == stacks.end())
    return fault("ValidationError", fmt::format("Stack with id {} does not exist", name));
  Stack& stack = after->second;
  Object out{{"StackName", name}, {"StackId", arn_of(name)}, {"StackStatus", stack.status}};
  out["Outputs"] = pairs(stack.outputs, "OutputKey", "OutputValue");
  out["Parameters"] = pairs(stack.parameters, "ParameterKey", "ParameterValue");
  out["Tags"] = stack.tags;
  return Object{{"Stacks", json::array{json::value(std::move(out))}}};
}

void FakeAccount::answer_stacks() {
  on("cloudformation", "DescribeStacks", [this](const Object& input) { return describe(input); });
  on("cloudformation", "GetTemplate", [this](const Object& input) -> Answer {
    return Object{{"TemplateBody", stacks[name_of(aws::text(input, "StackName"))].body}};
  });
  on("cloudformation", "DescribeStackEvents", [this](const Object& input) -> Answer {
    const auto found = stacks.find(name_of(aws::text(input, "StackName")));
    if (found == stacks.end()) return fault("ValidationError", "Stack does not exist");
    json::array events;
    for (auto event = found->second.events.rbegin(); event != found->second.events.rend(); ++event) {
      events.push_back(Object{{"EventId", event->id},
                              {"LogicalResourceId", event->resource},
                              {"ResourceType", event->type},
                              {"ResourceStatus", event->status},
                              {"ResourceStatusReason", event->reason},
                              {"ClientRequestToken", event->token}});
    }
    return Object{{"StackEvents", std::move(events)}};
  });
  // By physical id: what a stack puts out under FileSystemId, ArtifactsBucketName or another name.
  on("cloudformation", "DescribeStackResources", [this](const Object& input) -> Answer {
    const std::string physical = aws::text(input, "PhysicalResourceId");
    json::array resources;
    for (const auto& [name, stack] : stacks) {
      for (const auto& [key, value] : stack.outputs) {
        if (value == physical)
          resources.push_back(Object{{"StackId", arn_of(name)}, {"PhysicalResourceId", value}});
      }
    }
    if (resources.empty())
      return fault("ValidationError", fmt::format("Stack for {} does not exist", physical));
    return Object{{"StackResources", std::move(resources)}};
  });
  on("cloudformation", "DeleteStack", [this](const Object& input) -> Answer {
    const std::string name = name_of(aws::text(input, "StackName"));
    if (stacks.contains(name)) begin(name, "DELETE", "");
    return Object();
  });
  on("cloudformation", "UpdateStack", [this](const Object& input) -> Answer {
    const std::string name = aws::text(input, "StackName");
    for (const auto& [key, value] : pairs_of(input, "Parameters")) {
      if (!value.empty()) stacks[name].parameters[key] = value;
    }
    ++image_updates;
    begin(name, "UPDATE", aws::text(input, "ClientRequestToken"));
    return Object();
  });
  on("cloudformation", "ContinueUpdateRollback", [this](const Object& input) -> Answer {
    Stack& stack = stacks[aws::text(input, "StackName")];
    stack.status = "UPDATE_ROLLBACK_IN_PROGRESS";
    stack.polls_left = polls_of_operation;
    stack.ends_as = "UPDATE_ROLLBACK_COMPLETE";
    return Object();
  });
  on("cloudformation", "CancelUpdateStack", [this](const Object& input) -> Answer {
    stacks[aws::text(input, "StackName")].ends_as = "UPDATE_ROLLBACK_COMPLETE";
    return Object();
  });
}

void FakeAccount::answer_change_sets() {
  auto key_of = [](const Object& input) {
    return name_of(aws::text(input, "StackName")) + "/" + aws::text(input, "ChangeSetName");
  };
  on("cloudformation", "CreateChangeSet", [this, key_of](const Object& input) -> Answer {
    if (change_sets.contains(key_of(input))) return fault("AlreadyExistsException", "ChangeSet exists");
    const std::string stack = aws::text(input, "StackName");
    if (!stacks.contains(stack)) stacks[stack].status = "REVIEW_IN_PROGRESS";
    change_sets[key_of(input)] = {stack, aws::text(input, "TemplateBody"), aws::text(input, "ChangeSetType"),
                                  pairs_of(input, "Parameters"), aws::array(input, "Tags")};
    return Object{{"Id", "arn:change-set"}};
  });
  on("cloudformation", "DescribeChangeSet", [this, key_of](const Object& input) -> Answer {
    const auto found = change_sets.find(key_of(input));
    if (found == change_sets.end()) return fault("ChangeSetNotFound", "no such change set");
    const Object change{{"ResourceChange",
                         {{"Action", "Modify"},
                          {"LogicalResourceId", "TaskDefinition"},
                          {"ResourceType", "AWS::ECS::TaskDefinition"},
                          {"Replacement", "True"}}}};
    return Object{{"Status", "CREATE_COMPLETE"}, {"Changes", json::array{json::value(change)}}};
  });
  on("cloudformation", "DeleteChangeSet", [this, key_of](const Object& input) -> Answer {
    change_sets.erase(key_of(input));
    return Object();
  });
  on("cloudformation", "ExecuteChangeSet", [this, key_of](const Object& input) -> Answer {
    const auto found = change_sets.find(key_of(input));
    if (found == change_sets.end()) return fault("ChangeSetNotFound", "no such change set");
    const ChangeSet set = found->second;
    change_sets.erase(found);
    stacks[set.stack].body = set.body;
    stacks[set.stack].parameters = set.parameters;
    stacks[set.stack].tags = set.tags;
    ++executed;
    begin(set.stack, set.type, aws::text(input, "ClientRequestToken"));
    return Object();
  });
}

void FakeAccount::answer_service() {
  on("ecs", "DescribeServices", [this](const Object&) -> Answer {
    Object deployment{{"id", "d"},
                      {"status", "PRIMARY"},
                      {"rolloutState", "COMPLETED"},
                      {"desiredCount", desired},
                      {"runningCount", desired},
                      {"createdAt", deployed_at}};
    Object service{{"serviceName", "app"},
                   {"serviceArn", "arn:aws:ecs:us-east-1:123456789012:service/app/app"},
                   {"status", "ACTIVE"},
                   {"desiredCount", desired},
                   {"runningCount", desired},
                   {"taskDefinition", "arn:aws:ecs:us-east-1:123456789012:task-definition/app:2"},
                   {"deployments", json::array{json::value(std::move(deployment))}}};
    return Object{{"services", json::array{json::value(std::move(service))}}};
  });
  on("ecs", "UpdateService", [this](const Object& input) -> Answer {
    if (input.contains("forceNewDeployment")) {
      ++restarts;
      deployed_at = now++;
    }
    if (input.contains("desiredCount")) desired = input.at("desiredCount").to_number<std::size_t>();
    return Object();
  });
  on("ecs", "ListTasks", [this](const Object&) -> Answer {
    return Object{
        {"taskArns", stopped_task.empty() ? json::array() : json::array{"arn:aws:ecs:r:a:task/app/t1"}}};
  });
  on("ecs", "DescribeTasks",
     [this](const Object&) -> Answer { return Object{{"tasks", json::parse(stopped_task)}}; });
  on("elasticloadbalancing", "DescribeTargetHealth", [this](const Object&) -> Answer {
    json::array targets;
    for (std::size_t i = 0; i < desired; ++i)
      targets.push_back(Object{{"TargetHealth", {{"State", "healthy"}}}});
    return Object{{"TargetHealthDescriptions", std::move(targets)}};
  });
}

void FakeAccount::answer_rest() {
  client.answer("ec2", "DescribeManagedPrefixLists",
                R"({"prefixListSet": [{"prefixListId": "pl-1",
                     "prefixListName": "com.amazonaws.global.cloudfront.origin-facing"}]})");
  client.answer("ec2", "DescribeAvailabilityZones",
                R"({"availabilityZoneInfo": [
                     {"zoneName": "us-east-1a", "zoneId": "use1-az6", "zoneState": "available"},
                     {"zoneName": "us-east-1b", "zoneId": "use1-az1", "zoneState": "available"},
                     {"zoneName": "us-east-1c", "zoneId": "use1-az2", "zoneState": "available"}]})");
  on("iam", "CreateServiceLinkedRole", [this](const Object& input) -> Answer {
    const bool made = service_roles.insert(aws::text(input, "AWSServiceName")).second;
    if (!made) return fault("InvalidInput", "Service role name has been taken in this account.");
    return Object{{"Role", Object()}};
  });
  http::Response destination;
  destination.body = R"({"Destination": "XRay"})";
  client.answer_rest("xray", "GetTraceSegmentDestination", destination);
  on("secretsmanager", "GetSecretValue", [this](const Object& input) -> Answer {
    const auto found = secrets.find(aws::text(input, "SecretId"));
    if (found == secrets.end() || found->second.empty())
      return fault("ResourceNotFoundException", "no value");
    return Object{{"SecretString", found->second}, {"CreatedDate", secret_at}};
  });
  on("secretsmanager", "PutSecretValue", [this](const Object& input) -> Answer {
    secrets[aws::text(input, "SecretId")] = aws::text(input, "SecretString");
    secret_at = now++;
    return Object();
  });
  on("ecr", "DescribeImages", [this](const Object& input) -> Answer {
    const std::string digest = aws::text(aws::array(input, "imageIds").front().as_object(), "imageDigest");
    if (!images.contains(digest)) return fault("ImageNotFoundException", "no such image");
    return Object{{"imageDetails", json::array{Object{{"imageDigest", digest}}}}};
  });
  on("ecr", "GetAuthorizationToken", [](const Object&) -> Answer {
    return Object{{"authorizationData", json::array{Object{{"authorizationToken", "QVdTOnB3"}}}}};
  });
  on("ecr", "DescribeImageScanFindings", [](const Object&) -> Answer {
    return Object{{"imageScanStatus", {{"status", "COMPLETE"}}}, {"imageScanFindings", Object()}};
  });
  on("ecr", "BatchGetImage", [](const Object&) -> Answer { return Object{{"images", json::array()}}; });
  on("ecr", "PutImage", [](const Object&) -> Answer { return Object(); });
}

registry::Image FakeImages::image() const {
  registry::Image out;
  out.digest = "sha256:" + storage::sha256_hex(source);
  out.config = fmt::format(R"({{"config":{{"Entrypoint":["{}","serve"]}}}})", entry);
  out.manifest = "{}";
  out.bytes = 9'000'000;
  return out;
}

Task<Result<registry::Image>> FakeImages::assemble(registry::AssembleOptions options,
                                                   registry::Progress progress) {
  assembled = std::move(options);
  progress("layer");
  co_return image();
}

Task<Result<registry::Image>> FakeImages::build(std::string /*dockerfile*/, registry::AssembleOptions options,
                                                registry::Progress /*progress*/) {
  assembled = std::move(options);
  co_return image();
}

Task<Result<registry::Images::Pushed>> FakeImages::push(const registry::Image& image,
                                                        registry::Reference /*to*/, registry::Login /*login*/,
                                                        registry::Progress /*progress*/) {
  ++pushes;
  account_.images.insert(image.digest);
  Pushed pushed{.layers_sent = 2, .bytes_sent = image.bytes, .digest = image.digest};
  co_return pushed;
}

Task<Result<registry::Image>> FakeImages::pull(registry::Reference /*from*/, registry::Login /*login*/,
                                               std::string /*architecture*/,
                                               registry::Progress /*progress*/) {
  co_return image();
}

void FakeProgress::end(Phase phase, PhaseEnd end, const std::string& summary) {
  const std::string_view mark = end == PhaseEnd::done ? "done" : end == PhaseEnd::failed ? "failed" : "same";
  lines.push_back(fmt::format("{} {}: {}", mark, title(phase), summary));
}

Task<Result<bool>> FakeProgress::confirm(std::string question) {
  questions.push_back(std::move(question));
  co_return answer;
}

bool CutClient::stops() {
  if (left_ == 0) return true;
  --left_;
  return false;
}

Task<void> CutClient::hang() { co_await clock_.sleep_for(std::chrono::hours(100'000)); }

Task<aws::Reply<boost::json::object>> CutClient::call(std::string service, std::string operation,
                                                      boost::json::object input) {
  const bool cut = stops();
  if (cut && cut_ == Cut::before) co_await hang();
  auto reply = co_await inner_.call(std::move(service), std::move(operation), std::move(input));
  if (cut) co_await hang();
  co_return reply;
}

Task<aws::Reply<boost::json::array>> CutClient::list(std::string service, std::string operation,
                                                     boost::json::object input, std::string items) {
  auto all = co_await aws::collect_pages(*this, std::move(service), std::move(operation), std::move(input),
                                         std::move(items));
  co_return all;
}

Task<aws::Reply<http::Response>> CutClient::rest(RestRequest request) {
  const bool cut = stops();
  if (cut) co_await hang();
  auto reply = co_await inner_.rest(std::move(request));
  co_return reply;
}

}  // namespace berth::deploy::testing
