#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// The command line of one verb. A table a verb instead of a library, because every mistake is to be answered
/// with the
/// nearest name and the verb's own usage.
namespace berth::cli {

struct Option {
  std::string_view name;   ///< without dashes: "json"
  char letter = 0;         ///< 'j' for -j; 0: none
  std::string_view value;  ///< what it takes, for the usage: "N"; empty: a switch
  std::string_view meaning;
};

class Arguments {
 public:
  bool has(std::string_view option) const { return options_.contains(option); }
  std::optional<std::string> get(std::string_view option) const;
  /// The decimal number given for `option`, or nullopt; invalid_argument when it is none from `min` to `max`.
  Result<std::optional<std::size_t>> number(std::string_view option, std::size_t min, std::size_t max) const;
  const std::vector<std::string>& words() const { return words_; }
  /// What follows `--`; nullopt when there was none.
  const std::optional<std::vector<std::string>>& rest() const { return rest_; }

 private:
  friend Result<Arguments> parse_arguments(std::span<const std::string>, std::span<const Option>, std::size_t,
                                           bool);
  std::map<std::string, std::string, std::less<>> options_;
  std::vector<std::string> words_;
  std::optional<std::vector<std::string>> rest_;
};

/// `--name value`, `--name=value`, `-l value`, `-ab` for two switches; at most `words_max` words; `--` and
/// what follows
/// only where `takes_rest`. invalid_argument with a sentence.
Result<Arguments> parse_arguments(std::span<const std::string> words, std::span<const Option> options,
                                  std::size_t words_max, bool takes_rest);

/// The number that the whole of `text` is, if it is one from `min` to `max`.
Result<std::size_t> parse_number(std::string_view what, std::string_view text, std::size_t min,
                                 std::size_t max);

}  // namespace berth::cli
