#include "deploy/audit_readers.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using aws::text;
using Rest = aws::Client::RestRequest;

/// One setting of a bucket; what is not set is answered 404, and is an empty object here.
Task<Properties> bucket_setting(aws::Client& client, std::string bucket, std::string setting, bool xml) {
  Rest request{
      .service = "s3", .operation = "GetBucket " + setting, .bucket = bucket, .query = {{setting, ""}}};
  aws::Reply<http::Response> answer = co_await client.rest(std::move(request));
  if (!answer && answer.error().status == 404) co_return json::object{};
  if (!answer) co_return std::unexpected(answer.error());
  if (!xml) co_return body_json(answer);
  Result<json::object> parsed = aws::xml_to_json(answer->body);
  co_return parsed ? *parsed : json::object{};
}

/// XML has no lists of one.
json::array as_list(const json::object& parent, std::string_view name) {
  const json::value* value = parent.if_contains(name);
  if (value == nullptr) return {};
  if (const json::array* list = value->if_array(); list != nullptr) return *list;
  return {*value};
}

Task<Properties> read_bucket(aws::Client& client, LiveResource resource) {
  json::object out;
  Properties encryption = co_await bucket_setting(client, resource.physical, "encryption", true);
  if (!encryption) co_return encryption;
  json::object rules{{"ServerSideEncryptionConfiguration", as_list(*encryption, "Rule")}};
  out["BucketEncryption"] = std::move(rules);
  Properties block = co_await bucket_setting(client, resource.physical, "publicAccessBlock", true);
  if (!block) co_return block;
  out["PublicAccessBlockConfiguration"] = std::move(*block);
  Properties versioning = co_await bucket_setting(client, resource.physical, "versioning", true);
  if (!versioning) co_return versioning;
  out["VersioningConfiguration"] = std::move(*versioning);
  Properties lifecycle = co_await bucket_setting(client, resource.physical, "lifecycle", true);
  if (!lifecycle) co_return lifecycle;
  json::object kept{{"Rules", as_list(*lifecycle, "Rule")}};
  out["LifecycleConfiguration"] = std::move(kept);
  Properties policy = co_await bucket_setting(client, resource.physical, "policy", false);
  if (!policy) co_return policy;
  // As the template refers to it: that is how checks find the bucket of a policy.
  json::object bucket{{"Ref", resource.logical}};
  json::object properties{{"Bucket", std::move(bucket)}};
  properties["PolicyDocument"] = std::move(*policy);
  json::object whole{{"Type", "AWS::S3::BucketPolicy"}};
  whole["Properties"] = std::move(properties);
  json::object more;
  more[resource.logical + ":policy"] = std::move(whole);
  out["+Resources"] = std::move(more);
  co_return out;
}

Task<Properties> files_call(aws::Client& client, std::string operation, std::string path,
                            std::vector<std::pair<std::string, std::string>> query) {
  Rest request{.service = "elasticfilesystem",
               .operation = std::move(operation),
               .path = "/2015-02-01/" + path,
               .query = std::move(query)};
  aws::Reply<http::Response> answer = co_await client.rest(std::move(request));
  if (!answer && answer.error().status == 404) co_return json::object{};
  if (!answer) co_return std::unexpected(answer.error());
  co_return body_json(answer);
}

Task<Properties> read_file_system(aws::Client& client, LiveResource resource) {
  std::vector<std::pair<std::string, std::string>> by_id{{"FileSystemId", resource.physical}};
  Properties found = co_await files_call(client, "DescribeFileSystems", "file-systems", std::move(by_id));
  if (!found) co_return found;
  json::object out{{"Encrypted", first(*found, "FileSystems").contains("Encrypted")
                                     ? first(*found, "FileSystems").at("Encrypted")
                                     : json::value(false)}};
  std::string path = "file-systems/" + resource.physical;
  Properties cold =
      co_await files_call(client, "DescribeLifecycleConfiguration", path + "/lifecycle-configuration", {});
  if (!cold) co_return cold;
  out["LifecyclePolicies"] = aws::array(*cold, "LifecyclePolicies");
  Properties backup = co_await files_call(client, "DescribeBackupPolicy", path + "/backup-policy", {});
  if (!backup) co_return backup;
  out["BackupPolicy"] = aws::object(*backup, "BackupPolicy");
  Properties policy = co_await files_call(client, "DescribeFileSystemPolicy", path + "/policy", {});
  if (!policy) co_return policy;
  boost::system::error_code error;
  json::value document = json::parse(text(*policy, "Policy"), error);
  if (!error) out["FileSystemPolicy"] = std::move(document);
  co_return out;
}

Task<Properties> mount_target(aws::Client& client, LiveResource resource) {
  std::vector<std::pair<std::string, std::string>> by_id{{"MountTargetId", resource.physical}};
  Properties found = co_await files_call(client, "DescribeMountTargets", "mount-targets", std::move(by_id));
  if (!found) co_return found;
  json::object out{{"SubnetId", text(first(*found, "MountTargets"), "SubnetId")}};
  std::string path = "mount-targets/" + resource.physical + "/security-groups";
  Properties groups = co_await files_call(client, "DescribeMountTargetSecurityGroups", path, {});
  if (!groups) co_return groups;
  out["SecurityGroups"] = aws::array(*groups, "SecurityGroups");
  co_return out;
}

Task<Properties> access_point(aws::Client& client, LiveResource resource) {
  std::vector<std::pair<std::string, std::string>> by_id{{"AccessPointId", resource.physical}};
  Properties found = co_await files_call(client, "DescribeAccessPoints", "access-points", std::move(by_id));
  if (!found) co_return found;
  co_return first(*found, "AccessPoints");
}

Task<Properties> log_group(aws::Client& client, LiveResource resource) {
  json::object input{{"logGroupNamePrefix", resource.physical}};
  Properties answer = co_await client.call("logs", "DescribeLogGroups", std::move(input));
  if (!answer) co_return answer;
  json::object out;
  for (const json::object* group : objects(*answer, "logGroups")) {
    const json::value* days = group->if_contains("retentionInDays");
    if (text(*group, "logGroupName") == resource.physical && days != nullptr) out["RetentionInDays"] = *days;
  }
  co_return out;
}

Task<Properties> alarm(aws::Client& client, LiveResource resource) {
  json::object input{{"AlarmNames", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("monitoring", "DescribeAlarms", std::move(input));
  if (!answer) co_return answer;
  co_return first(*answer, "MetricAlarms");
}

Task<Properties> rule(aws::Client& client, LiveResource resource) {
  // Ref of a rule is its name, on a bus of its own "bus|name".
  std::string name = resource.physical.substr(resource.physical.rfind('|') + 1);
  json::object input{{"Name", name}};
  Properties answer = co_await client.call("events", "DescribeRule", std::move(input));
  if (!answer) co_return answer;
  json::object by_rule{{"Rule", name}};
  Properties targets = co_await client.call("events", "ListTargetsByRule", std::move(by_rule));
  if (!targets) co_return targets;
  (*answer)["Targets"] = aws::array(*targets, "Targets");
  co_return answer;
}

Task<Properties> topic_subscription(aws::Client& client, LiveResource resource) {
  json::object input{{"SubscriptionArn", resource.physical}};
  Properties answer = co_await client.call("sns", "GetSubscriptionAttributes", std::move(input));
  if (!answer) co_return answer;
  const json::object& attributes = aws::object(*answer, "Attributes");
  json::object out;
  // The query protocol writes maps as lists of entries.
  for (const json::object* entry : objects(attributes, "entry"))
    out[text(*entry, "key")] = text(*entry, "value");
  if (const json::value* of = attributes.if_contains("TopicArn"); of != nullptr) out["TopicArn"] = *of;
  co_return out;
}

constexpr TypeReader all_data_readers[] = {
    {"AWS::S3::Bucket", read_bucket},
    {"AWS::EFS::FileSystem", read_file_system},
    {"AWS::EFS::MountTarget", mount_target},
    {"AWS::EFS::AccessPoint", access_point},
    {"AWS::Logs::LogGroup", log_group},
    {"AWS::CloudWatch::Alarm", alarm},
    {"AWS::Events::Rule", rule},
    {"AWS::SNS::Subscription", topic_subscription},
};

}  // namespace

json::object body_json(const aws::Reply<http::Response>& reply) {
  if (!reply) return {};
  boost::system::error_code error;
  json::value value = json::parse(reply->body, error);
  return error || !value.is_object() ? json::object{} : value.as_object();
}

std::span<const TypeReader> data_readers() { return all_data_readers; }

}  // namespace berth::deploy
