#include "app/world.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <exception>

#include "base/descriptor.h"

namespace berth::app {

namespace {

/// 0, or the errno of what went wrong.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

class ProcessTerminal final : public cli::Terminal {
 public:
  /// `redraws`: whether the terminal knows more than lines, which TERM=dumb denies.
  ProcessTerminal(asio::io_context& loop, bool no_colour, bool redraws)
      : input_(loop.get_executor()), no_colour_(no_colour), redraws_(redraws) {}
  ~ProcessTerminal() override {
    if (input_.is_open()) input_.release();
  }

  /// A closed pipe (berth … | head) ends the talk, not the service.
  void out(std::string_view text) override {
    if (broken_) return;
    const int error = write_all(STDOUT_FILENO, text);
    broken_ = error != 0;
    if (broken_ && error != EPIPE) err(errno_error(error, "berth: cannot write to stdout").message() + "\n");
  }
  void err(std::string_view text) override { write_all(STDERR_FILENO, text); }

  Task<std::optional<std::string>> read_line() override {
    while (true) {
      const std::size_t end = buffer_.find('\n');
      if (end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        if (line.ends_with('\r')) line.pop_back();
        co_return line;
      }
      co_await wait_for_input();
      char bytes[4096];
      const auto count = ::read(STDIN_FILENO, bytes, sizeof bytes);
      if (count > 0) {
        buffer_.append(bytes, static_cast<std::size_t>(count));
      } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
        if (buffer_.empty()) co_return std::nullopt;
        co_return std::exchange(buffer_, {});
      }
    }
  }

  bool out_is_terminal() const override { return redraws_ && ::isatty(STDOUT_FILENO) == 1; }
  bool in_is_terminal() const override { return ::isatty(STDIN_FILENO) == 1; }
  bool broken() const override { return broken_; }
  bool colour() const override { return out_is_terminal() && !no_colour_; }

  std::size_t columns() const override {
    const winsize size = window();
    return size.ws_col > 0 ? size.ws_col : 80;
  }
  std::size_t rows() const override {
    const winsize size = window();
    return size.ws_row > 0 ? size.ws_row : 24;
  }

 private:
  static winsize window() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
    return size;
  }

  /// Regular files cannot be waited for, and need not be.
  Task<void> wait_for_input() {
    if (!input_.is_open()) {
      boost::system::error_code error;
      input_.assign(STDIN_FILENO, error);
      if (error) co_return;
    }
    co_await input_.async_wait(Descriptor::wait_read, asio::as_tuple(use_task));
    co_await unwind_if_cancelled();
  }

  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
  Descriptor input_;
  bool no_colour_;
  bool redraws_;
  bool broken_ = false;
  std::string buffer_;
};

class SignalInterrupts final : public cli::Interrupts {
 public:
  explicit SignalInterrupts(asio::io_context& loop)
      : signals_(loop.get_executor()), hangups_(loop.get_executor()), had_terminal_(has_terminal()) {}

  Task<void> next() override {
    if (!taken_over_) {
      taken_over_ = true;
      signals_.add(SIGINT);
      signals_.add(SIGTERM);
    }
    co_await signals_.async_wait(use_task);
    co_await unwind_if_cancelled();
  }

  Task<Hangup> hangup() override {
    struct sigaction now{};
    const bool is_ignored = ::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
    if (!std::exchange(hangups_taken_over_, true) && !is_ignored) hangups_.add(SIGHUP);
    co_await hangups_.async_wait(use_task);
    co_await unwind_if_cancelled();
    co_return had_terminal_ && !has_terminal() ? Hangup::gone : Hangup::reload;
  }

 private:
  /// A controlling terminal, which a hangup takes away.
  static bool has_terminal() {
    const Descriptor terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    return terminal.number() >= 0;
  }

  asio::basic_signal_set<Executor> signals_;
  asio::basic_signal_set<Executor> hangups_;
  bool taken_over_ = false;
  bool hangups_taken_over_ = false;
  bool had_terminal_;
};

class DetachedProcess final : public cli::Background {
 public:
  explicit DetachedProcess(std::string program) : program_(std::move(program)) {}

  Result<void> start(const std::vector<std::string>& words, const std::string& log_file) override {
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return Failure(errno_error(errno, "cannot open the log " + log_file));
    std::vector<char*> argv;
    std::vector<std::string> texts{program_};
    texts.insert(texts.end(), words.begin(), words.end());
    for (std::string& text : texts) argv.push_back(text.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setsid();
      const int nothing = ::open("/dev/null", O_RDONLY);
      ::dup2(nothing, STDIN_FILENO);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::execv(program_.c_str(), argv.data());
      ::_exit(127);
    }
    const int error = errno;
    ::close(log);
    if (pid_ < 0) return Failure(errno_error(error, "cannot start a process in the background"));
    return {};
  }

  std::optional<std::string> ended() override {
    int status = 0;
    if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    net::ExitStatus exit;
    if (WIFSIGNALED(status)) {
      exit.signal = WTERMSIG(status);
    } else {
      exit.code = WEXITSTATUS(status);
    }
    pid_ = -1;
    return net::to_string(exit);
  }

 private:
  std::string program_;
  pid_t pid_ = -1;
};

}  // namespace

std::unique_ptr<cli::Terminal> make_terminal(asio::io_context& loop,
                                             const std::map<std::string, std::string>& environment) {
  const auto no_colour = environment.find("NO_COLOR");
  const auto kind = environment.find("TERM");
  return std::make_unique<ProcessTerminal>(loop, no_colour != environment.end() && !no_colour->second.empty(),
                                           kind == environment.end() || kind->second != "dumb");
}

std::unique_ptr<cli::Interrupts> make_interrupts(asio::io_context& loop) {
  return std::make_unique<SignalInterrupts>(loop);
}

std::unique_ptr<cli::Background> make_background(std::string program) {
  return std::make_unique<DetachedProcess>(std::move(program));
}

std::map<std::string, std::string> read_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string own_program() {
  std::string path(4096, '\0');
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return path;
}

void prepare_process() {
  // Keys are in memory and in the environment: processes of the same user that may not trace are not to read
  // /proc/PID/mem and environ. An exec makes the child an ordinary process again.
  ::prctl(PR_SET_DUMPABLE, 0);
  while (true) {
    const int descriptor = ::open("/dev/null", O_RDWR);
    if (descriptor > STDERR_FILENO) {
      ::close(descriptor);
      break;
    }
    if (descriptor < 0) break;
  }
  ::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

int run_to_end(asio::io_context& loop, Task<int> main) {
  std::optional<int> code;
  asio::co_spawn(loop.get_executor(), std::move(main), [&](std::exception_ptr exception, int result) {
    if (exception) std::rethrow_exception(exception);
    code = result;
    loop.stop();
  });
  loop.run();
  return code.value_or(1);
}

}  // namespace berth::app
