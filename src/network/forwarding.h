#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "codec/http1.h"

/// What a head looks like on the other side of the front door. Pure functions over parsed heads.
namespace berth::network {

/// How the request reached us: the values of X-Forwarded-For, -Proto and -Port.
struct Arrival {
  std::string_view client;  ///< address without port
  std::string_view scheme;  ///< "http" or "https"
  std::string_view port;    ///< of the listener
};

/// The parts of a trace id (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/
/// load-balancer-request-tracing.html).
struct TraceId {
  std::uint32_t time_s = 0;
  std::uint64_t high = 0;  ///< its upper 32 bits are not used
  std::uint64_t low = 0;
};

/// The value of X-Amzn-Trace-Id: `Root=1-<8 hex of time>-<24 hex>` when the request has none; otherwise a new
/// Self field in front of what is there (an earlier Self field is replaced), and a Root when it lacks one.
void append_trace_id(std::string& out, std::string_view existing, const TraceId& fresh);

/// Appends the request head as a target gets it. `raw` is what `head` was parsed from. Removed: the fields
/// that belong to one connection (RFC 9110 §7.6.1: Connection and what it names, Keep-Alive,
/// Proxy-Connection, TE, Transfer-Encoding, Upgrade) and Proxy-Authorization. Written anew: the framing,
/// X-Forwarded-For (the client appended to what was there), X-Forwarded-Proto, X-Forwarded-Port,
/// X-Amzn-Trace-Id. An absolute target becomes its path, and its authority the Host (RFC 9112 §3.2.2).
/// Everything else passes byte for byte, in order.
void append_request_head(std::string& out, std::string_view raw, const http1::HeadView& head,
                         const Arrival& arrival, const TraceId& trace);

/// How an answer's head must differ from what the target sent.
struct AnswerChanges {
  bool keep_alive = true;      ///< the client's connection carries another request
  bool http10_client = false;  ///< needs to be told of keep-alive, and gets no chunked coding
};

/// Whether the target's head may be passed on byte for byte.
bool passes_unchanged(std::string_view raw, const http1::HeadView& head, const AnswerChanges& changes);

/// Appends the answer's head as the client gets it: HTTP/1.1, without the fields that belong to the target's
/// connection, with Connection when the client must be told.
void append_answer_head(std::string& out, std::string_view raw, const http1::HeadView& head,
                        const AnswerChanges& changes);

/// A whole answer of the front door's own: `{"error":…,"message":…}`.
std::string error_answer(int status, std::string_view message, WallTime now, bool keep_alive, bool head_only);

}  // namespace berth::network
