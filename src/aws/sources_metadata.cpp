#include <fmt/format.h>

#include "aws/sources.h"

namespace berth::aws {

namespace {

constexpr std::chrono::seconds container_timeout{5};
constexpr std::chrono::seconds metadata_timeout{1};
constexpr std::string_view token_lifetime_s = "21600";

Result<boost::json::object> read_object(const http::Response& response) {
  boost::system::error_code broken;
  boost::json::value value = boost::json::parse(response.body, broken);
  if (broken || !value.is_object()) return fail(ErrorCode::permission_denied, "the answer is no JSON object");
  return std::move(value.get_object());
}

/// Where an unauthenticated answer with somebody's keys may come from in clear text.
bool may_be_clear(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "169.254.170.2" ||
         host == "169.254.170.23" || host == "fd00:ec2::23";
}

/// The endpoint's URL; empty when none is set up.
Result<std::string> container_url(const Environment& environment) {
  const std::string relative = variable(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!relative.empty()) return "http://169.254.170.2" + relative;
  const std::string full = variable(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (full.empty()) return full;
  const auto address = http::parse_url(full);
  if (!address) return Failure(address.error().within("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
  if (address->tls || may_be_clear(address->host)) return full;
  return fail(
      ErrorCode::permission_denied,
      fmt::format("AWS_CONTAINER_CREDENTIALS_FULL_URI names the host {}; without https it may only be "
                  "loopback or the address of ECS or EKS.",
                  address->host));
}

Result<std::string> container_token(const Environment& environment) {
  const std::string path = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (path.empty()) return variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  auto token = read_small_file(path);
  while (token && !token->empty() && (token->back() == '\n' || token->back() == '\r')) token->pop_back();
  return token;
}

/// One exchange with the instance's metadata; nullopt when there is none.
Task<std::optional<http::Response>> ask_metadata(SourceContext context, std::string method, std::string path,
                                                 std::pair<std::string, std::string> header) {
  std::string base = variable(context.environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
  while (base.ends_with('/')) base.pop_back();
  const auto address = http::parse_url(base.empty() ? "http://169.254.169.254" : base);
  if (!address) co_return std::nullopt;
  Outgoing outgoing;
  outgoing.address = *address;
  outgoing.method = std::move(method);
  outgoing.target = std::move(path);
  outgoing.headers.push_back(std::move(header));
  outgoing.connect_timeout = metadata_timeout;
  outgoing.timeout = metadata_timeout;
  auto response = co_await context.transport.send(std::move(outgoing));
  if (!response || response->status != 200) co_return std::nullopt;
  co_return std::move(*response);
}

}  // namespace

Task<Found> from_container(SourceContext context) {
  const auto url = container_url(context.environment);
  if (!url) co_return Failure(url.error());
  if (url->empty()) co_return std::nullopt;
  const auto address = http::parse_url(*url);
  if (!address) co_return Failure(address.error().within("The container's credentials"));
  const auto token = container_token(context.environment);
  if (!token) co_return Failure(token.error().within("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
  Outgoing outgoing;
  outgoing.address = *address;
  outgoing.method = "GET";
  outgoing.target = address->target;
  if (!token->empty()) outgoing.headers.emplace_back("Authorization", *token);
  outgoing.timeout = container_timeout;
  const std::string place = fmt::format("the container endpoint {}", address->host_header());
  const auto response = co_await context.transport.send(std::move(outgoing));
  if (!response) co_return Failure(response.error().within("Credentials of " + place));
  if (response->status != 200) {
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("Credentials of {}: it answered with status {}.", place, response->status));
  }
  const auto keys = read_object(*response);
  if (!keys) co_return Failure(keys.error().within("Credentials of " + place));
  auto credentials = read_keys(*keys, place);
  if (!credentials) co_return Failure(credentials.error());
  co_return std::move(*credentials);
}

Task<Found> from_instance_metadata(SourceContext context) {
  if (variable(context.environment, "AWS_EC2_METADATA_DISABLED") == "true") co_return std::nullopt;
  std::pair<std::string, std::string> header{"X-aws-ec2-metadata-token-ttl-seconds", token_lifetime_s};
  const auto token = co_await ask_metadata(context, "PUT", "/latest/api/token", std::move(header));
  if (!token) co_return std::nullopt;
  header = {"X-aws-ec2-metadata-token", token->body};
  const std::string folder = "/latest/meta-data/iam/security-credentials/";
  const auto roles = co_await ask_metadata(context, "GET", folder, header);
  if (!roles || roles->body.empty()) co_return std::nullopt;
  const std::string role = roles->body.substr(0, roles->body.find('\n'));
  const auto response = co_await ask_metadata(context, "GET", folder + role, header);
  if (!response) {
    co_return fail(
        ErrorCode::permission_denied,
        fmt::format("The instance metadata names role '{}' and gives no credentials of it.", role));
  }
  const auto keys = read_object(*response);
  if (!keys) co_return Failure(keys.error().within("Instance metadata"));
  auto credentials = read_keys(*keys, fmt::format("the instance's role {}", role));
  if (!credentials) co_return Failure(credentials.error());
  co_return std::move(*credentials);
}

}  // namespace berth::aws
