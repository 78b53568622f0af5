#include "http/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <charconv>

#include "base/shown_url.h"

namespace berth::http {

namespace {

Failure refuse(std::string_view url, std::string_view why) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("The url '{}' {}; write it as http://host:port/path or https://host/path.",
                          shown_url(url), why));
}

bool is_visible(std::string_view text) {
  for (const char byte : text) {
    if (byte <= 0x20 || byte == 0x7f) return false;
  }
  return true;
}

}  // namespace

std::string UrlAddress::host_header() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

Result<UrlAddress> parse_url(std::string_view url) {
  UrlAddress address;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    address.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return refuse(url, "is neither http nor https");
  }
  if (!is_visible(rest)) return refuse(url, "holds spaces or control characters");
  if (rest.find('#') != std::string_view::npos) return refuse(url, "has a fragment");
  const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  const std::string_view target = rest.substr(authority_end);
  if (authority.find('@') != std::string_view::npos) {
    return refuse(url, "has user information in it, which belongs into `headers`");
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return refuse(url, "has an unclosed bracket");
    address.host = authority.substr(1, bracket - 1);
    const std::string_view behind = authority.substr(bracket + 1);
    if (!behind.empty() && behind.front() != ':') return refuse(url, "has text behind its address");
    if (!behind.empty()) port = behind.substr(1);
  } else {
    const std::size_t colon = authority.find(':');
    address.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  if (address.host.empty()) return refuse(url, "names no host");
  address.port = address.tls ? 443 : 80;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc{} || end != port.data() + port.size() || address.port == 0) {
      return refuse(url, "has no valid port");
    }
  }
  address.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return address;
}

Task<Result<std::vector<net::Endpoint>>> resolve_all(Executor executor, std::string host,
                                                     std::uint16_t port) {
  std::vector<net::Endpoint> endpoints;
  if (host == "localhost") {
    endpoints = {{"127.0.0.1", port}, {"::1", port}};
    co_return endpoints;
  }
  boost::system::error_code error;
  const auto numeric = asio::ip::make_address(host, error);
  if (!error) {
    endpoints.push_back({numeric.to_string(), port});
    co_return endpoints;
  }
  using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;
  Resolver resolver(executor);
  auto token = asio::redirect_error(asio::use_awaitable_t<Executor>(), error);
  const auto found = co_await resolver.async_resolve(host, std::to_string(port), std::move(token));
  co_await unwind_if_cancelled();
  if (error || found.empty()) {
    co_return fail(ErrorCode::unavailable, fmt::format("The host name '{}' cannot be resolved: {}.", host,
                                                       error ? error.message() : "it has no address"));
  }
  for (const auto& entry : found) endpoints.push_back({entry.endpoint().address().to_string(), port});
  std::stable_partition(endpoints.begin(), endpoints.end(),
                        [](const net::Endpoint& each) { return each.host.find(':') == std::string::npos; });
  if (endpoints.size() > addresses_max) endpoints.resize(addresses_max);
  co_return endpoints;
}

Task<Result<net::Endpoint>> resolve(Executor executor, std::string host, std::uint16_t port) {
  auto endpoints = co_await resolve_all(executor, std::move(host), port);
  if (!endpoints) co_return Failure(endpoints.error());
  co_return std::move(endpoints->front());
}

}  // namespace berth::http
