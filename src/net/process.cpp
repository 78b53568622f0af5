#include "net/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <list>

#include "base/signal.h"
#include "net/child_image.h"
#include "net/executable.h"
#include "net/pollable.h"
#include "net/socket_stream.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace berth::net {

namespace {

/// A descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(-1); }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void reset(int number) {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

 private:
  int number_ = -1;
};

Error descriptor_error(int number, std::string_view what) {
  if (number == EMFILE || number == ENFILE) {
    return Error(ErrorCode::resource_exhausted,
                 std::string(what) + ": no file descriptor is left; raise the limit with ulimit -n");
  }
  return errno_error(number, what);
}

/// Descriptors 0 to 2 are where the child's own stdio goes, so none of ours may be there.
Result<Fd> above_stdio(Fd fd) {
  if (fd.get() > 2) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (moved.get() < 0) return Failure(descriptor_error(errno, "starting a process"));
  return moved;
}

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Failure(descriptor_error(errno, "making a pipe"));
  auto read = above_stdio(Fd(ends[0]));
  auto write = above_stdio(Fd(ends[1]));
  if (!read) return Failure(read.error());
  if (!write) return Failure(write.error());
  return Pipe{std::move(*read), std::move(*write)};
}

ExitStatus to_exit_status(int wait_status) {
  if (WIFSIGNALED(wait_status)) return ExitStatus{std::nullopt, WTERMSIG(wait_status)};
  return ExitStatus{WEXITSTATUS(wait_status), std::nullopt};
}

/// One forked child until it is reaped. Shared between its Process and the readiness handler of its pidfd, so
/// that it is reaped also when the Process has been destroyed.
class Child : public std::enable_shared_from_this<Child> {
 public:
  Child(Clock& clock, pid_t forked, int pidfd, bool keeper, Fd status_pipe)
      : forked_(forked),
        pid_(forked),
        pidfd_(pidfd),
        keeper_(keeper),
        status_pipe_(std::move(status_pipe)),
        ended_(clock, pidfd) {}

  /// Waits for the end from the event loop.
  void start() { watch(shared_from_this()); }

  void read_keeper_pid() {
    KeeperReport report{};
    if (::read(status_pipe_.get(), &report, sizeof(report)) == sizeof(report)) pid_ = report.pid;
  }

  pid_t pid() const { return pid_; }
  const std::optional<ExitStatus>& status() const { return status_; }

  void signal(int number) {
    if (status_) return;
    if (!keeper_) {
      ::kill(-forked_, number);
    } else if (number == SIGKILL) {
      to_keeper(keeper_kill_signal());
    } else if (number == SIGSTOP) {
      ::kill(-pid_, number);  // cannot be passed on by a keeper: it would stop itself
    } else {
      to_keeper(number);
    }
  }

  Task<ExitStatus> wait() {
    const auto self = shared_from_this();
    Signal ended(ended_.clock().executor());
    const auto place = waiters_.insert(waiters_.end(), &ended);
    const Leave leave{self->waiters_, place};
    while (!self->status_) co_await ended.wait();
    co_return *self->status_;
  }

  /// Blocks until it has ended; for a child that never became its program.
  void reap_now() { reap(0); }

  /// Kills it and watches it no more.
  void abandon() {
    signal(SIGKILL);
    ended_.close();
  }

 private:
  struct Leave {
    std::list<Signal*>& waiters;
    std::list<Signal*>::iterator place;
    ~Leave() { waiters.erase(place); }
  };

  static void watch(std::shared_ptr<Child> self) {
    Child& child = *self;
    child.ended_.on_readable([self = std::move(self)] {
      if (!self->reap(WNOHANG)) watch(self);
    });
  }

  void to_keeper(int number) { ::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0); }

  bool reap(int options) {
    // The rest of the group ends with its leader; while the leader is not reaped its number cannot be reused.
    siginfo_t info{};
    if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_), &info,
                 WEXITED | WNOWAIT | options) == 0) {
      if (info.si_pid == 0) return false;
      ::kill(-forked_, SIGKILL);
    }
    int wait_status = 0;
    ::waitpid(forked_, &wait_status, 0);
    KeeperReport report{};
    if (keeper_ && ::read(status_pipe_.get(), &report, sizeof(report)) == sizeof(report)) {
      wait_status = report.wait_status;
    }
    status_ = to_exit_status(wait_status);
    ended_.close();
    for (Signal* waiter : waiters_) waiter->notify();
    return true;
  }

  pid_t forked_;  ///< the keeper or the process itself
  pid_t pid_;     ///< the process
  int pidfd_;
  bool keeper_;
  Fd status_pipe_;
  std::optional<ExitStatus> status_;
  std::list<Signal*> waiters_;
  Pollable ended_;
};

class ChildProcess final : public Process {
 public:
  ChildProcess(std::shared_ptr<Child> child, std::array<std::unique_ptr<Stream>, 3> stdio,
               std::string separation_problem)
      : child_(std::move(child)),
        stdio_(std::move(stdio)),
        separation_problem_(std::move(separation_problem)) {}
  ~ChildProcess() override { child_->signal(SIGKILL); }

  pid_t pid() const override { return child_->pid(); }
  Stream& input() override { return *stdio_[0]; }
  Stream& output() override { return *stdio_[1]; }
  Stream& errors() override { return *stdio_[2]; }
  Task<ExitStatus> wait() override { return child_->wait(); }
  std::optional<ExitStatus> status() const override { return child_->status(); }
  void signal(int number) override { child_->signal(number); }
  std::string separation_problem() const override { return separation_problem_; }

 private:
  std::shared_ptr<Child> child_;
  std::array<std::unique_ptr<Stream>, 3> stdio_;
  std::string separation_problem_;
};

/// The strings of argv or environment as execve wants them.
struct CStrings {
  explicit CStrings(std::vector<std::string> values) : strings(std::move(values)) {
    for (std::string& text : strings) pointers.push_back(text.data());
    pointers.push_back(nullptr);
  }
  std::vector<std::string> strings;
  std::vector<char*> pointers;
};

std::vector<std::string> environment_strings(const ProcessSpec& spec) {
  std::vector<std::string> out;
  for (const auto& [name, value] : spec.environment) out.push_back(name + "=" + value);
  return out;
}

Result<std::vector<Fd>> open_cgroups(const ProcessSpec& spec) {
  std::vector<Fd> out;
  for (const std::string& folder : spec.cgroups) {
    const std::string path = folder + "/cgroup.procs";
    Fd opened(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (opened.get() < 0) return Failure(errno_error(errno, "opening " + path));
    auto fd = above_stdio(std::move(opened));
    if (!fd) return Failure(fd.error());
    out.push_back(std::move(*fd));
  }
  return out;
}

Error report_error(const ChildReport& report, const ProcessSpec& spec, const std::string& path) {
  switch (report.step) {
    case ChildStep::join_cgroup: return errno_error(report.number, "joining the control groups of " + path);
    case ChildStep::change_directory:
      return errno_error(report.number, "entering the working directory " + spec.directory);
    case ChildStep::redirect: return errno_error(report.number, "connecting the pipes of " + path);
    case ChildStep::fork: return errno_error(report.number, "starting " + path);
    case ChildStep::separate:
    case ChildStep::execute: break;
  }
  if (report.number == ENOEXEC) {
    return Error(ErrorCode::invalid_argument,
                 path +
                     " is not a program this machine can run; a script needs a first line such as "
                     "#!/usr/bin/env node, a binary this machine's architecture");
  }
  if (report.number == ENOENT) {
    return Error(ErrorCode::not_found,
                 path + " names an interpreter in its first line that does not exist here");
  }
  if (report.number == E2BIG) {
    return Error(ErrorCode::invalid_argument, "the arguments and environment of " + path + " are too long");
  }
  return errno_error(report.number, "running " + path);
}

/// The pipes of one launch, both ends.
struct Wiring {
  Pipe input;
  Pipe output;
  Pipe errors;
  Pipe report;
  Pipe status;
};

Result<Wiring> make_wiring(const ProcessSpec& spec) {
  Wiring wiring;
  for (Pipe* pipe : {&wiring.input, &wiring.output, &wiring.errors, &wiring.report, &wiring.status}) {
    if (pipe == &wiring.status && !spec.keeper) continue;
    auto made = make_pipe();
    if (!made) return Failure(made.error());
    *pipe = std::move(*made);
  }
  if (spec.input == ProcessSpec::Stdio::null) {
    auto null = above_stdio(Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
    if (!null) return Failure(null.error());
    wiring.input.read = std::move(*null);
  }
  return wiring;
}

/// What separates the child, ready for the fork; `ruleset` keeps Landlock's descriptor open.
/// `ruleset` and `secrets` are what the image points to.
SeparationImage make_separation(const ProcessSpec& spec, Fd& ruleset, std::vector<const char*>& secrets) {
  SeparationImage image;
  if (!spec.separation) return image;
  image.wanted = true;
  if (auto made = above_stdio(Fd(make_landlock_ruleset()))) ruleset = std::move(*made);
  image.ruleset = ruleset.get();
  if (!spec.separation->hidden.empty()) image.hidden = spec.separation->hidden.c_str();
  if (!spec.separation->kept.empty()) image.kept = spec.separation->kept.c_str();
  for (const std::string& secret : spec.separation->secrets) secrets.push_back(secret.c_str());
  secrets.push_back(nullptr);
  image.secrets = secrets.data();
  // One's own numbers, mapped to themselves; the arrays end with zeros.
  fmt::format_to_n(image.uid_map.data(), image.uid_map.size() - 1, "{0} {0} 1", ::geteuid());
  fmt::format_to_n(image.gid_map.data(), image.gid_map.size() - 1, "{0} {0} 1", ::getegid());
  return image;
}

/// Forks with all signals blocked, so that no handler of ours runs in the child.
pid_t fork_child(const ChildImage& image, bool keeper, int status_pipe) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (keeper) become_keeper(image, parent, status_pipe);
    become_process(image, parent);
  }
  const int number = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = number;
  return pid;
}

/// Waits until the child has become its program (the pipe closes) or says why it could not. `problem`
/// becomes what of its separation was refused.
std::optional<ChildReport> read_report(int pipe, std::string& problem) {
  ChildReport report{};
  while (true) {
    const auto count = ::read(pipe, &report, sizeof(report));
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof(report)) return std::nullopt;
    if (report.step != ChildStep::separate) return report;
    problem = std::strerror(report.number);
  }
}

class KernelLauncher final : public ProcessLauncher {
 public:
  explicit KernelLauncher(Clock& clock) : clock_(clock) {}

  ~KernelLauncher() override {
    for (const auto& child : children_) {
      if (const auto running = child.lock()) running->abandon();
    }
  }

  Result<std::unique_ptr<Process>> launch(ProcessSpec spec) override {
    auto path = find_executable(spec);
    if (!path) return Failure(path.error());
    auto cgroups = open_cgroups(spec);
    if (!cgroups) return Failure(cgroups.error());
    auto wiring = make_wiring(spec);
    if (!wiring) return Failure(wiring.error());
    return start(spec, *path, *cgroups, *wiring);
  }

 private:
  Result<std::unique_ptr<Process>> start(const ProcessSpec& spec, const std::string& path,
                                         const std::vector<Fd>& cgroups, Wiring& wiring) {
    CStrings argv(spec.argv);
    CStrings environment(environment_strings(spec));
    std::vector<int> groups;
    for (const Fd& group : cgroups) groups.push_back(group.get());
    Fd ruleset;
    std::vector<const char*> secrets;
    const ChildImage image{
        .path = path.c_str(),
        .argv = argv.pointers.data(),
        .environment = environment.pointers.data(),
        .directory = spec.directory.empty() ? nullptr : spec.directory.c_str(),
        .stdio = {wiring.input.read.get(), wiring.output.write.get(), wiring.errors.write.get()},
        .cgroups = groups.data(),
        .cgroup_count = groups.size(),
        .separation = make_separation(spec, ruleset, secrets),
        .report = wiring.report.write.get()};
    const pid_t pid = fork_child(image, spec.keeper, wiring.status.write.get());
    if (pid < 0) {
      return fail(ErrorCode::resource_exhausted, "starting " + path + ": " + std::strerror(errno) +
                                                     "; the limit of processes may be reached (ulimit -u)");
    }
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    const int number = errno;
    if (pidfd < 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      return Failure(descriptor_error(number, "watching " + path));
    }
    auto child = std::make_shared<Child>(clock_, pid, pidfd, spec.keeper, std::move(wiring.status.read));
    wiring.report.write.reset(-1);
    wiring.status.write.reset(-1);
    std::string separation_problem;
    if (const auto report = read_report(wiring.report.read.get(), separation_problem)) {
      child->reap_now();
      return Failure(report_error(*report, spec, path));
    }
    if (spec.keeper) child->read_keeper_pid();
    child->start();
    std::erase_if(children_, [](const auto& other) { return other.expired(); });
    children_.push_back(child);
    return make_process(std::move(child), wiring, spec.input, std::move(separation_problem));
  }

  std::unique_ptr<Process> make_process(std::shared_ptr<Child> child, Wiring& wiring,
                                        ProcessSpec::Stdio input, std::string separation_problem) {
    std::array<std::unique_ptr<Stream>, 3> stdio{
        make_pipe_stream(clock_, wiring.input.write.release(), Direction::write),
        make_pipe_stream(clock_, wiring.output.read.release(), Direction::read),
        make_pipe_stream(clock_, wiring.errors.read.release(), Direction::read)};
    if (input == ProcessSpec::Stdio::null) stdio[0]->close();
    return std::make_unique<ChildProcess>(std::move(child), std::move(stdio), std::move(separation_problem));
  }

  Clock& clock_;
  std::vector<std::weak_ptr<Child>> children_;
};

}  // namespace

std::string to_string(const ExitStatus& status) {
  if (status.signal) {
    const char* const name = ::sigabbrev_np(*status.signal);
    if (name == nullptr) return fmt::format("killed by signal {}", *status.signal);
    return fmt::format("killed by signal {} (SIG{})", *status.signal, name);
  }
  return fmt::format("exited with code {}", status.code.value_or(0));
}

std::unique_ptr<ProcessLauncher> make_process_launcher(Clock& clock) {
  ignore_broken_pipes();
  return std::make_unique<KernelLauncher>(clock);
}

}  // namespace berth::net
