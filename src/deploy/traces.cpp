#include "deploy/traces.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::string_view span_group = "aws/spans";
constexpr std::size_t trace_pages_max = 50;
constexpr std::size_t spans_max = 20'000;
constexpr std::size_t batch = 5;  // BatchGetTraces takes no more at once
constexpr std::size_t segment_depth_max = 32;

double seconds(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

/// "1-58406520-a006649127e371903a2de979" → "58406520a006649127e371903a2de979".
std::string plain_id(std::string id) {
  if (id.starts_with("1-")) id.erase(0, 2);
  std::erase(id, '-');
  return id;
}

/// The other way; empty when `id` is no whole id.
std::string xray_id(const std::string& id) {
  return id.size() == 32 ? fmt::format("1-{}-{}", id.substr(0, 8), id.substr(8)) : std::string();
}

std::string plain_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

void add_segment(const json::object& segment, const std::string& parent, std::size_t depth,
                 std::vector<Span>& out) {
  if (depth > segment_depth_max || out.size() >= spans_max) return;
  Span span;
  span.id = aws::text(segment, "id");
  span.parent = parent.empty() ? aws::text(segment, "parent_id") : parent;
  span.name = aws::text(segment, "name");
  span.start_s = seconds(segment, "start_time");
  const double end = seconds(segment, "end_time");
  span.duration_s = end > span.start_s ? end - span.start_s : 0;
  span.failed = aws::text(segment, "fault") == "true" || aws::text(segment, "error") == "true";
  const json::array& exceptions = aws::array(aws::object(segment, "cause"), "exceptions");
  if (!exceptions.empty() && exceptions.front().is_object()) {
    span.error = aws::text(exceptions.front().get_object(), "message");
  }
  for (const auto& annotation : aws::object(segment, "annotations")) {
    span.attributes[annotation.key()] = plain_text(annotation.value());
  }
  const std::string id = span.id;
  out.push_back(std::move(span));
  for (const json::value& child : aws::array(segment, "subsegments")) {
    if (child.is_object()) add_segment(child.get_object(), id, depth + 1, out);
  }
}

void sort_and_cut(std::vector<Trace>& traces, const TraceQuery& query) {
  if (query.failed_only) std::erase_if(traces, [](const Trace& trace) { return !trace.failed(); });
  std::ranges::sort(traces, [](const Trace& a, const Trace& b) { return a.start_s() > b.start_s(); });
  if (traces.size() > query.count) traces.resize(query.count);
}

std::string to_text(const json::object& body) { return json::serialize(body); }

/// One POST to X-Ray's REST API.
Task<aws::Reply<json::object>> ask_xray(aws::Client& client, std::string operation, std::string path,
                                        json::object body) {
  aws::Client::RestRequest request;
  request.service = "xray";
  request.operation = operation;
  request.method = "POST";
  request.path = std::move(path);
  request.body = to_text(body);
  const auto response = co_await client.rest(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  json::error_code broken;
  json::value value = json::parse(response->body, broken);
  if (broken || !value.is_object()) co_return json::object();
  co_return std::move(value.get_object());
}

/// Whether spans of this account go to CloudWatch Logs. One who may not ask is told so by the reading itself.
Task<bool> has_transaction_search(aws::Client& client) {
  json::object none;
  const auto answer =
      co_await ask_xray(client, "GetTraceSegmentDestination", "/GetTraceSegmentDestination", std::move(none));
  co_return answer&& aws::text(*answer, "Destination") == "CloudWatchLogs";
}

Task<aws::Reply<std::vector<Trace>>> read_from_logs(aws::Client& client, TraceQuery query,
                                                    std::string pattern) {
  std::map<std::string, Trace> by_id;
  std::size_t count = 0;
  json::object input{{"logGroupName", span_group},
                     {"startTime", query.since_ms},
                     {"filterPattern", fmt::format("\"{}\"", pattern)}};
  for (std::size_t page = 0; page < trace_pages_max && count < spans_max; ++page) {
    const auto answer = co_await client.call("logs", "FilterLogEvents", input);
    if (!answer && answer.error().is("ResourceNotFoundException")) break;
    if (!answer) co_return std::unexpected(answer.error());
    for (const json::value& event : aws::array(*answer, "events")) {
      if (!event.is_object()) continue;
      auto found = parse_log_span(aws::text(event.get_object(), "message"), query.service);
      if (!found) continue;
      Trace& trace = by_id[found->trace];
      trace.id = found->trace;
      trace.spans.push_back(std::move(found->span));
      ++count;
    }
    const std::string token = aws::text(*answer, "nextToken");
    if (token.empty()) break;
    input["nextToken"] = token;
  }
  std::vector<Trace> traces;
  for (auto& [id, trace] : by_id) traces.push_back(std::move(trace));
  co_return traces;
}

Task<aws::Reply<std::vector<Trace>>> get_traces(aws::Client& client, std::vector<std::string> ids) {
  std::vector<Trace> traces;
  for (std::size_t at = 0; at < ids.size(); at += batch) {
    json::array some;
    for (std::size_t i = at; i < std::min(at + batch, ids.size()); ++i) some.push_back(json::value(ids[i]));
    json::object body{{"TraceIds", std::move(some)}};
    const auto answer = co_await ask_xray(client, "BatchGetTraces", "/Traces", std::move(body));
    if (!answer) co_return std::unexpected(answer.error());
    for (const json::value& item : aws::array(*answer, "Traces")) {
      if (!item.is_object()) continue;
      Trace trace;
      trace.id = plain_id(aws::text(item.get_object(), "Id"));
      for (const json::value& segment : aws::array(item.get_object(), "Segments")) {
        if (!segment.is_object()) continue;
        std::vector<Span> spans = parse_segment(aws::text(segment.get_object(), "Document"));
        std::ranges::move(spans, std::back_inserter(trace.spans));
      }
      if (!trace.spans.empty()) traces.push_back(std::move(trace));
    }
  }
  co_return traces;
}

Task<aws::Reply<std::vector<Trace>>> read_from_xray(aws::Client& client, Clock& clock, TraceQuery query) {
  const double now_s = static_cast<double>(to_unix_ms(clock.wall())) / 1000;
  json::object body{
      {"StartTime", static_cast<double>(query.since_ms) / 1000},
      {"EndTime", now_s},
      {"FilterExpression", fmt::format("service(\"{}\"){}", query.service,
                                       query.failed_only ? " AND (fault = true OR error = true)" : "")}};
  std::vector<std::pair<double, std::string>> found;
  for (std::size_t page = 0; page < trace_pages_max; ++page) {
    const auto answer = co_await ask_xray(client, "GetTraceSummaries", "/TraceSummaries", body);
    if (!answer) co_return std::unexpected(answer.error());
    for (const json::value& item : aws::array(*answer, "TraceSummaries")) {
      if (!item.is_object()) continue;
      const std::string id = aws::text(item.get_object(), "Id");
      // The id's second part is the moment in which it began, in hexadecimal seconds.
      found.emplace_back(seconds(item.get_object(), "StartTime"), id);
    }
    const std::string token = aws::text(*answer, "NextToken");
    if (token.empty()) break;
    body["NextToken"] = token;
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second.substr(0, 10)) > std::pair(b.first, b.second.substr(0, 10));
  });
  if (found.size() > query.count) found.resize(query.count);
  std::vector<std::string> ids;
  for (const auto& [start, id] : found) ids.push_back(id);
  auto traces = co_await get_traces(client, std::move(ids));
  co_return traces;
}

}  // namespace

double Trace::start_s() const {
  double start = spans.empty() ? 0 : spans.front().start_s;
  for (const Span& span : spans) start = std::min(start, span.start_s);
  return start;
}

double Trace::duration_s() const {
  double end = start_s();
  for (const Span& span : spans) end = std::max(end, span.start_s + span.duration_s);
  return end - start_s();
}

bool Trace::failed() const { return std::ranges::any_of(spans, &Span::failed); }

std::string Trace::name() const {
  const auto first = std::ranges::min_element(
      spans, {}, [](const Span& span) { return std::pair(!span.parent.empty(), span.start_s); });
  return first == spans.end() ? std::string() : first->name;
}

std::optional<FoundSpan> parse_log_span(std::string_view message, const std::string& service) {
  json::error_code broken;
  const json::value value = json::parse(message, broken);
  if (broken || !value.is_object()) return std::nullopt;
  const json::object& record = value.get_object();
  const std::string of =
      aws::text(aws::object(aws::object(record, "resource"), "attributes"), "service.name");
  FoundSpan found;
  found.trace = plain_id(aws::text(record, "traceId"));
  if (found.trace.empty() || (!service.empty() && of != service)) return std::nullopt;
  Span& span = found.span;
  span.id = aws::text(record, "spanId");
  span.parent = aws::text(record, "parentSpanId");
  span.name = aws::text(record, "name");
  span.start_s = seconds(record, "startTimeUnixNano") / 1e9;
  span.duration_s = seconds(record, "durationNano") / 1e9;
  const json::object& status = aws::object(record, "status");
  const std::string code = aws::text(status, "code");
  // OTLP's STATUS_CODE_ERROR, by number or by name.
  span.failed = code == "2" || code == "ERROR" || code == "STATUS_CODE_ERROR";
  span.error = aws::text(status, "message");
  for (const auto& attribute : aws::object(record, "attributes")) {
    span.attributes[attribute.key()] = plain_text(attribute.value());
  }
  return found;
}

std::vector<Span> parse_segment(std::string_view document) {
  std::vector<Span> spans;
  json::error_code broken;
  const json::value value = json::parse(document, broken);
  if (!broken && value.is_object()) add_segment(value.get_object(), {}, 0, spans);
  return spans;
}

Task<aws::Reply<std::vector<Trace>>> read_traces(aws::Client& client, Clock& clock, TraceQuery query) {
  const bool in_logs = co_await has_transaction_search(client);
  aws::Reply<std::vector<Trace>> traces;
  if (in_logs) {
    traces = co_await read_from_logs(client, query, query.service);
  } else {
    traces = co_await read_from_xray(client, clock, query);
  }
  if (traces) sort_and_cut(*traces, query);
  co_return traces;
}

Task<aws::Reply<std::optional<Trace>>> read_trace(aws::Client& client, Clock& clock, TraceQuery query,
                                                  std::string id) {
  const std::string wanted = plain_id(std::move(id));
  const bool in_logs = co_await has_transaction_search(client);
  aws::Reply<std::vector<Trace>> traces;
  if (in_logs) {
    // A term of the filter is matched whole, so a part of an id is sought among all of the service's spans.
    traces = co_await read_from_logs(client, query, wanted.size() == 32 ? wanted : query.service);
  } else if (const std::string whole = xray_id(wanted); !whole.empty()) {
    std::vector<std::string> ids{whole};
    traces = co_await get_traces(client, std::move(ids));
  } else {
    query.count = 500;
    traces = co_await read_from_xray(client, clock, query);
  }
  if (!traces) co_return std::unexpected(traces.error());
  for (Trace& trace : *traces) {
    if (trace.id.starts_with(wanted)) co_return std::optional<Trace>(std::move(trace));
  }
  co_return std::optional<Trace>();
}

json::object to_json(const Trace& trace) {
  json::array spans;
  for (const Span& span : trace.spans) {
    json::object attributes;
    for (const auto& [name, value] : span.attributes) attributes[name] = value;
    spans.push_back(json::object{{"id", span.id},
                                 {"parent", span.parent},
                                 {"name", span.name},
                                 {"start", span.start_s},
                                 {"duration_ms", span.duration_s * 1000},
                                 {"failed", span.failed},
                                 {"error", span.error},
                                 {"attributes", std::move(attributes)}});
  }
  return {{"id", trace.id},           {"name", trace.name()},
          {"start", trace.start_s()}, {"duration_ms", trace.duration_s() * 1000},
          {"failed", trace.failed()}, {"spans", std::move(spans)}};
}

}  // namespace berth::deploy
