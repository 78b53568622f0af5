#include "cli/testing/fake_context.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "cli/verbs.h"

namespace berth::cli::testing {
namespace {

class NoInterrupts final : public Interrupts {
 public:
  explicit NoInterrupts(Clock& clock) : clock_(clock) {}
  Task<void> next() override { co_await clock_.sleep_for(std::chrono::hours(1000)); }

  Task<Hangup> hangup() override {
    co_await clock_.sleep_for(std::chrono::hours(24 * 365));
    co_return Hangup::gone;
  }

 private:
  Clock& clock_;
};

class NoBackground final : public Background {
 public:
  explicit NoBackground(std::function<void()> on_start) : on_start_(std::move(on_start)) {}
  Result<void> start(const std::vector<std::string>& /*words*/, const std::string& /*log_file*/) override {
    if (on_start_) on_start_();
    return {};
  }
  std::optional<std::string> ended() override {
    return on_start_ ? std::nullopt : std::optional<std::string>("exited with code 1");
  }

 private:
  std::function<void()> on_start_;
};

class NoLauncher final : public net::ProcessLauncher {
 public:
  Result<std::unique_ptr<net::Process>> launch(net::ProcessSpec /*spec*/) override {
    return fail(ErrorCode::internal, "No process is started in this test.");
  }
};

Task<void> run_and_keep(Context& context, const std::vector<std::string>& words,
                        std::optional<ExitCode>& code) {
  ExitCode result = co_await cli::run(context, words);
  code = result;
}

}  // namespace

Task<std::optional<std::string>> FakeTerminal::read_line() {
  if (input.empty()) co_return std::nullopt;
  std::string line = input.front();
  input.pop_front();
  co_return line;
}

Task<void> FakeService::serve(http::Exchange& exchange) {
  Seen request{.method = exchange.head().method,
               .target = exchange.head().target,
               .body = {},
               .headers = exchange.head().headers};
  Result<std::string> body = co_await exchange.read_body(1u << 20);
  if (body) request.body = *body;
  http::Response response = answer ? answer(request) : http::text_response(404, "");
  seen.push_back(std::move(request));
  Result<void> sent = co_await exchange.respond(std::move(response));
  static_cast<void>(sent);
}

World::World() {
  std::string path = (std::filesystem::temp_directory_path() / "berth-cli-XXXXXX").string();
  folder = mkdtemp(path.data());
  folder += "/app";
  std::filesystem::create_directory(folder);
}

World::~World() {
  TaskScope scope(loop.get_executor());
  auto drain = [](http::Server& server, TimePoint deadline) -> Task<void> {
    co_await server.drain(deadline);
  };
  for (const std::unique_ptr<http::Server>& server : servers_) scope.spawn(drain(*server, clock.now()));
  clock.run_until_idle();
  clock.advance(std::chrono::seconds(1));
  servers_.clear();
  clock.run_until_idle();
  std::error_code ignored;
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path(), ignored);
}

int World::run(const std::vector<std::string>& words) {
  NoInterrupts interrupts(clock);
  NoBackground background(on_detach);
  NoLauncher launcher;
  Context context{.terminal = terminal,
                  .interrupts = interrupts,
                  .background = background,
                  .clock = clock,
                  .network = *network,
                  .launcher = launcher,
                  .environment = environment,
                  .directory = folder,
                  .program = "/usr/bin/berth",
                  .log = null_log(),
                  .serve = {}};
  std::optional<ExitCode> code;
  TaskScope scope(loop.get_executor());
  scope.spawn(run_and_keep(context, words, code));
  for (int second = 0; second < 600 && !code; ++second) {
    clock.run_until_idle();
    if (!code) clock.advance(std::chrono::seconds(1));
  }
  if (!code) scope.cancel();
  clock.run_until_idle();
  return code ? static_cast<int>(*code) : -1;
}

void World::write(const std::string& name, const std::string& text) {
  std::filesystem::path path = std::filesystem::path(folder) / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string World::read(const std::string& name) const {
  std::ifstream file(std::filesystem::path(folder) / name);
  return {std::istreambuf_iterator<char>(file), {}};
}

void World::serve(const net::Endpoint& endpoint, http::Service& service) {
  Result<std::unique_ptr<net::Listener>> listener = network->listen(endpoint);
  servers_.push_back(http::make_server(std::move(*listener), nullptr, service, clock, null_log(), {}));
}

}  // namespace berth::cli::testing
