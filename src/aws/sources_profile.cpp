#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "aws/sources.h"

namespace berth::aws {

namespace {

bool has(const Section& section, const char* name) { return !setting(section, name).empty(); }

/// A profile and those it stands on, resolved from the inside out.
class Resolver {
 public:
  Resolver(SourceContext context, const SharedConfig& config) : context_(context), config_(config) {}

  Task<Result<Credentials>> resolve(std::string name) {
    const Section* const found = config_.profile(name);
    if (found == nullptr) {
      co_return fail(ErrorCode::permission_denied,
                     fmt::format("There is no profile '{}' in {}; it has: {}.", name, config_.places(),
                                 fmt::join(config_.profile_names(), ", ")));
    }
    const Section profile = *found;
    const bool is_repeated = !visited_.insert(name).second;
    // A role whose source is its own profile means that profile's static keys.
    if (is_repeated && !has(profile, "aws_access_key_id")) {
      co_return fail(
          ErrorCode::permission_denied,
          fmt::format("The profiles of {} refer to each other in a circle at '{}'.", config_.places(), name));
    }
    if (has(profile, "role_arn") && !is_repeated) {
      auto role = co_await from_role(profile, name);
      co_return role;
    }
    if (has(profile, "sso_session") || has(profile, "sso_start_url")) {
      auto signed_on =
          co_await from_sso(context_, profile, config_.sso_session(setting(profile, "sso_session")), name);
      co_return signed_on;
    }
    if (has(profile, "aws_access_key_id")) co_return static_keys(profile, name);
    if (has(profile, "login_session")) {
      auto logged_in = co_await from_login(context_, setting(profile, "login_session"), name);
      co_return logged_in;
    }
    if (has(profile, "credential_process")) {
      auto printed = co_await from_process(context_, setting(profile, "credential_process"));
      co_return printed;
    }
    co_return fail(
        ErrorCode::permission_denied,
        fmt::format("Profile '{}' in {} says nothing about credentials; give it keys, role_arn, an "
                    "sso_session, a login_session or a credential_process.",
                    name, config_.places()));
  }

 private:
  Result<Credentials> static_keys(const Section& profile, const std::string& name) const {
    Credentials credentials;
    credentials.access_key_id = setting(profile, "aws_access_key_id");
    credentials.secret_access_key = Secret(setting(profile, "aws_secret_access_key"));
    credentials.session_token = Secret(setting(profile, "aws_session_token"));
    credentials.source = fmt::format("profile '{}' of {}", name, config_.places());
    if (credentials.secret_access_key.empty()) {
      return fail(ErrorCode::permission_denied,
                  fmt::format("Profile '{}' has aws_access_key_id and no aws_secret_access_key.", name));
    }
    return credentials;
  }

  Task<Result<Credentials>> from_role(Section profile, std::string name) {
    RoleRequest request;
    request.role_arn = setting(profile, "role_arn");
    request.session_name = setting(profile, "role_session_name");
    request.external_id = setting(profile, "external_id");
    request.duration_seconds = setting(profile, "duration_seconds");
    request.region = setting(profile, "region");
    if (has(profile, "web_identity_token_file")) {
      auto by_token = co_await assume_role_with_web_identity(context_, std::move(request),
                                                             setting(profile, "web_identity_token_file"));
      co_return by_token;
    }
    request.mfa_serial = setting(profile, "mfa_serial");
    if (!request.mfa_serial.empty()) {
      if (auto known = recall_role(context_, request)) co_return std::move(*known);
    }
    auto by = co_await role_source(profile, name);
    if (!by) co_return Failure(by.error());
    if (!request.mfa_serial.empty()) {
      auto code = co_await ask_code(request.mfa_serial, name);
      if (!code) co_return Failure(code.error());
      request.mfa_code = std::move(*code);
    }
    auto role = co_await assume_role(context_, request, std::move(*by));
    if (role && !request.mfa_serial.empty()) remember_role(context_, request, *role);
    co_return role;
  }

  Task<Result<std::string>> ask_code(std::string serial, std::string name) {
    std::optional<std::string> code;
    std::string question = fmt::format("Code of the MFA device {} (profile '{}'): ", serial, name);
    if (context_.ask) code = co_await context_.ask(std::move(question));
    if (code && !code->empty()) co_return std::move(*code);
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("Profile '{0}' asks for a code of the MFA device {1}, and nobody is there to "
                               "give it; run: eval \"$(aws configure export-credentials --profile {0} "
                               "--format env)\"",
                               name, serial));
  }

  /// The credentials that assume the role.
  Task<Result<Credentials>> role_source(Section profile, std::string name) {
    const std::string source_profile = setting(profile, "source_profile");
    if (!source_profile.empty()) {
      auto from = co_await resolve(source_profile);
      co_return from;
    }
    const std::string source = setting(profile, "credential_source");
    Found found = std::nullopt;
    if (source == "Environment") {
      found = from_environment(context_.environment);
    } else if (source == "EcsContainer") {
      found = co_await from_container(context_);
    } else if (source == "Ec2InstanceMetadata") {
      found = co_await from_instance_metadata(context_);
    } else {
      co_return fail(
          ErrorCode::permission_denied,
          fmt::format("Profile '{}' has role_arn and neither source_profile nor a credential_source that "
                      "is Environment, EcsContainer or Ec2InstanceMetadata.",
                      name));
    }
    if (!found) co_return Failure(found.error());
    if (!*found) {
      co_return fail(
          ErrorCode::permission_denied,
          fmt::format("Profile '{}' takes its credentials from {}, where there are none.", name, source));
    }
    co_return std::move(**found);
  }

  SourceContext context_;
  const SharedConfig& config_;
  std::set<std::string> visited_;
};

}  // namespace

bool names_credentials(const Section& profile) {
  for (const char* const name : {"role_arn", "sso_session", "sso_start_url", "aws_access_key_id",
                                 "login_session", "credential_process"}) {
    if (has(profile, name)) return true;
  }
  return false;
}

Task<Result<Credentials>> from_profile(SourceContext context, const SharedConfig& config, std::string name) {
  Resolver resolver(context, config);
  auto credentials = co_await resolver.resolve(std::move(name));
  co_return credentials;
}

}  // namespace berth::aws
