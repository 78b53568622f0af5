// One request and its answer: the half of Session that speaks with targets.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "http/message.h"
#include "network/session.h"

namespace berth::network {

namespace {

/// Targets or connections tried for one request before the client is told.
constexpr std::size_t attempts_max = 4;
/// A first write of at most this much is taken by the kernel whole or not at all, so that its failure tells
/// that the target has seen nothing.
constexpr std::size_t atomic_write_bytes_max = 16 * 1024;

/// A body that comes in parts is kept up to this length, in case that its target is lost.
constexpr std::uint64_t kept_body_bytes_max = 16 * 1024;

constexpr std::string_view slow_body = "No part of the request body came within the idle timeout.";
/// In the words in which tasks say it (mcp::unknown_end), so that a client knows one sentence.
constexpr std::string_view unknown_end = "The call may have run; its end is unknown.";

}  // namespace

// ---- Handing the request over

bool Session::pick_target() {
  if (upstream_) return true;
  upstream_ = loop_.pick(loop_.clock.now(), tried_);
  if (upstream_) upstream_->load().begin(loop_.options.loop);
  return upstream_ != nullptr;
}

void Session::leave_target() {
  if (uploading_) {
    target_->close();
  } else {
    target_.reset();
  }
  if (!upstream_) return;
  upstream_->load().end(loop_.options.loop);
  upstream_.reset();
}

Task<Session::Relay> Session::hand_over() {
  while (attempts_ < attempts_max && pick_target()) {
    if (attempts_++ > 0) count_retry();
    target_ = fresh_only_ ? nullptr : upstream_->take_idle();
    reused_ = target_ != nullptr;
    if (!target_) {
      const bool connected = co_await connect();
      if (client_gone_) co_return Relay::broken;
      if (!connected) continue;
    }
    target_->set_deadline(started_ + loop_.options.idle_timeout);
    const auto written = co_await target_->write(target_head_, first_part_);
    if (written) {
      if (!is_repeated_) own_status_ = 0;
      co_return Relay::complete;
    }
    note_failure(written.error().code() == ErrorCode::deadline_exceeded ? 504 : 502,
                 "The target closed the connection while the request was being handed over.");
    if (target_head_.size() + first_part_.size() > atomic_write_bytes_max) break;
    move_on();
  }
  if (own_status_ == 0) {
    own_status_ = 503;
    own_message_ = "No target is ready to receive requests; try again in a moment.";
  }
  co_return Relay::no_answer;
}

/// The connection failed before the target saw anything. One from the pool may only have been old; a fresh
/// one says something about the target.
void Session::move_on() {
  target_.reset();
  if (std::exchange(reused_, false)) {
    fresh_only_ = true;
    return;
  }
  fresh_only_ = false;
  tried_.push_back(upstream_->key());
  leave_target();
}

Task<bool> Session::connect() {
  auto connected = co_await loop_.network.connect(upstream_->target().endpoint,
                                                  loop_.clock.now() + loop_.options.connect_timeout);
  if (connected) {
    target_ = std::move(*connected);
    const std::lock_guard lock(loop_.mutex);
    ++upstream_->counters.connections;
    co_return true;
  }
  on_connect_error(connected.error());
  move_on();
  co_return false;
}

void Session::on_connect_error(const Error& error) {
  const bool slow = error.code() == ErrorCode::deadline_exceeded;
  note_failure(slow ? 504 : 502, slow ? "The target did not accept a connection in time."
                                      : "The target refused the connection.");
  // A lack of descriptors is ours; only what the target did makes it suspect.
  if (slow || error.code() == ErrorCode::unavailable) loop_.options.on_connect_failed(upstream_->key());
  const std::lock_guard lock(loop_.mutex);
  ++upstream_->counters.connect_failures;
}

/// That an earlier target may have run the request is worse news than what happens to it since.
void Session::note_failure(int status, std::string message) {
  if (is_repeated_) return;
  own_status_ = status;
  own_message_ = std::move(message);
}

void Session::count_retry() {
  const std::lock_guard lock(loop_.mutex);
  ++loop_.counters.retries;
}

// ---- Relaying the answer

Task<Session::Relay> Session::relay_answer(ByteBuffer& buffer) {
  loop_.watch_client(*this);
  const Relay head = co_await await_head(buffer);
  if (head != Relay::complete) co_return head;
  answered_at_ = loop_.clock.now();
  note_answer();
  answer_body_.start(answer_.framing, answer_.content_length);
  const bool until_close = answer_.framing == http1::Framing::until_close;
  const bool decodes = http10_ && answer_.framing == http1::Framing::chunked;
  client_keeps_ = keep_alive_ && !until_close && !decodes && !uploading_ && !loop_.draining;
  target_keeps_ = answer_.keep_alive && !until_close;

  const AnswerChanges changes{client_keeps_, http10_};
  const std::size_t head_bytes = answer_.bytes;
  const std::string_view bytes = buffer.view();
  answer_head_.clear();
  std::string_view head_text = bytes.substr(0, head_bytes);
  if (!passes_unchanged(bytes, answer_, changes)) {
    append_answer_head(answer_head_, bytes, answer_, changes);
    head_text = answer_head_;
  }
  buffer.consume(head_bytes);
  const auto part = next_part(buffer);
  // A target whose first chunk is malformed has not answered yet as far as the client is concerned.
  if (!part) co_return malformed_answer();
  client_->set_deadline(answered_at_ + loop_.options.idle_timeout);
  const auto written = co_await pass_on(head_text, *part);
  if (!written) co_return client_left();
  co_return co_await relay_body(buffer);
}

/// Reads until the head of the final answer is there; interim ones are passed on as they come.
Task<Session::Relay> Session::await_head(ByteBuffer& buffer) {
  while (true) {
    const http1::HeadStatus status =
        buffer.empty() ? http1::HeadStatus::incomplete
                       : http1::parse_response(buffer.view(), loop_.options.head_limits, head_only_, answer_);
    if (status == http1::HeadStatus::incomplete) {
      if (buffer.size() == buffer.capacity()) buffer.grow(buffer.capacity() * 2);
      const auto count = co_await target_->read_some(buffer.space());
      if (!count || *count == 0) {
        // What the client is still sending may be wanted by another target.
        while (keeps_upload_ && uploading_) co_await upload_done_.wait();
        co_return without_answer(count, buffer.empty());
      }
      buffer.filled(*count);
      continue;
    }
    // A target must not switch protocols, since Upgrade was not passed on.
    if (status != http1::HeadStatus::complete || answer_.status == 101) co_return malformed_answer();
    if (answer_.status >= 200) co_return Relay::complete;
    const TimePoint until = loop_.clock.now() + loop_.options.idle_timeout;
    target_->set_deadline(until);
    client_->set_deadline(until);
    if (!http10_) {
      const auto written = co_await client_->write(buffer.view().substr(0, answer_.bytes));
      if (!written) co_return client_left();
    }
    buffer.consume(answer_.bytes);
    reused_ = false;  // the target has seen the request
  }
}

Task<Session::Relay> Session::relay_body(ByteBuffer& buffer) {
  while (!answer_body_.done()) {
    buffer.clear();
    target_->set_deadline(loop_.clock.now() + loop_.options.idle_timeout);
    const auto count = co_await target_->read_some(buffer.space());
    if (count && *count == 0 && answer_body_.framing() == http1::Framing::until_close) break;
    if (!count || *count == 0) co_return broken_answer();
    buffer.filled(*count);
    const auto part = next_part(buffer);
    if (!part) co_return broken_answer();
    client_->set_deadline(loop_.clock.now() + loop_.options.idle_timeout);
    const auto written = co_await pass_on({}, *part);
    if (!written) co_return client_left();
  }
  // Bytes beyond the answer belong to no request: the connection is not to be trusted.
  if (!buffer.empty()) target_keeps_ = false;
  co_return Relay::complete;
}

/// The part of the body that is in the buffer, as the client gets it; consumed there.
Result<std::string_view> Session::next_part(ByteBuffer& buffer) {
  const std::string_view bytes = buffer.view();
  const bool decodes = http10_ && answer_body_.framing() == http1::Framing::chunked;
  decoded_.clear();
  const auto taken = decodes ? answer_body_.take_decoded(bytes, decoded_) : answer_body_.take(bytes);
  if (!taken) return Failure(taken.error());
  buffer.consume(*taken);
  return decodes ? std::string_view(decoded_) : bytes.substr(0, *taken);
}

Task<Result<void>> Session::pass_on(std::string_view head, std::string_view body) {
  // An unchanged head and the body behind it lie side by side: one part, one plain write.
  const bool adjacent = head.data() + head.size() == body.data();
  if (head.empty() || adjacent) {
    const std::string_view whole(head.empty() ? body.data() : head.data(), head.size() + body.size());
    if (whole.empty()) co_return Result<void>();
    co_return co_await client_->write(whole);
  }
  co_return co_await client_->write(head, body);
}

void Session::note_answer() {
  answered_status_ = answer_.status;
  const std::chrono::duration<double> to_head = answered_at_ - started_;
  const auto status_class = static_cast<std::size_t>(std::clamp(answer_.status / 100, 1, 5) - 1);
  const std::lock_guard lock(loop_.mutex);
  ++loop_.counters.answers[status_class];
  ++upstream_->counters.answers[status_class];
  upstream_->counters.seconds_to_head.observe(to_head.count());
}

Session::Relay Session::without_answer(const Result<std::size_t>& read, bool nothing_came) {
  if (client_gone_) return Relay::broken;
  // The upload may know better why: it has closed the connection over a client that is slow or malformed.
  if (own_status_ != 0 && !is_repeated_) return Relay::no_answer;
  const bool expired = !read && read.error().code() == ErrorCode::deadline_exceeded;
  if (expired && awaiting_client_) {
    own_status_ = 408;
    own_message_ = slow_body;
    return Relay::no_answer;
  }
  // A task reads a request whole before it acts on it.
  const bool is_unread = nothing_came && discarding_;
  if (is_unread) {
    note_failure(502, "The target closed the connection before it had read the request.");
  } else {
    note_failure(expired ? 504 : 502,
                 fmt::format("{} {}", unknown_end,
                             expired ? "The target did not answer within the idle timeout."
                                     : "The target closed the connection before it had answered."));
  }
  if (!expired && nothing_came && may_repeat() && attempts_ < attempts_max) {
    if (!is_unread && !safe_method_ && !is_repeated_) mark_repeated();
    if (uploaded_) first_part_ = kept_body_;
    discarding_ = false;
    move_on();
    return Relay::retry;
  }
  count_broken_answer();
  return Relay::no_answer;
}

/// Whether all of the request is still here.
bool Session::may_repeat() const { return !uploaded_ || (keeps_upload_ && request_body_.done()); }

/// The next target knows by this that the request may have run, and runs it only where that does nothing
/// twice: it can read what is asked for, and this front door cannot.
void Session::mark_repeated() {
  is_repeated_ = true;
  target_head_.insert(target_head_.size() - 2, fmt::format("{}: 1\r\n", http::repeated_header));
}

Session::Relay Session::malformed_answer() {
  own_status_ = 502;
  own_message_ = fmt::format("{} The target's answer is not HTTP/1.1.", unknown_end);
  count_broken_answer();
  return Relay::no_answer;
}

/// The head is with the client already, so the only way to say so is to break off too.
Session::Relay Session::broken_answer() {
  if (!client_gone_) count_broken_answer();
  return Relay::broken;
}

Session::Relay Session::client_left() {
  client_gone_ = true;
  return Relay::broken;
}

void Session::count_broken_answer() {
  const std::lock_guard lock(loop_.mutex);
  ++upstream_->counters.broken_answers;
}

// ---- The client meanwhile

void Session::watch_client() {
  watching_ = true;
  client_->watch_peer_close([this] {
    client_gone_ = true;
    if (target_) target_->close();
  });
}

void Session::start_upload() {
  keeps_upload_ =
      request_.framing == http1::Framing::length && request_.content_length <= kept_body_bytes_max;
  if (keeps_upload_) kept_body_ = first_part_;
  in_.clear();
  uploading_ = uploaded_ = true;
  scope_.spawn(upload(shared_from_this()));
}

Task<void> Session::upload(std::shared_ptr<Session> self) {
  co_await self->upload_rest();
  self->uploading_ = false;
  self->upload_done_.notify();
}

/// Passes the rest of the request body on as it comes, while the answer is awaited. Once the target wants no
/// more of it, what the client still sends is read and dropped, so that the client gets to read the answer.
Task<void> Session::upload_rest() {
  while (!request_body_.done()) {
    const TimePoint until = loop_.clock.now() + loop_.options.idle_timeout;
    client_->set_deadline(linger_until_ ? std::min(*linger_until_, until) : until);
    awaiting_client_ = true;
    const auto count = co_await client_->read_some(in_.space());
    awaiting_client_ = false;
    if (!count || *count == 0) {
      const bool slow = !count && count.error().code() == ErrorCode::deadline_exceeded;
      co_return end_upload_with(slow ? 408 : 0, std::string(slow_body));
    }
    in_.filled(*count);
    const std::string_view bytes = in_.view();
    const auto taken = request_body_.take(bytes);
    if (!taken) co_return end_upload_with(400, taken.error().message());
    if (keeps_upload_) kept_body_ += bytes.substr(0, *taken);
    if (!discarding_) {
      target_->set_deadline(loop_.clock.now() + loop_.options.idle_timeout);
      const auto written = co_await target_->write(bytes.substr(0, *taken));
      discarding_ = discarding_ || !written;
    }
    in_.consume(*taken);
  }
}

/// `status` 0: the client has gone.
void Session::end_upload_with(int status, std::string message) {
  if (status == 0) {
    client_gone_ = true;
  } else if (own_status_ == 0) {
    own_status_ = status;
    own_message_ = std::move(message);
  }
  discarding_ = true;
  target_->close();
}

}  // namespace berth::network
