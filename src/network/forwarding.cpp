#include "network/forwarding.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/log.h"

namespace berth::network {

namespace {

/// What the longest of the fields below add to a head.
constexpr std::size_t added_bytes_max =
    std::string_view(
        "Host: localhost\r\nContent-Length: \r\nX-Forwarded-For: , \r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Port: 65535\r\n"
        "X-Amzn-Trace-Id: Self=1-00000000-000000000000000000000000;\r\n")
        .size() +
    INET6_ADDRSTRLEN;
static_assert(added_bytes_max <= http1::hop_bytes_max, "a task takes what the front door lets in");

/// Field names are tokens, in which setting bit 5 changes nothing but the case of letters that matter here.
bool is_name(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if ((name[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

enum class Kind : std::uint8_t {
  ordinary,
  host,
  connection,      ///< Connection itself
  per_connection,  ///< dropped
  framing,         ///< Content-Length and Transfer-Encoding: written anew
  forwarded_for,
  forwarded_other,  ///< X-Forwarded-Proto, -Port: written anew
  trace_id,
};

Kind kind_of(std::string_view name) {
  switch (name.size()) {
    case 2: return is_name(name, "te") ? Kind::per_connection : Kind::ordinary;
    case 4: return is_name(name, "host") ? Kind::host : Kind::ordinary;
    case 7: return is_name(name, "upgrade") ? Kind::per_connection : Kind::ordinary;
    case 10:
      if (is_name(name, "connection")) return Kind::connection;
      return is_name(name, "keep-alive") ? Kind::per_connection : Kind::ordinary;
    case 14: return is_name(name, "content-length") ? Kind::framing : Kind::ordinary;
    case 15:
      if (is_name(name, "x-forwarded-for")) return Kind::forwarded_for;
      return is_name(name, "x-amzn-trace-id") ? Kind::trace_id : Kind::ordinary;
    case 16:
      if (is_name(name, "x-forwarded-port")) return Kind::forwarded_other;
      return is_name(name, "proxy-connection") ? Kind::per_connection : Kind::ordinary;
    case 17:
      if (is_name(name, "transfer-encoding")) return Kind::framing;
      return is_name(name, "x-forwarded-proto") ? Kind::forwarded_other : Kind::ordinary;
    case 18: return is_name(name, "proxy-authenticate") ? Kind::per_connection : Kind::ordinary;
    case 19: return is_name(name, "proxy-authorization") ? Kind::per_connection : Kind::ordinary;
    default: return Kind::ordinary;
  }
}

/// Case-insensitive equality of a token in Connection with a field name.
bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `visit(part)` for each part of `text` between separators, trimmed, empty ones left out.
template <class Visit>
void each_part(std::string_view text, char separator, const Visit& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = trim(text.substr(0, end));
    if (!part.empty()) visit(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// Whether some Connection field names `name` as belonging to the connection.
bool nominated(const http1::HeadView& head, std::string_view name) {
  bool found = false;
  for (const http1::FieldView& field : head.fields) {
    if (kind_of(field.name) != Kind::connection) continue;
    each_part(field.value, ',', [&](std::string_view part) { found = found || same_name(part, name); });
  }
  return found;
}

/// Whether Connection names anything besides the usual close and keep-alive.
bool nominates_fields(std::string_view connection) {
  bool found = false;
  each_part(connection, ',', [&](std::string_view part) {
    found = found || !(same_name(part, "close") || same_name(part, "keep-alive"));
  });
  return found;
}

/// Where the line of a field begins and ends (after its LF) in the bytes the head was parsed from.
const char* line_begin(const http1::FieldView& field) { return field.name.data(); }
const char* line_end(const http1::FieldView& field, const char* bytes_end) {
  const std::string_view last = field.value.empty() ? field.name : field.value;
  const char* const from = last.data() + last.size();
  const void* const feed = std::memchr(from, '\n', static_cast<std::size_t>(bytes_end - from));
  return feed == nullptr ? bytes_end : static_cast<const char*>(feed) + 1;
}

/// Copies the lines of the fields that stay. Neighbours go in one piece; a line that the parser has folded
/// into another is in no field, and so is not copied.
class FieldCopier {
 public:
  FieldCopier(std::string& out, std::string_view raw) : out_(out), bytes_end_(raw.data() + raw.size()) {}

  void keep(const http1::FieldView& field) {
    if (line_begin(field) != run_end_) {
      finish();
      run_begin_ = line_begin(field);
    }
    run_end_ = line_end(field, bytes_end_);
  }
  void finish() {
    if (run_begin_ != nullptr) out_.append(run_begin_, run_end_);
  }

 private:
  std::string& out_;
  const char* bytes_end_;
  const char* run_begin_ = nullptr;
  const char* run_end_ = nullptr;
};

void append_hex(std::string& out, std::uint64_t value, int digits) {
  static constexpr char hex[] = "0123456789abcdef";
  char text[16];
  for (int i = digits - 1; i >= 0; --i, value >>= 4) text[i] = hex[value & 0xF];
  out.append(text, static_cast<std::size_t>(digits));
}

void append_fresh_id(std::string& out, const TraceId& fresh) {
  out.append("1-");
  append_hex(out, fresh.time_s, 8);
  out.push_back('-');
  append_hex(out, fresh.high, 8);
  append_hex(out, fresh.low, 16);
}

void append_decimal(std::string& out, std::uint64_t value) {
  fmt::format_to(std::back_inserter(out), "{}", value);
}

struct SplitTarget {
  std::string_view authority;  ///< empty unless the target was absolute
  std::string_view path;
};

SplitTarget split_target(std::string_view target) {
  if (target.starts_with('/') || target == "*") return {{}, target};
  std::string_view rest = target.substr(target.find("://") + 3);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  return {rest.substr(0, end), rest.substr(end)};
}

void append_request_line(std::string& out, const http1::HeadView& head, const SplitTarget& target) {
  out.append(head.method);
  out.push_back(' ');
  if (!target.path.starts_with('/') && target.path != "*") out.push_back('/');
  out.append(target.path);
  out.append(" HTTP/1.1\r\n");
}

void append_framing(std::string& out, const http1::HeadView& head) {
  if (head.framing == http1::Framing::chunked) out.append("Transfer-Encoding: chunked\r\n");
  if (head.framing == http1::Framing::length) {
    out.append("Content-Length: ");
    append_decimal(out, head.content_length);
    out.append("\r\n");
  }
}

/// Which fields of a request are not copied; collects the values that are extended.
struct RequestFields {
  bool has_host = false;
  bool nominates = false;
  std::string_view trace_id;
  std::size_t forwarded_for = 0;
};

void append_forwarded_for(std::string& out, const http1::HeadView& head, std::string_view client) {
  out.append("X-Forwarded-For: ");
  for (const http1::FieldView& field : head.fields) {
    if (kind_of(field.name) != Kind::forwarded_for || field.value.empty()) continue;
    out.append(field.value);
    out.append(", ");
  }
  out.append(client);
  out.append("\r\n");
}

RequestFields copy_request_fields(std::string& out, std::string_view raw, const http1::HeadView& head,
                                  bool replaces_host) {
  RequestFields found;
  for (const http1::FieldView& field : head.fields) {
    if (kind_of(field.name) == Kind::connection) found.nominates |= nominates_fields(field.value);
  }
  FieldCopier copier(out, raw);
  for (const http1::FieldView& field : head.fields) {
    const Kind kind = kind_of(field.name);
    if (kind == Kind::trace_id && found.trace_id.empty()) found.trace_id = field.value;
    if (kind == Kind::host) found.has_host = true;
    const bool stays = kind == Kind::ordinary ? !(found.nominates && nominated(head, field.name))
                                              : kind == Kind::host && !replaces_host;
    if (stays) copier.keep(field);
  }
  copier.finish();
  return found;
}

}  // namespace

void append_trace_id(std::string& out, std::string_view existing, const TraceId& fresh) {
  bool has_root = false;
  each_part(existing, ';', [&](std::string_view part) { has_root = has_root || part.starts_with("Root="); });
  out.append(has_root ? "Self=" : "Root=");
  append_fresh_id(out, fresh);
  each_part(existing, ';', [&](std::string_view part) {
    if (part.starts_with("Self=")) return;
    out.push_back(';');
    out.append(part);
  });
}

void append_request_head(std::string& out, std::string_view raw, const http1::HeadView& head,
                         const Arrival& arrival, const TraceId& trace) {
  const SplitTarget target = split_target(head.target);
  append_request_line(out, head, target);
  const RequestFields found = copy_request_fields(out, raw, head, !target.authority.empty());
  if (!target.authority.empty() || !found.has_host) {
    // HTTP/1.0 needs no Host but HTTP/1.1, in which we pass the request on, does (RFC 9112 §3.2).
    out.append("Host: ");
    out.append(target.authority.empty() ? std::string_view("localhost") : target.authority);
    out.append("\r\n");
  }
  append_framing(out, head);
  append_forwarded_for(out, head, arrival.client);
  out.append("X-Forwarded-Proto: ");
  out.append(arrival.scheme);
  out.append("\r\nX-Forwarded-Port: ");
  out.append(arrival.port);
  out.append("\r\nX-Amzn-Trace-Id: ");
  append_trace_id(out, found.trace_id, trace);
  out.append("\r\n\r\n");
}

bool passes_unchanged(std::string_view raw, const http1::HeadView& head, const AnswerChanges& changes) {
  if (!changes.keep_alive || changes.http10_client || head.minor_version == 0) return false;
  const char* const end = raw.data() + head.bytes;
  const char* expected = head.fields.empty() ? nullptr : line_begin(head.fields.front());
  for (const http1::FieldView& field : head.fields) {
    const Kind kind = kind_of(field.name);
    if (kind == Kind::connection || kind == Kind::per_connection) return false;
    // A gap is a line that the parser has folded into another, such as a second Content-Length.
    if (line_begin(field) != expected) return false;
    expected = line_end(field, end);
  }
  return expected == nullptr || expected + 2 == end;
}

void append_answer_head(std::string& out, std::string_view raw, const http1::HeadView& head,
                        const AnswerChanges& changes) {
  out.append("HTTP/1.1 ");
  append_decimal(out, static_cast<std::uint64_t>(head.status));
  out.push_back(' ');
  out.append(head.reason);
  out.append("\r\n");
  bool nominates = false;
  for (const http1::FieldView& field : head.fields) {
    if (kind_of(field.name) == Kind::connection) nominates |= nominates_fields(field.value);
  }
  bool has_length = false;
  FieldCopier copier(out, raw);
  for (const http1::FieldView& field : head.fields) {
    const std::string_view name = field.name;
    const Kind kind = kind_of(name);
    bool stays = kind != Kind::connection && kind != Kind::per_connection;
    if (kind == Kind::framing) {
      // An answer to HEAD says how long its body would be, so the fields pass; a repeat of the length does
      // not.
      const bool is_length = name.size() == 14;
      stays = is_length ? !has_length : !changes.http10_client;
      has_length |= is_length;
    } else if (stays && nominates) {
      stays = !nominated(head, name);
    }
    if (stays) copier.keep(field);
  }
  copier.finish();
  if (!changes.keep_alive) {
    out.append("Connection: close\r\n");
  } else if (changes.http10_client) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

namespace {

struct OwnStatus {
  int status;
  std::string_view reason;
  std::string_view error;
};

constexpr OwnStatus own_statuses[] = {
    {400, "Bad Request", "bad_request"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {408, "Request Timeout", "request_timeout"},
    {414, "URI Too Long", "target_too_long"},
    {431, "Request Header Fields Too Large", "head_too_large"},
    {501, "Not Implemented", "not_implemented"},
    {502, "Bad Gateway", "bad_gateway"},
    {503, "Service Unavailable", "no_target"},
    {504, "Gateway Timeout", "gateway_timeout"},
    {505, "HTTP Version Not Supported", "version_not_supported"},
};

}  // namespace

std::string error_answer(int status, std::string_view message, WallTime now, bool keep_alive,
                         bool head_only) {
  const auto* const known =
      std::ranges::find(own_statuses, status, [](const OwnStatus& own) { return own.status; });
  const OwnStatus own = known == std::end(own_statuses) ? OwnStatus{status, "Error", "error"} : *known;
  const std::string body =
      fmt::format("{{\"error\":{},\"message\":{}}}\n", json_quote(own.error), json_quote(message));
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nServer: berth\r\nDate: {}\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n",
      status, own.reason, http1::to_date(now), body.size());
  if (status == 405) out += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
  if (status == 503) out += "Retry-After: 1\r\n";
  if (!keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (!head_only) out += body;
  return out;
}

}  // namespace berth::network
