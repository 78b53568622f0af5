#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::http {

/// Header fields in wire order; names compare case-insensitively (RFC 9110 §5.1).
class Headers {
 public:
  struct Field {
    std::string name;
    std::string value;
  };

  void add(std::string_view name, std::string_view value);
  /// Replaces every field of that name by one.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  /// The first value with that name.
  std::optional<std::string_view> get(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  bool empty() const { return fields_.empty(); }
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
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
