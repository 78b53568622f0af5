#include "codec/http1.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <ctime>
#include <utility>

namespace berth::http1 {

namespace {

/// Bytes of chunk extensions and trailers that one body may carry; nobody uses either in earnest.
constexpr std::size_t chunk_overhead_bytes_max = 16 * 1024;
constexpr std::size_t chunk_size_digits_max = 16;

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> token_table = make_token_table();

bool is_token_byte(char byte) { return token_table[static_cast<unsigned char>(byte)]; }
bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }
bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/// HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5).
bool is_value_byte(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  return (code >= 0x20 && code != 0x7F) || code == '\t';
}

/// The first byte in [at, end) that no field value may hold. Eight bytes at a time.
const char* skip_value(const char* at, const char* end) {
  static_assert(std::endian::native == std::endian::little, "the lowest byte of a word is the first");
  constexpr std::uint64_t ones = ~std::uint64_t{0} / 255;
  constexpr std::uint64_t tops = ones * 0x80;
  while (end - at >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t delete_zeroed = word ^ (ones * 0x7F);
    const std::uint64_t below_space = (word - ones * 0x20) & ~word & tops;
    const std::uint64_t is_delete = (delete_zeroed - ones) & ~delete_zeroed & tops;
    const std::uint64_t found = below_space | is_delete;
    // Above the first byte that is found, borrows find others that are none.
    at += found == 0 ? 8 : std::countr_zero(found) / 8;
    if (found == 0) continue;
    if (*at != '\t') return at;
    ++at;
  }
  while (at != end && is_value_byte(*at)) ++at;
  return at;
}

char to_lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte; }

/// `lower` is in lower case.
bool is_name(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (to_lower(text[i]) != lower[i]) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Calls `visit` with each member of a comma-separated list (RFC 9110 §5.6.1), empty ones left out.
template <class Visit>
void each_list_member(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view member = trim(list.substr(0, comma));
    if (!member.empty()) visit(member);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

/// 1*DIGIT below 2^63.
std::optional<std::uint64_t> parse_length(std::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  std::uint64_t value = 0;
  for (const char byte : text) {
    if (!is_digit(byte)) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(byte - '0');
  }
  return value;
}

/// Whether a Host value could be one (RFC 9110 §7.2: uri-host [":" port]); the router decides if it is ours.
bool is_host_value(std::string_view value) {
  return value.find_first_of(" \t/\\?#@,<>\"") == std::string_view::npos;
}

class HeadParser {
 public:
  HeadParser(std::string_view bytes, const HeadLimits& limits, HeadView& out, std::string* problem)
      : limits_(limits), head_(out), problem_(problem), start_(bytes.data()), at_(bytes.data()) {
    cut_ = bytes.size() >= limits.bytes_max;
    end_ = start_ + (cut_ ? limits.bytes_max : bytes.size());
    head_.clear();
  }

  HeadStatus request();
  HeadStatus response(bool to_head_request);

 private:
  HeadStatus fail(HeadStatus status, std::string_view problem) const {
    if (problem_ != nullptr) *problem_ = problem;
    return status;
  }
  HeadStatus bad(std::string_view problem) const { return fail(HeadStatus::bad, problem); }
  HeadStatus more() const {
    if (!cut_) return HeadStatus::incomplete;
    return fail(HeadStatus::too_large, "The head of the message is longer than the limit.");
  }

  HeadStatus empty_line_before_request();
  HeadStatus request_line();
  HeadStatus target();
  HeadStatus version();
  HeadStatus status_line();
  HeadStatus line_end();
  HeadStatus fields();
  HeadStatus field();
  HeadStatus note(const FieldView& field);
  HeadStatus note_length(std::string_view value);
  HeadStatus note_transfer_encoding(std::string_view value);
  void note_connection(std::string_view value);
  HeadStatus check_framing();

  const HeadLimits& limits_;
  HeadView& head_;
  std::string* problem_;
  const char* start_;
  const char* at_;
  const char* end_;
  bool cut_ = false;  ///< the bytes reach the limit, so the head must end inside them
  bool has_length_ = false;
  bool repeats_length_ = false;
  bool is_chunked_ = false;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
  std::size_t hosts_ = 0;
};

HeadStatus HeadParser::line_end() {
  if (at_ == end_) return more();
  if (*at_ == '\n') return bad("A line ends in a bare LF instead of CRLF.");
  if (*at_ != '\r') return bad("A line holds a byte that is not allowed there.");
  if (at_ + 1 == end_) return more();
  if (at_[1] != '\n') return bad("A line holds a bare CR.");
  at_ += 2;
  return HeadStatus::complete;
}

// RFC 9112 §2.2: one empty line before the request line is forgiven.
HeadStatus HeadParser::empty_line_before_request() {
  if (at_ == end_) return more();
  if (*at_ != '\r') return HeadStatus::complete;
  return line_end();
}

HeadStatus HeadParser::target() {
  const char* const begin = at_;
  // Looking one byte past the limit is enough to know that the target is too long.
  while (at_ != end_ && *at_ > ' ' && *at_ != 0x7F) {
    if (static_cast<std::size_t>(at_ - begin) >= limits_.target_bytes_max) {
      return fail(HeadStatus::target_too_long, "The request target is longer than the limit.");
    }
    ++at_;
  }
  if (at_ == end_) return more();
  if (*at_ != ' ') return bad("The request target holds a byte that must be percent-encoded.");
  head_.target = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
  ++at_;
  if (head_.target.starts_with('/') || head_.target == "*") return HeadStatus::complete;
  const bool is_absolute = head_.target.starts_with("http://") || head_.target.starts_with("https://");
  if (!is_absolute) return bad("The request target must start with '/'.");
  const std::string_view rest = head_.target.substr(head_.target.find("//") + 2);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.empty() || !is_host_value(authority))
    return bad("The request target names no host that HTTP can ask.");
  return HeadStatus::complete;
}

// "HTTP/1." DIGIT
HeadStatus HeadParser::version() {
  constexpr std::string_view name = "HTTP/";
  for (const char expected : name) {
    if (at_ == end_) return more();
    if (*at_ != expected) return bad("The protocol version must read HTTP/1.1 or HTTP/1.0.");
    ++at_;
  }
  if (end_ - at_ < 3) return more();
  if (!is_digit(at_[0]) || at_[1] != '.' || !is_digit(at_[2])) {
    return bad("The protocol version must read HTTP/1.1 or HTTP/1.0.");
  }
  if (at_[0] != '1') return fail(HeadStatus::bad_version, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
  // RFC 9110 §2.5: a higher minor version is read as the highest one known.
  head_.minor_version = at_[2] == '0' ? 0 : 1;
  at_ += 3;
  return HeadStatus::complete;
}

HeadStatus HeadParser::request_line() {
  const char* const begin = at_;
  while (at_ != end_ && is_token_byte(*at_)) ++at_;
  if (at_ == end_) return more();
  if (at_ == begin || *at_ != ' ') return bad("The request does not start with a method and a space.");
  head_.method = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
  ++at_;
  HeadStatus status = target();
  if (status == HeadStatus::complete) status = version();
  return status == HeadStatus::complete ? line_end() : status;
}

HeadStatus HeadParser::status_line() {
  const HeadStatus status = version();
  if (status != HeadStatus::complete) return status;
  if (end_ - at_ < 4) return more();
  if (at_[0] != ' ' || !is_digit(at_[1]) || !is_digit(at_[2]) || !is_digit(at_[3]) || at_[1] == '0') {
    return bad("The status line holds no three-digit status.");
  }
  head_.status = (at_[1] - '0') * 100 + (at_[2] - '0') * 10 + (at_[3] - '0');
  at_ += 4;
  if (at_ == end_) return more();
  if (*at_ == ' ') {
    ++at_;
    const char* const begin = at_;
    at_ = skip_value(at_, end_);
    head_.reason = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
  }
  return line_end();
}

HeadStatus HeadParser::note_length(std::string_view value) {
  const auto length = parse_length(value);
  if (!length) return bad("Content-Length is not a decimal number of bytes.");
  if (has_length_ && head_.content_length != *length)
    return bad("Content-Length is given twice and differs.");
  repeats_length_ = has_length_;
  has_length_ = true;
  head_.content_length = *length;
  return HeadStatus::complete;
}

HeadStatus HeadParser::note_transfer_encoding(std::string_view value) {
  if (is_chunked_) return bad("Transfer-Encoding is given twice.");
  std::size_t members = 0;
  bool chunked_before_last = false;
  bool last_is_chunked = false;
  each_list_member(value, [&](std::string_view member) {
    chunked_before_last = chunked_before_last || last_is_chunked;
    last_is_chunked = is_name(member, "chunked");
    ++members;
  });
  if (members == 0 || chunked_before_last) return bad("Transfer-Encoding must be exactly 'chunked'.");
  if (!last_is_chunked || members != 1) {
    return fail(HeadStatus::not_implemented, "Only the transfer coding 'chunked' is understood.");
  }
  is_chunked_ = true;
  return HeadStatus::complete;
}

void HeadParser::note_connection(std::string_view value) {
  each_list_member(value, [this](std::string_view member) {
    if (is_name(member, "close")) says_close_ = true;
    if (is_name(member, "keep-alive")) says_keep_alive_ = true;
  });
}

HeadStatus HeadParser::note(const FieldView& field) {
  switch (field.name.size()) {
    case 4:
      if (!is_name(field.name, "host")) break;
      if (++hosts_ > 1) return bad("Host is given twice.");
      if (!is_host_value(field.value)) return bad("Host is not a host name with an optional port.");
      break;
    case 6:
      if (is_name(field.name, "expect") && is_name(field.value, "100-continue"))
        head_.expects_continue = true;
      break;
    case 10:
      if (is_name(field.name, "connection")) note_connection(field.value);
      break;
    case 14:
      if (is_name(field.name, "content-length")) return note_length(field.value);
      break;
    case 17:
      if (is_name(field.name, "transfer-encoding")) return note_transfer_encoding(field.value);
      break;
    default: break;
  }
  return HeadStatus::complete;
}

HeadStatus HeadParser::field() {
  if (is_blank(*at_)) return bad("A header line is folded (it starts with white space).");
  if (head_.fields.size() >= limits_.fields_max) {
    return fail(HeadStatus::too_large, "The head of the message has more fields than the limit.");
  }
  const char* begin = at_;
  while (at_ != end_ && is_token_byte(*at_)) ++at_;
  if (at_ == end_) return more();
  if (at_ == begin) return bad("A header line does not start with a field name.");
  if (*at_ != ':') return bad("A field name must be a token directly followed by a colon.");
  FieldView field;
  field.name = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
  ++at_;
  while (at_ != end_ && is_blank(*at_)) ++at_;
  begin = at_;
  at_ = skip_value(at_, end_);
  const char* last = at_;
  while (last != begin && is_blank(last[-1])) --last;
  field.value = std::string_view(begin, static_cast<std::size_t>(last - begin));
  HeadStatus status = line_end();
  if (status == HeadStatus::complete) status = note(field);
  if (status != HeadStatus::complete) return status;
  // An equal repeat of Content-Length is one field to whoever reads on (RFC 9110 §8.6).
  if (!std::exchange(repeats_length_, false)) head_.fields.push_back(field);
  return HeadStatus::complete;
}

HeadStatus HeadParser::fields() {
  while (at_ != end_) {
    if (*at_ == '\r' || *at_ == '\n') return line_end();
    const HeadStatus status = field();
    if (status != HeadStatus::complete) return status;
  }
  return more();
}

// RFC 9112 §6.1 and §6.3: what two readers could understand differently is refused.
HeadStatus HeadParser::check_framing() {
  head_.bytes = static_cast<std::size_t>(at_ - start_);
  head_.keep_alive = head_.minor_version == 0 ? says_keep_alive_ && !says_close_ : !says_close_;
  if (is_chunked_ && has_length_) return bad("Content-Length and Transfer-Encoding exclude each other.");
  if (is_chunked_ && head_.minor_version == 0) return bad("HTTP/1.0 knows no Transfer-Encoding.");
  if (is_chunked_) {
    head_.framing = Framing::chunked;
  } else if (has_length_) {
    head_.framing = Framing::length;
  }
  return HeadStatus::complete;
}

HeadStatus HeadParser::request() {
  HeadStatus status = empty_line_before_request();
  if (status == HeadStatus::complete) status = request_line();
  if (status == HeadStatus::complete) status = fields();
  if (status == HeadStatus::complete) status = check_framing();
  if (status != HeadStatus::complete) return status;
  if (hosts_ == 0 && head_.minor_version == 1) return bad("An HTTP/1.1 request must name its Host.");
  if (head_.minor_version == 0) head_.expects_continue = false;
  return status;
}

HeadStatus HeadParser::response(bool to_head_request) {
  HeadStatus status = status_line();
  if (status == HeadStatus::complete) status = fields();
  if (status == HeadStatus::complete) status = check_framing();
  if (status != HeadStatus::complete) return status;
  const bool has_no_body =
      to_head_request || head_.status < 200 || head_.status == 204 || head_.status == 304;
  if (has_no_body) {
    head_.framing = Framing::none;
  } else if (head_.framing == Framing::none) {
    head_.framing = Framing::until_close;
    head_.keep_alive = false;
  }
  return status;
}

int hex_value(char byte) {
  if (is_digit(byte)) return byte - '0';
  const char lower = to_lower(byte);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Failure broken_chunk(std::string_view what) {
  return fail(ErrorCode::invalid_argument,
              "The chunked body is malformed: " + std::string(what) + " (RFC 9112 §7.1).");
}

}  // namespace

std::optional<std::string_view> HeadView::get(std::string_view name) const {
  for (const FieldView& field : fields) {
    if (field.name.size() != name.size()) continue;
    bool equal = true;
    for (std::size_t i = 0; equal && i < name.size(); ++i)
      equal = to_lower(field.name[i]) == to_lower(name[i]);
    if (equal) return field.value;
  }
  return std::nullopt;
}

void HeadView::clear() {
  method = target = reason = {};
  status = 0;
  minor_version = 1;
  fields.clear();
  framing = Framing::none;
  content_length = 0;
  keep_alive = true;
  expects_continue = false;
  bytes = 0;
}

HeadStatus parse_request(std::string_view bytes, const HeadLimits& limits, HeadView& out,
                         std::string* problem) {
  return HeadParser(bytes, limits, out, problem).request();
}

HeadStatus parse_response(std::string_view bytes, const HeadLimits& limits, bool to_head_request,
                          HeadView& out, std::string* problem) {
  return HeadParser(bytes, limits, out, problem).response(to_head_request);
}

Result<std::size_t> ChunkedDecoder::feed(std::string_view input, std::string& out) {
  return run(input, &out);
}
Result<std::size_t> ChunkedDecoder::skip(std::string_view input) { return run(input, nullptr); }

Result<void> ChunkedDecoder::take_size(char byte) {
  if (const int digit = hex_value(byte); digit >= 0) {
    if (++digits_ > chunk_size_digits_max || remaining_ >> 59 != 0)
      return broken_chunk("a chunk size is too large");
    remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
    return {};
  }
  if (digits_ == 0) return broken_chunk("a chunk size is missing");
  if (byte == '\r') {
    state_ = State::size_lf;
  } else if (byte == ';') {
    state_ = State::extension;
  } else {
    return broken_chunk("a chunk size is not hexadecimal");
  }
  return {};
}

/// A byte of an extension, or of the name or value of a trailer.
Result<void> ChunkedDecoder::take_overhead(char byte) {
  if (++overhead_ > chunk_overhead_bytes_max) return broken_chunk("extensions and trailers exceed 16 KiB");
  if (state_ == State::trailer_name) {
    if (byte == ':') state_ = State::trailer_value;
    return byte == ':' || is_token_byte(byte) ? Result<void>() : broken_chunk("a trailer is no field");
  }
  if (byte == '\r') {
    state_ = state_ == State::extension ? State::size_lf : State::trailer_lf;
  } else if (!is_value_byte(byte)) {
    return broken_chunk("an extension or trailer holds a control byte");
  }
  return {};
}

Result<void> ChunkedDecoder::take_line_feed(char byte, State next) {
  if (byte != '\n') return broken_chunk("a CR is not followed by LF");
  state_ = next;
  return {};
}

Result<void> ChunkedDecoder::take(char byte) {
  switch (state_) {
    case State::size: return take_size(byte);
    case State::size_lf: return take_line_feed(byte, remaining_ == 0 ? State::trailer : State::data);
    case State::data_cr:
      if (byte != '\r') return broken_chunk("a chunk is longer than its size says");
      state_ = State::data_lf;
      return {};
    case State::data_lf: digits_ = 0; return take_line_feed(byte, State::size);
    case State::trailer_lf: return take_line_feed(byte, State::trailer);
    case State::final_lf: return take_line_feed(byte, State::done);
    case State::trailer:
      if (byte == '\r') {
        state_ = State::final_lf;
        return {};
      }
      if (!is_token_byte(byte)) return broken_chunk("a trailer is no field");
      state_ = State::trailer_name;
      return take_overhead(byte);
    case State::extension:
    case State::trailer_name:
    case State::trailer_value: return take_overhead(byte);
    case State::data:
    case State::done: return {};
  }
  return {};
}

Result<std::size_t> ChunkedDecoder::run(std::string_view input, std::string* out) {
  std::size_t at = 0;
  while (at < input.size() && state_ != State::done) {
    if (state_ == State::data) {
      const std::uint64_t part = std::min<std::uint64_t>(remaining_, input.size() - at);
      if (out != nullptr) out->append(input.substr(at, part));
      at += part;
      remaining_ -= part;
      if (remaining_ == 0) state_ = State::data_cr;
      continue;
    }
    auto taken = take(input[at]);
    if (!taken) return Failure(taken.error());
    ++at;
  }
  return at;
}

void append_chunk_head(std::string& out, std::size_t size) {
  std::array<char, 2 * sizeof size> digits{};
  std::size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[size & 0xF];
    size >>= 4;
  } while (size != 0);
  while (count > 0) out.push_back(digits[--count]);
  out.append("\r\n");
}

std::string to_date(WallTime time) {
  const std::time_t seconds = static_cast<std::time_t>(to_unix_ms(time) / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days[parts.tm_wday], parts.tm_mday,
                     months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

bool is_token(std::string_view text) {
  for (const char byte : text) {
    if (!is_token_byte(byte)) return false;
  }
  return !text.empty();
}

bool is_field_value(std::string_view text) {
  return skip_value(text.data(), text.data() + text.size()) == text.data() + text.size();
}

}  // namespace berth::http1
