#include "http/redirect.h"

#include <fmt/format.h>

#include "base/shown_url.h"

namespace berth::http {

namespace {

/// The reference of a Location against the URL it was given at (RFC 3986 §5.2, without "..", which no server
/// writes there).
std::string absolute(std::string_view location, const UrlAddress& from) {
  const std::string scheme = from.tls ? "https:" : "http:";
  const std::string origin = scheme + "//" + from.host_header();
  const std::string_view path = std::string_view(from.target).substr(0, from.target.find('?'));
  if (location.starts_with("http://") || location.starts_with("https://")) return std::string(location);
  if (location.starts_with("//")) return scheme + std::string(location);
  if (location.starts_with('/')) return origin + std::string(location);
  if (location.starts_with('?')) return origin + std::string(path) + std::string(location);
  return origin + std::string(path.substr(0, path.rfind('/') + 1)) + std::string(location);
}

}  // namespace

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Result<std::string> redirected(const ResponseHead& answer, std::string_view method, const UrlAddress& from) {
  const auto location = answer.headers.get("Location");
  if (!location || location->empty()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("it answered HTTP {} without saying where to go (Location)", answer.status));
  }
  const std::string url = absolute(location->substr(0, location->find('#')), from);
  const auto to = parse_url(url);
  if (!to) return Failure(to.error());
  if (to->tls != from.tls || to->port != from.port || !equals_ignoring_case(to->host, from.host)) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("it answered HTTP {} and names another place, {}; if that is right, set the url to it",
                    answer.status, shown_url(url)));
  }
  const bool keeps_method = answer.status >= 307 || method == "GET" || method == "HEAD";
  if (!keeps_method) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("it answered {} with HTTP {}, which would make it a GET of {}; set the url to that",
                    method, answer.status, shown_url(url)));
  }
  return to->target;
}

}  // namespace berth::http
