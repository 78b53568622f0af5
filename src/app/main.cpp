#include <unistd.h>

#include "app/task_process.h"
#include "app/world.h"
#include "cli/verbs.h"

namespace {

berth::Task<int> run_verb(berth::cli::Context& context, std::vector<std::string> words) {
  const berth::cli::ExitCode code = co_await berth::cli::run(context, words);
  co_return static_cast<int>(code);
}

berth::Task<berth::cli::ExitCode> serve(berth::cli::Context& context,
                                        const berth::cli::Arguments& arguments) {
  co_return co_await berth::app::serve(context, arguments, nullptr);
}

std::string working_directory() {
  std::string path(4096, '\0');
  return ::getcwd(path.data(), path.size()) == nullptr ? "/" : path.c_str();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace berth;
  app::prepare_process();
  asio::io_context loop(1);
  const auto environment = app::read_environment();
  const std::string program = app::own_program();
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = net::make_network(*clock);
  const auto launcher = net::make_process_launcher(*clock);
  const auto terminal = app::make_terminal(loop, environment);
  const auto interrupts = app::make_interrupts(loop);
  const auto background = app::make_background(program);
  JsonLineLog log(STDERR_FILENO, "");
  cli::Context context{*terminal,   *interrupts,         *background, *clock, *network, *launcher,
                       environment, working_directory(), program,     log,    serve};
  return app::run_to_end(loop, run_verb(context, {argv + 1, argv + argc}));
}
