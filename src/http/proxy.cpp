#include "http/proxy.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <charconv>

#include "codec/base64.h"
#include "codec/http1.h"
#include "http/message.h"

namespace berth::http {

namespace {

constexpr http1::HeadLimits answer_limits{.bytes_max = 16 * 1024};

using Environment = std::map<std::string, std::string>;

/// The first of the variables that is set, with its name.
std::pair<std::string, std::string> first_set(const Environment& environment,
                                              std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const auto found = environment.find(name);
    if (found != environment.end() && !found->second.empty()) return *found;
  }
  return {};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& byte : out) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned value = 0;
    const bool is_escape =
        text[at] == '%' && at + 2 < text.size() &&
        std::from_chars(text.data() + at + 1, text.data() + at + 3, value, 16).ptr == text.data() + at + 3;
    out += is_escape ? static_cast<char>(value) : text[at];
    if (is_escape) at += 2;
  }
  return out;
}

bool is_near(const std::string& host) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return host == "localhost" || host.ends_with(".localhost");
  const bool is_link_local =
      address.is_v4() ? (address.to_v4().to_uint() >> 16) == 0xa9fe : address.to_v6().is_link_local();
  return address.is_loopback() || is_link_local;
}

bool is_in_network(const std::string& host, const std::string& network) {
  boost::system::error_code error;
  const auto range = asio::ip::make_network_v4(network, error);
  if (error) return false;
  const auto address = asio::ip::make_address_v4(host, error);
  if (error) return false;
  return asio::ip::network_v4(address, range.prefix_length()).canonical() == range.canonical();
}

/// One entry of NO_PROXY.
bool excepts(std::string entry, const UrlAddress& to) {
  if (entry == "*") return true;
  const std::string host = lower(to.host);
  if (entry.find('/') != std::string::npos) return is_in_network(host, entry);
  const std::size_t colon = entry.rfind(':');
  const bool has_port = colon != std::string::npos && entry.find(':') == colon;
  if (has_port) {
    if (entry.substr(colon + 1) != std::to_string(to.port)) return false;
    entry.resize(colon);
  }
  if (entry.starts_with("*.")) entry.erase(0, 1);
  if (entry.starts_with('.')) entry.erase(0, 1);
  return !entry.empty() && (host == entry || host.ends_with("." + entry));
}

bool is_excepted(const std::string& list, const UrlAddress& to) {
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t end = std::min(rest.find_first_of(", \t"), rest.size());
    if (end > 0 && excepts(lower(rest.substr(0, end)), to)) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

class Tunnels final : public net::Network {
 public:
  Tunnels(net::Network& network, Proxy proxy, UrlAddress to, std::shared_ptr<net::TlsContext> tls)
      : network_(network), proxy_(std::move(proxy)), to_(std::move(to)), tls_(std::move(tls)) {}

  Result<std::unique_ptr<net::Listener>> listen(const net::Endpoint& endpoint,
                                                net::PortSharing sharing) override {
    return network_.listen(endpoint, sharing);
  }
  Clock& clock() override { return network_.clock(); }

  Task<Result<std::unique_ptr<net::Stream>>> connect(const net::Endpoint& endpoint,
                                                     TimePoint deadline) override {
    auto stream = co_await network_.connect(endpoint, deadline);
    if (stream && proxy_.address.tls) {
      stream = co_await net::tls_connect(std::move(*stream), tls_, proxy_.address.host, deadline);
    }
    if (!stream) co_return Failure(stream.error().within(fmt::format("The proxy {}", name())));
    (*stream)->set_deadline(deadline);
    const std::string head = request_head();
    const auto asked = co_await (*stream)->write(head);
    if (!asked) co_return Failure(asked.error().within(fmt::format("The proxy {}", name())));
    const auto opened = co_await read_answer(**stream);
    if (!opened) co_return Failure(opened.error());
    (*stream)->set_deadline(std::nullopt);
    co_return std::move(*stream);
  }

 private:
  std::string name() const { return proxy_.address.host_header(); }

  std::string authority() const {
    const bool is_v6 = to_.host.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", to_.host, is_v6 ? "]" : "", to_.port);
  }

  std::string request_head() const {
    std::string head = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: berth\r\n", authority());
    if (!proxy_.authorization.empty()) {
      head.append("Proxy-Authorization: ").append(proxy_.authorization.reveal()).append("\r\n");
    }
    return head + "\r\n";
  }

  /// Behind the head of a consent nothing comes before we speak.
  Task<Result<void>> read_answer(net::Stream& stream) const {
    std::string bytes;
    std::array<char, 2048> part;
    http1::HeadView view;
    std::string problem;
    while (true) {
      const auto count = co_await stream.read_some(part);
      if (!count) co_return Failure(count.error().within(fmt::format("The proxy {}", name())));
      if (*count == 0) {
        co_return fail(ErrorCode::unavailable,
                       fmt::format("The proxy {} hung up without an answer.", name()));
      }
      bytes.append(part.data(), *count);
      const auto status = http1::parse_response(bytes, answer_limits, true, view, &problem);
      if (status == http1::HeadStatus::incomplete) continue;
      if (status != http1::HeadStatus::complete) {
        co_return fail(ErrorCode::unavailable,
                       fmt::format("The proxy {} does not answer in HTTP/1.1: {}", name(), problem));
      }
      break;
    }
    if (view.status / 100 == 2) co_return Result<void>();
    co_return Failure(refusal(view));
  }

  Error refusal(const http1::HeadView& view) const {
    const std::string reason(view.reason.empty() ? reason_phrase(view.status) : view.reason);
    const std::string said = fmt::format("The proxy {} answers {} ({}) when asked for {}", name(),
                                         view.status, reason, authority());
    if (view.status == 407) {
      return Error(ErrorCode::permission_denied,
                   said + "; give it a login: HTTPS_PROXY=http://user:password@host:port");
    }
    const bool is_passing = view.status >= 500;
    return Error(is_passing ? ErrorCode::unavailable : ErrorCode::permission_denied,
                 said + "; NO_PROXY names hosts to be reached without it");
  }

  net::Network& network_;
  Proxy proxy_;
  UrlAddress to_;
  std::shared_ptr<net::TlsContext> tls_;
};

}  // namespace

Result<std::optional<Proxy>> find_proxy(const Environment& environment, const UrlAddress& to) {
  if (!to.tls || is_near(to.host)) return std::nullopt;
  const auto [variable, value] = first_set(environment, {"https_proxy", "HTTPS_PROXY"});
  if (value.empty()) return std::nullopt;
  if (is_excepted(first_set(environment, {"no_proxy", "NO_PROXY"}).second, to)) return std::nullopt;
  const std::size_t scheme_end = value.find("://");
  const std::string scheme =
      scheme_end == std::string::npos ? "http://" : lower(value.substr(0, scheme_end + 3));
  std::string rest = scheme_end == std::string::npos ? value : value.substr(scheme_end + 3);
  Proxy proxy;
  // A password may hold an '@' that nobody has encoded.
  const std::size_t login_end = rest.substr(0, rest.find('/')).rfind('@');
  if (login_end != std::string::npos) {
    const Secret login(percent_decoded(rest.substr(0, login_end)));
    proxy.authorization = Secret("Basic " + base64::encode(login.reveal()));
    rest.erase(0, login_end + 1);
  }
  const auto address = parse_url(scheme + rest);
  if (!address) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is no address of a proxy; write it as http://host:port or "
                            "http://user:password@host:port (SOCKS is not spoken).",
                            variable));
  }
  proxy.address = *address;
  return proxy;
}

std::unique_ptr<net::Network> make_tunnels(net::Network& network, Proxy proxy, UrlAddress to,
                                           std::shared_ptr<net::TlsContext> tls) {
  return std::make_unique<Tunnels>(network, std::move(proxy), std::move(to), std::move(tls));
}

}  // namespace berth::http
