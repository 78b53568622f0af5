#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "cli/exit_code.h"
#include "net/network.h"
#include "net/process.h"

/// The world a verb runs in. Production fills it in src/app; tests fill it with twins and compare text.
namespace berth::cli {

class Arguments;

/// Where text goes to and comes from: data on out, talk on err.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  /// The next line of stdin without its line break; nullopt at its end.
  virtual Task<std::optional<std::string>> read_line() = 0;
  virtual bool out_is_terminal() const = 0;
  virtual bool in_is_terminal() const = 0;
  virtual std::size_t columns() const = 0;
  virtual std::size_t rows() const = 0;
  /// Colours and redrawing: out is a terminal and NO_COLOR is not set (https://no-color.org).
  virtual bool colour() const = 0;
  /// Whether something could not be written to out: nobody reads it any more, or the disk is full.
  virtual bool broken() const = 0;
};

/// SIGINT and SIGTERM. Asking for the first one takes them over from the default, which ends the process.
class Interrupts {
 public:
  virtual ~Interrupts() = default;
  virtual Task<void> next() = 0;
  /// The next SIGHUP; asking for the first one takes it over likewise, unless this process was started to
  /// ignore it (nohup). gone: the terminal of this process went away. reload: it has none, or it is still
  /// there, so that somebody asks to read the configuration again.
  enum class Hangup : unsigned char { gone, reload };
  virtual Task<Hangup> hangup() = 0;
};

/// A process that goes on when this one ends (`berth up -d`).
class Background {
 public:
  virtual ~Background() = default;
  /// Runs this very program with `words` in a session of its own, its output appended to `log_file`.
  virtual Result<void> start(const std::vector<std::string>& words, const std::string& log_file) = 0;
  /// What it ended with, if it has: "exited with code 1".
  virtual std::optional<std::string> ended() = 0;
};

struct Context {
  Terminal& terminal;
  Interrupts& interrupts;
  Background& background;
  Clock& clock;
  net::Network& network;
  net::ProcessLauncher& launcher;
  std::map<std::string, std::string> environment;
  std::string directory;  ///< working directory, absolute
  std::string program;    ///< path of this program, for tasks
  Log& log;               ///< of this process; `berth up` keeps its own in the state folder
  /// `berth serve`, which is composed in src/app.
  std::function<Task<ExitCode>(Context& context, const Arguments& arguments)> serve;
};

}  // namespace berth::cli
