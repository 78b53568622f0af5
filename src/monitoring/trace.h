#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"

/// Traces: which calls are looked at, their ids, and the spans that wait to be sent. No network here.
namespace berth::monitoring {

/// 128 bits, of which AWS X-Ray wants the first 32 to be the time it began, in seconds since 1970
/// (https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids).
struct TraceId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const TraceId&) const = default;
};
/// 32 lower-case hexadecimal digits.
std::string to_string(TraceId id);
/// 16 lower-case hexadecimal digits.
std::string span_id_text(std::uint64_t id);

/// What a request says of the trace it belongs to.
struct TraceContext {
  TraceId trace;
  std::uint64_t span = 0;       ///< of the caller; 0: it names none
  std::optional<bool> sampled;  ///< nullopt: nobody has decided yet
  bool operator==(const TraceContext&) const = default;
};

/// W3C Trace Context, level 1: "00-TRACE-SPAN-FLAGS"; a later version's first four fields. nullopt: not one.
std::optional<TraceContext> parse_traceparent(std::string_view text);
/// X-Amzn-Trace-Id of load balancers: "Root=1-TIME-REST;Parent=SPAN;Sampled=1"; Parent and Sampled may be
/// missing. nullopt: no Root in it.
std::optional<TraceContext> parse_amzn_trace_id(std::string_view text);
std::string to_traceparent(TraceId trace, std::uint64_t span, bool sampled);

struct SpanAttribute {
  std::string_view key;  ///< a literal
  std::variant<std::string, std::int64_t, bool> value;
};

/// A piece of work that has ended.
struct Span {
  enum class Kind : std::uint8_t { internal = 1, server = 2, client = 3 };  ///< OTLP's numbers
  TraceId trace;
  std::uint64_t id = 0;
  std::uint64_t parent = 0;  ///< 0: the first of its trace
  Kind kind = Kind::internal;
  std::string name;
  WallTime start;
  Duration duration{};
  std::vector<SpanAttribute> attributes;
  bool failed = false;
  std::string problem;  ///< where it failed: a sentence
};

/// Decides which traces are kept and holds the spans of those until an exporter takes them. Never waits:
/// above its limit spans are dropped and counted. One event loop.
class Tracer {
 public:
  static constexpr std::size_t spans_max = 4096;

  /// `ratio` (0 to 1) of the traces that nobody has decided on are sampled, by their id, so that every task
  /// decides alike.
  Tracer(double ratio, Clock& clock);

  /// The trace of a request with these headers: traceparent's, else X-Amzn-Trace-Id's, else a new one, with
  /// `sampled` decided: as the caller did, or by the id.
  TraceContext begin(std::optional<std::string_view> traceparent,
                     std::optional<std::string_view> amzn_trace_id);
  /// Decides, if nobody has.
  TraceContext decided(TraceContext context) const;
  std::uint64_t new_span_id();
  Clock& clock() const { return clock_; }

  void add(Span span);
  /// Up to `count` spans, the oldest first.
  std::vector<Span> take(std::size_t count);
  std::size_t waiting() const { return spans_.size(); }
  std::uint64_t added() const { return added_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  std::uint64_t random();

  double ratio_;
  Clock& clock_;
  std::uint64_t random_state_;
  std::vector<Span> spans_;
  std::uint64_t added_ = 0;
  std::uint64_t dropped_ = 0;
};

/// A span under way. Its end, at the latest its destruction, hands it to the tracer.
class OpenSpan {
 public:
  /// A child of `parent` within the same trace.
  OpenSpan(Tracer& tracer, Span::Kind kind, const TraceContext& parent);
  ~OpenSpan() { end(); }
  OpenSpan(const OpenSpan&) = delete;
  OpenSpan& operator=(const OpenSpan&) = delete;

  void name(std::string name) { span_.name = std::move(name); }
  void add(std::string_view key, std::variant<std::string, std::int64_t, bool> value) {
    span_.attributes.push_back({key, std::move(value)});
  }
  void fail(std::string problem) {
    span_.failed = true;
    span_.problem = std::move(problem);
  }
  /// Belongs to another trace: before anybody has been told its ids.
  void move_to(const TraceContext& parent) {
    span_.trace = parent.trace;
    span_.parent = parent.span;
  }
  /// What those are told that work for it.
  TraceContext context() const { return {span_.trace, span_.id, true}; }
  std::string traceparent() const { return to_traceparent(span_.trace, span_.id, true); }
  /// What is done after this is not part of it. Once.
  void end();
  /// It was nothing: leaves no span.
  void discard() { ended_ = true; }

 private:
  Tracer& tracer_;
  TimePoint began_;
  Span span_;
  bool ended_ = false;
};

/// The trace of one request at a task: nothing but ids unless it is sampled.
class RequestTrace {
 public:
  RequestTrace(Tracer& tracer, TraceContext context);

  bool sampled() const { return span_.has_value(); }
  TraceId id() const { return context_.trace; }
  /// The message's own `_meta.traceparent` (MCP 2026-07-28, basic: _meta), which goes before the headers.
  /// Empty or malformed text changes nothing.
  void adopt(std::string_view traceparent);
  /// The MCP method and what it is about: the name of a tool or prompt. Names the span "METHOD NAME".
  void describe(std::string_view method, std::string_view target);
  /// Null when not sampled.
  OpenSpan* span() { return span_ ? &*span_ : nullptr; }
  Tracer& tracer() { return tracer_; }

 private:
  Tracer& tracer_;
  TraceContext context_;
  std::optional<OpenSpan> span_;
};

}  // namespace berth::monitoring
