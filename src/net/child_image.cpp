#include "net/child_image.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace berth::net {

namespace {

constexpr int failed_before_exec = 127;
constexpr int lowest_inherited = 3;
constexpr unsigned int close_on_exec = 1u << 2;  // CLOSE_RANGE_CLOEXEC

void close_from(int first, unsigned int flags) { ::syscall(SYS_close_range, first, ~0u, flags); }

void tell(const ChildImage& image, ChildStep step, int number) {
  const ChildReport report{step, number};
  [[maybe_unused]] const auto written = ::write(image.report, &report, sizeof(report));
}

[[noreturn]] void give_up(const ChildImage& image, ChildStep step) {
  tell(image, step, errno);
  ::_exit(failed_before_exec);
}

void reset_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Asks for `number` when `parent` dies; false when it has died already.
bool follow_parent(int number, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, number);
  return ::getppid() == parent;
}

int parent_died_signal() { return SIGRTMAX - 2; }

/// The keeper's state; a plain struct, because nothing here may allocate.
struct Keeper {
  pid_t child = -1;
  bool reaped = false;
  int wait_status = 0;
};

/// Reaps whatever has ended. False when no child is left.
bool reap(Keeper& keeper, int options) {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, options);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return false;
    if (pid == 0) return true;
    if (pid == keeper.child) {
      keeper.reaped = true;
      keeper.wait_status = status;
    }
    options = WNOHANG;
  }
}

/// Kills the direct children. Their orphans become ours (we are their subreaper), so that repeating this
/// reaches every descendant, in whatever session or group it hides. False without /proc.
bool kill_children() {
  const int list = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (list < 0) return false;
  char text[4096];
  pid_t pid = 0;
  while (true) {
    const auto count = ::read(list, text, sizeof(text));
    if (count <= 0) break;
    for (ssize_t i = 0; i < count; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
        continue;
      }
      if (pid > 1) ::kill(pid, SIGKILL);
      pid = 0;
    }
  }
  if (pid > 1) ::kill(pid, SIGKILL);
  ::close(list);
  return true;
}

void kill_descendants(Keeper& keeper) {
  if (!keeper.reaped) ::kill(-keeper.child, SIGKILL);
  bool listed = true;
  do {
    listed = kill_children();
  } while (reap(keeper, listed || !keeper.reaped ? 0 : WNOHANG) && listed);
}

bool is_forwarded(int number) {
  switch (number) {
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
    case SIGQUIT:
    case SIGUSR1:
    case SIGUSR2:
    case SIGCONT:
    case SIGWINCH: return true;
    default: return false;
  }
}

/// Returns when the process has ended, the parent has died, or the kill was asked for.
void keep_watch(Keeper& keeper) {
  sigset_t all;
  ::sigfillset(&all);
  while (!keeper.reaped) {
    const int number = ::sigwaitinfo(&all, nullptr);
    if (number == SIGCHLD) reap(keeper, WNOHANG);
    if (number == parent_died_signal() || number == keeper_kill_signal()) return;
    if (is_forwarded(number) && !keeper.reaped) ::kill(-keeper.child, number);
  }
}

/// Keeps only the status pipe: what the parent had open (listeners, pipes to others) must not live on here.
int close_all_but(int status_pipe) {
  const int null = ::open("/dev/null", O_RDWR);
  for (int number = 0; number < lowest_inherited; ++number) ::dup2(null, number);
  ::dup2(status_pipe, lowest_inherited);
  close_from(lowest_inherited + 1, 0);
  return lowest_inherited;
}

}  // namespace

int keeper_kill_signal() { return SIGRTMAX - 1; }

void become_process(const ChildImage& image, pid_t parent) {
  ::setpgid(0, 0);
  if (!follow_parent(SIGKILL, parent)) ::_exit(failed_before_exec);
  reset_signals();
  for (std::size_t i = 0; i < image.cgroup_count; ++i) {
    if (::write(image.cgroups[i], "0", 1) != 1) give_up(image, ChildStep::join_cgroup);
  }
  if (image.separation.wanted) {
    if (const int refused = separate_self(image.separation)) tell(image, ChildStep::separate, refused);
    // A change of credentials may take back the first request.
    if (!follow_parent(SIGKILL, parent)) ::_exit(failed_before_exec);
  }
  if (image.directory != nullptr && ::chdir(image.directory) != 0)
    give_up(image, ChildStep::change_directory);
  for (int number = 0; number < lowest_inherited; ++number) {
    if (::dup2(image.stdio[number], number) < 0) give_up(image, ChildStep::redirect);
  }
  close_from(lowest_inherited, close_on_exec);
  ::execve(image.path, image.argv, image.environment);
  give_up(image, ChildStep::execute);
}

void become_keeper(const ChildImage& image, pid_t parent, int status_pipe) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_NAME, "berth-keeper");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // An ignored SIGCHLD would reap children behind our back.
  ::signal(SIGCHLD, SIG_DFL);
  if (!follow_parent(parent_died_signal(), parent)) ::_exit(failed_before_exec);
  Keeper keeper;
  const pid_t self = ::getpid();
  keeper.child = ::fork();
  if (keeper.child < 0) give_up(image, ChildStep::fork);
  if (keeper.child == 0) become_process(image, self);
  // Both sides set the group, so that it exists before the first forwarded signal.
  ::setpgid(keeper.child, keeper.child);

  KeeperReport report{keeper.child, 0};
  [[maybe_unused]] auto written = ::write(status_pipe, &report, sizeof(report));
  status_pipe = close_all_but(status_pipe);
  keep_watch(keeper);
  kill_descendants(keeper);
  report.wait_status = keeper.wait_status;
  written = ::write(status_pipe, &report, sizeof(report));
  const bool exited = WIFEXITED(keeper.wait_status);
  ::_exit(exited ? WEXITSTATUS(keeper.wait_status) : 128 + WTERMSIG(keeper.wait_status));
}

}  // namespace berth::net
