#include "registry/registry_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "base/random.h"
#include "registry/reference.h"

namespace berth::registry {

namespace {

namespace json = boost::json;

constexpr auto first_pause = std::chrono::milliseconds(200);
constexpr auto pause_max = std::chrono::seconds(20);
constexpr auto connect_timeout = std::chrono::seconds(15);
constexpr std::size_t words_bytes_max = 500;
/// What a token lasts that does not say so, and at least
/// (https://distribution.github.io/distribution/spec/auth/token/).
constexpr std::int64_t token_lifetime_s = 60;
constexpr std::int64_t token_lifetime_s_max = 24 * 3600;
constexpr std::int64_t token_margin_s = 15;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}
bool is_passing(int status) { return status == 408 || status == 429 || (status >= 500 && status != 501); }

/// Percent-encodes what a query value cannot hold.
std::string encode(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '_' || c == '.' || c == '~' || c == '/' || c == ':' || c == ',';
    if (is_plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

/// The registry's own code and words in an error's body.
struct Words {
  std::string code;
  std::string message;
};
Words words_of(const std::string& body) {
  Words words;
  boost::system::error_code error;
  const auto root = json::parse(body, error);
  const auto* object = error ? nullptr : root.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains("errors");
  const auto* errors = member == nullptr ? nullptr : member->if_array();
  const auto* first = errors == nullptr || errors->empty() ? nullptr : errors->front().if_object();
  if (first == nullptr) {
    if (body.size() <= words_bytes_max && body.find('<') == std::string::npos) words.message = body;
  } else {
    for (const auto& [name, value] : *first) {
      if (!value.is_string()) continue;
      if (name == "code") words.code = value.get_string();
      if (name == "message") words.message = value.get_string();
    }
  }
  while (!words.message.empty() && (words.message.back() == '\n' || words.message.back() == '.')) {
    words.message.pop_back();
  }
  if (words.message.size() > words_bytes_max) words.message.resize(words_bytes_max);
  return words;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

Error answer_error(const http::Response& answer, const std::string& registry, const std::string& what) {
  const Words words = words_of(answer.body);
  const std::string said =
      words.message.empty() ? std::string(http::reason_phrase(answer.status)) : words.message;
  const std::string told = fmt::format("{}: {} answers {} ({})", what, registry, answer.status, said);
  // ECR says 400 or 403 for a tag that may not be moved.
  if (contains(words.message, "immutable") || words.code == "TAG_INVALID") {
    return Error(
        ErrorCode::conflict,
        told + ". The repository's tags cannot be moved; push under another tag, or delete that one.");
  }
  if (words.code == "NAME_UNKNOWN") {
    return Error(ErrorCode::not_found, told + ". The repository has to be created first.");
  }
  if (answer.status == 401 || (answer.status == 403 && contains(words.message, "expired"))) {
    return Error(ErrorCode::permission_denied,
                 fmt::format("{}. Log in again with `docker login {}`.", told, registry));
  }
  if (answer.status == 403) {
    return Error(ErrorCode::permission_denied, told + ". The login is good but may not do this there.");
  }
  if (answer.status == 404) return Error(ErrorCode::not_found, told + ".");
  if (answer.status == 413) {
    return Error(ErrorCode::resource_exhausted,
                 told + ". The registry, or a proxy before it, takes no body of this size.");
  }
  if (answer.status == 429) {
    return Error(
        ErrorCode::unavailable,
        fmt::format("{}. Try again later, or log in with `docker login {}`: registries let those more "
                    "whom they know.",
                    told, registry));
  }
  if (is_passing(answer.status)) return Error(ErrorCode::unavailable, told + ". Try again later.");
  return Error(ErrorCode::invalid_argument, told + ".");
}

RegistryClient::RegistryClient(net::Network& network, Options options)
    : network_(network),
      options_(std::move(options)),
      url_(api_url(options_.registry)),
      outbound_(network, {.environment = options_.environment,
                          .trusted = [pem = options_.ca_pem] { return Result<std::string>(pem); },
                          .idle_connections_max = 4}) {}

bool RegistryClient::is_own(const http::UrlAddress& url) const {
  const auto own = http::parse_url(url_);
  return own && own->host == url.host && own->port == url.port && own->tls == url.tls;
}

std::string RegistryClient::whole_url(const std::string& base, std::string_view target) const {
  if (target.find("://") != std::string_view::npos) return std::string(target);
  const std::size_t scheme = base.find("://");
  const std::size_t path = base.find('/', scheme + 3);
  return base.substr(0, path) + std::string(target.starts_with('/') ? "" : "/") + std::string(target);
}

const Secret* RegistryClient::authorization(const std::string& scope) const {
  if (basic_) return &*basic_;
  const auto token = tokens_.find(scope);
  return token == tokens_.end() ? nullptr : &token->second.authorization;
}

Task<Result<void>> RegistryClient::renew_token(std::string scope) {
  const auto known = tokens_.find(scope);
  if (known == tokens_.end() || network_.clock().now() < known->second.ends) co_return Result<void>();
  Challenge challenge = known->second.challenge;
  tokens_.erase(known);
  co_return co_await authenticate(std::move(challenge), scope);
}

Duration RegistryClient::pause(int attempt, const http::Headers* headers) const {
  if (headers != nullptr) {
    const auto after = headers->get("Retry-After");
    int seconds = 0;
    if (after && std::from_chars(after->data(), after->data() + after->size(), seconds).ec == std::errc{}) {
      return std::min<Duration>(std::chrono::seconds(std::max(seconds, 0)), pause_max);
    }
  }
  const Duration most = std::min<Duration>(first_pause * (1 << attempt), pause_max);
  // Many clients that were cut at once do not come back at once.
  return most / 2 +
         Duration(static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(most.count() / 2)));
}

/// One request to one URL.
Task<Result<std::unique_ptr<http::ClientResponse>>> RegistryClient::send(const Call& call, std::string url) {
  auto address = http::parse_url(url);
  if (!address) co_return Failure(address.error());
  if (!address->tls && !is_loopback_registry(address->host)) {
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("{} leads to '{}' without TLS, which is not followed.", options_.registry,
                               address->host));
  }
  http::ClientRequest request;
  request.method = call.method;
  request.target = address->target;
  request.headers = call.headers;
  request.headers.set("User-Agent", "berth");
  request.body = call.body;
  request.body_part = call.body_part;
  request.body_bytes = call.body_bytes;
  if (is_own(*address)) {
    if (const Secret* secret = authorization(call.scope)) {
      request.headers.set("Authorization", secret->reveal());
    }
  }
  const auto client = co_await outbound_.client_of(*address, connect_timeout);
  if (!client) co_return Failure(client.error());
  request.deadline = network_.clock().now() + call.patience;
  auto answer = co_await (*client)->send(std::move(request));
  if (!answer && answer.error().code() == ErrorCode::unavailable) outbound_.forget(*client);
  co_return answer;
}

/// A request with its logging in and its redirects.
Task<Result<std::unique_ptr<http::ClientResponse>>> RegistryClient::attempt(const Call& call) {
  std::string url = whole_url(url_, call.target);
  bool has_logged_in = false;
  const auto renewed = co_await renew_token(call.scope);
  if (!renewed) co_return Failure(renewed.error());
  for (int redirects = 0; redirects <= redirects_max;) {
    auto answer = co_await send(call, url);
    if (!answer) co_return answer;
    const auto& head = (*answer)->head();
    if (is_redirect(head.status) && call.body_part == nullptr) {
      const auto location = head.headers.get("Location");
      if (!location) co_return answer;
      url = whole_url(url, *location);
      ++redirects;
      continue;
    }
    const auto asked = head.headers.get("WWW-Authenticate");
    if (head.status != 401 || !asked) co_return answer;
    auto challenge = parse_challenge(*asked);
    if (!challenge || has_logged_in) {
      auto body = co_await (*answer)->read_all(answer_bytes_max);
      const http::Response refusal{401, {}, body ? *body : std::string()};
      const std::string who =
          options_.credentials.user.empty() ? "without a login" : "as " + options_.credentials.user;
      co_return Failure(answer_error(refusal, options_.registry, "reaching it " + who));
    }
    // Read to its end, the connection can be used again.
    co_await (*answer)->read_all(answer_bytes_max);
    auto logged_in = co_await authenticate(std::move(*challenge), call.scope);
    if (!logged_in) co_return Failure(logged_in.error());
    has_logged_in = true;
  }
  co_return fail(ErrorCode::unavailable, fmt::format("{} redirects in circles.", options_.registry));
}

Task<Result<std::unique_ptr<http::ClientResponse>>> RegistryClient::open(Call call) {
  for (int number = 1;; ++number) {
    auto answer = co_await attempt(call);
    const bool is_last = number >= attempts_max || !call.repeatable;
    if (!answer) {
      const bool is_broken = answer.error().code() == ErrorCode::unavailable ||
                             answer.error().code() == ErrorCode::deadline_exceeded;
      if (!is_broken || is_last) co_return answer;
      co_await network_.clock().sleep_for(pause(number, nullptr));
      continue;
    }
    if (!is_passing((*answer)->head().status) || is_last) co_return answer;
    const Duration wait = pause(number, &(*answer)->head().headers);
    answer->reset();
    co_await network_.clock().sleep_for(wait);
  }
}

Task<Result<http::Response>> RegistryClient::fetch(Call call) {
  for (int number = 1;; ++number) {
    auto answer = co_await open(call);
    if (!answer) co_return Failure(answer.error());
    (*answer)->set_deadline(network_.clock().now() + call.patience);
    http::Response response;
    response.status = (*answer)->head().status;
    response.headers = (*answer)->head().headers;
    auto body = co_await (*answer)->read_all(answer_bytes_max);
    if (body) {
      response.body = std::move(*body);
      co_return response;
    }
    const bool is_broken = body.error().code() == ErrorCode::unavailable;
    if (!is_broken || !call.repeatable || number >= attempts_max) co_return Failure(body.error());
  }
}

Task<Result<void>> RegistryClient::authenticate(Challenge challenge, std::string scope) {
  if (!challenge.bearer) {
    if (options_.credentials.user.empty()) {
      co_return fail(ErrorCode::permission_denied,
                     fmt::format("{} wants a login and there is none. Log in with `docker login {}`.",
                                 options_.registry, options_.registry));
    }
    basic_ = basic_authorization(options_.credentials);
    co_return Result<void>();
  }
  // What the registry itself asks for counts too: public.ecr.aws wants "aws", whatever is pulled.
  std::string wanted = scope;
  const bool is_own_scope = challenge.scope.empty() || challenge.scope.starts_with("repository:");
  if (wanted.empty()) {
    wanted = challenge.scope;
  } else if (!is_own_scope) {
    wanted += " " + challenge.scope;
  }
  auto token = co_await fetch_token(std::move(challenge), wanted);
  if (!token) co_return Failure(token.error());
  tokens_[scope] = std::move(*token);
  co_return Result<void>();
}

Task<Result<RegistryClient::Token>> RegistryClient::fetch_token(Challenge challenge, std::string scope) {
  const Credentials& login = options_.credentials;
  Call call;
  call.target = challenge.realm;
  const std::string service = "service=" + encode(challenge.service);
  if (!login.refresh_token.empty()) {
    call.method = "POST";
    call.headers.set("Content-Type", "application/x-www-form-urlencoded");
    // Here several scopes are one value (RFC 6749 §3.3).
    call.body =
        service + "&scope=" + encode(scope) +
        "&grant_type=refresh_token&client_id=berth&refresh_token=" + encode(login.refresh_token.reveal());
  } else {
    std::string query = service;
    // Several scopes, one by one, for a mount from another repository.
    for (std::string_view rest = scope; !rest.empty();) {
      const std::size_t blank = rest.find(' ');
      query += "&scope=" + encode(rest.substr(0, blank));
      rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
    }
    call.target += (contains(call.target, "?") ? "&" : "?") + query;
    if (!login.user.empty()) call.headers.set("Authorization", basic_authorization(login).reveal());
  }
  auto url = http::parse_url(call.target);
  if (!url) co_return Failure(url.error().within(options_.registry + "'s token service"));
  auto answer = co_await send(call, call.target);
  if (!answer) co_return Failure(answer.error().within(options_.registry + "'s token service"));
  (*answer)->set_deadline(network_.clock().now() + call.patience);
  http::Response response;
  response.status = (*answer)->head().status;
  auto body = co_await (*answer)->read_all(answer_bytes_max);
  if (!body) co_return Failure(body.error());
  response.body = std::move(*body);
  co_return read_token(response, std::move(challenge));
}

Result<RegistryClient::Token> RegistryClient::read_token(const http::Response& answer,
                                                         Challenge challenge) const {
  if (answer.status != 200) {
    return Failure(answer_error(answer, options_.registry, "asking " + challenge.realm + " for a token"));
  }
  boost::system::error_code error;
  const auto root = json::parse(answer.body, error);
  if (!error && root.is_object()) {
    for (const char* name : {"token", "access_token"}) {
      const auto* member = root.get_object().if_contains(name);
      if (member == nullptr || !member->is_string() || member->get_string().empty()) continue;
      const auto* lifetime = root.get_object().if_contains("expires_in");
      std::int64_t lifetime_s = token_lifetime_s;
      if (lifetime != nullptr && lifetime->is_int64()) lifetime_s = lifetime->get_int64();
      lifetime_s =
          std::clamp<std::int64_t>(lifetime_s, token_lifetime_s, token_lifetime_s_max) - token_margin_s;
      return Token{Secret("Bearer " + std::string(member->get_string())), std::move(challenge),
                   network_.clock().now() + std::chrono::seconds(lifetime_s)};
    }
  }
  return fail(ErrorCode::unavailable,
              fmt::format("'{}', asked for a token, answered without one.", challenge.realm));
}

}  // namespace berth::registry
