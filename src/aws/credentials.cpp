#include "aws/credentials.h"

#include <fmt/format.h>

#include <deque>

#include "aws/sources.h"

namespace berth::aws {

namespace {

/// Keys this close to their end are fetched anew: a deploy's longest single call must not outlive them.
constexpr std::chrono::minutes renewal_margin{5};

std::string chosen_profile(const CredentialsOptions& options) {
  if (!options.profile.empty()) return options.profile;
  for (const char* const name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
    const std::string given = variable(options.environment, name);
    if (!given.empty()) return given;
  }
  return "default";
}

class Provider final : public CredentialsProvider {
 public:
  Provider(CredentialsOptions options, net::Network& network, net::ProcessLauncher& launcher)
      : options_(std::move(options)),
        transport_(options_.environment, network),
        launcher_(launcher),
        clock_(network.clock()) {}

  Task<Result<Credentials>> get() override {
    if (is_good()) co_return *kept_;
    // One fetch serves whoever asks meanwhile: a process or a login must not run twice.
    while (fetching_) {
      waiting_.push_back(std::make_shared<Signal>(clock_.executor()));
      const std::shared_ptr<Signal> turn = waiting_.back();
      co_await turn->wait();
    }
    if (is_good()) co_return *kept_;
    const Fetching fetching(*this);
    auto fetched = co_await fetch();
    if (fetched) {
      kept_ = *fetched;
    } else if (kept_ && kept_->expires && *kept_->expires > clock_.wall()) {
      co_return *kept_;  // old keys that work are better than new ones that did not come
    }
    co_return fetched;
  }

  void forget() override { kept_.reset(); }

 private:
  /// Marks the fetch under way, however it ends.
  class Fetching {
   public:
    explicit Fetching(Provider& provider) : provider_(provider) { provider_.fetching_ = true; }
    ~Fetching() {
      provider_.fetching_ = false;
      for (const auto& turn : provider_.waiting_) turn->notify();
      provider_.waiting_.clear();
    }
    Fetching(const Fetching&) = delete;
    Fetching& operator=(const Fetching&) = delete;

   private:
    Provider& provider_;
  };

  bool is_good() const {
    return kept_ && (!kept_->expires || *kept_->expires > clock_.wall() + renewal_margin);
  }

  Task<Result<Credentials>> fetch() {
    const Environment& environment = options_.environment;
    SourceContext context{environment, options_.region, transport_, launcher_, options_.ask};
    const auto config = SharedConfig::load(environment);
    if (!config) co_return Failure(config.error());
    const std::string profile = chosen_profile(options_);
    Found found = std::nullopt;
    if (options_.profile.empty()) {
      found = from_environment(environment);
      if (found && !*found) found = co_await from_web_identity(context);
    }
    if (found && !*found) {
      const Section* const section = config->profile(profile);
      const bool is_missing = section == nullptr && profile != "default";
      if (is_missing || (section != nullptr && names_credentials(*section))) {
        auto chosen = co_await from_profile(context, *config, profile);
        co_return chosen;
      }
    }
    if (found && !*found) found = co_await from_container(context);
    if (found && !*found) found = co_await from_instance_metadata(context);
    if (!found) co_return Failure(found.error());
    if (!*found) co_return Failure(nothing_found(*config, profile));
    co_return std::move(**found);
  }

  Error nothing_found(const SharedConfig& config, const std::string& profile) const {
    const bool asked_instance = variable(options_.environment, "AWS_EC2_METADATA_DISABLED") != "true";
    return Error(
        ErrorCode::permission_denied,
        fmt::format(
            "There are no AWS credentials. Looked at: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (not set), "
            "AWS_WEB_IDENTITY_TOKEN_FILE (not set), profile '{}' in {} ({}), "
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI (not set), the instance's metadata ({}). "
            "Run `aws login`, `aws sso login` or `aws configure`, set AWS_PROFILE, or export keys.",
            profile, config.places(),
            !config.has_files()                  ? "no such files"
            : config.profile(profile) == nullptr ? "no such profile"
                                                 : "names no credentials",
            asked_instance ? "no answer" : "AWS_EC2_METADATA_DISABLED"));
  }

  CredentialsOptions options_;
  Transport transport_;
  net::ProcessLauncher& launcher_;
  Clock& clock_;
  std::optional<Credentials> kept_;
  bool fetching_ = false;
  std::deque<std::shared_ptr<Signal>> waiting_;
};

}  // namespace

std::unique_ptr<CredentialsProvider> make_credentials(CredentialsOptions options, net::Network& network,
                                                      net::ProcessLauncher& launcher) {
  return std::make_unique<Provider>(std::move(options), network, launcher);
}

Result<CredentialsOptions> with_profile_settings(CredentialsOptions options) {
  const auto config = SharedConfig::load(options.environment);
  if (!config) return Failure(config.error());
  const std::string profile = chosen_profile(options);
  options.environment = with_profile_settings(std::move(options.environment), *config, profile);
  return options;
}

Result<std::string> find_region(const std::string& given, const CredentialsOptions& options) {
  if (!given.empty()) return given;
  for (const char* const name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    std::string region = variable(options.environment, name);
    if (!region.empty()) return region;
  }
  const auto config = SharedConfig::load(options.environment);
  if (!config) return Failure(config.error());
  const std::string profile = chosen_profile(options);
  const Section* const section = config->profile(profile);
  if (section != nullptr && !setting(*section, "region").empty()) return setting(*section, "region");
  return fail(
      ErrorCode::invalid_argument,
      fmt::format(
          "No AWS region is given. Write `aws: {{region: us-east-1}}` into berth.yaml, set AWS_REGION, "
          "or put `region` into profile '{}' of {}.",
          profile, config->places()));
}

}  // namespace berth::aws
