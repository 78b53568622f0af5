#include "deploy/audit_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "deploy/audit_readers.h"
#include "deploy/document.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// Types of which it matters only that they are there.
constexpr std::array present_only{"AWS::WAFv2::WebACLAssociation", "AWS::CloudFront::VpcOrigin",
                                  "AWS::EC2::VPC", "AWS::SNS::Topic"};

const TypeReader* reader_of(std::string_view type) {
  for (std::span<const TypeReader> readers : {network_readers(), task_readers(), data_readers()}) {
    for (const TypeReader& reader : readers) {
      if (reader.type == type) return &reader;
    }
  }
  return nullptr;
}

/// Replaces what AWS calls a resource of ours by a reference to it.
void refer(json::value& value, const std::map<std::string, std::string>& ids) {
  if (json::array* array = value.if_array(); array != nullptr) {
    for (json::value& element : *array) refer(element, ids);
  } else if (json::object* object = value.if_object(); object != nullptr) {
    for (json::key_value_pair& member : *object) refer(member.value(), ids);
  } else if (value.is_string()) {
    auto found = ids.find(std::string(value.get_string()));
    if (found != ids.end()) value = json::object{{"Ref", found->second}};
  }
}

Task<Result<std::vector<LiveResource>>> resources_of(aws::Client& client, std::string stack) {
  json::object input{{"StackName", stack}};
  aws::Reply<json::array> found = co_await client.list("cloudformation", "ListStackResources",
                                                       std::move(input), "StackResourceSummaries");
  if (!found) {
    bool missing = found.error().is("ValidationError");
    if (!missing) co_return Failure(found.error().error());
    co_return fail(
        ErrorCode::not_found,
        fmt::format("There is no stack {} in {}: the service is not deployed there. `berth deploy` "
                    "does that; aws.region and aws.profile say where.",
                    stack, client.region()));
  }
  std::vector<LiveResource> resources;
  for (const json::value& one : *found) {
    if (!one.is_object()) continue;
    const json::object& summary = one.get_object();
    if (aws::text(summary, "ResourceStatus") == "DELETE_COMPLETE") continue;
    resources.push_back({.logical = aws::text(summary, "LogicalResourceId"),
                         .physical = aws::text(summary, "PhysicalResourceId"),
                         .type = aws::text(summary, "ResourceType")});
  }
  co_return resources;
}

/// One stack's resources as a template; what could not be read goes to `unread`.
Task<json::object> read_stack(aws::Client& client, const std::vector<LiveResource>& resources,
                              std::vector<std::string>& unread) {
  json::object out;
  for (const LiveResource& resource : resources) {
    json::object properties;
    const TypeReader* reader = reader_of(resource.type);
    bool shown = std::ranges::find(present_only, resource.type) != present_only.end();
    if (reader == nullptr && !shown) continue;
    if (reader != nullptr) {
      Properties read = co_await reader->read(client, resource);
      if (!read) {
        unread.push_back(fmt::format("{}: {}", resource.logical, read.error().error().message()));
        continue;
      }
      properties = std::move(*read);
    }
    if (json::value* more = properties.if_contains("+Resources"); more != nullptr) {
      for (const json::key_value_pair& one : more->as_object()) out[one.key()] = one.value();
      properties.erase("+Resources");
    }
    json::object whole{{"Type", resource.type}, {"Live", true}};
    whole["Properties"] = std::move(properties);
    out[resource.logical] = std::move(whole);
  }
  co_return out;
}

}  // namespace

json::value capitalized(const json::value& value) {
  if (const json::array* array = value.if_array(); array != nullptr) {
    json::array out;
    for (const json::value& element : *array) out.push_back(capitalized(element));
    return out;
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return value;
  json::object out;
  for (const json::key_value_pair& member : *object) {
    std::string key(member.key());
    if (!key.empty() && key[0] >= 'a' && key[0] <= 'z') key[0] = static_cast<char>(key[0] - 'a' + 'A');
    out[key] = capitalized(member.value());
  }
  return out;
}

Task<Result<Account>> read_account(aws::Client& client, Names names) {
  Result<std::vector<LiveResource>> base = co_await resources_of(client, names.base_stack);
  if (!base) co_return Failure(base.error());
  Result<std::vector<LiveResource>> service = co_await resources_of(client, names.service_stack);
  if (!service) co_return Failure(service.error());
  std::map<std::string, std::string> ids;
  for (const std::vector<LiveResource>* list : {&*base, &*service}) {
    for (const LiveResource& resource : *list) {
      // Names are no references: a service may be called what its cluster is called.
      bool id = resource.physical.find('-') != std::string::npos || resource.physical.starts_with("arn:");
      if (id) ids[resource.physical] = resource.logical;
    }
  }
  Account account;
  for (bool first : {true, false}) {
    json::value resources = co_await read_stack(client, first ? *base : *service, account.unread);
    refer(resources, ids);
    (first ? account.base : account.service) = {{"Resources", std::move(resources)}};
  }
  co_return account;
}

}  // namespace berth::deploy
