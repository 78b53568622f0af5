#include "monitoring/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/random.h"

namespace berth::monitoring {

namespace {

/// Exactly `digits` lower-case hexadecimal digits, as both formats want them.
std::optional<std::uint64_t> parse_hex(std::string_view text, std::size_t digits) {
  std::uint64_t value = 0;
  if (text.size() != digits) return std::nullopt;
  for (const char byte : text) {
    const bool is_digit = byte >= '0' && byte <= '9';
    if (!is_digit && !(byte >= 'a' && byte <= 'f')) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(is_digit ? byte - '0' : byte - 'a' + 10);
  }
  return value;
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// "1-5759e988-bd862e3fe1be46a994272793".
std::optional<TraceId> parse_root(std::string_view text) {
  if (text.size() != 35 || !text.starts_with("1-") || text[10] != '-') return std::nullopt;
  const auto time = parse_hex(text.substr(2, 8), 8);
  const auto high = parse_hex(text.substr(11, 8), 8);
  const auto low = parse_hex(text.substr(19), 16);
  if (!time || !high || !low) return std::nullopt;
  return TraceId{*time << 32 | *high, *low};
}

}  // namespace

std::string to_string(TraceId id) { return fmt::format("{:016x}{:016x}", id.high, id.low); }
std::string span_id_text(std::uint64_t id) { return fmt::format("{:016x}", id); }

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  text = trim(text);
  constexpr std::size_t bytes = 55;
  if (text.size() < bytes || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const auto version = parse_hex(text.substr(0, 2), 2);
  if (!version || *version == 0xff) return std::nullopt;
  if (text.size() > bytes && (*version == 0 || text[bytes] != '-')) return std::nullopt;
  const auto high = parse_hex(text.substr(3, 16), 16);
  const auto low = parse_hex(text.substr(19, 16), 16);
  const auto span = parse_hex(text.substr(36, 16), 16);
  const auto flags = parse_hex(text.substr(53, 2), 2);
  if (!high || !low || !span || !flags || (*high | *low) == 0 || *span == 0) return std::nullopt;
  return TraceContext{{*high, *low}, *span, (*flags & 1) != 0};
}

std::optional<TraceContext> parse_amzn_trace_id(std::string_view text) {
  TraceContext context;
  bool has_root = false;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = std::min(part.find('='), part.size() - 1);
    const std::string_view name = trim(part.substr(0, equals));
    const std::string_view value = trim(part.substr(equals + 1));
    if (name == "Root") {
      const auto root = parse_root(value);
      if (!root) return std::nullopt;
      context.trace = *root;
      has_root = true;
    } else if (name == "Parent") {
      context.span = parse_hex(value, 16).value_or(0);
    } else if (name == "Sampled" && (value == "0" || value == "1")) {
      context.sampled = value == "1";
    }
  }
  if (!has_root) return std::nullopt;
  return context;
}

std::string to_traceparent(TraceId trace, std::uint64_t span, bool sampled) {
  return fmt::format("00-{:016x}{:016x}-{:016x}-{}", trace.high, trace.low, span, sampled ? "01" : "00");
}

Tracer::Tracer(double ratio, Clock& clock) : ratio_(ratio), clock_(clock), random_state_(random_u64()) {}

/// SplitMix64: ids must differ, not be hard to guess, and a system call for each would be the dearest part.
std::uint64_t Tracer::random() {
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::uint64_t Tracer::new_span_id() {
  const std::uint64_t id = random();
  return id != 0 ? id : 1;
}

TraceContext Tracer::decided(TraceContext context) const {
  if (context.sampled) return context;
  constexpr double range = 0x1p-53;
  context.sampled = static_cast<double>(context.trace.low >> 11) * range < ratio_;
  return context;
}

TraceContext Tracer::begin(std::optional<std::string_view> traceparent,
                           std::optional<std::string_view> amzn_trace_id) {
  std::optional<TraceContext> context;
  if (traceparent) context = parse_traceparent(*traceparent);
  if (!context && amzn_trace_id) context = parse_amzn_trace_id(*amzn_trace_id);
  if (context) return decided(*context);
  const auto seconds = static_cast<std::uint64_t>(to_unix_ms(clock_.wall()) / 1000);
  const std::uint64_t high = random();
  return decided({{seconds << 32 | high >> 32, random()}, 0, std::nullopt});
}

void Tracer::add(Span span) {
  if (spans_.size() >= spans_max) {
    ++dropped_;
    return;
  }
  ++added_;
  spans_.push_back(std::move(span));
}

std::vector<Span> Tracer::take(std::size_t count) {
  const auto end = spans_.begin() + static_cast<std::ptrdiff_t>(std::min(count, spans_.size()));
  std::vector<Span> taken(std::move_iterator(spans_.begin()), std::move_iterator(end));
  spans_.erase(spans_.begin(), end);
  return taken;
}

OpenSpan::OpenSpan(Tracer& tracer, Span::Kind kind, const TraceContext& parent)
    : tracer_(tracer), began_(tracer.clock().now()) {
  span_.trace = parent.trace;
  span_.parent = parent.span;
  span_.id = tracer.new_span_id();
  span_.kind = kind;
  span_.start = tracer.clock().wall();
}

void OpenSpan::end() {
  if (std::exchange(ended_, true)) return;
  span_.duration = tracer_.clock().now() - began_;
  tracer_.add(std::move(span_));
}

RequestTrace::RequestTrace(Tracer& tracer, TraceContext context)
    : tracer_(tracer), context_(tracer.decided(context)) {
  if (*context_.sampled) span_.emplace(tracer_, Span::Kind::server, context_);
}

void RequestTrace::adopt(std::string_view traceparent) {
  if (traceparent.empty()) return;
  const auto context = parse_traceparent(traceparent);
  if (!context) return;
  context_ = tracer_.decided(*context);
  if (!*context_.sampled) {
    if (span_) span_->discard();
    span_.reset();
  } else if (span_) {
    span_->move_to(context_);
  } else {
    span_.emplace(tracer_, Span::Kind::server, context_);
  }
}

void RequestTrace::describe(std::string_view method, std::string_view target) {
  if (!span_) return;
  constexpr std::size_t bytes_max = 256;
  method = method.substr(0, bytes_max);
  target = target.substr(0, bytes_max);
  span_->name(target.empty() ? std::string(method) : fmt::format("{} {}", method, target));
  span_->add("mcp.method.name", std::string(method));
  if (target.empty()) return;
  span_->add(method == "prompts/get" ? "gen_ai.prompt.name" : "gen_ai.tool.name", std::string(target));
}

}  // namespace berth::monitoring
