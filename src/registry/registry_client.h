#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "http/client.h"
#include "http/outbound.h"
#include "http/url.h"
#include "registry/login.h"

namespace berth::registry {

inline constexpr std::size_t answer_bytes_max = 4u << 20;
inline constexpr int attempts_max = 5;
inline constexpr int redirects_max = 5;

/// One registry, spoken to in the distribution API (https://github.com/opencontainers/distribution-spec):
/// logs in when asked to (Bearer tokens by scope, or Basic), follows redirects (never with the login to
/// another host), tries again after broken connections, 429 and 5xx.
class RegistryClient {
 public:
  struct Options {
    std::string registry;
    Credentials credentials;
    std::string ca_pem;                                   ///< empty: the system's
    std::map<std::string, std::string> environment = {};  ///< HTTPS_PROXY, NO_PROXY
  };
  RegistryClient(net::Network& network, Options options);

  struct Call {
    std::string method = "GET";
    std::string target;  ///< path and query, or a whole URL (the Location of an upload)
    http::Headers headers;
    std::string body;
    std::function<Result<std::string_view>(std::uint64_t)> body_part;
    std::uint64_t body_bytes = 0;
    std::string scope;  ///< what a token has to be for: "repository:x:pull,push"
    bool repeatable = true;
    Duration patience = std::chrono::seconds(60);  ///< for the head of the answer, after each part of a body
  };
  /// An answer of any status but 401, and a redirect only where it cannot be followed. Errors: unavailable
  /// after the last attempt, permission_denied when the login is refused.
  Task<Result<std::unique_ptr<http::ClientResponse>>> open(Call call);
  /// The whole answer.
  Task<Result<http::Response>> fetch(Call call);

  const std::string& registry() const { return options_.registry; }

 private:
  struct Token {
    Secret authorization;  ///< of the Authorization field
    Challenge challenge;   ///< what it answered
    TimePoint ends;
  };
  Task<Result<std::unique_ptr<http::ClientResponse>>> attempt(const Call& call);
  Task<Result<std::unique_ptr<http::ClientResponse>>> send(const Call& call, std::string url);
  Task<Result<void>> authenticate(Challenge challenge, std::string scope);
  Task<Result<Token>> fetch_token(Challenge challenge, std::string scope);
  Result<Token> read_token(const http::Response& answer, Challenge challenge) const;
  /// A token that ends soon is changed for a new one before a request needs it: registries refuse an old one
  /// in the middle of a large body, and not all of them by 401.
  Task<Result<void>> renew_token(std::string scope);
  const Secret* authorization(const std::string& scope) const;
  bool is_own(const http::UrlAddress& url) const;
  Duration pause(int attempt, const http::Headers* headers) const;
  std::string whole_url(const std::string& base, std::string_view target) const;

  net::Network& network_;
  Options options_;
  std::string url_;
  http::Outbound outbound_;
  std::map<std::string, Token> tokens_;  ///< by scope
  std::optional<Secret> basic_;          ///< set once the registry has asked for Basic
};

/// What an answer that is no success means: a sentence with the registry's own words. `what` names the
/// operation and its object: "pushing the manifest of 127.0.0.1:5000/x:1".
Error answer_error(const http::Response& answer, const std::string& registry, const std::string& what);

}  // namespace berth::registry
