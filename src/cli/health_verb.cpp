#include <fmt/format.h>

#include "cli/all_verbs.h"
#include "cli/text.h"
#include "http/client.h"
#include "http/url.h"

/// `berth health`: whether the task in this container lives, for the container's health check. Needs neither
/// a shell nor curl in the image.
namespace berth::cli {
namespace {

using namespace std::chrono_literals;

/// Well within the timeout of an ECS health check (5 s by default).
constexpr Duration patience = 2s;
constexpr std::size_t health_bytes_max = 64 * 1024;

/// Where `berth serve` with this environment listens.
std::string own_url(const std::map<std::string, std::string>& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  net::Endpoint listen{"127.0.0.1", 3000};
  if (const auto given = net::parse_endpoint(value("BERTH_LISTEN"))) listen = *given;
  if (listen.host == "0.0.0.0") listen.host = "127.0.0.1";
  if (listen.host == "::") listen.host = "::1";
  return fmt::format("{}://{}/healthz", value("BERTH_TLS") == "self-signed" ? "https" : "http",
                     net::to_string(listen));
}

/// Only this machine may listen on its own addresses.
bool is_own_address(net::Network& network, const std::string& host) {
  return network.listen({host, 0}).has_value();
}

Task<Result<void>> check(Context& context, std::string url) {
  const TimePoint deadline = context.clock.now() + patience;
  const auto address = http::parse_url(url);
  if (!address) co_return Failure(address.error());
  const auto endpoint = co_await http::resolve(context.clock.executor(), address->host, address->port);
  if (!endpoint) co_return Failure(endpoint.error());
  http::ClientOptions options;
  options.endpoint = *endpoint;
  options.host_header = address->host_header();
  options.connect_timeout = patience;
  options.tls_host_name = address->host;
  if (address->tls && is_own_address(context.network, endpoint->host)) {
    // The task's certificate vouches for itself, and on an address of its own nobody else can answer.
    options.tls = net::make_tls_client_unchecked();
  } else if (address->tls) {
    auto tls = net::make_tls_client({});
    if (!tls) co_return Failure(tls.error());
    options.tls = std::move(*tls);
  }
  const auto client = http::make_client(context.network, std::move(options));
  http::ClientRequest request;
  request.target = address->target;
  request.deadline = deadline;
  const auto answer = co_await client->fetch(std::move(request), health_bytes_max);
  if (!answer) co_return Failure(answer.error());
  if (answer->status >= 200 && answer->status < 300) co_return Result<void>();
  co_return fail(ErrorCode::unavailable, fmt::format("it answered HTTP {}: {}", answer->status,
                                                     printable(answer->body.substr(0, 500))));
}

}  // namespace

Task<ExitCode> run_health(Context& context, const Arguments& arguments) {
  const auto& words = arguments.words();
  const std::string url = words.empty() ? own_url(context.environment) : words[0];
  const auto healthy = co_await check(context, url);
  if (healthy) co_return ExitCode::ok;
  context.terminal.err(fmt::format("berth health: {}: {}\n", printable(url), healthy.error().message()));
  co_return ExitCode::failed;
}

}  // namespace berth::cli
