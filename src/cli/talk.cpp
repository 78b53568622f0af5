#include "cli/talk.h"

#include "cli/text.h"

namespace berth::cli {

std::string fitted(const Terminal& terminal, std::string_view text) {
  return terminal.out_is_terminal() ? fit(text, terminal.columns()) : std::string(text);
}

}  // namespace berth::cli
