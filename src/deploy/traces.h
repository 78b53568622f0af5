#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"

/// Traces of a service: spans out of X-Ray, or out of the log group aws/spans where the account has
/// Transaction Search.
namespace berth::deploy {

struct Span {
  std::string id;
  std::string parent;  ///< empty: the first of its trace
  std::string name;
  double start_s = 0;  ///< since the epoch
  double duration_s = 0;
  bool failed = false;
  std::string error;                              ///< what it says about why
  std::map<std::string, std::string> attributes;  ///< "mcp.tool.name": "echo"
};

struct Trace {
  std::string id;  ///< 32 hexadecimal digits; X-Ray's "1-58406520-a006…" without its dashes and version
  std::vector<Span> spans;

  double start_s() const;
  double duration_s() const;
  bool failed() const;
  /// The first span's name.
  std::string name() const;
};

struct TraceQuery {
  std::string service;  ///< service.name of the spans
  std::int64_t since_ms = 0;
  std::size_t count = 20;
  bool failed_only = false;
};

/// Newest first. not_found in neither place is an empty list.
Task<aws::Reply<std::vector<Trace>>> read_traces(aws::Client& client, Clock& clock, TraceQuery query);

/// A trace whose id begins with `id`, looked for since `query.since_ms`; nullopt when there is none.
Task<aws::Reply<std::optional<Trace>>> read_trace(aws::Client& client, Clock& clock, TraceQuery query,
                                                  std::string id);

/// A span as CloudWatch writes it into aws/spans; nullopt for text that is none, or of another service.
struct FoundSpan {
  std::string trace;
  Span span;
};
std::optional<FoundSpan> parse_log_span(std::string_view message, const std::string& service);
/// The spans of an X-Ray segment document, subsegments included.
std::vector<Span> parse_segment(std::string_view document);

/// One line a span: its name indented below its parent, its time, and a bar where it lies in the whole.
std::string waterfall(const Trace& trace, std::size_t columns);

boost::json::object to_json(const Trace& trace);

}  // namespace berth::deploy
