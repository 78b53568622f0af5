#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "aws/digest.h"
#include "aws/sources.h"
#include "aws/time_text.h"
#include "base/log.h"

namespace berth::aws {

namespace {

constexpr std::chrono::minutes renewal_margin{5};

/// The name by which the CLI knows the same request: the SHA-1 of its parameters as Python writes them in
/// JSON, sorted (https://github.com/boto/botocore, credentials.py, AssumeRoleCredentialFetcher).
std::string path_of(const SourceContext& context, const RoleRequest& request) {
  std::string parameters;
  const auto add = [&parameters](std::string_view name, const std::string& json) {
    parameters += fmt::format("{}\"{}\": {}", parameters.empty() ? "{" : ", ", name, json);
  };
  int seconds = 0;
  std::from_chars(request.duration_seconds.data(),
                  request.duration_seconds.data() + request.duration_seconds.size(), seconds);
  if (seconds > 0) add("DurationSeconds", std::to_string(seconds));
  if (!request.external_id.empty()) add("ExternalId", json_quote(request.external_id));
  add("RoleArn", json_quote(request.role_arn));
  if (!request.session_name.empty()) add("RoleSessionName", json_quote(request.session_name));
  add("SerialNumber", json_quote(request.mfa_serial));
  return expand_home(context.environment, "~/.aws/cli/cache/" + sha1_hex(parameters + "}") + ".json");
}

}  // namespace

std::optional<Credentials> recall_role(const SourceContext& context, const RoleRequest& request) {
  const auto content = read_small_file(path_of(context, request));
  if (!content) return std::nullopt;
  boost::system::error_code broken;
  const boost::json::value value = boost::json::parse(*content, broken);
  if (broken || !value.is_object()) return std::nullopt;
  const auto keys = read_keys(object(value.get_object(), "Credentials"), "role " + request.role_arn);
  const bool is_good =
      keys && keys->expires && *keys->expires > context.transport.clock().wall() + renewal_margin;
  return is_good ? std::optional(*keys) : std::nullopt;
}

void remember_role(const SourceContext& context, const RoleRequest& request, const Credentials& credentials) {
  if (!credentials.expires) return;
  const std::string path = path_of(context, request);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const boost::json::object keys{{"AccessKeyId", credentials.access_key_id},
                                 {"SecretAccessKey", credentials.secret_access_key.reveal()},
                                 {"SessionToken", credentials.session_token.reveal()},
                                 {"Expiration", to_rfc3339(*credentials.expires).substr(0, 19) + "Z"}};
  // A cache that cannot be written costs a code more, not this run.
  static_cast<void>(
      write_private_file(path, boost::json::serialize(boost::json::object{{"Credentials", keys}})));
}

}  // namespace berth::aws
