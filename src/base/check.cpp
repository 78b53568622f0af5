#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace berth::detail {

void check_failed(std::string_view expression, std::string_view what,
                  const std::source_location& where) {
  std::fprintf(stderr, "berth: CHECK failed at %s:%u: %.*s (%.*s)\n", where.file_name(),
               static_cast<unsigned>(where.line()), static_cast<int>(expression.size()),
               expression.data(), static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace berth::detail
