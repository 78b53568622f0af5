#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "registry/image.h"
#include "registry/program.h"

/// Who one is for a registry.
namespace berth::registry {

/// A `WWW-Authenticate` of a registry (https://distribution.github.io/distribution/spec/auth/token/).
struct Challenge {
  bool bearer = false;  ///< otherwise Basic
  std::string realm;
  std::string service;
  std::string scope;
};
/// The first challenge that is Bearer, else one that is Basic; nullopt when there is neither.
std::optional<Challenge> parse_challenge(std::string_view field);

/// A login with what only stored ones have.
struct Credentials {
  std::string user;
  Secret password;
  Secret refresh_token;  ///< an identity token, which is exchanged instead of a password
  bool empty() const { return user.empty() && refresh_token.empty(); }
};

/// The value of an Authorization field.
Secret basic_authorization(const Credentials& credentials);

/// What `docker login` has stored for a registry: $DOCKER_CONFIG/config.json or ~/.docker/config.json (also
/// $REGISTRY_AUTH_FILE and podman's auth.json), by its credHelpers, credsStore and auths. Nothing stored is
/// no error; a helper that fails, or a file that cannot be read as JSON, is.
Task<Result<Credentials>> stored_login(std::string registry, Environment environment,
                                       net::ProcessLauncher& launcher, Clock& clock);

}  // namespace berth::registry
