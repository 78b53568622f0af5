#include "cli/operate_probe.h"

#include <fmt/format.h>

#include "cli/service_access.h"
#include "codec/json.h"
#include "deploy/secrets.h"
#include "deploy/stack.h"
#include "http/client.h"
#include "http/url.h"

namespace berth::cli {
namespace {

constexpr std::chrono::seconds step_timeout{10};
constexpr std::chrono::seconds tools_timeout{30};
constexpr std::size_t page_bytes_max = 64 * 1024;

/// Of every server; `like` says how they are reached.
Task<void> ask_servers(Context& context, std::vector<std::pair<std::string, std::string>> servers,
                       McpAddress like, deploy::Probe& out) {
  const TimePoint begun = context.clock.now();
  std::size_t tools = 0;
  for (const auto& [name, url] : servers) {
    McpAddress server = like;
    server.url = url;
    const Result<std::size_t> listed = co_await count_tools(context, std::move(server), tools_timeout);
    tools += listed.value_or(0);
    if (listed) continue;
    if (!out.mcp_error.empty()) out.mcp_error += "; ";
    if (servers.size() > 1) out.mcp_error += name + ": ";
    out.mcp_error += listed.error().message();
  }
  if (!out.mcp_error.empty()) co_return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(context.clock.now() - begun);
  out.tools = fmt::format("tools/list answers: {} tools in {} ms", tools, took.count());
}

/// The steps up to an answer of /healthz.
Task<void> reach(Context& context, http::UrlAddress address, std::shared_ptr<net::TlsContext> tls,
                 deploy::Probe& out) {
  using Stage = deploy::Probe::Stage;
  out.reached = Stage::name;
  const auto endpoint = co_await http::resolve(context.clock.executor(), address.host, address.port);
  if (!endpoint) {
    out.error = endpoint.error().message();
    co_return;
  }
  out.reached = Stage::connect;
  auto stream = co_await context.network.connect(*endpoint, context.clock.now() + step_timeout);
  if (!stream) {
    out.error = stream.error().message();
    co_return;
  }
  http::ClientOptions options;
  options.endpoint = *endpoint;
  options.host_header = address.host_header();
  options.connect_timeout = step_timeout;
  if (address.tls) {
    out.reached = Stage::tls;
    const auto secure =
        co_await net::tls_connect(std::move(*stream), tls, address.host, context.clock.now() + step_timeout);
    if (!secure) {
      out.error = secure.error().message();
      co_return;
    }
    options.tls = tls;
    options.tls_host_name = address.host;
  }
  out.reached = Stage::http;
  const auto client = http::make_client(context.network, std::move(options));
  http::ClientRequest request;
  request.target = "/healthz";
  request.deadline = context.clock.now() + step_timeout;
  const auto response = co_await client->fetch(std::move(request), page_bytes_max);
  if (!response) {
    out.error = response.error().message();
    co_return;
  }
  out.reached = Stage::answered;
  out.status = response->status;
}

}  // namespace

Task<Result<std::size_t>> count_tools(Context& context, McpAddress server, Duration timeout) {
  auto client = make_mcp_client(context, std::move(server), Asking::no);
  if (!client) co_return Failure(client.error());
  McpRequest request{.method = "tools/list", .timeout = timeout};
  const auto result = co_await (*client)->request(std::move(request));
  if (!result) co_return Failure(result.error());
  const auto parsed = berth::json::parse(*result);
  if (!parsed || !parsed->is(berth::json::Kind::object))
    co_return fail(ErrorCode::internal, "tools/list answered no JSON object.");
  std::size_t count = 0;
  parsed->find("tools").each_element([&count](berth::json::Slice) { return ++count != 0; });
  co_return count;
}

Task<deploy::Probe> probe(Context& context, const model::Spec& spec, std::string url, Secret key,
                          bool is_open) {
  deploy::Probe out;
  const auto address = http::parse_url(url);
  if (!address) co_return out;
  auto tls = public_tls(context);
  if (!tls) {
    out.reached = deploy::Probe::Stage::tls;
    out.error = tls.error().message();
    co_return out;
  }
  co_await reach(context, *address, *tls, out);
  const auto servers = server_urls(spec, url);
  const bool can_call = out.reached == deploy::Probe::Stage::answered && !servers.empty();
  if (!can_call || (key.empty() && !is_open)) co_return out;
  McpAddress like;
  if (address->tls) like.tls = *tls;
  like.key = std::move(key);
  co_await ask_servers(context, servers, std::move(like), out);
  co_return out;
}

Task<aws::Reply<std::string>> find_key_secret(const AwsSession& session) {
  const auto base = co_await deploy::describe_stack(*session.client, session.names.base_stack);
  if (!base) co_return std::unexpected(base.error());
  co_return base->output("ApiKeyArn");
}

Task<Secret> find_key(Context& context, const AwsSession& session, std::string& why) {
  if (!session.spec.auth.keys.empty()) {
    auto key = read_key(session.spec.auth.keys.front(), context.environment);
    if (key) co_return std::move(*key);
    why = key.error().message();
    co_return Secret();
  }
  const auto arn = co_await find_key_secret(session);
  if (!arn) {
    why = deploy::explain_fault(arn.error()).message();
    co_return Secret();
  }
  if (arn->empty()) co_return Secret();
  auto key = co_await deploy::read_secret(*session.client, *arn);
  if (key) co_return std::move(*key);
  why = deploy::explain_fault(key.error()).message();
  co_return Secret();
}

}  // namespace berth::cli
