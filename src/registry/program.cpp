#include "registry/program.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <memory>

namespace berth::registry {

namespace {

constexpr std::size_t output_bytes_max = 1u << 20;
constexpr std::size_t last_words_bytes = 2048;
constexpr std::size_t line_bytes_max = 4096;

void keep_last(std::string& text, std::string_view part) {
  text += part;
  if (text.size() > 2 * last_words_bytes) text.erase(0, text.size() - last_words_bytes);
}

/// Reads one end of a program until it closes.
struct Reader {
  net::Stream* stream = nullptr;
  std::string* whole = nullptr;  ///< null: not kept
  std::string last;
  std::string line;
  const std::function<void(std::string_view)>* on_line = nullptr;

  void take(std::string_view part) {
    if (whole != nullptr && whole->size() < output_bytes_max) {
      whole->append(part.substr(0, output_bytes_max - whole->size()));
    }
    keep_last(last, part);
    if (!*on_line) return;
    for (const char c : part) {
      if (c == '\n' || c == '\r' || line.size() >= line_bytes_max) {
        if (!line.empty()) (*on_line)(line);
        line.clear();
      }
      if (c != '\n' && c != '\r') line += c;
    }
  }
};

Task<void> drain(Reader& reader) {
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const auto count = co_await reader.stream->read_some(buffer);
    if (!count || *count == 0) break;
    reader.take({buffer.data(), *count});
  }
  if (!reader.line.empty()) (*reader.on_line)(reader.line);
}

Task<void> feed(net::Stream& input, Secret text) {
  if (!text.empty()) co_await input.write(text.reveal());
  input.close_write();
}

std::string_view trim_end(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

const std::string& variable(const Environment& environment, const std::string& name) {
  static const std::string none;
  const auto found = environment.find(name);
  return found == environment.end() ? none : found->second;
}

Task<Result<ProgramResult>> run_program(net::ProcessLauncher& launcher, Clock& clock, ProgramCall call) {
  net::ProcessSpec spec;
  spec.argv = call.argv;
  spec.environment.assign(call.environment.begin(), call.environment.end());
  spec.directory = call.directory;
  auto process = launcher.launch(std::move(spec));
  if (!process) co_return Failure(process.error());
  ProgramResult result;
  Reader output{.stream = &(*process)->output(), .whole = &result.output, .on_line = &call.on_line};
  Reader errors{.stream = &(*process)->errors(), .on_line = &call.on_line};
  bool timed_out = false;
  auto alarm = clock.make_timer();
  alarm->arm(clock.now() + call.time_max, [&] {
    timed_out = true;
    (*process)->signal(9);
  });
  TaskScope scope(clock.executor());
  scope.spawn(feed((*process)->input(), std::move(call.input)));
  scope.spawn(drain(output));
  scope.spawn(drain(errors));
  std::exception_ptr cancelled;
  try {
    result.status = co_await (*process)->wait();
  } catch (...) {
    cancelled = std::current_exception();
  }
  alarm->cancel();
  // The readers end before what they read into does, also when this coroutine is being cancelled.
  // Asked before the reset: the state refers to what the reset replaces.
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool was_cancelled = state.cancelled() != asio::cancellation_type::none;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (cancelled || was_cancelled) {
    (*process)->signal(9);
    scope.cancel();
    co_await scope.join();
    if (cancelled) std::rethrow_exception(cancelled);
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  // A grandchild may have left with the pipes open; the program itself has said all it had to say.
  const TimePoint patience = clock.now() + std::chrono::seconds(2);
  (*process)->output().set_deadline(patience);
  (*process)->errors().set_deadline(patience);
  (*process)->input().close();
  co_await scope.join();
  co_await asio::this_coro::reset_cancellation_state();
  if (timed_out) {
    co_return fail(ErrorCode::deadline_exceeded,
                   fmt::format("`{}` did not end within {} s and was stopped.", call.argv.front(),
                               std::chrono::duration_cast<std::chrono::seconds>(call.time_max).count()));
  }
  const std::string& words = trim_end(errors.last).empty() ? output.last : errors.last;
  const std::string_view all = trim_end(words);
  result.last_words = all.substr(all.size() > last_words_bytes ? all.size() - last_words_bytes : 0);
  co_return result;
}

}  // namespace berth::registry
