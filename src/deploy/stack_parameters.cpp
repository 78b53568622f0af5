#include <fmt/format.h>

#include "deploy/stack.h"
#include "deploy/trouble.h"
#include "deploy/zones.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::string_view zone_parameter = "Zone";
constexpr std::string_view cloudfront_list = "com.amazonaws.global.cloudfront.origin-facing";

bool declares(const json::object& document, std::string_view parameter) {
  return aws::object(document, "Parameters").contains(parameter);
}

Task<Result<std::string>> prefix_list(aws::Client& client) {
  // EC2 is asked and answers with the names on the wire.
  json::object filter{{"Name", "prefix-list-name"}, {"Value", json::array{json::value(cloudfront_list)}}};
  json::object input{{"Filter", json::array{json::value(std::move(filter))}}};
  const auto lists =
      co_await client.list("ec2", "DescribeManagedPrefixLists", std::move(input), "prefixListSet");
  if (!lists) co_return Failure(explain_fault(lists.error()));
  for (const json::value& item : *lists) {
    if (item.is_object() && aws::text(item.get_object(), "prefixListName") == cloudfront_list)
      co_return aws::text(item.get_object(), "prefixListId");
  }
  co_return fail(
      ErrorCode::not_found,
      fmt::format("The region {} has no managed prefix list {}, so CloudFront cannot be let in alone. "
                  "Give the service a domain (aws.domain) or an internal load balancer (aws.internal).",
                  client.region(), cloudfront_list));
}

/// Whether spans can already be written: the switch is one for the account and region.
Task<Result<bool>> transaction_search(aws::Client& client) {
  aws::Client::RestRequest request;
  request.service = "xray";
  request.operation = "GetTraceSegmentDestination";
  request.method = "POST";
  request.path = "/GetTraceSegmentDestination";
  request.headers = {{"content-type", "application/json"}};
  request.body = "{}";
  const auto reply = co_await client.rest(std::move(request));
  if (!reply) co_return Failure(explain_fault(reply.error()));
  json::error_code error;
  const json::value value = json::parse(reply->body, error);
  co_return !error && value.is_object() && aws::text(value.get_object(), "Destination") == "CloudWatchLogs";
}

/// Parameters of the template that hold the letter of a zone (ZoneA, ZoneB …), with the letter that the file
/// names.
std::map<std::string, std::string> zone_parameters(const json::object& document) {
  std::map<std::string, std::string> out;
  for (const auto& [name, parameter] : aws::object(document, "Parameters")) {
    const bool lettered =
        name.size() == zone_parameter.size() + 1 && name.back() >= 'A' && name.back() <= 'Z';
    if (lettered && name.starts_with(zone_parameter) && parameter.is_object())
      out[std::string(name)] = aws::text(parameter.get_object(), "Default");
  }
  return out;
}

/// Zones that this account may use at present. Local and Wavelength Zones are none.
Task<Result<std::vector<AwsZone>>> zones_of_account(aws::Client& client) {
  json::object filter{{"Name", "zone-type"}, {"Value", json::array{"availability-zone"}}};
  json::object input{{"Filter", json::array{json::value(std::move(filter))}}};
  const auto zones =
      co_await client.list("ec2", "DescribeAvailabilityZones", std::move(input), "availabilityZoneInfo");
  if (!zones) co_return Failure(explain_fault(zones.error()));
  std::vector<AwsZone> out;
  for (const json::value& item : *zones) {
    if (!item.is_object()) continue;
    const json::object& zone = item.get_object();
    if (aws::text(zone, "zoneState") != "available") continue;
    out.push_back({.name = aws::text(zone, "zoneName"), .id = aws::text(zone, "zoneId")});
  }
  co_return out;
}

/// A letter for each parameter of `wanted`. What the stack `before` has stays: another zone would replace its
/// subnets.
Task<Result<std::map<std::string, std::string>>> zone_letters(aws::Client& client,
                                                              std::map<std::string, std::string> wanted,
                                                              std::map<std::string, std::string> before) {
  std::map<std::string, std::string> out;
  std::vector<std::string> letters;
  for (const auto& [name, letter] : wanted) {
    const auto stands = before.find(name);
    if (stands != before.end()) {
      out[name] = stands->second;
    } else {
      letters.push_back(letter);
    }
  }
  if (letters.empty()) co_return out;
  Result<std::vector<AwsZone>> known = co_await zones_of_account(client);
  if (!known) co_return Failure(known.error());
  for (const auto& [name, letter] : out)
    std::erase_if(*known, [&letter](const AwsZone& zone) { return zone.name.ends_with(letter); });
  const Result<std::vector<std::string>> chosen = choose_zones(*known, letters);
  if (!chosen) co_return Failure(chosen.error());
  std::size_t next = 0;
  for (const auto& [name, letter] : wanted) {
    if (!out.contains(name)) out[name] = (*chosen)[next++];
  }
  co_return out;
}

}  // namespace

Task<Result<std::map<std::string, std::string>>> account_parameters(aws::Client& client,
                                                                    json::object document, StackState state) {
  std::map<std::string, std::string> out;
  if (declares(document, count_parameter)) out[std::string(count_parameter)] = "";
  if (declares(document, "CloudFrontPrefixList")) {
    const Result<std::string> list = co_await prefix_list(client);
    if (!list) co_return Failure(list.error());
    out["CloudFrontPrefixList"] = *list;
  }
  const bool updates = next_step(state.status) == StackStep::update;
  const std::map<std::string, std::string> zones = zone_parameters(document);
  if (!zones.empty()) {
    std::map<std::string, std::string> before;
    if (updates) before = state.parameters;
    Result<std::map<std::string, std::string>> letters =
        co_await zone_letters(client, zones, std::move(before));
    if (!letters) co_return Failure(letters.error());
    out.merge(*letters);
  }
  if (declares(document, search_parameter)) {
    const auto before = state.parameters.find(std::string(search_parameter));
    const bool stands = updates && before != state.parameters.end();
    // What this stack has switched on stays in it: it would otherwise leave it at the next deploy.
    if (stands) out[std::string(search_parameter)] = before->second;
    if (!stands) {
      const Result<bool> on = co_await transaction_search(client);
      if (!on) co_return Failure(on.error());
      out[std::string(search_parameter)] = *on ? "false" : "true";
    }
  }
  co_return out;
}

}  // namespace berth::deploy
