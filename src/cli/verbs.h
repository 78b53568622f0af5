#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/options.h"

namespace berth::cli {

/// One verb: its place in the help and what it does. A row of the table in verbs.cpp.
struct Verb {
  std::string_view name;
  std::string_view summary;  ///< one line of `berth help`
  std::string_view usage;    ///< after the name: "[-d] [FILE]"
  std::span<const Option> options;
  std::size_t words_max = 0;
  bool takes_rest = false;  ///< words after --
  std::string_view more;    ///< further paragraphs of `berth help VERB`
  Task<ExitCode> (*run)(Context& context, const Arguments& arguments) = nullptr;
  bool hidden = false;  ///< not in the list: the container's entry point and the like
};

std::span<const Verb> verbs();

/// What `berth WORDS…` does: finds the verb, reads its options, runs it. Mistakes go to err with the nearest
/// name.
Task<ExitCode> run(Context& context, const std::vector<std::string>& words);

}  // namespace berth::cli
