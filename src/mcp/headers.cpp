#include "mcp/headers.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/utf8.h"

namespace berth::mcp {
namespace {

constexpr std::string_view sentinel_start = "=?base64?";
constexpr std::string_view sentinel_end = "?=";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Notes a field that must come once.
void take(std::optional<std::string_view>& slot, const http::Headers::Field& field, McpHeaders& out) {
  if (slot) {
    out.repeated = field.name;
  } else {
    slot = trim(field.value);
  }
}

/// Fields whose name starts with "mcp-".
void take_mcp_field(const http::Headers::Field& field, McpHeaders& out) {
  using http::equals_ignoring_case;
  constexpr std::string_view param_prefix = "mcp-param-";
  if (equals_ignoring_case(field.name, "mcp-method")) {
    take(out.method, field, out);
  } else if (equals_ignoring_case(field.name, "mcp-name")) {
    take(out.name, field, out);
  } else if (equals_ignoring_case(field.name, "mcp-protocol-version")) {
    take(out.protocol_version, field, out);
  } else if (equals_ignoring_case(field.name, "mcp-session-id")) {
    take(out.session_id, field, out);
  } else if (equals_ignoring_case(field.name.substr(0, param_prefix.size()), param_prefix)) {
    out.has_params = true;
  }
}

/// Whether one element of Accept ("text/event-stream;q=0.9") covers `type` with a weight above zero.
bool covers(std::string_view element, std::string_view type) {
  const std::size_t semicolon = element.find(';');
  const std::string_view range = trim(element.substr(0, semicolon));
  const std::string_view weight =
      semicolon == std::string_view::npos ? std::string_view{} : trim(element.substr(semicolon + 1));
  if (weight == "q=0" || weight == "q=0.0" || weight == "q=0.00" || weight == "q=0.000") return false;
  if (range == "*/*" || http::equals_ignoring_case(range, type)) return true;
  const std::size_t slash = type.find('/');
  return range.ends_with("/*") &&
         http::equals_ignoring_case(range.substr(0, range.size() - 1), type.substr(0, slash + 1));
}

bool is_base64(std::string_view text) {
  if (text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  const std::string_view digits = text.substr(0, text.size() - padding);
  return std::all_of(digits.begin(), digits.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

std::string encode_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (!is_base64(text)) return std::nullopt;
  if (text.empty()) return std::string();
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<std::size_t>(length) - padding);
  if (encode_base64(out) != text) return std::nullopt;  // unused bits that are not zero
  return out;
}

/// Whether one field, a list of ranges, covers the type.
bool lists(std::string_view field, std::string_view type) {
  while (true) {
    const std::size_t comma = field.find(',');
    if (covers(field.substr(0, comma), type)) return true;
    if (comma == std::string_view::npos) return false;
    field.remove_prefix(comma + 1);
  }
}

}  // namespace

McpHeaders read_headers(const http::Headers& headers) {
  McpHeaders out;
  using http::equals_ignoring_case;
  for (const auto field : headers.fields()) {
    const std::string_view name = field.name;
    if (name.empty()) continue;
    switch (name.front() | 0x20) {
      case 'm':
        if (name.size() > 4 && name[3] == '-') take_mcp_field(field, out);
        break;
      case 'a':
        // Accept is a list: several fields are one (RFC 9110 §5.3).
        if (!equals_ignoring_case(name, "accept")) break;
        if (out.accept)
          out.more_accept.push_back(trim(field.value));
        else
          out.accept = trim(field.value);
        break;
      case 'c':
        if (equals_ignoring_case(name, "content-type")) take(out.content_type, field, out);
        if (equals_ignoring_case(name, "content-encoding")) take(out.content_encoding, field, out);
        break;
      case 'l':
        if (equals_ignoring_case(name, "last-event-id")) take(out.last_event_id, field, out);
        break;
      case 't':
        if (equals_ignoring_case(name, "traceparent")) out.trace_parent = trim(field.value);
        break;
      default: break;
    }
  }
  return out;
}

bool is_json_content(const McpHeaders& headers) {
  if (!headers.content_type) return false;
  const std::string_view type = trim(headers.content_type->substr(0, headers.content_type->find(';')));
  return http::equals_ignoring_case(type, "application/json");
}

bool is_plain_content(const McpHeaders& headers) {
  return !headers.content_encoding || headers.content_encoding->empty() ||
         http::equals_ignoring_case(*headers.content_encoding, "identity");
}

bool accepts(const McpHeaders& headers, std::string_view type) {
  if (!headers.accept) return true;
  return lists(*headers.accept, type) ||
         std::ranges::any_of(headers.more_accept, [&](std::string_view list) { return lists(list, type); });
}

std::string encode_header_value(std::string_view value) {
  const bool visible =
      std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
  const bool looks_sealed = value.starts_with(sentinel_start) && value.ends_with(sentinel_end);
  if (!value.empty() && visible && !looks_sealed && trim(value) == value) return std::string(value);
  return std::string(sentinel_start).append(encode_base64(value)).append(sentinel_end);
}

std::optional<std::string> decode_header_value(std::string_view value) {
  const bool sealed = value.size() >= sentinel_start.size() + sentinel_end.size() &&
                      value.starts_with(sentinel_start) && value.ends_with(sentinel_end);
  if (!sealed) return std::string(value);
  value.remove_prefix(sentinel_start.size());
  value.remove_suffix(sentinel_end.size());
  std::optional<std::string> decoded = decode_base64(value);
  if (decoded && !is_utf8(*decoded)) return std::nullopt;
  return decoded;
}

}  // namespace berth::mcp
