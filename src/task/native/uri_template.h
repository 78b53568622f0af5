#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace berth::task {

/// A URI template (RFC 6570) used backwards: which values of its variables give this URI? `{name}` (level
/// 1) stands for one or more characters other than '/', `{+name}` (level 2) also for '/'. A variable ends
/// where the text after it first occurs; values are percent-decoded.
class UriTemplate {
 public:
  /// invalid_argument: unbalanced braces, another operator, two variables without text between, a name twice.
  static Result<UriTemplate> parse(std::string_view text);

  std::vector<std::string> variables() const;
  using Values = std::vector<std::pair<std::string_view, std::string>>;
  /// Name and value of each variable, or nullopt when the URI is none of the template's.
  std::optional<Values> match(std::string_view uri) const;

 private:
  struct Part {
    std::string variable;  ///< empty only in the first part, when the template starts with text
    bool with_slashes = false;
    std::string text;  ///< what follows the variable
  };
  std::vector<Part> parts_;
};

}  // namespace berth::task
