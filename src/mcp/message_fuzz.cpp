#include <cstdlib>

#include "mcp/classify.h"
#include "mcp/message.h"
#include "mcp/modern.h"
#include "mcp/sealed_handle.h"
#include "mcp/x_mcp_header.h"

/// Whatever is accepted as a message is answered with valid JSON that carries its id.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace berth;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Result<json::Slice> value = json::parse(text, {.depth_max = 60});
  if (!value) return 0;
  if (value->is(json::Kind::array)) {
    (void)mcp::check_batch(*value);
    return 0;
  }
  const auto message = mcp::read_message(*value);
  if (!message) {
    if (!json::parse(mcp::write_error(message.error().id, message.error().error))) std::abort();
    return 0;
  }
  const mcp::RequestParts parts = mcp::split_params(message->params);
  http::Headers headers;
  headers.add("MCP-Protocol-Version", mcp::modern_version);
  headers.add("Mcp-Method", message->method);
  const mcp::McpHeaders known = mcp::read_headers(headers);
  (void)mcp::classify(*message, parts, known);
  const auto request = mcp::read_modern_request(*message, parts, known);
  if (request && !request->params.empty() && !json::parse(request->params, {.depth_max = 60})) std::abort();
  if (!request && !json::parse(mcp::write_error(message->id, request.error().error))) std::abort();
  (void)mcp::request_digest(message->method, message->params.text());
  (void)mcp::read_header_params(message->params);
  if (!json::parse(mcp::repair_header_params(text), {.depth_max = 60})) std::abort();
  std::vector<std::string> left_out;
  if (!json::parse(mcp::leave_out_illegal_tools(text, left_out), {.depth_max = 60})) std::abort();
  std::string answer;
  mcp::append_modern_result(answer, message->known, value->text(), "{}", {});
  if (!json::parse(answer, {.depth_max = 60})) std::abort();
  return 0;
}
