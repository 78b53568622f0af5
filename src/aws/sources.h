#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>

#include "aws/client.h"
#include "aws/credentials.h"
#include "aws/shared_config.h"
#include "aws/transport.h"

/// The places that credentials come from, one function each. nullopt: that place is not set up, look on. An
/// error: it is set up and does not work, which must not be papered over by another identity.
namespace berth::aws {

using Found = Result<std::optional<Credentials>>;

/// What the sources work with; outlives them.
struct SourceContext {
  const Environment& environment;
  std::string region;  ///< for STS
  Transport& transport;
  net::ProcessLauncher& launcher;
  const std::function<Task<std::optional<std::string>>(std::string)>& ask;  ///< may be empty
};

/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
Found from_environment(const Environment& environment);

/// STS AssumeRole's input.
struct RoleRequest {
  std::string role_arn;
  std::string session_name;  ///< empty: "berth"
  std::string external_id;
  std::string duration_seconds;
  std::string region;
  std::string mfa_serial;  ///< of the device whose code the role wants; empty: none
  std::string mfa_code;
};
Task<Result<Credentials>> assume_role(SourceContext context, RoleRequest request, Credentials by);
/// What the CLI, or Berth, keeps of a role that wants a code (~/.aws/cli/cache), so that none is asked for
/// each command; nullopt when that is not there or ends within five minutes.
std::optional<Credentials> recall_role(const SourceContext& context, const RoleRequest& request);
void remember_role(const SourceContext& context, const RoleRequest& request, const Credentials& credentials);
/// With the token in `token_file`; the call is unsigned.
Task<Result<Credentials>> assume_role_with_web_identity(SourceContext context, RoleRequest request,
                                                        std::string token_file);
/// AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN.
Task<Found> from_web_identity(SourceContext context);

/// Runs `command` without a shell, at most three minutes (it may open a browser), and reads the JSON that
/// it prints (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html). Its output
/// is in no message; the first words of what it wrote to stderr are.
Task<Result<Credentials>> from_process(SourceContext context, std::string command);

/// A cached token, or what a sign-in service answers: permission_denied when it is no JSON object.
Result<boost::json::object> parse_token(const std::string& text);

/// What `aws sso login` has left in ~/.aws/sso/cache, exchanged for the role's credentials. A token that has
/// expired is refreshed when the cache holds what that needs.
Task<Result<Credentials>> from_sso(SourceContext context, Section profile, const Section* session,
                                   std::string profile_name);

/// What `aws login` has left in ~/.aws/login/cache (AWS_LOGIN_CACHE_DIRECTORY) for `session`, renewed with
/// its refresh token and key (RFC 9449) when it ends soon.
Task<Result<Credentials>> from_login(SourceContext context, std::string session, std::string profile_name);

/// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (https, loopback, ECS's and EKS's addresses alone).
Task<Found> from_container(SourceContext context);

/// IMDSv2, unless AWS_EC2_METADATA_DISABLED. Answers within a second or counts as absent.
Task<Found> from_instance_metadata(SourceContext context);

/// A profile of the shared files with everything it refers to.
Task<Result<Credentials>> from_profile(SourceContext context, const SharedConfig& config, std::string name);
/// Whether the profile says anything about credentials.
bool names_credentials(const Section& profile);

/// AccessKeyId, SecretAccessKey, SessionToken or Token, Expiration: as STS, processes, containers and
/// instances write them. permission_denied when a key is missing.
Result<Credentials> read_keys(const boost::json::object& keys, std::string source);

}  // namespace berth::aws
