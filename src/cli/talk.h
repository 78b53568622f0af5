#pragma once

#include <string>
#include <string_view>

#include "cli/context.h"

namespace berth::cli {

/// `text` as it stands on this terminal: lines broken between words at its width. Where out is no terminal it
/// stays as it is, so that a program finds whole sentences.
std::string fitted(const Terminal& terminal, std::string_view text);

}  // namespace berth::cli
