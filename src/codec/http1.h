#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

/// HTTP/1.1 message syntax (RFC 9112) as pure functions over bytes. No sockets, no time.
namespace berth::http1 {

struct FieldView {
  std::string_view name;
  std::string_view value;  ///< OWS trimmed
};

/// How the body of a message is delimited (RFC 9112 §6.3).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

/// A parsed head; views borrow the bytes it was parsed from.
struct HeadView {
  // request
  std::string_view method;
  std::string_view target;
  // response
  int status = 0;
  std::string_view reason;
  // both
  int minor_version = 1;  ///< HTTP/1.x
  std::vector<FieldView> fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;  ///< by version and Connection
  bool expects_continue = false;
  std::size_t bytes = 0;  ///< length of the head with its final empty line

  std::optional<std::string_view> get(std::string_view name) const;
  void clear();
};

struct HeadLimits {
  std::size_t bytes_max = 64 * 1024;
  std::size_t fields_max = 100;
  std::size_t target_bytes_max = 16 * 1024;
};

enum class HeadStatus : std::uint8_t {
  complete,
  incomplete,
  bad,              ///< 400 and close
  too_large,        ///< 431 and close
  target_too_long,  ///< 414 and close
  bad_version,      ///< 505 and close
  not_implemented,  ///< 501 and close: a transfer coding other than chunked
};

/// Parses one head from the start of `bytes`. `problem` (may be null) receives a sentence on failure.
/// Refuses what enables smuggling: Content-Length with Transfer-Encoding, differing or malformed lengths,
/// white space before a colon, obs-fold, bare CR or LF, control bytes in values, several Host fields, an
/// absolute target without an authority or with one that could be no Host. One empty line before a request
/// is skipped (RFC 9112 §2.2); an equal repeat of Content-Length is one field.
/// Feeding a head in parts gives `incomplete` and then what the whole gives.
HeadStatus parse_request(std::string_view bytes, const HeadLimits& limits, HeadView& out,
                         std::string* problem = nullptr);
/// `to_head_request`: the answer to a HEAD has no body whatever it says.
HeadStatus parse_response(std::string_view bytes, const HeadLimits& limits, bool to_head_request,
                          HeadView& out, std::string* problem = nullptr);

/// What a hop may add to a head that it passes on: the front door, as an Application Load Balancer, adds Host
/// (to a request of HTTP/1.0), X-Forwarded-For, -Proto and -Port and X-Amzn-Trace-Id, a task on the way to a
/// sister less. The next listener takes heads that are larger by so much: what one lets in the other does.
inline constexpr std::size_t hop_fields_max = 5;
inline constexpr std::size_t hop_bytes_max = 512;

/// Decodes a chunked body (RFC 9112 §7.1) incrementally; extensions are skipped. Trailers are dropped, but
/// they must be fields: what a head may not hold, they may not either.
class ChunkedDecoder {
 public:
  /// Consumes from `input`, appends decoded data to `out`; returns bytes consumed. Stops where the body ends.
  Result<std::size_t> feed(std::string_view input, std::string& out);
  /// Consumes without decoding (for a proxy that passes the coded bytes on).
  Result<std::size_t> skip(std::string_view input);
  bool done() const { return state_ == State::done; }

 private:
  enum class State : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer,  ///< at the start of a line
    trailer_name,
    trailer_value,
    trailer_lf,
    final_lf,
    done
  };
  Result<std::size_t> run(std::string_view input, std::string* out);
  Result<void> take(char byte);
  Result<void> take_size(char byte);
  Result<void> take_overhead(char byte);
  Result<void> take_line_feed(char byte, State next);
  State state_ = State::size;
  std::uint64_t remaining_ = 0;
  std::size_t digits_ = 0;
  std::size_t overhead_ = 0;
};

/// "1a\r\n" before a chunk of that size.
void append_chunk_head(std::string& out, std::size_t size);

/// "Sun, 22 Nov 2026 15:04:05 GMT" (RFC 9110 §5.6.7).
std::string to_date(WallTime time);

bool is_token(std::string_view text);
bool is_field_value(std::string_view text);

}  // namespace berth::http1
