#pragma once

#include <cstdint>

namespace berth::cli {

/// What `berth` exits with, by cause and the same for every verb. `berth help exit-codes` prints this list;
/// scripts may rely on it.
enum class ExitCode : std::uint8_t {
  ok = 0,
  failed = 1,           ///< something went wrong; stderr says what and what next
  usage = 2,            ///< the command line was not understood, or names what is not there
  invalid_spec = 3,     ///< berth.yaml is missing or has mistakes
  not_running = 4,      ///< the verb needs a running `berth up`
  already_running = 5,  ///< the service is already up
  unhealthy = 6,        ///< it runs, but not every task is healthy; or doctor found a broken link
  tool_error = 7,       ///< the tool was called and answered that it failed (isError)
  not_confirmed = 8,    ///< the answer was no, or nobody could be asked and --yes was not given
  interrupted = 130,    ///< Ctrl-C; stderr says what goes on by itself
};

}  // namespace berth::cli
