#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "base/testing/sim_clock.h"
#include "net/testing/memory_network.h"
#include "registry/files.h"
#include "registry/image.h"

/// What the tests of this folder share: a folder of their own, a network in memory, no programs.
namespace berth::registry {

class NoPrograms final : public net::ProcessLauncher {
 public:
  Result<std::unique_ptr<net::Process>> launch(net::ProcessSpec spec) override {
    return fail(ErrorCode::not_found, "There is no program '" + spec.argv.front() + "'.");
  }
};

class World : public ::testing::Test {
 protected:
  World() {
    std::string pattern = ::testing::TempDir() + "berth-registry-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  ~World() override { remove_tree(folder); }

  void write(const std::string& path, const std::string& content, unsigned mode = 0644) const {
    const std::string full = folder + "/" + path;
    for (std::size_t at = folder.size() + 1; (at = full.find('/', at)) != std::string::npos; ++at) {
      ::mkdir(full.substr(0, at).c_str(), 0755);
    }
    std::ofstream(full, std::ios::binary) << content;
    ::chmod(full.c_str(), mode);
  }

  /// The outcome of a task; time goes on (for pauses between attempts) while it is not done.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> outcome;
    scope.spawn(store_outcome(std::move(task), outcome));
    clock.run_until_idle();
    for (int i = 0; i < 100 && !outcome; ++i) clock.advance(std::chrono::seconds(1));
    EXPECT_TRUE(outcome.has_value()) << "the task does not end";
    return std::move(*outcome);
  }
  template <class T>
  static Task<void> store_outcome(Task<T> task, std::optional<T>& outcome) {
    T result = co_await std::move(task);
    outcome.emplace(std::move(result));
  }

  std::unique_ptr<Images> images(std::map<std::string, std::string> environment = {}) {
    return make_images(folder + "/store", std::move(environment), *network, launcher);
  }

  std::string folder;
  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  NoPrograms launcher;
  TaskScope scope{loop.get_executor()};
};

}  // namespace berth::registry
