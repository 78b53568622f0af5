#include "task/native/uri_template.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::task {

namespace {

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// RFC 3986 §2.1; a '%' that starts no triplet stands for itself.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = high ? hex_digit(text[i + 2]) : std::nullopt;
    if (text[i] != '%' || !low) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

bool is_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  });
}

}  // namespace

Result<UriTemplate> UriTemplate::parse(std::string_view text) {
  UriTemplate result;
  result.parts_.emplace_back();
  std::string_view rest = text;
  while (true) {
    const std::size_t open = rest.find_first_of("{}");
    result.parts_.back().text = rest.substr(0, open);
    if (open == std::string_view::npos) return result;
    const std::size_t close = rest.find('}', open);
    if (rest[open] == '}' || close == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("URI template '{}': a brace has no partner.", text));
    }
    Part part;
    std::string_view expression = rest.substr(open + 1, close - open - 1);
    part.with_slashes = expression.starts_with('+');
    if (part.with_slashes) expression.remove_prefix(1);
    if (!is_name(expression)) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("URI template '{}': '{}' is not supported; write {{name}} or {{+name}}.", text,
                              rest.substr(open, close - open + 1)));
    }
    if (!result.parts_.back().variable.empty() && result.parts_.back().text.empty()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("URI template '{}': put text between '{}' and '{}'.", text,
                              result.parts_.back().variable, expression));
    }
    if (std::ranges::find(result.parts_, expression, &Part::variable) != result.parts_.end()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("URI template '{}': '{}' occurs twice.", text, expression));
    }
    part.variable = expression;
    result.parts_.push_back(std::move(part));
    rest.remove_prefix(close + 1);
  }
}

std::vector<std::string> UriTemplate::variables() const {
  std::vector<std::string> names;
  for (const Part& part : parts_) {
    if (!part.variable.empty()) names.push_back(part.variable);
  }
  return names;
}

auto UriTemplate::match(std::string_view uri) const -> std::optional<Values> {
  if (!uri.starts_with(parts_.front().text)) return std::nullopt;
  uri.remove_prefix(parts_.front().text.size());
  Values found;
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    std::size_t end = std::string_view::npos;
    if (i + 1 == parts_.size()) {
      if (uri.ends_with(part.text)) end = uri.size() - part.text.size();
    } else {
      end = uri.find(part.text, 1);
    }
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    const std::string_view value = uri.substr(0, end);
    if (!part.with_slashes && value.find('/') != std::string_view::npos) return std::nullopt;
    found.emplace_back(part.variable, percent_decoded(value));
    uri.remove_prefix(end + part.text.size());
  }
  if (parts_.size() == 1 && !uri.empty()) return std::nullopt;
  return found;
}

}  // namespace berth::task
