#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "net/process.h"

namespace berth::registry {

using Environment = std::map<std::string, std::string>;

/// A variable of an environment; "" when it is not set.
const std::string& variable(const Environment& environment, const std::string& name);

struct ProgramCall {
  std::vector<std::string> argv;
  Environment environment;  ///< the whole
  std::string directory;
  Secret input;
  Duration time_max = std::chrono::minutes(1);
  /// Each line as it comes, of stdout and stderr. None: nobody is told.
  std::function<void(std::string_view)> on_line;
};
struct ProgramResult {
  net::ExitStatus status;
  std::string output;      ///< stdout, at most 1 MiB
  std::string last_words;  ///< the end of stderr (of stdout when it is empty), at most 2 KiB
  bool succeeded() const { return status.code == 0; }
};
/// Runs a program to its end. not_found when there is none, deadline_exceeded (it is killed then).
Task<Result<ProgramResult>> run_program(net::ProcessLauncher& launcher, Clock& clock, ProgramCall call);

}  // namespace berth::registry
