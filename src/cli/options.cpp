#include "cli/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/nearest_name.h"
#include "model/units.h"

namespace berth::cli {
namespace {

Failure usage(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

const Option* find_option(std::span<const Option> options, std::string_view name) {
  auto found = std::ranges::find(options, name, &Option::name);
  return found == options.end() ? nullptr : &*found;
}

Failure unknown_option(std::span<const Option> options, std::string_view name) {
  std::vector<std::string_view> names{"help"};
  for (const Option& option : options) names.push_back(option.name);
  std::optional<std::string> meant = model::nearest_name(name, names);
  if (meant) return usage(fmt::format("there is no option --{}; did you mean --{}?", name, *meant));
  return usage(fmt::format("there is no option --{}; the options are --{}.", name, fmt::join(names, ", --")));
}

}  // namespace

std::optional<std::string> Arguments::get(std::string_view option) const {
  auto found = options_.find(option);
  if (found == options_.end()) return std::nullopt;
  return found->second;
}

Result<std::size_t> parse_number(std::string_view what, std::string_view text, std::size_t min,
                                 std::size_t max) {
  Result<std::uint64_t> count = model::parse_count(text);
  if (count && *count >= min && *count <= max) return *count;
  return usage(fmt::format("{} is \"{}\"; it takes a whole number from {} to {}.", what, text, min, max));
}

Result<std::optional<std::size_t>> Arguments::number(std::string_view option, std::size_t min,
                                                     std::size_t max) const {
  std::optional<std::string> text = get(option);
  if (!text) return std::nullopt;
  Result<std::size_t> number = parse_number(fmt::format("--{}", option), *text, min, max);
  if (!number) return Failure(number.error());
  return *number;
}

Result<Arguments> parse_arguments(std::span<const std::string> words, std::span<const Option> options,
                                  std::size_t words_max, bool takes_rest) {
  Arguments out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      if (!takes_rest) return usage("nothing may follow -- here.");
      out.rest_.emplace(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      if (out.words_.size() == words_max) return usage(fmt::format("\"{}\" is one word too many.", word));
      out.words_.push_back(word);
      continue;
    }
    if (word[1] != '-') {
      for (std::size_t at = 1; at < word.size(); ++at) {
        auto option = std::ranges::find(options, word[at], &Option::letter);
        if (option == options.end()) return usage(fmt::format("there is no option -{}.", word[at]));
        std::string value = option->value.empty() ? "" : word.substr(at + 1);
        if (!option->value.empty() && value.empty()) {
          if (++i == words.size())
            return usage(fmt::format("-{} needs a value: -{} {}.", word[at], word[at], option->value));
          value = words[i];
        }
        out.options_[std::string(option->name)] = value;
        if (!option->value.empty()) break;
      }
      continue;
    }
    std::size_t equals = word.find('=');
    std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Option* option = find_option(options, name);
    if (option == nullptr) return unknown_option(options, name);
    if (option->value.empty() && equals != std::string::npos)
      return usage(fmt::format("--{} takes no value.", name));
    std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (!option->value.empty() && equals == std::string::npos) {
      if (++i == words.size())
        return usage(fmt::format("--{} needs a value: --{} {}.", name, name, option->value));
      value = words[i];
    }
    out.options_[name] = value;
  }
  return out;
}

}  // namespace berth::cli
