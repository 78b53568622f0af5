#include "aws/denial.h"

#include <algorithm>

namespace berth::aws {

namespace {

/// The word behind `label`, up to white space and without the sentence's punctuation.
std::string word_after(std::string_view message, std::string_view label) {
  const std::size_t at = message.find(label);
  if (at == std::string_view::npos) return {};
  std::string_view rest = message.substr(at + label.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n\"'`"), rest.size()));
  std::string_view word = rest.substr(0, rest.find_first_of(" \t\r\n\"'`"));
  while (!word.empty() &&
         (word.back() == '.' || word.back() == ',' || word.back() == ';' || word.back() == ')')) {
    word.remove_suffix(1);
  }
  return std::string(word);
}

}  // namespace

std::optional<Denial> find_denial(std::string_view message) {
  Denial denial;
  denial.action = word_after(message, "authorized to perform:");
  denial.principal = word_after(message, "User:");
  denial.resource = word_after(message, "on resource:");
  denial.encoded = word_after(message, "Encoded authorization failure message:");
  // "… is not authorized to perform [ecs:RunTask, iam:PassRole]": the first is enough to go on with.
  if (denial.action.starts_with('[')) denial.action.erase(0, 1);
  const bool speaks_of_it = !denial.action.empty() || !denial.encoded.empty() ||
                            message.find("not authorized to perform") != std::string_view::npos ||
                            message.find("Access Denied") != std::string_view::npos ||
                            message.find("AccessDenied") != std::string_view::npos;
  if (!speaks_of_it) return std::nullopt;
  return denial;
}

}  // namespace berth::aws
