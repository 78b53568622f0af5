#include "codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <charconv>
#include <cstring>
#include <vector>

#include "base/utf8.h"

namespace berth::json {
namespace {

constexpr std::size_t depth_ceiling = 1024;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char* skip_space(const char* at, const char* end) {
  while (at < end && is_space(*at)) ++at;
  return at;
}

constexpr std::uint64_t each_byte(std::uint64_t byte) { return byte * 0x0101'0101'0101'0101u; }

/// High bits mark the bytes of `word` equal to `byte`; exact up to and including the lowest mark.
constexpr std::uint64_t equal_bytes(std::uint64_t word, std::uint64_t byte) {
  const std::uint64_t x = word ^ each_byte(byte);
  return (x - each_byte(1)) & ~x & each_byte(0x80);
}

std::uint64_t load_word(const char* at) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// The first quote or backslash from `at`: the inside of a string known to be valid.
const char* find_quote_or_escape(const char* at, const char* end) {
  while (end - at >= 8) {
    const std::uint64_t word = load_word(at);
    const std::uint64_t marks = equal_bytes(word, '"') | equal_bytes(word, '\\');
    if (marks != 0) return at + std::countr_zero(marks) / 8;
    at += 8;
  }
  while (at < end && *at != '"' && *at != '\\') ++at;
  return at;
}

/// The first byte that is not plain inside a string: a quote, a backslash, a control or a non-ASCII byte.
const char* find_special(const char* at, const char* end) {
  while (end - at >= 8) {
    const std::uint64_t word = load_word(at);
    const std::uint64_t controls = (word - each_byte(0x20)) & ~word & each_byte(0x80);
    const std::uint64_t marks =
        equal_bytes(word, '"') | equal_bytes(word, '\\') | controls | (word & each_byte(0x80));
    if (marks != 0) return at + std::countr_zero(marks) / 8;
    at += 8;
  }
  while (at < end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20 &&
         static_cast<unsigned char>(*at) < 0x80) {
    ++at;
  }
  return at;
}

std::optional<std::uint32_t> read_hex4(const char* at, const char* end) {
  if (end - at < 4) return std::nullopt;
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(at, at + 4, value, 16);
  if (error != std::errc{} || stop != at + 4) return std::nullopt;
  return value;
}

/// Checks a text against the grammar in one pass, without recursion.
class Validator {
 public:
  Validator(std::string_view text, Limits limits)
      : begin_(text.data()),
        at_(begin_),
        end_(begin_ + text.size()),
        depth_max_(std::min(limits.depth_max, depth_ceiling)) {}

  bool run() {
    at_ = skip_space(at_, end_);
    first_ = at_;
    while (true) {
      bool opened = false;
      if (!value(opened)) return false;
      if (opened) continue;
      bool more = false;
      if (!after_value(more)) return false;
      if (more) continue;
      last_ = at_;
      at_ = skip_space(at_, end_);
      return at_ == end_ || expected("the end of the text");
    }
  }

  std::string_view accepted() const { return {first_, static_cast<std::size_t>(last_ - first_)}; }
  std::string problem() const {
    return fmt::format("The text is not valid JSON: expected {} at byte {}.", expected_, at_ - begin_);
  }

 private:
  bool expected(std::string_view what) {
    expected_ = what;
    return false;
  }

  /// One value from at_. `opened`: a container was opened and its first value comes next.
  bool value(bool& opened) {
    at_ = skip_space(at_, end_);
    if (at_ == end_) return expected("a value");
    switch (*at_) {
      case '{': return open(true, opened);
      case '[': return open(false, opened);
      case '"': ++at_; return string();
      case 't': return literal("true");
      case 'f': return literal("false");
      case 'n': return literal("null");
      default: return number();
    }
  }

  bool open(bool is_object, bool& opened) {
    if (depth_ == depth_max_) return expected(fmt::format("at most {} levels", depth_max_));
    is_object_[depth_++] = is_object;
    at_ = skip_space(at_ + 1, end_);
    if (at_ < end_ && *at_ == (is_object ? '}' : ']')) {
      ++at_;
      --depth_;
      return true;
    }
    opened = true;
    return !is_object || key();
  }

  /// Closes what ends here. `more`: another value comes next.
  bool after_value(bool& more) {
    while (depth_ > 0) {
      const bool is_object = is_object_[depth_ - 1];
      at_ = skip_space(at_, end_);
      if (at_ < end_ && *at_ == ',') {
        ++at_;
        more = true;
        if (!is_object) return true;
        at_ = skip_space(at_, end_);
        return key();
      }
      if (at_ == end_ || *at_ != (is_object ? '}' : ']')) {
        return expected(is_object ? "',' or '}'" : "',' or ']'");
      }
      ++at_;
      --depth_;
    }
    return true;
  }

  bool key() {
    if (at_ == end_ || *at_ != '"') return expected("a member name in quotes");
    ++at_;
    if (!string()) return false;
    at_ = skip_space(at_, end_);
    if (at_ == end_ || *at_ != ':') return expected("':'");
    ++at_;
    return true;
  }

  bool string() {
    while (true) {
      at_ = find_special(at_, end_);
      if (at_ == end_) return expected("the closing quote of a string");
      const auto byte = static_cast<unsigned char>(*at_);
      if (byte == '"') {
        ++at_;
        return true;
      }
      if (byte == '\\') {
        if (!escape()) return false;
      } else if (byte < 0x20) {
        return expected("no unescaped control character");
      } else {
        const std::size_t length = utf8_sequence_length({at_, static_cast<std::size_t>(end_ - at_)});
        if (length == 0) return expected("well-formed UTF-8");
        at_ += length;
      }
    }
  }

  bool escape() {
    if (end_ - at_ < 2) return expected("an escape character");
    switch (at_[1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't': at_ += 2; return true;
      case 'u':
        if (!read_hex4(at_ + 2, end_)) return expected("four hexadecimal digits");
        at_ += 6;
        return true;
      default: return expected("a valid escape character");
    }
  }

  bool literal(std::string_view word) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) {
      return expected("a value");
    }
    at_ += word.size();
    return true;
  }

  bool digits() {
    if (at_ == end_ || !is_digit(*at_)) return expected("a digit");
    while (at_ < end_ && is_digit(*at_)) ++at_;
    return true;
  }

  bool number() {
    if (*at_ != '-' && !is_digit(*at_)) return expected("a value");
    if (*at_ == '-') ++at_;
    if (at_ < end_ && *at_ == '0') {
      ++at_;
    } else if (!digits()) {
      return false;
    }
    if (at_ < end_ && *at_ == '.') {
      ++at_;
      if (!digits()) return false;
    }
    if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digits()) return false;
    }
    return true;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* first_ = nullptr;
  const char* last_ = nullptr;
  std::size_t depth_max_;
  std::size_t depth_ = 0;
  std::bitset<depth_ceiling> is_object_;
  std::string expected_;
};

/// From after the opening quote to after the closing one, of a string known to be valid.
const char* skip_string(const char* at, const char* end) {
  while (true) {
    at = find_quote_or_escape(at, end);
    if (at == end) return end;
    if (*at == '"') return at + 1;
    at = end - at < 2 ? end : at + 2;
  }
}

enum class Mark : std::uint8_t { none, quote, open, close };

constexpr auto marks = [] {
  std::array<Mark, 256> table{};
  table['"'] = Mark::quote;
  table['{'] = table['['] = Mark::open;
  table['}'] = table[']'] = Mark::close;
  return table;
}();

/// From the opening bracket to after the closing one, of a container known to be valid.
const char* skip_container(const char* at, const char* end) {
  std::size_t depth = 0;
  while (at < end) {
    switch (marks[static_cast<unsigned char>(*at++)]) {
      case Mark::none: break;
      case Mark::quote: at = skip_string(at, end); break;
      case Mark::open: ++depth; break;
      case Mark::close:
        if (--depth == 0) return at;
        break;
    }
  }
  return end;
}

const char* skip_value(const char* at, const char* end) {
  if (at == end) return end;
  if (*at == '"') return skip_string(at + 1, end);
  if (*at == '{' || *at == '[') return skip_container(at, end);
  while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_space(*at)) ++at;
  return at;
}

std::string_view between(const char* first, const char* last) {
  return {first, static_cast<std::size_t>(last - first)};
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_high_surrogate(std::uint32_t code) { return code >= 0xD800 && code < 0xDC00; }
bool is_low_surrogate(std::uint32_t code) { return code >= 0xDC00 && code < 0xE000; }

/// Decodes the \u escape whose digits start at `at`; returns where its text ends.
const char* decode_unicode_escape(const char* at, const char* end, std::string& out) {
  constexpr std::uint32_t replacement = 0xFFFD;
  const std::uint32_t code = read_hex4(at, end).value_or(replacement);
  at = std::min(at + 4, end);
  if (is_high_surrogate(code) && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
    const std::uint32_t low = read_hex4(at + 2, end).value_or(0);
    if (is_low_surrogate(low)) {
      append_utf8(out, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
      return at + 6;
    }
  }
  const bool lone = is_high_surrogate(code) || is_low_surrogate(code);
  append_utf8(out, lone ? replacement : code);
  return at;
}

/// Decodes the inside of a valid string.
std::string decode(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  const char* at = raw.data();
  const char* const end = at + raw.size();
  while (at < end) {
    const auto* slash = static_cast<const char*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
    if (slash == nullptr || end - slash < 2) {
      out.append(at, end);
      break;
    }
    out.append(at, slash);
    at = slash + 2;
    switch (slash[1]) {
      case 'b': out.push_back('\b'); break;
      case 'f': out.push_back('\f'); break;
      case 'n': out.push_back('\n'); break;
      case 'r': out.push_back('\r'); break;
      case 't': out.push_back('\t'); break;
      case 'u': at = decode_unicode_escape(at, end, out); break;
      default: out.push_back(slash[1]);
    }
  }
  return out;
}

bool has_escape(std::string_view raw) { return raw.find('\\') != std::string_view::npos; }

}  // namespace

Result<Slice> parse(std::string_view text, Limits limits) {
  Validator validator(text, limits);
  if (!validator.run()) return fail(ErrorCode::invalid_argument, validator.problem());
  return Slice(validator.accepted());
}

Kind Slice::kind() const {
  if (text_.empty()) return Kind::null;
  switch (text_.front()) {
    case '{': return Kind::object;
    case '[': return Kind::array;
    case '"': return Kind::string;
    case 't':
    case 'f': return Kind::boolean;
    case 'n': return Kind::null;
    default: return Kind::number;
  }
}

Slice Slice::find(std::string_view key) const {
  Slice found;
  for (Members members(*this); members.next();) {
    if (members.key_is(key)) found = members.value();
  }
  return found;
}

void Slice::each_member(const std::function<bool(std::string_view key, Slice value)>& visit) const {
  for (Members members(*this); members.next();) {
    const bool go_on = has_escape(members.raw_key()) ? visit(members.key(), members.value())
                                                     : visit(members.raw_key(), members.value());
    if (!go_on) return;
  }
}

void Slice::each_element(const std::function<bool(Slice value)>& visit) const {
  for (Elements elements(*this); elements.next();) {
    if (!visit(elements.value())) return;
  }
}

std::optional<std::string_view> Slice::as_plain_string() const {
  if (!is(Kind::string) || text_.size() < 2) return std::nullopt;
  const std::string_view inside = text_.substr(1, text_.size() - 2);
  if (has_escape(inside)) return std::nullopt;
  return inside;
}

std::optional<std::string> Slice::as_string() const {
  if (!is(Kind::string) || text_.size() < 2) return std::nullopt;
  return decode(text_.substr(1, text_.size() - 2));
}

std::optional<std::int64_t> Slice::as_int() const {
  if (!is(Kind::number)) return std::nullopt;
  const char* const end = text_.data() + text_.size();
  std::int64_t whole = 0;
  const auto [stop, error] = std::from_chars(text_.data(), end, whole);
  if (error == std::errc{} && stop == end) return whole;
  const std::optional<double> real = as_double();
  constexpr double exact_max =
      9'007'199'254'740'992.0;  // 2^53: above, a double no longer tells integers apart
  if (!real || *real < -exact_max || *real > exact_max) return std::nullopt;
  whole = static_cast<std::int64_t>(*real);
  if (static_cast<double>(whole) != *real) return std::nullopt;
  return whole;
}

std::optional<double> Slice::as_double() const {
  if (!is(Kind::number)) return std::nullopt;
  double value = 0;
  const auto [stop, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

std::optional<bool> Slice::as_bool() const {
  if (!is(Kind::boolean)) return std::nullopt;
  return text_.front() == 't';
}

Members::Members(Slice object) {
  if (!object.is(Kind::object)) return;
  end_ = object.text_.data() + object.text_.size();
  at_ = skip_space(object.text_.data() + 1, end_);
}

bool Members::next() {
  if (at_ == nullptr || at_ == end_ || *at_ != '"') return false;
  const char* const first = at_;
  const char* const key_end = skip_string(first + 1, end_);
  raw_key_ = between(first + 1, key_end - 1);
  const char* at = skip_space(key_end, end_);
  if (at == end_) return false;
  at = skip_space(at + 1, end_);
  const char* const value_end = skip_value(at, end_);
  value_ = Slice(between(at, value_end));
  text_ = between(first, value_end);
  at = skip_space(value_end, end_);
  at_ = at < end_ && *at == ',' ? skip_space(at + 1, end_) : end_;
  return true;
}

bool Members::key_is(std::string_view key) const {
  if (raw_key_ == key) return true;
  return has_escape(raw_key_) && decode(raw_key_) == key;
}

std::string Members::key() const { return decode(raw_key_); }

Elements::Elements(Slice array) {
  if (!array.is(Kind::array)) return;
  end_ = array.text_.data() + array.text_.size();
  at_ = skip_space(array.text_.data() + 1, end_);
}

bool Elements::next() {
  if (at_ == nullptr || at_ == end_ || *at_ == ']') return false;
  const char* const value_end = skip_value(at_, end_);
  value_ = Slice(between(at_, value_end));
  const char* const at = skip_space(value_end, end_);
  at_ = at < end_ && *at == ',' ? skip_space(at + 1, end_) : end_;
  return true;
}

std::string edit(Slice object, std::initializer_list<Edit> edits) {
  return edit(object, std::span<const Edit>(edits.begin(), edits.size()));
}

namespace {

void append_member(std::string& out, std::string_view key, std::string_view value) {
  if (out.size() > 1) out.push_back(',');
  out.push_back('"');
  out.append(key);
  out.append("\":");
  out.append(value);
}

}  // namespace

std::string edit(Slice object, std::span<const Edit> edits) {
  std::string body;  // the members that were there, edited
  std::vector<bool> met(edits.size(), false);
  body.reserve(object.text().size() + 64);
  body.push_back('{');
  for (Members members(object); members.next();) {
    const auto hit =
        std::find_if(edits.begin(), edits.end(), [&](const Edit& e) { return members.key_is(e.key); });
    if (hit == edits.end()) {
      if (body.size() > 1) body.push_back(',');
      body.append(members.text());
      continue;
    }
    const auto index = static_cast<std::size_t>(hit - edits.begin());
    if (hit->value && !met[index]) append_member(body, hit->key, *hit->value);
    met[index] = true;
  }
  std::string out = "{";
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (!met[i] && edits[i].value) append_member(out, edits[i].key, *edits[i].value);
  }
  if (out.size() == 1) {
    body.push_back('}');
    return body;
  }
  if (body.size() > 1) out.push_back(',');
  out.append(body, 1);
  out.push_back('}');
  return out;
}

void append_single_line(std::string& out, std::string_view json) {
  const std::size_t start = out.size();
  out.append(json);
  const auto first = out.begin() + static_cast<std::ptrdiff_t>(start);
  if (std::memchr(out.data() + start, '\n', json.size()) != nullptr)
    std::replace(first, out.end(), '\n', ' ');
  if (std::memchr(out.data() + start, '\r', json.size()) != nullptr)
    std::replace(first, out.end(), '\r', ' ');
}

}  // namespace berth::json
