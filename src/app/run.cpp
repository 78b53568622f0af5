#include "berth/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "app/task_process.h"
#include "app/world.h"
#include "base/ip_address.h"
#include "base/random.h"
#include "base/version.h"
#include "cli/all_verbs.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "model/parse.h"
#include "net/socket_stream.h"
#include "task/native/stdio_server.h"

namespace berth {

namespace {

constexpr cli::Option run_options[] = {
    {.name = "http", .value = "ADDR:PORT", .meaning = "serve over HTTP there; default 127.0.0.1:3000"},
    {.name = "stdio", .meaning = "serve one client on stdin and stdout"},
    {.name = "task-file", .value = "FILE", .meaning = "be a task of `berth up`"},
    {.name = "spec", .value = "FILE", .meaning = "with `serve`: the spec; default /app/berth.yaml"},
    {.name = "data", .value = "FOLDER", .meaning = "with `serve`: the shared volume; default /mnt/data"},
    {.name = "help", .letter = 'h', .meaning = "print this"}};

std::string help(std::string_view program) {
  std::string out = fmt::format("Usage: {} [--http ADDR:PORT | --stdio]\n\nAn MCP server.\n\n", program);
  for (const cli::Option& option : run_options) {
    const std::string left = fmt::format("--{} {}", option.name, option.value);
    out += fmt::format("  {:<20} {}\n", left, option.meaning);
  }
  return out;
}

/// A spec for a server that nobody wrote a berth.yaml for.
model::Spec lone_spec() {
  model::Spec spec;
  spec.name = "native";
  model::ServerSpec server;
  server.name = "native";
  server.kind = model::ServerSpec::Kind::native;
  spec.servers.push_back(std::move(server));
  return spec;
}

class Program {
 public:
  Program(Server& server, std::string name)
      : server_(server),
        name_(std::move(name)),
        loop_(1),
        clock_(make_real_clock(loop_.get_executor())),
        network_(net::make_network(*clock_)),
        launcher_(net::make_process_launcher(*clock_)),
        terminal_(app::make_terminal(loop_, environment_)),
        interrupts_(app::make_interrupts(loop_)),
        background_(app::make_background(app::own_program())),
        log_(STDERR_FILENO, "") {}

  int run(std::vector<std::string> words) { return app::run_to_end(loop_, main(std::move(words))); }

 private:
  Task<int> main(std::vector<std::string> words) {
    // A container's health check, as `berth health`.
    if (!words.empty() && words.front() == "health") {
      words.erase(words.begin());
      co_return co_await check_health(std::move(words));
    }
    // `berth up` runs a native server as `PROGRAM serve --task-file FILE`, as it runs `berth serve`; a
    // container runs `PROGRAM serve`.
    const bool is_task = !words.empty() && words.front() == "serve";
    if (is_task) words.erase(words.begin());
    const auto arguments = cli::parse_arguments(words, run_options, 0, false);
    if (!arguments) {
      terminal_->err(arguments.error().message() + "\n\n" + help(name_));
      co_return 2;
    }
    if (arguments->has("help")) {
      terminal_->out(help(name_));
      co_return 0;
    }
    if (arguments->has("stdio")) co_return co_await serve_stdio();
    if (is_task || arguments->has("task-file")) co_return co_await serve_task(*arguments);
    co_return co_await serve_http(*arguments);
  }

  cli::Context context() {
    return {*terminal_,   *interrupts_, *background_, *clock_, *network_, *launcher_,
            environment_, "/",          name_,        log_,    {}};
  }

  Task<int> check_health(std::vector<std::string> words) {
    cli::Context here = context();
    const auto arguments = cli::parse_arguments(words, {}, 1, false);
    if (!arguments) {
      terminal_->err(arguments.error().message() + "\n");
      co_return 2;
    }
    const cli::ExitCode code = co_await cli::run_health(here, *arguments);
    co_return static_cast<int>(code);
  }

  Task<int> serve_task(const cli::Arguments& arguments) {
    cli::Context here = context();
    const cli::ExitCode code = co_await app::serve(here, arguments, &server_);
    co_return static_cast<int>(code);
  }

  Task<int> serve_http(const cli::Arguments& arguments) {
    task::RuntimeOptions options;
    options.spec = lone_spec();
    const auto listen = net::parse_endpoint(arguments.get("http").value_or("127.0.0.1:3000"));
    if (!listen) {
      terminal_->err(listen.error().message() + "\n");
      co_return 2;
    }
    if (!is_loopback_address(listen->host)) {
      terminal_->err(
          fmt::format("{} is reachable from elsewhere and this server has no keys. Listen on 127.0.0.1, "
                      "or run it with `berth up` and auth.keys.\n",
                      net::to_string(*listen)));
      co_return 2;
    }
    options.listen = *listen;
    options.identity.generation = random_u64();
    options.fleet_key = Secret(random_bytes(32));
    options.environment = app::child_environment(environment_, options.spec.auth);
    options.version = version();
    options.native = &server_;
    std::function<void(const task::Runtime&)> started = [this](const task::Runtime& runtime) {
      terminal_->err(fmt::format("serving http://{}/mcp, Ctrl-C stops\n", net::to_string(runtime.local())));
    };
    log_.set_threshold(LogLevel::warning);
    co_return co_await app::run_task(std::move(options), *network_, *launcher_, *interrupts_, log_,
                                     std::move(started));
  }

  Task<void> stop_on_interrupt(task::StdioServer& server) {
    co_await interrupts_->next();
    server.stop();
  }

  Task<int> serve_stdio() {
    const auto input = net::make_pipe_stream(*clock_, ::dup(STDIN_FILENO), net::Direction::read);
    const auto output = net::make_pipe_stream(*clock_, ::dup(STDOUT_FILENO), net::Direction::write);
    const model::Spec spec = lone_spec();
    const auto server = task::make_stdio_server(server_, *input, *output, *clock_, log_, spec.servers.front(),
                                                std::chrono::seconds(10));
    TaskScope scope(loop_.get_executor());
    scope.spawn(stop_on_interrupt(*server));
    const Result<void> served = co_await server->serve();
    scope.cancel();
    co_await scope.join();
    if (served) co_return 0;
    terminal_->err(served.error().message() + "\n");
    co_return 1;
  }

  Server& server_;
  std::string name_;
  std::map<std::string, std::string> environment_ = app::read_environment();
  asio::io_context loop_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<net::Network> network_;
  std::unique_ptr<net::ProcessLauncher> launcher_;
  std::unique_ptr<cli::Terminal> terminal_;
  std::unique_ptr<cli::Interrupts> interrupts_;
  std::unique_ptr<cli::Background> background_;
  JsonLineLog log_;
};

}  // namespace

int run(Server& server, int argc, char** argv) {
  app::prepare_process();
  Program program(server, argc > 0 ? argv[0] : "server");
  return program.run({argv + std::min(argc, 1), argv + argc});
}

}  // namespace berth
