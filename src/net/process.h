#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/stream.h"

namespace berth::net {

/// What is known of a process that has ended.
struct ExitStatus {
  std::optional<int> code;    ///< exit code, if it exited
  std::optional<int> signal;  ///< signal number, if it was killed
  auto operator<=>(const ExitStatus&) const = default;
};
/// "exited with code 1", "killed by signal 9 (SIGKILL)".
std::string to_string(const ExitStatus& status);

/// For a program that Berth does not trust: it starts without capabilities and cannot trace, read or signal
/// processes that it did not start (Landlock). Of `hidden` it sees nothing but `kept`, a folder inside; both
/// may be empty, the paths are absolute. Files and folders among `secrets` it sees empty.
struct Separation {
  std::string hidden;
  std::string kept;
  std::vector<std::string> secrets;
};

struct ProcessSpec {
  std::vector<std::string> argv;                                 ///< argv[0] is looked up in the child's PATH
  std::vector<std::pair<std::string, std::string>> environment;  ///< the whole environment
  std::string directory;                                         ///< working directory; empty: inherited
  /// Folders of cgroup controllers (v1) or of one group (v2) whose cgroup.procs the child joins before exec.
  std::vector<std::string> cgroups;
  enum class Stdio : std::uint8_t { piped, null } input = Stdio::piped;
  /// A keeper process stands between: it adopts every descendant and kills them all when the process or
  /// the parent ends, however they end (PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG).
  bool keeper = false;
  /// Where the kernel refuses a part, the process starts all the same; see Process::separation_problem.
  std::optional<Separation> separation;
};

/// A running child in a process group of its own. Destroying it kills the group at once (SIGKILL).
class Process {
 public:
  virtual ~Process() = default;
  virtual pid_t pid() const = 0;
  virtual Stream& input() = 0;   ///< the child's stdin
  virtual Stream& output() = 0;  ///< the child's stdout
  virtual Stream& errors() = 0;  ///< the child's stderr
  /// Resumes when the process has been reaped, and the rest of its group killed. Several waiters are allowed.
  virtual Task<ExitStatus> wait() = 0;
  /// Set once reaped.
  virtual std::optional<ExitStatus> status() const = 0;
  /// To the whole process group; no-op once reaped.
  virtual void signal(int number) = 0;
  /// What of the asked-for separation this machine refused; empty: nothing.
  virtual std::string separation_problem() const { return {}; }
};

/// The door to child processes. Errors: not_found (no such command; names it and the PATH searched),
/// permission_denied, resource_exhausted.
class ProcessLauncher {
 public:
  virtual ~ProcessLauncher() = default;
  virtual Result<std::unique_ptr<Process>> launch(ProcessSpec spec) = 0;
};

/// Outlives the processes it has launched. Launch from one thread that lives as long as the program: children
/// die with the thread that started them (PR_SET_PDEATHSIG).
std::unique_ptr<ProcessLauncher> make_process_launcher(Clock& clock);

}  // namespace berth::net
