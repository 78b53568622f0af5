#include "model/inherited.h"

#include <algorithm>

namespace berth::model {

std::span<const InheritedGroup> inherited_groups() {
  static const std::vector<InheritedGroup> groups{
      {"the user and the machine", {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "TMPDIR", "TZ"}},
      {"the language", {"LANG", "LANGUAGE", "LC_*"}},
      {"proxies",
       {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy",
        "no_proxy", "NODE_USE_ENV_PROXY"}},
      {"trusted authorities",
       {"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "NODE_USE_SYSTEM_CA", "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT", "DENO_TLS_CA_STORE",
        "CARGO_HTTP_CAINFO"}},
      {"registries and package runners",
       {"npm_config_*", "NPM_CONFIG_*", "COREPACK_*",     "PNPM_HOME", "YARN_*",     "BUN_*",
        "NVM_DIR",      "VOLTA_HOME",   "DENO_DIR",       "PIP_*",     "UV_*",       "PIPX_*",
        "VIRTUAL_ENV",  "PYENV_ROOT",   "CONDA_PREFIX",   "GOPROXY",   "GOPRIVATE",  "GONOPROXY",
        "GONOSUMDB",    "GOSUMDB",      "GOPATH",         "GOCACHE",   "GOMODCACHE", "CARGO_HOME",
        "RUSTUP_HOME",  "DOTNET_ROOT",  "NUGET_PACKAGES", "JAVA_HOME"}},
      {"container engines",
       {"DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY",
        "CONTAINER_HOST"}},
      {"folders",
       {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"}},
  };
  return groups;
}

bool names_variable(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::map<std::string, std::string> inherited_variables(
    const std::map<std::string, std::string>& environment) {
  std::map<std::string, std::string> out;
  for (const auto& variable : environment) {
    const bool named = std::ranges::any_of(inherited_groups(), [&](const InheritedGroup& group) {
      return std::ranges::any_of(
          group.names, [&](std::string_view pattern) { return names_variable(pattern, variable.first); });
    });
    if (named) out.insert(variable);
  }
  return out;
}

}  // namespace berth::model
