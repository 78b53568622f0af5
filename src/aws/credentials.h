#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task.h"
#include "net/network.h"
#include "net/process.h"

namespace berth::aws {

/// What signs a request. Never in a log, an error or a process list.
struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;  ///< empty for long-term keys
  std::optional<WallTime> expires;
  std::string source;  ///< for messages: "profile 'work' of ~/.aws/credentials"
};

/// Credentials that are fetched when first asked for, kept, and fetched anew before they expire.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  /// permission_denied when there are none, or they cannot be had or have expired: a sentence with every
  /// place that was looked at and what to do.
  virtual Task<Result<Credentials>> get() = 0;
  /// What get() gave was refused as expired: the next get() fetches anew.
  virtual void forget() {}
};

/// What the chain reads. `environment` is the whole environment; nothing is read from the process's own.
struct CredentialsOptions {
  std::map<std::string, std::string> environment;
  std::string profile;  ///< of berth.yaml or --profile; empty: AWS_PROFILE, then "default"
  std::string region;   ///< for STS
  /// Asks whoever is there for one line, such as the code of an MFA device; nullopt when nobody is. Empty:
  /// nobody ever is.
  std::function<Task<std::optional<std::string>>(std::string question)> ask = {};
};

/// The order of the AWS SDKs
/// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html): environment, web
/// identity, shared config and credentials files (static keys, assume role with source_profile or
/// credential_source and a code of its MFA device, SSO cache, `aws login`, credential_process), container
/// endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, _FULL_URI with its token), instance metadata (IMDSv2).
/// A profile that was named explicitly comes before the environment; one that says nothing of credentials
/// leaves the search to the places behind it.
std::unique_ptr<CredentialsProvider> make_credentials(CredentialsOptions options, net::Network& network,
                                                      net::ProcessLauncher& launcher);

/// `options` whose environment also says what the chosen profile does of endpoints, certificates and attempts
/// (shared_config.h). The errors of reading ~/.aws/config.
Result<CredentialsOptions> with_profile_settings(CredentialsOptions options);

/// The region: `given`, AWS_REGION, AWS_DEFAULT_REGION, the profile's. invalid_argument when there is none.
Result<std::string> find_region(const std::string& given, const CredentialsOptions& options);

}  // namespace berth::aws
