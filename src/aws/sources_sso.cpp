#include <fmt/format.h>

#include "aws/digest.h"
#include "aws/services.h"
#include "aws/sources.h"
#include "aws/time_text.h"

namespace berth::aws {

namespace {

constexpr std::chrono::seconds sso_timeout{20};
constexpr std::chrono::minutes token_margin{2};

struct SsoSettings {
  std::string start_url;
  std::string region;
  std::string account;
  std::string role;
  std::string cache_key;  ///< its SHA-1 names the cache's file
};

Error needs_sign_on(const std::string& profile, std::string_view why) {
  return Error(
      ErrorCode::permission_denied,
      fmt::format("The single sign-on of profile '{0}' {1}; run: aws sso login --profile {0}", profile, why));
}

Result<SsoSettings> read_settings(const Section& profile, const Section* session, const std::string& name) {
  const Section& sign_on = session != nullptr ? *session : profile;
  const std::string session_name = setting(profile, "sso_session");
  SsoSettings settings{setting(sign_on, "sso_start_url"),
                       setting(sign_on, "sso_region"),
                       setting(profile, "sso_account_id"),
                       setting(profile, "sso_role_name"),
                       {}};
  settings.cache_key = session_name.empty() ? settings.start_url : session_name;
  std::string missing;
  if (!session_name.empty() && session == nullptr)
    missing = "[sso-session " + session_name + "]";
  else if (settings.start_url.empty())
    missing = "sso_start_url";
  else if (settings.region.empty())
    missing = "sso_region";
  else if (settings.account.empty())
    missing = "sso_account_id";
  else if (settings.role.empty())
    missing = "sso_role_name";
  if (missing.empty()) return settings;
  return fail(ErrorCode::permission_denied,
              fmt::format("Profile '{}' uses single sign-on and {} is missing; run: aws configure sso", name,
                          missing));
}

/// The service's address with `path` behind its own.
Result<Outgoing> address_to(SourceContext context, std::string_view service, const std::string& region,
                            const std::string& path) {
  const auto address =
      http::parse_url(find_endpoint(*find_service(service), region, context.environment).url);
  if (!address) return Failure(address.error());
  Outgoing outgoing;
  outgoing.address = *address;
  outgoing.target = (address->target == "/" ? "" : address->target) + path;
  outgoing.timeout = sso_timeout;
  return outgoing;
}

/// A new access token by the refresh token (OAuth 2.0, RFC 6749 §6), kept in the cache's file as the CLI
/// does. nullopt when the cache lacks what that needs or the refresh is refused.
Task<std::optional<std::string>> refresh(SourceContext context, const SsoSettings& settings,
                                         boost::json::object token, const std::string& path) {
  boost::json::object form{{"grantType", "refresh_token"}};
  for (const std::string_view name : {"clientId", "clientSecret", "refreshToken"}) {
    form[name] = text(token, name);
    if (text(token, name).empty()) co_return std::nullopt;
  }
  auto outgoing = address_to(context, "oidc", settings.region, "/token");
  if (!outgoing) co_return std::nullopt;
  outgoing->headers = {{"Content-Type", "application/json"}};
  outgoing->body = boost::json::serialize(form);
  const auto response = co_await context.transport.send(std::move(*outgoing));
  if (!response || response->status != 200) co_return std::nullopt;
  const auto renewed = parse_token(response->body);
  if (!renewed || text(*renewed, "accessToken").empty()) co_return std::nullopt;
  token["accessToken"] = text(*renewed, "accessToken");
  const std::string next = text(*renewed, "refreshToken");
  if (!next.empty()) token["refreshToken"] = next;
  const boost::json::value* const lifetime = renewed->if_contains("expiresIn");
  const std::int64_t lifetime_s = lifetime != nullptr && lifetime->is_int64() ? lifetime->get_int64() : 3600;
  const WallTime expires = context.transport.clock().wall() + std::chrono::seconds(lifetime_s);
  token["expiresAt"] = to_rfc3339(expires).substr(0, 19) + "Z";
  // A cache that cannot be written costs a login later, not this run.
  const auto written = write_private_file(path, boost::json::serialize(token));
  static_cast<void>(written);
  co_return text(token, "accessToken");
}

Task<Result<std::string>> access_token(SourceContext context, const SsoSettings& settings,
                                       std::string profile) {
  const std::string path =
      expand_home(context.environment, "~/.aws/sso/cache/" + sha1_hex(settings.cache_key) + ".json");
  const auto content = read_small_file(path);
  if (!content) co_return Failure(needs_sign_on(profile, fmt::format("has no token in {}", path)));
  const auto token = parse_token(*content);
  if (!token) co_return Failure(needs_sign_on(profile, fmt::format("has a damaged token in {}", path)));
  const auto expires = parse_rfc3339(text(*token, "expiresAt"));
  const bool is_fresh = expires && *expires > context.transport.clock().wall() + token_margin;
  if (is_fresh && !text(*token, "accessToken").empty()) co_return text(*token, "accessToken");
  auto renewed = co_await refresh(context, settings, *token, path);
  if (!renewed) co_return Failure(needs_sign_on(profile, "has expired"));
  co_return std::move(*renewed);
}

}  // namespace

Result<boost::json::object> parse_token(const std::string& text) {
  boost::system::error_code broken;
  boost::json::value value = boost::json::parse(text, broken);
  if (broken || !value.is_object()) return fail(ErrorCode::permission_denied, "holds no JSON object");
  return std::move(value.get_object());
}

Task<Result<Credentials>> from_sso(SourceContext context, Section profile, const Section* session,
                                   std::string profile_name) {
  const auto settings = read_settings(profile, session, profile_name);
  if (!settings) co_return Failure(settings.error());
  const auto token = co_await access_token(context, *settings, profile_name);
  if (!token) co_return Failure(token.error());
  auto outgoing = address_to(context, "portal.sso", settings->region,
                             fmt::format("/federation/credentials?role_name={}&account_id={}",
                                         encode_uri(settings->role), encode_uri(settings->account)));
  if (!outgoing) co_return Failure(outgoing.error());
  outgoing->method = "GET";
  outgoing->headers = {{"x-amz-sso_bearer_token", *token}};
  const auto response = co_await context.transport.send(std::move(*outgoing));
  if (!response) co_return Failure(response.error().within("Single sign-on"));
  if (response->status == 401) co_return Failure(needs_sign_on(profile_name, "was ended or refused"));
  if (response->status != 200) {
    co_return fail(
        ErrorCode::permission_denied,
        fmt::format("Single sign-on gave no credentials of role {} in account {}: status {}. Ask whoever "
                    "runs the organization for that assignment, or choose another profile.",
                    settings->role, settings->account, response->status));
  }
  const auto answer = parse_token(response->body);
  if (!answer) co_return Failure(answer.error().within("The answer of single sign-on"));
  const boost::json::object& keys = object(*answer, "roleCredentials");
  boost::json::object same{{"AccessKeyId", text(keys, "accessKeyId")},
                           {"SecretAccessKey", text(keys, "secretAccessKey")},
                           {"SessionToken", text(keys, "sessionToken")}};
  auto credentials = read_keys(same, fmt::format("single sign-on, profile '{}'", profile_name));
  const boost::json::value* const expiration = keys.if_contains("expiration");
  if (credentials && expiration != nullptr && expiration->is_int64()) {
    credentials->expires = WallTime(std::chrono::milliseconds(expiration->get_int64()));
  }
  co_return credentials;
}

}  // namespace berth::aws
