#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/signal.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

class EventStream;
class LegacyCall;

/// One message of a stream. Stream and sequence name it within its session (EventName).
struct Event {
  std::uint64_t stream = 0;
  std::uint64_t sequence = 0;
  std::string json;
  bool dispensable = false;  ///< said along the way, as progress is: answers and questions outlive it
  bool is_answer = false;
};

/// The newest events of a session, kept for clients that come back with Last-Event-ID. Bounded by number and
/// bytes, and by what `memory` allows; of those that can be spared the oldest go first, then the oldest.
class ReplayLog {
 public:
  ReplayLog(std::size_t events_max, std::size_t bytes_max, MemoryAccount::Charge memory)
      : events_max_(events_max), bytes_max_(bytes_max), memory_(std::move(memory)) {}
  /// An event longer than everything together may be is not kept.
  void add(const Event& event);
  /// In the order in which they were added.
  std::vector<Event> after(std::uint64_t stream, std::uint64_t sequence) const;
  /// Whether after() would find an event with this text.
  bool has_after(std::uint64_t stream, std::uint64_t sequence, std::string_view json) const;
  /// Whether it has one, read or not; without any, its stream has nothing left that its client waits for.
  bool has_answer(std::uint64_t stream) const;
  /// What cannot be spared, in the order in which it was added.
  const std::deque<Event>& lasting() const { return events_; }

 private:
  bool drop_oldest();

  std::size_t events_max_;
  std::size_t bytes_max_;
  MemoryAccount::Charge memory_;
  std::deque<Event> events_;
  std::deque<Event> dispensable_;
};

/// The coroutine that writes a stream to a client right now.
class StreamReader final : public Waiter {
 public:
  /// Takes the stream over from an earlier reader, which ends.
  StreamReader(Shared& shared, std::shared_ptr<EventStream> stream);
  ~StreamReader();

  /// Returns when the stream has news, is closed, has been silent for long, or this reader has to end.
  Task<void> wait();
  /// The same, but mere answers are no news: while the whole may still be answered at once.
  Task<void> wait_for_end();
  void leave();
  void note_write(TimePoint when, Duration next_silence);
  bool take_silence() { return std::exchange(silent_, false); }
  bool is_gone() const { return gone_; }
  bool is_ending() const { return ending_; }
  bool is_cut() const { return cut_; }

  void wake() { wake_.notify(); }
  void on_tick(TimePoint now) override;
  void on_drain() override;
  void on_cut() override;

 private:
  bool must_end() const { return stream_closed() || gone_ || ending_ || cut_ || silent_; }
  bool stream_closed() const;

  Shared& shared_;
  std::shared_ptr<EventStream> stream_;
  Signal wake_;
  TimePoint last_write_;
  Duration silence_;
  bool gone_ = false;
  bool ending_ = false;
  bool cut_ = false;
  bool silent_ = false;
};

/// The messages toward one legacy client in order: the answer to a POST, or a session's standalone stream.
/// Until something other than the answers themselves has to be said, the whole may still be answered as plain
/// JSON. Owns the calls whose answers belong here.
class EventStream {
 public:
  /// `log` null: nobody can come back (no session). A permanent stream does not end with its calls. `memory`
  /// counts what is unsent.
  EventStream(std::uint64_t number, std::shared_ptr<ReplayLog> log, std::size_t unread_bytes_max,
              MemoryAccount::Charge memory, bool permanent);
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  std::uint64_t number() const { return number_; }
  bool is_permanent() const { return permanent_; }
  bool has_ids() const { return log_ != nullptr; }

  /// The answer of one of its calls, with the HTTP status it has when it is answered alone.
  void add_response(std::string json, int status, std::optional<std::int64_t> retry_after_s);
  /// A question.
  void add_message(std::string json);
  /// A change: left out while the same is still unread.
  void add_change(std::string json);
  /// Progress or a log message: left out while the client leaves too much unread, or there is no memory.
  void add_aside(std::string json);
  /// From now on this is an event stream.
  void require_stream();
  /// No more messages; calls under way are cancelled.
  void close();

  void add_call(std::shared_ptr<LegacyCall> call);
  /// All calls have been added: the stream closes when the last of them has ended.
  void seal() { call_ended(); }
  void call_ended();
  /// Ends calls under way with an error that says why.
  void fail_calls(std::string_view why);
  const std::vector<std::shared_ptr<LegacyCall>>& calls() const { return calls_; }
  /// The ids of the requests that it answers, the first of them: JSON texts with commas between.
  const std::string& requests() const { return requests_; }
  void set_requests(std::string ids) { requests_ = std::move(ids); }

  bool must_stream() const { return must_stream_; }
  bool is_closed() const { return closed_; }
  bool has_reader() const { return reader_ != nullptr; }
  bool has_unsent() const { return !unsent_.empty(); }
  /// Counted until it is destroyed: once it is sent.
  struct Unsent {
    std::vector<Event> events;
    MemoryAccount::Charge memory;
  };
  Unsent take_unsent();
  MemoryAccount::Charge& memory() { return memory_; }
  /// Everything after `sequence` is to be sent (again).
  void rewind(std::uint64_t sequence);
  /// Only what comes from now on is to be sent.
  void skip_to_now();
  /// The last event its reader has been given.
  std::uint64_t sent_sequence() const { return sent_sequence_; }
  /// All that it said has been handed to its reader.
  void set_read() { was_read_ = true; }
  /// Its reader left before that, and may come back: it has the ids of events.
  bool is_unread() const { return has_ids() && must_stream_ && !permanent_ && !was_read_; }
  int status() const { return status_; }
  std::optional<std::int64_t> retry_after_s() const { return retry_after_s_; }

 private:
  friend class StreamReader;
  void add(Event event);

  std::uint64_t number_;
  std::shared_ptr<ReplayLog> log_;
  std::size_t unread_bytes_max_;
  MemoryAccount::Charge memory_;
  bool permanent_;
  bool must_stream_ = false;
  bool closed_ = false;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t sent_sequence_ = 0;
  std::vector<Event> unsent_;
  int status_ = 200;
  std::optional<std::int64_t> retry_after_s_;
  std::size_t open_calls_ = 1;  ///< the one who adds calls counts as one until seal()
  std::vector<std::shared_ptr<LegacyCall>> calls_;
  std::string requests_;
  bool was_read_ = false;
  StreamReader* reader_ = nullptr;
};

}  // namespace berth::task::edge
