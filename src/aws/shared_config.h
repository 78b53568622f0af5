#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aws/files.h"
#include "base/result.h"

/// The files that the AWS CLI and the SDKs share
/// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html).
namespace berth::aws {

using Section = std::map<std::string, std::string>;

/// Sections of INI text by their header's inside, keys in lower case. Comments begin a line, or follow
/// white space behind a value ('#', ';'). Indented lines below a setting without a value are nested:
/// "endpoint_url" below "s3 =" is "s3.endpoint_url". A section that comes twice is merged. invalid_argument
/// with path and line for a line that is neither.
Result<std::map<std::string, Section>> parse_ini(std::string_view text, const std::string& path);

/// ~/.aws/config and ~/.aws/credentials (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE) as one.
class SharedConfig {
 public:
  /// A file that is not there is empty; one that cannot be read or parsed is an error.
  static Result<SharedConfig> load(const Environment& environment);

  /// The settings of both files, those of the credentials file winning; nullptr when neither has it.
  const Section* profile(const std::string& name) const;
  const Section* sso_session(const std::string& name) const;
  /// What [services NAME] says of endpoints.
  const Section* services(const std::string& name) const;
  std::vector<std::string> profile_names() const;
  /// "~/.aws/config and ~/.aws/credentials", for messages.
  std::string places() const;
  bool has_files() const { return has_files_; }

 private:
  std::map<std::string, Section> profiles_;
  std::map<std::string, Section> sso_sessions_;
  std::map<std::string, Section> services_;
  std::string config_path_;
  std::string credentials_path_;
  bool has_files_ = false;
};

/// `environment` with what the profile says of endpoints, certificates and attempts, as the variables that
/// say the same; variables that are set win, and AWS_ENDPOINT_URL over all endpoints of the profile.
Environment with_profile_settings(Environment environment, const SharedConfig& config,
                                  const std::string& profile);

/// The setting, or empty.
std::string setting(const Section& section, const std::string& name);

}  // namespace berth::aws
