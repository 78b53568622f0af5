#include "task/edge/event_stream.h"

#include <algorithm>

#include "mcp/message.h"
#include "task/edge/legacy_call.h"

namespace berth::task::edge {
namespace {

/// Every event of a stream carries the ids of its requests; only a batch has many.
constexpr std::size_t requests_bytes_max = 256;

}  // namespace

void ReplayLog::add(const Event& event) {
  const std::size_t bytes = event.json.size();
  if (bytes > bytes_max_ || events_max_ == 0) return;
  while (events_.size() + dispensable_.size() >= events_max_ || memory_.bytes() + bytes > bytes_max_ ||
         !memory_.fits(bytes)) {
    if (!drop_oldest()) return;
  }
  memory_.add(bytes);
  (event.dispensable ? dispensable_ : events_).push_back(event);
}

/// False when there is none.
bool ReplayLog::drop_oldest() {
  std::deque<Event>& from = dispensable_.empty() ? events_ : dispensable_;
  if (from.empty()) return false;
  memory_.shrink(from.front().json.size());
  from.pop_front();
  return true;
}

std::vector<Event> ReplayLog::after(std::uint64_t stream, std::uint64_t sequence) const {
  std::vector<Event> found;
  for (const std::deque<Event>* kept : {&events_, &dispensable_}) {
    const auto middle = static_cast<std::ptrdiff_t>(found.size());
    for (const Event& event : *kept) {
      if (event.stream == stream && event.sequence > sequence) found.push_back(event);
    }
    std::inplace_merge(found.begin(), found.begin() + middle, found.end(),
                       [](const Event& a, const Event& b) { return a.sequence < b.sequence; });
  }
  return found;
}

bool ReplayLog::has_answer(std::uint64_t stream) const {
  return std::ranges::any_of(events_,
                             [&](const Event& event) { return event.is_answer && event.stream == stream; });
}

bool ReplayLog::has_after(std::uint64_t stream, std::uint64_t sequence, std::string_view json) const {
  return std::ranges::any_of(events_, [&](const Event& event) {
    return event.stream == stream && event.sequence > sequence && event.json == json;
  });
}

StreamReader::StreamReader(Shared& shared, std::shared_ptr<EventStream> stream)
    : shared_(shared),
      stream_(std::move(stream)),
      wake_(shared.world.clock.executor()),
      last_write_(shared.now()),
      silence_(std::min<Duration>(silent_answer_max, shared.world.limits.keep_alive_interval)) {
  if (stream_->reader_ != nullptr) {
    stream_->reader_->ending_ = true;
    stream_->reader_->wake();
  }
  stream_->reader_ = this;
}

StreamReader::~StreamReader() {
  if (stream_->reader_ == this) stream_->reader_ = nullptr;
}

bool StreamReader::stream_closed() const { return stream_->is_closed(); }

Task<void> StreamReader::wait() {
  shared_.ticker.add(*this);
  while (!stream_->has_unsent() && !must_end()) co_await wake_.wait();
}

Task<void> StreamReader::wait_for_end() {
  shared_.ticker.add(*this);
  while (!stream_->must_stream() && !must_end()) co_await wake_.wait();
}

void StreamReader::leave() {
  gone_ = true;
  wake_.notify();
}

void StreamReader::note_write(TimePoint when, Duration next_silence) {
  last_write_ = when;
  silence_ = next_silence;
}

void StreamReader::on_tick(TimePoint now) {
  if (now - last_write_ < silence_) return;
  silent_ = true;
  wake_.notify();
}

void StreamReader::on_drain() {
  if (!stream_->is_permanent()) return;
  ending_ = true;
  wake_.notify();
}

void StreamReader::on_cut() {
  cut_ = true;
  wake_.notify();
}

EventStream::EventStream(std::uint64_t number, std::shared_ptr<ReplayLog> log, std::size_t unread_bytes_max,
                         MemoryAccount::Charge memory, bool permanent)
    : number_(number),
      log_(std::move(log)),
      unread_bytes_max_(unread_bytes_max),
      memory_(std::move(memory)),
      permanent_(permanent) {
  must_stream_ = permanent;
}

EventStream::~EventStream() = default;

void EventStream::add(Event event) {
  event.stream = number_;
  event.sequence = ++last_sequence_;
  if (must_stream_ && log_) log_->add(event);
  if (reader_ == nullptr) return;
  if (permanent_ && memory_.bytes() > unread_bytes_max_) {
    // The client does not read; what was kept can still be asked for.
    take_unsent();
    reader_->leave();
    return;
  }
  memory_.add(event.json.size());
  unsent_.push_back(std::move(event));
  reader_->wake();
}

void EventStream::add_response(std::string json, int status, std::optional<std::int64_t> retry_after_s) {
  status_ = status;
  retry_after_s_ = retry_after_s;
  add({.json = std::move(json), .is_answer = true});
}

void EventStream::add_message(std::string json) {
  require_stream();
  add({.json = std::move(json)});
}

void EventStream::add_change(std::string json) {
  const bool is_unread = reader_ != nullptr ? std::ranges::find(unsent_, json, &Event::json) != unsent_.end()
                                            : log_ && log_->has_after(number_, sent_sequence_, json);
  if (!is_unread) add_message(std::move(json));
}

void EventStream::add_aside(std::string json) {
  require_stream();
  if (memory_.bytes() <= unread_bytes_max_ && memory_.fits(json.size()))
    add({.json = std::move(json), .dispensable = true});
}

void EventStream::require_stream() {
  if (must_stream_) return;
  must_stream_ = true;
  if (!log_) return;
  for (const Event& event : unsent_) log_->add(event);
}

void EventStream::close() {
  closed_ = true;
  for (const auto& call : calls_) call->cancel();
  if (reader_ != nullptr) reader_->wake();
}

void EventStream::add_call(std::shared_ptr<LegacyCall> call) {
  std::erase_if(calls_, [](const auto& other) { return other->has_ended(); });
  if (requests_.size() + call->id().size() < requests_bytes_max)
    requests_.append(requests_.empty() ? "" : ",").append(call->id());
  calls_.push_back(std::move(call));
  ++open_calls_;
}

void EventStream::call_ended() {
  --open_calls_;
  if (open_calls_ > 0 || permanent_) return;
  closed_ = true;
  if (reader_ != nullptr) reader_->wake();
}

void EventStream::fail_calls(std::string_view why) {
  // A call that fails takes itself off the count, not off the list.
  for (const auto& call : calls_) call->fail(mcp::unknown_end(why));
}

EventStream::Unsent EventStream::take_unsent() {
  if (!unsent_.empty()) sent_sequence_ = unsent_.back().sequence;
  return {std::exchange(unsent_, {}), memory_.take()};
}

void EventStream::rewind(std::uint64_t sequence) {
  if (log_) unsent_ = log_->after(number_, sequence);
  memory_.release();
  for (const Event& event : unsent_) memory_.add(event.json.size());
  last_sequence_ = std::max(last_sequence_, sequence);
  sent_sequence_ = sequence;
  was_read_ = false;
}

void EventStream::skip_to_now() {
  unsent_.clear();
  memory_.release();
  sent_sequence_ = last_sequence_;
}

}  // namespace berth::task::edge
