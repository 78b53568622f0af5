#pragma once

#include <map>
#include <string>

#include "cli/context.h"
#include "task/runtime.h"

namespace berth::app {

/// Reads the secrets of auth.keys, from the environment or from files (one trailing line break is not part of
/// a
/// key). Errors name the key's principal and where it was looked for, never the value.
Result<std::vector<std::pair<std::string, Secret>>> read_keys(
    const model::Spec& spec, const std::map<std::string, std::string>& environment);

/// The part of the environment that hosted servers get (model/inherited.h), always with PATH and a HOME that
/// can be written to, and never with a key of `auth`.
std::vector<std::pair<std::string, std::string>> child_environment(
    const std::map<std::string, std::string>& environment, const model::AuthSpec& auth);

/// Runs one task until the first interrupt, then drains within the spec's drain_timeout; a second interrupt
/// cuts
/// what is left. `started` is called once the listener is bound. The exit code.
Task<int> run_task(task::RuntimeOptions options, net::Network& network, net::ProcessLauncher& launcher,
                   cli::Interrupts& interrupts, Log& log, std::function<void(const task::Runtime&)> started);

/// `berth serve`: from a task file (--task-file), or on its own from --spec, --http and --data. A native
/// program
/// passes its server.
Task<cli::ExitCode> serve(cli::Context& context, const cli::Arguments& arguments, Server* native);

}  // namespace berth::app
