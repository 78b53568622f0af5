#include <fmt/format.h>

#include "aws/digest.h"
#include "aws/dpop.h"
#include "aws/sources.h"
#include "aws/time_text.h"
#include "base/random.h"

namespace berth::aws {

namespace {

constexpr std::chrono::seconds sign_in_timeout{20};
constexpr std::chrono::minutes margin{5};

Error needs_login(const std::string& profile, std::string_view why) {
  return Error(ErrorCode::permission_denied,
               fmt::format("The login of profile '{0}' {1}; run: aws login --profile {0}", profile, why));
}

std::string cache_path(const Environment& environment, const std::string& session) {
  const std::string folder = variable(environment, "AWS_LOGIN_CACHE_DIRECTORY");
  return expand_home(environment,
                     (folder.empty() ? "~/.aws/login/cache" : folder) + "/" + sha256_hex(session) + ".json");
}

/// Where a sign-in is renewed: named otherwise than the services.
std::string sign_in_url(const SourceContext& context) {
  const std::string region = context.region.empty() ? "us-east-1" : context.region;
  for (const char* const name : {"AWS_ENDPOINT_URL_SIGNIN", "AWS_ENDPOINT_URL"}) {
    const std::string given = variable(context.environment, name);
    if (!given.empty()) return given + "/v1/token";
  }
  const std::string_view domain = region.starts_with("cn-")       ? "signin.amazonaws.cn"
                                  : region.starts_with("us-gov-") ? "signin.amazonaws-us-gov.com"
                                                                  : "signin.aws.amazon.com";
  if (region.starts_with("eusc-")) return fmt::format("https://signin.{}.amazonaws.eu/v1/token", region);
  return fmt::format("https://{}.{}/v1/token", region, domain);
}

Result<Credentials> keys_of(const boost::json::object& token, const std::string& profile) {
  const boost::json::object& keys = object(token, "accessToken");
  const boost::json::object same{{"AccessKeyId", text(keys, "accessKeyId")},
                                 {"SecretAccessKey", text(keys, "secretAccessKey")},
                                 {"SessionToken", text(keys, "sessionToken")},
                                 {"Expiration", text(keys, "expiresAt")}};
  return read_keys(same, fmt::format("`aws login`, profile '{}'", profile));
}

/// The token with new keys, by its refresh token.
Task<Result<boost::json::object>> renew(SourceContext context, boost::json::object token,
                                        std::string profile) {
  const std::string url = sign_in_url(context);
  const auto address = http::parse_url(url);
  if (!address) co_return Failure(address.error());
  Clock& clock = context.transport.clock();
  const auto proof = dpop_proof(text(token, "dpopKey"), url, clock.wall(), random_hex(16));
  if (!proof) co_return Failure(needs_login(profile, "has a damaged key"));
  Outgoing outgoing;
  outgoing.address = *address;
  outgoing.target = address->target;
  outgoing.headers = {{"Content-Type", "application/json"}, {"DPoP", *proof}};
  outgoing.body = boost::json::serialize(boost::json::object{{"clientId", text(token, "clientId")},
                                                             {"refreshToken", text(token, "refreshToken")},
                                                             {"grantType", "refresh_token"}});
  outgoing.timeout = sign_in_timeout;
  const auto response = co_await context.transport.send(std::move(outgoing));
  if (!response) co_return Failure(response.error().within("Renewing the login"));
  const auto renewed = parse_token(response->body);
  if (response->status != 200 || !renewed || object(*renewed, "accessToken").empty()) {
    co_return Failure(needs_login(
        profile, response->status < 500 ? "has ended"
                                        : fmt::format("cannot be renewed (status {})", response->status)));
  }
  boost::json::object keys = object(*renewed, "accessToken");
  const boost::json::value* const lifetime = renewed->if_contains("expiresIn");
  const std::int64_t lifetime_s = lifetime != nullptr && lifetime->is_int64() ? lifetime->get_int64() : 900;
  keys["expiresAt"] = to_rfc3339(clock.wall() + std::chrono::seconds(lifetime_s)).substr(0, 19) + "Z";
  keys["accountId"] = text(object(token, "accessToken"), "accountId");
  token["accessToken"] = std::move(keys);
  token["refreshToken"] = text(*renewed, "refreshToken");
  co_return std::move(token);
}

}  // namespace

Task<Result<Credentials>> from_login(SourceContext context, std::string session, std::string profile_name) {
  const std::string path = cache_path(context.environment, session);
  const auto content = read_small_file(path);
  if (!content) co_return Failure(needs_login(profile_name, fmt::format("has nothing in {}", path)));
  auto token = parse_token(*content);
  if (!token) co_return Failure(needs_login(profile_name, fmt::format("is damaged in {}", path)));
  const auto keys = keys_of(*token, profile_name);
  if (keys && keys->expires && *keys->expires > context.transport.clock().wall() + margin) co_return *keys;
  auto renewed = co_await renew(context, std::move(*token), profile_name);
  if (!renewed) co_return Failure(renewed.error());
  // The refresh token is good once, so the next program needs the new one.
  const auto written = write_private_file(path, boost::json::serialize(*renewed));
  if (!written) co_return Failure(written.error());
  co_return keys_of(*renewed, profile_name);
}

}  // namespace berth::aws
