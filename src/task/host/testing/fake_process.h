#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "net/process.h"

namespace berth::task::host::testing {

/// The inside of a fake child process, as a test's script sees it.
class FakeChild {
 public:
  virtual ~FakeChild() = default;
  virtual const net::ProcessSpec& spec() const = 0;
  /// How many processes were launched before this one.
  virtual std::size_t index() const = 0;
  /// Writes a line to stdout, or bytes to stderr.
  virtual void say(std::string line) = 0;
  virtual void complain(std::string bytes) = 0;
  /// Closes stdout but lives on.
  virtual void close_output() = 0;
  virtual void exit(int code) = 0;
  virtual void die(int signal) = 0;
  virtual bool alive() const = 0;
  /// Lines read from stdin so far, and signals got.
  std::vector<std::string> lines;
  std::vector<int> signals;
};

/// What a child does. Defaults: exits with 0 when stdin closes; dies of SIGTERM and SIGKILL.
struct FakeScript {
  std::function<void(FakeChild&)> on_start = [](FakeChild&) {};
  std::function<void(FakeChild&, const std::string& line)> on_line = [](FakeChild&, const std::string&) {};
  bool ignores_stdin_close = false;
  bool ignores_sigterm = false;
  bool reads_input = true;
};

/// Launches fakes over in-memory streams; nothing but the loop and the clock is needed.
class FakeLauncher : public net::ProcessLauncher {
 public:
  FakeScript script;
  /// Launching fails with this, when set.
  std::optional<Error> refusal;
  virtual std::vector<FakeChild*> children() = 0;  ///< all ever launched, in order
  /// Cancels and joins everything; call before it is destroyed.
  virtual Task<void> stop() = 0;
};
std::unique_ptr<FakeLauncher> make_fake_launcher(Clock& clock);

}  // namespace berth::task::host::testing
