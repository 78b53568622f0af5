#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::http {

/// A front door sets it on a request that it sends to another task, because the one that it had sent it to
/// was lost and may have run it. A task runs it only where that does nothing twice.
inline constexpr std::string_view repeated_header = "Berth-Repeated";

/// Header fields in wire order; names compare case-insensitively (RFC 9110 §5.1). All text lies in one
/// buffer, so that a head that is cleared and filled again costs no allocation. Views from get() and fields()
/// are valid until the headers change.
class Headers {
  struct Span;

 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };
  class Iterator {
   public:
    Iterator(const Headers* headers, std::size_t index) : headers_(headers), index_(index) {}
    Field operator*() const { return headers_->at(index_); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Headers* headers_;
    std::size_t index_;
  };
  class Range {
   public:
    explicit Range(const Headers* headers) : headers_(headers) {}
    Iterator begin() const { return {headers_, 0}; }
    Iterator end() const { return {headers_, size()}; }
    std::size_t size() const { return headers_->spans_.size(); }
    Field operator[](std::size_t index) const { return headers_->at(index); }

   private:
    const Headers* headers_;
  };

  void add(std::string_view name, std::string_view value);
  /// Replaces every field of that name by one, at the place of the first.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  /// Removes everything and keeps the memory.
  void clear();
  /// The first value with that name.
  std::optional<std::string_view> get(std::string_view name) const;
  /// Of `names`, at most 64, one that more than one field has; empty: there is none.
  std::string_view repeated(std::initializer_list<std::string_view> names) const;
  bool empty() const { return spans_.empty(); }
  /// For iteration: `for (const auto field : headers.fields())`.
  Range fields() const { return Range(this); }

 private:
  struct Span {
    std::uint32_t name_at;
    std::uint32_t name_bytes;
    std::uint32_t value_at;
    std::uint32_t value_bytes;
  };
  Field at(std::size_t index) const {
    const Span& span = spans_[index];
    const std::string_view text = text_;
    return {text.substr(span.name_at, span.name_bytes), text.substr(span.value_at, span.value_bytes)};
  }
  bool is_named(std::size_t index, std::string_view name) const;
  std::uint32_t append(std::string_view text);

  std::string text_;
  std::vector<Span> spans_;
};

bool equals_ignoring_case(std::string_view a, std::string_view b);

struct RequestHead {
  std::string method;
  std::string target;  ///< origin-form as received, e.g. "/mcp?x=1"
  int minor_version = 1;
  Headers headers;

  std::string_view path() const;   ///< target up to '?'
  std::string_view query() const;  ///< after '?', or empty
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

/// "OK", "Not Found", …; "Unknown" for a status without a registered reason.
std::string_view reason_phrase(int status);

/// A response with Content-Type application/json.
Response json_response(int status, std::string body);
/// A text/plain response.
Response text_response(int status, std::string body);

}  // namespace berth::http
