#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/sim_clock.h"
#include "cli/context.h"
#include "http/server.h"
#include "net/testing/memory_network.h"

namespace berth::cli::testing {

/// What a verb wrote, and what a user types.
class FakeTerminal final : public Terminal {
 public:
  void out(std::string_view text) override { output += text; }
  void err(std::string_view text) override { errors += text; }
  Task<std::optional<std::string>> read_line() override;
  bool out_is_terminal() const override { return interactive; }
  bool in_is_terminal() const override { return interactive; }
  std::size_t columns() const override { return width; }
  std::size_t rows() const override { return 4; }
  bool colour() const override { return false; }
  bool broken() const override { return is_broken; }

  std::string output, errors;
  std::deque<std::string> input;
  std::size_t width = 100;
  bool interactive = false;
  bool is_broken = false;
};

/// Answers every request with what `routes` say for "METHOD /path" (longest first match by prefix), and
/// remembers them.
class FakeService final : public http::Service {
 public:
  Task<void> serve(http::Exchange& exchange) override;

  struct Seen {
    std::string method, target, body;
    http::Headers headers;
  };
  std::vector<Seen> seen;
  std::function<http::Response(const Seen&)> answer;
};

/// A folder, an in-memory network and simulated time in which verbs run.
class World {
 public:
  World();
  ~World();

  /// Runs `berth words…` until it has ended; its exit code. Output is in `terminal`.
  int run(const std::vector<std::string>& words);
  void write(const std::string& name, const std::string& text);
  std::string read(const std::string& name) const;
  /// Serves `service` on an endpoint of the network until the world ends.
  void serve(const net::Endpoint& endpoint, http::Service& service);

  asio::io_context loop;
  ::berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  FakeTerminal terminal;
  /// What a process in the background does when it begins; without it, it ends at once.
  std::function<void()> on_detach;
  std::map<std::string, std::string> environment{{"HOME", "/home/me"}, {"PATH", "/usr/bin:/bin"}};
  std::string folder;  ///< working directory, with a random name

 private:
  std::vector<std::unique_ptr<http::Server>> servers_;
};

}  // namespace berth::cli::testing
