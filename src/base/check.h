#pragma once

#include <source_location>
#include <string_view>

namespace berth::detail {
[[noreturn]] void check_failed(std::string_view expression, std::string_view what,
                               const std::source_location& where);
}

/// Aborts with the expression, `what` and the place when `condition` is false. For bugs only: an
/// expected failure is a Result. Always on, in release too.
#define BERTH_CHECK(condition, what)                                                   \
  do {                                                                                 \
    if (!(condition)) [[unlikely]]                                                     \
      ::berth::detail::check_failed(#condition, (what), std::source_location::current()); \
  } while (false)
