#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

/// JSON as slices of the text it came in. The data plane reads a few members of a message and passes the
/// rest on byte for byte; building a tree of a 1 MB tool result to rename one id would cost a hundred times
/// more. Cold paths use boost::json instead.
namespace berth::json {

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

struct Limits {
  std::size_t depth_max = 128;
};

/// One value inside a text that `parse` has accepted; trimmed of white space. Borrows the text.
class Slice {
 public:
  Slice() = default;
  /// The caller vouches that `text` is one valid, trimmed JSON value (it came from parse or from us).
  static Slice trusted(std::string_view text) { return Slice(text); }

  std::string_view text() const { return text_; }
  bool exists() const { return !text_.empty(); }
  explicit operator bool() const { return exists(); }
  Kind kind() const;
  bool is(Kind kind) const { return exists() && this->kind() == kind; }

  /// The member of an object (the last one, when a name repeats); a slice that does not exist otherwise.
  Slice find(std::string_view key) const;
  /// `visit(decoded key, value)`; stops early when it returns false. Objects only.
  void each_member(const std::function<bool(std::string_view key, Slice value)>& visit) const;
  /// `visit(value)`; stops early when it returns false. Arrays only.
  void each_element(const std::function<bool(Slice value)>& visit) const;

  /// The decoded string, or nullopt when it is not a string.
  std::optional<std::string> as_string() const;
  /// The string's inside when it needs no decoding (no escapes); saves the copy. nullopt otherwise.
  std::optional<std::string_view> as_plain_string() const;
  /// An integer that fits (also written as 5.0 or 5e0); nullopt otherwise.
  std::optional<std::int64_t> as_int() const;
  std::optional<double> as_double() const;
  std::optional<bool> as_bool() const;

 private:
  friend Result<Slice> parse(std::string_view text, Limits limits);
  friend class Members;
  friend class Elements;
  explicit Slice(std::string_view text) : text_(text) {}
  std::string_view text_;
};

/// Accepts exactly one JSON value with optional white space around (RFC 8259): well-formed UTF-8, valid
/// escapes, numbers by the grammar, at most `depth_max` levels (never more than 1024). The escape of a lone
/// surrogate passes, since JSON.stringify writes it for a string cut inside an emoji; it decodes as U+FFFD.
/// invalid_argument otherwise, with the byte offset and what was expected there.
Result<Slice> parse(std::string_view text, Limits limits = {});

/// Walks the members of an object in order, without callbacks; nothing when it is not an object.
///   for (Members members(object); members.next();) …
class Members {
 public:
  explicit Members(Slice object);
  bool next();
  /// The key as written, without quotes and undecoded.
  std::string_view raw_key() const { return raw_key_; }
  bool key_is(std::string_view key) const;
  std::string key() const;
  Slice value() const { return value_; }
  /// `"key": value` as written.
  std::string_view text() const { return text_; }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::string_view raw_key_;
  std::string_view text_;
  Slice value_;
};

/// Walks the elements of an array in order; nothing when it is not an array.
class Elements {
 public:
  explicit Elements(Slice array);
  bool next();
  Slice value() const { return value_; }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  Slice value_;
};

/// A change to one member of an object.
struct Edit {
  std::string_view key;
  std::optional<std::string_view> value;  ///< JSON text to put there; nullopt removes the member
};
/// `object` with the edits applied: existing members are replaced or removed in place, new ones are put
/// first. A name that repeats is replaced where it stands first and removed elsewhere.
std::string edit(Slice object, std::initializer_list<Edit> edits);
std::string edit(Slice object, std::span<const Edit> edits);

/// Appends valid JSON text with its line breaks made spaces (they can stand between tokens only), as the
/// framing of stdio and SSE wants it.
void append_single_line(std::string& out, std::string_view json);

}  // namespace berth::json
