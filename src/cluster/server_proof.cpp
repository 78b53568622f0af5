#include "cluster/server_proof.h"

#include <fmt/format.h>

#include "codec/json.h"
#include "http/client.h"
#include "mcp/client_meta.h"
#include "mcp/core.h"

namespace berth::cluster {

namespace {

constexpr std::size_t tools_bytes_max = 64u << 20;
constexpr Duration proof_connect_timeout = std::chrono::seconds(2);

Result<void> judge(const http::Response& response) {
  const auto body = json::parse(response.body);
  const json::Slice error = body ? body->find("error") : json::Slice();
  const std::string words =
      error.find("message").as_string().value_or(fmt::format("tools/list is answered {}", response.status));
  const bool is_refusal = response.status == 401 || response.status == 403 || response.status == 429;
  if (response.status >= 500 || is_refusal) return fail(ErrorCode::unavailable, words);
  if (error.find("code").as_int() == mcp::code::internal_error) return fail(ErrorCode::internal, words);
  return {};
}

}  // namespace

Task<Result<void>> ask_for_tools(net::Network& network, net::Endpoint task, std::string server, Secret key,
                                 TimePoint deadline) {
  http::ClientOptions options;
  options.endpoint = std::move(task);
  options.connect_timeout = proof_connect_timeout;
  const auto client = http::make_client(network, std::move(options));
  http::ClientRequest request;
  request.method = "POST";
  request.target = "/" + server + "/mcp";
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Accept", "application/json, text/event-stream");
  request.headers.add("MCP-Protocol-Version", mcp::modern_version);
  request.headers.add("Mcp-Method", "tools/list");
  if (!key.empty()) request.headers.add("Authorization", fmt::format("Bearer {}", key.reveal()));
  request.body =
      fmt::format(R"({{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{}}}}}}})",
                  mcp::client_meta(R"({"name":"berth-up","version":"1"})"));
  request.deadline = deadline;
  const auto response = co_await client->fetch(std::move(request), tools_bytes_max);
  if (!response) co_return Failure(response.error());
  co_return judge(*response);
}

}  // namespace berth::cluster
