#include "monitoring/otlp.h"

#include <fmt/format.h>

#include <iterator>

#include "base/log.h"

namespace berth::monitoring {

namespace {

/// Longer values are cut: X-Ray takes spans of 200 KB at most.
constexpr std::size_t value_bytes_max = 1024;

void append_attribute(std::string& out, std::string_view key, const std::string& value) {
  fmt::format_to(std::back_inserter(out), R"({{"key":{},"value":{{"stringValue":{}}}}})", json_quote(key),
                 json_quote(std::string_view(value).substr(0, value_bytes_max)));
}
void append_attribute(std::string& out, std::string_view key, std::int64_t value) {
  fmt::format_to(std::back_inserter(out), R"({{"key":{},"value":{{"intValue":"{}"}}}})", json_quote(key),
                 value);
}
void append_attribute(std::string& out, std::string_view key, bool value) {
  fmt::format_to(std::back_inserter(out), R"({{"key":{},"value":{{"boolValue":{}}}}})", json_quote(key),
                 value);
}

void append_span(std::string& out, const Span& span) {
  const std::int64_t start = span.start.time_since_epoch().count();
  fmt::format_to(std::back_inserter(out), R"({{"traceId":"{}","spanId":"{}")", to_string(span.trace),
                 span_id_text(span.id));
  if (span.parent != 0)
    fmt::format_to(std::back_inserter(out), R"(,"parentSpanId":"{}")", span_id_text(span.parent));
  fmt::format_to(std::back_inserter(out),
                 R"(,"name":{},"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)",
                 json_quote(span.name), static_cast<int>(span.kind), start, start + span.duration.count());
  bool is_first = true;
  for (const SpanAttribute& attribute : span.attributes) {
    if (!std::exchange(is_first, false)) out += ',';
    std::visit([&](const auto& value) { append_attribute(out, attribute.key, value); }, attribute.value);
  }
  out += ']';
  if (span.failed) {
    fmt::format_to(std::back_inserter(out), R"(,"status":{{"code":2,"message":{}}})",
                   json_quote(std::string_view(span.problem).substr(0, value_bytes_max)));
  }
  out += '}';
}

}  // namespace

std::string encode_otlp(const ResourceAttributes& resource, std::string_view version,
                        std::span<const Span> spans) {
  std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
  bool is_first = true;
  for (const auto& [key, value] : resource) {
    if (value.empty()) continue;
    if (!std::exchange(is_first, false)) out += ',';
    append_attribute(out, key, value);
  }
  out += R"(]},"scopeSpans":[{"scope":{"name":"berth","version":)" + json_quote(version) + R"(},"spans":[)";
  is_first = true;
  for (const Span& span : spans) {
    if (!std::exchange(is_first, false)) out += ',';
    append_span(out, span);
  }
  return out + "]}]}]}";
}

}  // namespace berth::monitoring
