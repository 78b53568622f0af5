#include "deploy/testing/fake_account.h"

#include <fmt/format.h>

#include <algorithm>

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

std::string name_of(const std::string& stack) {
  if (!stack.starts_with("arn:")) return stack;
  const std::size_t slash = stack.find('/');
  return stack.substr(slash + 1, stack.rfind('/') - slash - 1);
}

bool is_base(const std::string& stack) { return stack.ends_with("-base"); }

http::Response text_answer(std::string body) {
  http::Response response;
  response.body = std::move(body);
  return response;
}

}  // namespace

FakeAccount::FakeAccount(std::string region, int first_id) : client(std::move(region)), next_id_(first_id) {
  on("sts", "GetCallerIdentity", [](const Object&) -> Answer {
    return Object{{"Account", account}, {"Arn", "arn:aws:iam::123456789012:user/me"}};
  });
  answer_stacks();
  answer_change_sets();
  answer_service();
  answer_rest();
}

std::string FakeAccount::arn_of(const std::string& stack) const {
  return fmt::format("arn:aws:cloudformation:{}:{}:stack/{}/1", client.region(), account, stack);
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
  const bool has_none = kind == "CREATE" || (kind == "UPDATE" && stack.buckets.empty());
  if (has_none && !is_base(name)) make_data(name, stack);
  if (kind == "UPDATE" && !is_base(name) && replaces_file_system) {
    stack.events.push_back({std::to_string(++next_event_), "FileSystem", "AWS::EFS::FileSystem",
                            "DELETE_SKIPPED", "", token, stack.file_system});
    stack.file_system = make_file_system(name);
    replaces_file_system = false;
  }
  stack.events.push_back({std::to_string(++next_event_), name, "AWS::CloudFormation::Stack", stack.status,
                          "User Initiated", token});
  if (next_failure && !is_base(name)) {
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
  tell_outputs(name, stack);
}

void FakeAccount::tell_outputs(const std::string& name, Stack& stack) {
  if (is_base(name)) {
    const std::string service = name.substr(0, name.size() - 5);
    stack.outputs = {
        {"RepositoryUri", fmt::format("123456789012.dkr.ecr.{}.amazonaws.com/{}", client.region(), service)},
        {"RepositoryArn", fmt::format("arn:aws:ecr:{}:{}:repository/{}", client.region(), account, service)},
        {"RepositoryName", service},
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
  stack.outputs = {{"Url", fmt::format("https://{}.example.com", name)},
                   {"ClusterName", name},
                   {"ServiceName", name},
                   {"TargetGroupArn", "arn:tg"},
                   {"LogGroupName", "/berth/" + name},
                   {"FileSystemId", stack.file_system},
                   {"ArtifactsBucketName", stack.buckets.at(0)},
                   {"LogsBucketName", stack.buckets.at(1)}};
}

std::string FakeAccount::make_file_system(const std::string& name) {
  std::string id = fmt::format("fs-{}", next_id_++);
  data[id] = name;
  return id;
}

void FakeAccount::make_data(const std::string& name, Stack& stack) {
  stack.file_system = make_file_system(name);
  stack.buckets.clear();
  for (const char* what : {"a", "l"}) {
    std::string bucket = fmt::format("{}-{}", name, what);
    // A name that CloudFormation has made is not made again.
    if (data.contains(bucket)) bucket += fmt::format("-{}", next_id_++);
    data[bucket] = name;
    stack.buckets.push_back(std::move(bucket));
  }
}

std::vector<std::string> FakeAccount::holders_of(const std::string& id) const {
  std::vector<std::string> out;
  for (const auto& [name, stack] : stacks) {
    if (stack.file_system == id || std::ranges::find(stack.buckets, id) != stack.buckets.end())
      out.push_back(name);
  }
  return out;
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
                              {"PhysicalResourceId", event->physical},
                              {"ClientRequestToken", event->token}});
    }
    return Object{{"StackEvents", std::move(events)}};
  });
  // By physical id: what a stack has made, or what it puts out.
  on("cloudformation", "DescribeStackResources", [this](const Object& input) -> Answer {
    const std::string physical = aws::text(input, "PhysicalResourceId");
    std::vector<std::string> holders = holders_of(physical);
    for (const auto& [name, stack] : stacks) {
      for (const auto& [key, value] : stack.outputs) {
        if (value == physical) holders.push_back(name);
      }
    }
    json::array resources;
    for (const std::string& name : holders)
      resources.push_back(Object{{"StackId", arn_of(name)}, {"PhysicalResourceId", physical}});
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
  on("ecs", "DescribeServices", [this](const Object& input) -> Answer {
    const std::string name(aws::array(input, "services").front().as_string());
    Object deployment{{"id", "d"},
                      {"status", "PRIMARY"},
                      {"rolloutState", "COMPLETED"},
                      {"desiredCount", desired},
                      {"runningCount", desired},
                      {"createdAt", deployed_at}};
    Object service{
        {"serviceName", name},
        {"serviceArn", fmt::format("arn:aws:ecs:us-east-1:123456789012:service/{0}/{0}", name)},
        {"status", "ACTIVE"},
        {"desiredCount", desired},
        {"runningCount", desired},
        {"taskDefinition", fmt::format("arn:aws:ecs:us-east-1:123456789012:task-definition/{}:2", name)},
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
  on("ecr", "BatchGetImage", [this](const Object& input) -> Answer {
    const Object& id = aws::array(input, "imageIds").front().as_object();
    const auto tagged = tags.find(aws::text(id, "imageTag"));
    const std::string digest = tagged == tags.end() ? aws::text(id, "imageDigest") : tagged->second;
    if (!images.contains(digest)) return Object{{"images", json::array()}};
    Object image{{"imageId", {{"imageDigest", digest}}}, {"imageManifest", digest}};
    return Object{{"images", json::array{json::value(std::move(image))}}};
  });
  on("ecr", "PutImage", [this](const Object& input) -> Answer {
    tags[aws::text(input, "imageTag")] = aws::text(input, "imageManifest");
    return Object();
  });
}

aws::Reply<http::Response> FakeAccount::delete_data(const std::string& id) {
  on_delete(id);
  data.erase(id);
  return text_answer("");
}

void FakeAccount::answer_data() {
  using Request = aws::Client::RestRequest;
  using Response = aws::Reply<http::Response>;
  on("cloudformation", "ListStackResources", [this](const Object& input) -> Answer {
    const std::string name = name_of(aws::text(input, "StackName"));
    const Stack& stack = stacks[name];
    json::array rows;
    auto add = [&rows](std::string_view type, std::string_view physical) {
      rows.push_back(
          Object{{"LogicalResourceId", type}, {"ResourceType", type}, {"PhysicalResourceId", physical}});
    };
    if (!stack.file_system.empty()) add("AWS::EFS::FileSystem", stack.file_system);
    for (const std::string& bucket : stack.buckets) add("AWS::S3::Bucket", bucket);
    if (is_base(name)) add("AWS::ECR::Repository", name.substr(0, name.size() - 5));
    return Object{{"StackResourceSummaries", std::move(rows)}};
  });
  client.handle_rest("elasticfilesystem", "DescribeFileSystems", [this](const Request& request) -> Response {
    const std::string& id = request.query.front().second;
    if (!data.contains(id)) return fault("FileSystemNotFound", "no such file system", 404);
    return text_answer(fmt::format(R"({{"FileSystems": [{{"FileSystemId": "{}"}}]}})", id));
  });
  for (const char* operation : {"DescribeAccessPoints", "DescribeMountTargets"})
    client.answer_rest("elasticfilesystem", operation, text_answer("{}"));
  client.handle_rest("elasticfilesystem", "DeleteFileSystem", [this](const Request& request) -> Response {
    return delete_data(request.path.substr(request.path.rfind('/') + 1));
  });
  client.handle_rest("s3", "HeadBucket", [this](const Request& request) -> Response {
    if (!data.contains(request.bucket)) return fault("NoSuchBucket", "no such bucket", 404);
    return text_answer("");
  });
  client.answer_rest("s3", "ListObjectVersions", text_answer("<L><Name>none</Name></L>"));
  client.handle_rest("s3", "DeleteBucket",
                     [this](const Request& request) -> Response { return delete_data(request.bucket); });
  client.answer("logs", "DescribeLogGroups", R"({"logGroups": []})");
  client.answer("ecr", "ListImages", R"({"imageIds": []})");
  on("ecr", "DescribeRepositories", [this](const Object& input) -> Answer {
    const std::string name(aws::array(input, "repositoryNames").front().as_string());
    if (!stacks.contains(name + "-base")) return fault("RepositoryNotFoundException", "no such repository");
    return Object{{"repositories", json::array{Object{{"repositoryName", name}}}}};
  });
}

registry::Image FakeImages::image() const {
  registry::Image out;
  out.digest = "sha256:" + storage::sha256_hex(source);
  out.config = fmt::format(R"({{"config":{{"Entrypoint":["{}","serve"]}}}})", entry);
  out.manifest = out.digest;
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
