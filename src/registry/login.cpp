#include "registry/login.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <vector>

#include "codec/base64.h"
#include "http/message.h"
#include "registry/files.h"

namespace berth::registry {

namespace {

namespace json = boost::json;

constexpr std::size_t config_file_bytes_max = 1u << 20;
constexpr std::string_view docker_hub_key = "https://index.docker.io/v1/";

/// Reads `name=value` and `name="value"` pairs behind a scheme. Stops at what is neither: the next challenge.
class Parameters {
 public:
  explicit Parameters(std::string_view text) : rest_(text) {}

  bool next(std::string& name, std::string& value) {
    skip(" \t,");
    const std::size_t equals = rest_.find('=');
    const std::string_view word = rest_.substr(0, equals);
    if (equals == std::string_view::npos || word.find_first_of(" \t,\"") != std::string_view::npos)
      return false;
    name = word;
    rest_.remove_prefix(equals + 1);
    value.clear();
    if (!rest_.starts_with('"')) {
      value = rest_.substr(0, rest_.find_first_of(" \t,"));
      rest_.remove_prefix(value.size());
      return true;
    }
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;
      value += rest_[at];
    }
    rest_.remove_prefix(std::min(at + 1, rest_.size()));
    return true;
  }
  std::string_view rest() const { return rest_; }

 private:
  void skip(std::string_view blanks) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(blanks), rest_.size()));
  }
  std::string_view rest_;
};

std::string text(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_string() ? std::string(member->as_string()) : std::string();
}

const json::object* object_in(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member == nullptr ? nullptr : member->if_object();
}

/// The names a registry may have in a file of logins, best first.
std::vector<std::string> keys_of(const std::string& registry) {
  if (registry != "docker.io") return {registry, "https://" + registry, "https://" + registry + "/v2/"};
  return {std::string(docker_hub_key), "docker.io", "index.docker.io", "registry-1.docker.io"};
}

std::vector<std::string> files_of(const Environment& environment) {
  std::vector<std::string> files;
  if (const auto& own = variable(environment, "REGISTRY_AUTH_FILE"); !own.empty()) files.push_back(own);
  const std::string& folder = variable(environment, "DOCKER_CONFIG");
  const std::string& home = variable(environment, "HOME");
  if (!folder.empty()) files.push_back(folder + "/config.json");
  if (folder.empty() && !home.empty()) files.push_back(home + "/.docker/config.json");
  if (const auto& runtime = variable(environment, "XDG_RUNTIME_DIR"); !runtime.empty()) {
    files.push_back(runtime + "/containers/auth.json");
  }
  return files;
}

Result<Credentials> from_auths(const json::object& auths, const std::string& registry,
                               const std::string& file) {
  for (const std::string& key : keys_of(registry)) {
    const auto* entry = object_in(auths, key);
    if (entry == nullptr) continue;
    Credentials found;
    found.refresh_token = Secret(text(*entry, "identitytoken"));
    const std::string encoded = text(*entry, "auth");
    if (encoded.empty()) {
      found.user = text(*entry, "username");
      found.password = Secret(text(*entry, "password"));
    } else {
      const auto decoded = base64::decode(encoded);
      const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
      if (colon == std::string::npos) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("The login for {} in '{}' is damaged; log in again with `docker login {}`.",
                                registry, file, registry));
      }
      found.user = decoded->substr(0, colon);
      std::string password = decoded->substr(colon + 1);
      while (password.ends_with('\0')) password.pop_back();
      found.password = Secret(std::move(password));
    }
    if (!found.empty()) return found;
  }
  return Credentials{};
}

/// https://github.com/docker/docker-credential-helpers: the server's name on stdin, JSON on stdout.
Task<Result<Credentials>> ask_helper(std::string helper, std::string registry, Environment environment,
                                     net::ProcessLauncher& launcher, Clock& clock) {
  const std::string program = "docker-credential-" + helper;
  for (const std::string& key : keys_of(registry)) {
    ProgramCall call;
    call.argv = {program, "get"};
    call.environment = environment;
    call.input = Secret(key + "\n");
    auto ran = co_await run_program(launcher, clock, std::move(call));
    // A helper that is configured and not installed has no login to give, and public images need none.
    if (!ran && ran.error().code() == ErrorCode::not_found) co_return Credentials{};
    if (!ran) co_return Failure(ran.error().within(fmt::format("the login for {}", registry)));
    if (!ran->succeeded()) {
      // Helpers report a login that is not there as a failure with this text.
      if (ran->output.find("credentials not found") != std::string::npos ||
          ran->last_words.find("credentials not found") != std::string::npos) {
        continue;
      }
      co_return fail(ErrorCode::permission_denied, fmt::format("`{} get` for {} {}: {}", program, key,
                                                               to_string(ran->status), ran->last_words));
    }
    boost::system::error_code error;
    const auto root = json::parse(ran->output, error);
    if (error || !root.is_object()) {
      co_return fail(ErrorCode::invalid_argument, fmt::format("`{} get` did not answer in JSON.", program));
    }
    Credentials found;
    found.user = text(root.get_object(), "Username");
    found.password = Secret(text(root.get_object(), "Secret"));
    if (found.user == "<token>") {
      found.refresh_token = std::move(found.password);
      found.password = {};
      found.user.clear();
    }
    co_return found;
  }
  co_return Credentials{};
}

}  // namespace

std::optional<Challenge> parse_challenge(std::string_view field) {
  std::optional<Challenge> basic;
  while (!field.empty()) {
    field.remove_prefix(std::min(field.find_first_not_of(" \t,"), field.size()));
    const std::string_view scheme = field.substr(0, field.find_first_of(" \t,"));
    if (scheme.empty()) break;
    field.remove_prefix(scheme.size());
    Challenge challenge;
    challenge.bearer = http::equals_ignoring_case(scheme, "bearer");
    Parameters parameters(field);
    std::string name;
    std::string value;
    while (parameters.next(name, value)) {
      if (http::equals_ignoring_case(name, "realm")) challenge.realm = value;
      if (http::equals_ignoring_case(name, "service")) challenge.service = value;
      if (http::equals_ignoring_case(name, "scope")) challenge.scope = value;
    }
    field = parameters.rest();
    if (challenge.bearer && !challenge.realm.empty()) return challenge;
    if (!basic && http::equals_ignoring_case(scheme, "basic")) basic = std::move(challenge);
  }
  return basic;
}

Secret basic_authorization(const Credentials& credentials) {
  const Secret pair(credentials.user + ":" + std::string(credentials.password.reveal()));
  return Secret("Basic " + base64::encode(pair.reveal()));
}

Task<Result<Credentials>> stored_login(std::string registry, Environment environment,
                                       net::ProcessLauncher& launcher, Clock& clock) {
  for (const std::string& file : files_of(environment)) {
    auto content = read_file(file, config_file_bytes_max);
    if (!content && content.error().code() == ErrorCode::not_found) continue;
    if (!content) co_return Failure(content.error());
    boost::system::error_code error;
    const auto root = json::parse(*content, error);
    if (error || !root.is_object()) {
      co_return fail(ErrorCode::invalid_argument,
                     fmt::format("'{}', where logins to registries are kept, is not JSON.", file));
    }
    std::string helper;
    if (const auto* helpers = object_in(root.get_object(), "credHelpers")) {
      for (const std::string& key : keys_of(registry)) {
        if (helper.empty()) helper = text(*helpers, key);
      }
    }
    if (helper.empty()) helper = text(root.get_object(), "credsStore");
    if (!helper.empty()) {
      auto found = co_await ask_helper(helper, registry, environment, launcher, clock);
      if (!found || !found->empty()) co_return found;
    }
    if (const auto* auths = object_in(root.get_object(), "auths")) {
      auto found = from_auths(*auths, registry, file);
      if (!found || !found->empty()) co_return found;
    }
  }
  co_return Credentials{};
}

}  // namespace berth::registry
