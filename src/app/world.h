#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cli/context.h"

/// The real world behind cli::Context. Only this folder reads argv, the environment and signals.
namespace berth::app {

/// stdin, stdout and stderr of this process. Reading waits for readiness and never makes stdin non-blocking,
/// which would outlive this process in the user's shell.
std::unique_ptr<cli::Terminal> make_terminal(asio::io_context& loop,
                                             const std::map<std::string, std::string>& environment);

/// SIGINT and SIGTERM, from the first next() on; SIGHUP, from the first hangup() on.
std::unique_ptr<cli::Interrupts> make_interrupts(asio::io_context& loop);

/// Starts `program` in a session of its own.
std::unique_ptr<cli::Background> make_background(std::string program);

std::map<std::string, std::string> read_environment();

/// The path of this very program, for the tasks and for `berth up -d`.
std::string own_program();

/// Raises the soft limit of open files to the hard one, ignores SIGPIPE, and makes sure that descriptors 0 to
/// 2
/// are open, so that no socket takes the number of a closed stdout.
void prepare_process();

/// Runs `main` on `loop` until it has returned; what it returned.
int run_to_end(asio::io_context& loop, Task<int> main);

}  // namespace berth::app
