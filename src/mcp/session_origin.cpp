#include "mcp/session_origin.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "mcp/message.h"

namespace berth::mcp {
namespace {

constexpr std::size_t capability_bytes_max = 128;
constexpr std::size_t name_bytes_max = 64;

std::string origin_text(const SessionOrigin& origin) {
  return fmt::format(R"({{"key":{},"version":{},"capabilities":{},"clientInfo":{}}})", json_quote(origin.key),
                     json_quote(origin.version), origin.capabilities, origin.client_info);
}

std::string reduced_info(json::Slice info) {
  std::string out = "{";
  for (const std::string_view member : {"name", "version"}) {
    const auto text = info.find(member).as_string();
    if (text)
      append_member(out, fmt::format(R"("{}":{})", member, json_quote(cut_utf8(*text, name_bytes_max))));
  }
  return out + "}";
}

std::string reduced_capabilities(json::Slice capabilities) {
  std::string out = "{";
  for (const std::string_view member : {"elicitation", "roots", "sampling"}) {
    const json::Slice value = capabilities.find(member);
    if (!value.exists()) continue;
    const bool is_short = value.text().size() <= capability_bytes_max;
    append_member(out, fmt::format(R"("{}":{})", member, is_short ? value.text() : std::string_view("{}")));
  }
  return out + "}";
}

}  // namespace

std::string write_session_origin(const SessionOrigin& origin) {
  std::string text = origin_text(origin);
  if (text.size() <= session_origin_bytes_max) return text;
  SessionOrigin reduced = origin;
  reduced.client_info = reduced_info(json::Slice::trusted(origin.client_info));
  text = origin_text(reduced);
  if (text.size() <= session_origin_bytes_max) return text;
  reduced.capabilities = reduced_capabilities(json::Slice::trusted(origin.capabilities));
  return origin_text(reduced);
}

std::optional<SessionOrigin> read_session_origin(std::string_view text) {
  const auto parsed = json::parse(text);
  if (!parsed) return std::nullopt;
  const auto key = parsed->find("key").as_string();
  const auto version = parsed->find("version").as_string();
  const json::Slice capabilities = parsed->find("capabilities");
  const json::Slice info = parsed->find("clientInfo");
  if (!key || !version || !capabilities.is(json::Kind::object) || !info.is(json::Kind::object))
    return std::nullopt;
  return SessionOrigin{*key, *version, std::string(capabilities.text()), std::string(info.text())};
}

}  // namespace berth::mcp
