#include "mcp/classify.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace berth::mcp {
namespace {

bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}

/// Both required keys with their types, and a modern version.
bool has_whole_modern_envelope(const RequestParts& parts) {
  const auto version = parts.protocol_version.as_plain_string();
  return version && is_modern_version(*version) && parts.client_capabilities.is(json::Kind::object);
}

Refusal refuse(int code, std::string message) { return {400, {code, std::move(message), {}}}; }

Refusal missing_envelope(const RequestParts& parts, std::string_view header) {
  std::string missing;
  if (!parts.meta.exists()) {
    missing = "_meta";
  } else {
    missing = meta_key::protocol_version;
    if (!parts.client_capabilities.exists()) missing.append(", ").append(meta_key::client_capabilities);
  }
  return refuse(
      code::invalid_params,
      fmt::format(
          "Invalid params: the MCP-Protocol-Version header names {}, but params lacks the required {}.",
          header, missing));
}

}  // namespace

bool is_modern_version(std::string_view version) { return is_date(version) && version >= modern_version; }

std::expected<Era, Refusal> classify(const Message& message, const RequestParts& parts,
                                     const McpHeaders& headers) {
  if (message.kind == Message::Kind::response) return Era::legacy;
  const bool modern_header = headers.protocol_version && is_modern_version(*headers.protocol_version);
  if (message.known == Method::initialize && !has_whole_modern_envelope(parts)) {
    if (!modern_header) return Era::legacy;
    return std::unexpected(
        refuse(code::header_mismatch,
               fmt::format("Header mismatch: initialize belongs to revisions before {}, but the "
                           "MCP-Protocol-Version header names {}.",
                           modern_version, *headers.protocol_version)));
  }
  if (parts.protocol_version.exists()) return Era::modern;
  if (!modern_header) return Era::legacy;
  if (message.kind == Message::Kind::notification) return Era::modern;
  return std::unexpected(missing_envelope(parts, *headers.protocol_version));
}

std::expected<void, Refusal> check_batch(json::Slice array) {
  bool empty = true;
  for (json::Elements elements(array); elements.next();) {
    empty = false;
    const auto message = read_message(elements.value());
    if (!message) {
      return std::unexpected(refuse(
          code::invalid_request, "Invalid Request: the batch holds a value that is not a JSON-RPC message."));
    }
    if (split_params(message->params).protocol_version.exists()) {
      return std::unexpected(refuse(
          code::invalid_request,
          fmt::format(
              "Invalid Request: a batch cannot hold requests of revision {}; send one message per POST.",
              modern_version)));
    }
  }
  if (empty) return std::unexpected(refuse(code::invalid_request, "Invalid Request: the batch is empty."));
  return {};
}

}  // namespace berth::mcp
