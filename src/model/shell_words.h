#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::model {

/// Splits a command line into words the way a POSIX shell does (blanks, '…', "…", backslash), and nothing
/// else: no variables,
/// no globs. invalid_argument on an open quote, on an empty line, and on an unquoted operator (| & ; < > ( )
/// ` $(), which
/// would silently mean something else without a shell; the message says how to ask for one.
Result<std::vector<std::string>> split_shell_words(std::string_view line);

/// The words as one line that splits back into them.
std::string join_shell_words(const std::vector<std::string>& words);

}  // namespace berth::model
