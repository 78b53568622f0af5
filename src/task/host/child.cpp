#include "task/host/child.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "mcp/message.h"

namespace berth::task::host {

namespace {

constexpr Duration stdin_grace = std::chrono::seconds(2);
constexpr Duration term_grace = std::chrono::seconds(3);
/// How long a process that has closed its output may still live.
constexpr Duration exit_grace = std::chrono::seconds(1);
/// How long output is read on after the end of the process: a grandchild may hold the pipe open for ever.
constexpr Duration drain_grace = std::chrono::milliseconds(200);
/// After so many bytes in one go, others get their turn on the loop.
constexpr std::size_t turn_bytes = 1u << 20;
constexpr std::size_t oddity_bytes_max = 200;
/// Thousands of answers: no server asks so much without reading any of it.
constexpr std::size_t unread_answer_bytes_max = 1u << 20;
/// How long output is left unread at most because its readers' answers fill the memory: a client that reads
/// slowly gets that time. Then it is read on, and what finds no room ends as an error.
constexpr Duration memory_patience = std::chrono::seconds(5);

std::unique_ptr<ChildSession> make_session(SessionOwner& owner, const ChildOptions& options) {
  if (options.era == mcp::Era::modern) return make_modern_session(owner, options.limits);
  return make_legacy_session(owner, options.limits,
                             {options.key.capabilities, options.one_session, options.key.client_info});
}

}  // namespace

Child::Child(ChildOptions options, std::unique_ptr<net::Process> process, ChildOwner& owner, Clock& clock,
             Log& log)
    : options_(std::move(options)),
      process_(std::move(process)),
      owner_(owner),
      clock_(clock),
      log_(log),
      session_(make_session(*this, options_)),
      lines_(options_.message_bytes_max),
      writable_(clock.executor()),
      drained_(clock.executor()),
      room_(clock.executor()),
      session_timer_(clock.make_timer()),
      end_timer_(clock.make_timer()),
      room_timer_(clock.make_timer()),
      scope_(clock.executor()) {}

Child::~Child() = default;

Task<void> Child::run() {
  session_->start(clock_.now());
  arm_timer();
  scope_.spawn(read_output());
  scope_.spawn(write_input());
  scope_.spawn(read_errors());
  const net::ExitStatus status = co_await process_->wait();
  session_timer_->cancel();
  end_timer_->arm(clock_.now() + drain_grace, [this] { drained_.notify(); });
  if (readers_ > 0) co_await drained_.wait();
  end_timer_->cancel();
  scope_.cancel();
  co_await scope_.join();
  killed_from_outside_ = status.signal == SIGKILL && killed_.empty() && failure_.empty() && !stopping_;
  if (killed_from_outside_) kill_reason_ = owner_.explain_kill();
  epitaph_ = describe_end(status);
  session_->close(mcp::unknown_end(options_.tells_words ? epitaph_.whole() : epitaph_.sentence),
                  handed_over_bytes());
  owner_.on_child_ended(*this);
}

std::uint64_t Child::handed_over_bytes() const {
  const std::uint64_t taken = session_->taken_bytes();
  // A chunk whose write failed has not arrived whole: its last line, at least, was never executed.
  if (taken > written_bytes_) return taken - 1;
  return taken - std::min<std::uint64_t>(taken, process_->input().unread());
}

Reason Child::describe_end(const net::ExitStatus& status) const {
  std::string sentence = fmt::format("The server {}{}", status.signal ? "was " : "", net::to_string(status));
  if (!failure_.empty()) {
    sentence = failure_;
  } else if (!killed_.empty()) {
    sentence = fmt::format("The server was killed by Berth: {}", killed_);
  } else if (!kill_reason_.empty()) {
    sentence = kill_reason_;
  } else {
    sentence += was_ready_ ? "." : " before it answered the handshake.";
  }
  return {std::move(sentence), last_words_.sentence()};
}

void Child::stop() {
  if (stopping_) return;
  stopping_ = true;
  writable_.notify();
  end_timer_->arm(clock_.now() + stdin_grace, [this] {
    process_->signal(SIGTERM);
    end_timer_->arm(clock_.now() + term_grace, [this] { process_->signal(SIGKILL); });
  });
}

void Child::kill(std::string why) {
  if (killed_.empty()) killed_ = std::move(why);
  process_->signal(SIGKILL);
}

std::size_t Child::cut(const mcp::RpcError& error) {
  const std::size_t calls = session_->load().calls + session_->parked();
  session_->close(error, ~std::uint64_t{0});
  return calls;
}

void Child::touched() {
  session_->settle(clock_.now());
  arm_timer();
}

void Child::limit_start(TimePoint deadline) {
  session_->limit_start(deadline);
  arm_timer();
}

void Child::arm_timer() {
  const TimePoint next = session_->next_tick();
  if (next >= armed_at_) return;
  armed_at_ = next;
  session_timer_->arm(next, [this] { on_tick(); });
}

void Child::on_tick() {
  armed_at_ = TimePoint::max();
  const TimePoint now = clock_.now();
  ticking_ = true;
  session_->tick(now);
  ticking_ = false;
  session_->settle(now);
  arm_timer();
  owner_.on_child_settled(*this);
}

void Child::on_ready() {
  was_ready_ = true;
  log_.info("server_ready", {{"server", options_.server},
                             {"child", options_.id},
                             {"pid", process_->pid()},
                             {"era", options_.era == mcp::Era::modern ? "modern" : "legacy"}});
  owner_.on_child_ready(*this);
}

void Child::on_start_failed(const std::string& reason) {
  failure_ = reason;
  timed_out_ = ticking_;
  process_->signal(SIGKILL);
}

void Child::on_oddity(std::string_view what, std::string_view text) {
  // Servers that cannot start say so on stdout as well.
  if (!was_ready_) last_words_.add(text);
  if (!oddities_.allow(clock_.now())) return;
  log_.warning("server_oddity", {{"server", options_.server},
                                 {"child", options_.id},
                                 {"what", what},
                                 {"text", text.substr(0, oddity_bytes_max)},
                                 {"suppressed", oddities_.take_suppressed()}});
}

void Child::take_lines() {
  const TimePoint now = clock_.now();
  while (const auto line = lines_.next()) session_->receive(*line, now);
  session_->settle(now);
  arm_timer();
  owner_.on_child_settled(*this);
  if (session_->unread_answer_bytes() > unread_answer_bytes_max)
    kill("it goes on asking and does not read the answers.");
  if (!lines_.too_long()) return;
  kill(fmt::format("it wrote a message longer than {} bytes (message_bytes_max).",
                   options_.message_bytes_max));
}

void Child::keep_unfinished_line() {
  if (!was_ready_) last_words_.add(lines_.unfinished());
}

Task<void> Child::read_output() {
  std::size_t turn = 0;
  while (!lines_.too_long()) {
    const std::span<char> space = lines_.space();
    if (options_.account != nullptr && options_.account->is_tight(options_.principal))
      co_await wait_for_memory();
    const auto count = co_await process_->output().read_some(space);
    if (!count || *count == 0) break;
    lines_.commit(*count);
    take_lines();
    turn += *count;
    if (turn < turn_bytes) continue;
    turn = 0;
    co_await step(clock_.executor());
  }
  keep_unfinished_line();
  reader_ended();
  if (process_->status() || stopping_) co_return;
  end_timer_->arm(clock_.now() + exit_grace, [this] { kill("it closed its output but did not exit."); });
}

Task<void> Child::wait_for_memory() {
  // The pause ends with a time, so that nobody can stop a server for others by not reading.
  if (clock_.now() < unpaused_until_) co_return;
  MemoryAccount& account = *options_.account;
  account.count_pause();
  const MemoryAccount::Watch watch(account, [this] { room_.notify(); });
  const TimePoint patience = clock_.now() + memory_patience;
  room_timer_->arm(patience, [this] { room_.notify(); });
  while (account.is_tight(options_.principal) && clock_.now() < patience) co_await room_.wait();
  room_timer_->cancel();
  if (clock_.now() >= patience) unpaused_until_ = clock_.now() + memory_patience;
}

Task<void> Child::write_input() {
  for (;;) {
    session_->take_output(writing_);
    if (writing_.empty()) {
      if (stopping_) break;
      co_await writable_.wait();
      continue;
    }
    const auto written = co_await process_->input().write(writing_);
    if (!written) co_return;  // the end of the process tells the rest
    written_bytes_ += writing_.size();
    writing_.clear();
  }
  process_->input().close_write();
}

Task<void> Child::read_errors() {
  std::string buffer(16 * 1024, '\0');
  std::size_t turn = 0;
  for (;;) {
    const auto count = co_await process_->errors().read_some(buffer);
    if (!count || *count == 0) break;
    const std::string_view bytes(buffer.data(), *count);
    for (const std::string& line : last_words_.take(bytes, clock_.now())) {
      log_.info("server_stderr", {{"server", options_.server},
                                  {"child", options_.id},
                                  {"line", line},
                                  {"suppressed", last_words_.take_suppressed()}});
    }
    turn += *count;
    if (turn < turn_bytes) continue;
    turn = 0;
    co_await step(clock_.executor());
  }
  reader_ended();
}

void Child::reader_ended() {
  if (--readers_ == 0) drained_.notify();
}

}  // namespace berth::task::host
