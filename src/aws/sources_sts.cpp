#include <fmt/format.h>

#include "aws/answer.h"
#include "aws/query.h"
#include "aws/retry.h"
#include "aws/services.h"
#include "aws/sigv4.h"
#include "aws/sources.h"
#include "aws/time_text.h"
#include "base/random.h"

namespace berth::aws {

namespace {

constexpr std::string_view sts_version = "2011-06-15";
constexpr int tries_max = 3;

/// One STS call as of `time`; signed unless `by` is null.
Task<Result<http::Response>> send_sts(SourceContext context, std::string operation, boost::json::object input,
                                      std::string region, const Credentials* by, WallTime time) {
  if (region.empty()) region = context.region.empty() ? "us-east-1" : context.region;
  const ServiceEndpoint endpoint = find_endpoint(*find_service("sts"), region, context.environment);
  const auto address = http::parse_url(endpoint.url);
  if (!address) co_return Failure(address.error());
  SignableRequest request;
  request.host = address->host_header();
  request.path = address->target;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  request.body = query_form(QueryDialect::query, operation, std::string(sts_version), input);
  Signing signing;
  signing.region = endpoint.signing_region;
  signing.service = "sts";
  signing.time = time;
  Outgoing outgoing;
  outgoing.address = *address;
  outgoing.target = encode_target(request, signing);
  outgoing.headers = request.headers;
  if (by != nullptr) {
    for (auto& field : sign(request, *by, signing)) outgoing.headers.push_back(std::move(field));
  }
  outgoing.body = std::move(request.body);
  outgoing.timeout = std::chrono::seconds(20);
  co_return co_await context.transport.send(std::move(outgoing));
}

/// With the client's own remedies for a moment's failure and a wrong clock.
Task<Result<boost::json::object>> call_sts(SourceContext context, std::string operation,
                                           boost::json::object input, std::string region,
                                           const Credentials* by) {
  Clock& clock = context.transport.clock();
  Duration skew{};
  for (int number = 1;; ++number) {
    const WallTime time = clock.wall() + skew;
    const auto response = co_await send_sts(context, operation, input, region, by, time);
    Fault fault;
    std::optional<WallTime> server_time;
    if (response && response->status < 300) {
      auto answer = read_answer(Protocol::query, operation, *response);
      co_return answer;
    }
    if (response) {
      fault = read_fault("sts", operation, *response);
      if (const auto date = response->headers.get("Date")) server_time = parse_http_date(*date);
    } else if (response.error().code() == ErrorCode::unavailable) {
      fault.code = "NetworkError";
    }
    const Remedy remedy = find_remedy(fault, server_time, time);
    const bool can_help = remedy == Remedy::wait || remedy == Remedy::new_time;
    if (number >= tries_max || !can_help) {
      co_return Failure(response ? fault.error() : response.error());
    }
    if (remedy == Remedy::new_time) skew = *server_time - clock.wall();
    if (remedy == Remedy::wait) {
      co_await clock.sleep_for(retry_delay(number + 1, is_throttling(fault), random_u64(), std::nullopt));
    }
  }
}

boost::json::object role_input(const RoleRequest& request) {
  boost::json::object input{
      {"RoleArn", request.role_arn},
      {"RoleSessionName", request.session_name.empty() ? "berth" : request.session_name}};
  if (!request.external_id.empty()) input["ExternalId"] = request.external_id;
  if (!request.duration_seconds.empty()) input["DurationSeconds"] = request.duration_seconds;
  if (!request.mfa_serial.empty()) {
    input["SerialNumber"] = request.mfa_serial;
    input["TokenCode"] = request.mfa_code;
  }
  return input;
}

}  // namespace

Result<Credentials> read_keys(const boost::json::object& keys, std::string source) {
  Credentials credentials;
  credentials.access_key_id = text(keys, "AccessKeyId");
  credentials.secret_access_key = Secret(text(keys, "SecretAccessKey"));
  const std::string token = text(keys, "SessionToken");
  credentials.session_token = Secret(token.empty() ? text(keys, "Token") : token);
  credentials.expires = parse_rfc3339(text(keys, "Expiration"));
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    return fail(ErrorCode::permission_denied,
                fmt::format("The answer of {} has no AccessKeyId or no SecretAccessKey.", source));
  }
  credentials.source = std::move(source);
  return credentials;
}

Task<Result<Credentials>> assume_role(SourceContext context, RoleRequest request, Credentials by) {
  boost::json::object input = role_input(request);
  const auto answer = co_await call_sts(context, "AssumeRole", std::move(input), request.region, &by);
  if (!answer) {
    co_return Failure(answer.error().within(
        fmt::format("Cannot assume role {} with the keys of {}", request.role_arn, by.source)));
  }
  co_return read_keys(object(*answer, "Credentials"), "role " + request.role_arn);
}

Task<Result<Credentials>> assume_role_with_web_identity(SourceContext context, RoleRequest request,
                                                        std::string token_file) {
  const std::string path = expand_home(context.environment, token_file);
  auto token = read_small_file(path);
  if (!token) co_return Failure(token.error().within("The web identity token"));
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r')) token->pop_back();
  boost::json::object input = role_input(request);
  input["WebIdentityToken"] = *token;
  const auto answer =
      co_await call_sts(context, "AssumeRoleWithWebIdentity", std::move(input), request.region, nullptr);
  if (!answer) {
    co_return Failure(answer.error().within(
        fmt::format("Cannot assume role {} with the token in {}", request.role_arn, path)));
  }
  co_return read_keys(object(*answer, "Credentials"), "web identity role " + request.role_arn);
}

Found from_environment(const Environment& environment) {
  Credentials credentials;
  credentials.access_key_id = variable(environment, "AWS_ACCESS_KEY_ID");
  credentials.secret_access_key = Secret(variable(environment, "AWS_SECRET_ACCESS_KEY"));
  credentials.session_token = Secret(variable(environment, "AWS_SESSION_TOKEN"));
  credentials.source = "the environment (AWS_ACCESS_KEY_ID)";
  if (credentials.access_key_id.empty() && credentials.secret_access_key.empty()) return std::nullopt;
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    return fail(ErrorCode::permission_denied,
                "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set; set both or neither.");
  }
  return credentials;
}

Task<Found> from_web_identity(SourceContext context) {
  const std::string token_file = variable(context.environment, "AWS_WEB_IDENTITY_TOKEN_FILE");
  if (token_file.empty()) co_return std::nullopt;
  RoleRequest request;
  request.role_arn = variable(context.environment, "AWS_ROLE_ARN");
  request.session_name = variable(context.environment, "AWS_ROLE_SESSION_NAME");
  if (request.role_arn.empty()) {
    co_return fail(ErrorCode::permission_denied,
                   "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not; set the role to assume.");
  }
  auto credentials = co_await assume_role_with_web_identity(context, std::move(request), token_file);
  if (!credentials) co_return Failure(credentials.error());
  co_return std::move(*credentials);
}

}  // namespace berth::aws
