#include <fmt/format.h>

#include "deploy/stack.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

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
  if (declares(document, search_parameter)) {
    const auto before = state.parameters.find(std::string(search_parameter));
    const bool stands = next_step(state.status) == StackStep::update && before != state.parameters.end();
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
