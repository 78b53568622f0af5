#include "http/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "base/check.h"

namespace berth::http {

namespace {

using namespace std::chrono_literals;

/// An unread request body up to this size is read away to keep the connection; above, the connection closes.
constexpr std::size_t unread_body_bytes_max = 64 * 1024;
/// What a hang-up reads away so that the answer is not lost to a reset (RFC 9112 §9.6).
constexpr std::size_t linger_bytes_max = 1024 * 1024;
constexpr Duration linger_time = 2s;
/// Larger parts are written without being copied behind their chunk head.
constexpr std::size_t chunk_copied_bytes_max = 16 * 1024;
/// A write of more than that is made in steps, each with its own deadline.
constexpr std::size_t write_step_bytes = 256 * 1024;

/// Heads up to this size are not counted while they are half read; of longer ones all connections together
/// may hold so much.
constexpr std::size_t long_head_bytes = 8 * 1024;
constexpr std::size_t long_heads_bytes_max = 16u << 20;

int status_of(http1::HeadStatus status) {
  switch (status) {
    case http1::HeadStatus::too_large: return 431;
    case http1::HeadStatus::target_too_long: return 414;
    case http1::HeadStatus::bad_version: return 505;
    case http1::HeadStatus::not_implemented: return 501;
    case http1::HeadStatus::bad:
    case http1::HeadStatus::complete:
    case http1::HeadStatus::incomplete: return 400;
  }
  return 400;
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

bool says_close(const Headers& headers) {
  const auto connection = headers.get("Connection");
  return connection && equals_ignoring_case(*connection, "close");
}

std::optional<std::uint64_t> length_of(const Headers& headers) {
  const auto text = headers.get("Content-Length");
  if (!text || text->empty() || text->size() > 18) return std::nullopt;
  std::uint64_t length = 0;
  for (const char byte : *text) {
    if (byte < '0' || byte > '9') return std::nullopt;
    length = length * 10 + static_cast<std::uint64_t>(byte - '0');
  }
  return length;
}

class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t& count_;
};

/// What one connection holds of a head that is not whole yet, in the sum of all.
class HalfHead {
 public:
  explicit HalfHead(std::size_t& sum) : sum_(sum) {}
  ~HalfHead() { sum_ -= bytes_; }
  HalfHead(const HalfHead&) = delete;
  HalfHead& operator=(const HalfHead&) = delete;

  /// False: all together hold too much.
  bool hold(std::size_t bytes) {
    if (bytes <= long_head_bytes) return true;
    sum_ += bytes - bytes_;
    bytes_ = bytes;
    return sum_ <= long_heads_bytes_max;
  }

 private:
  std::size_t& sum_;
  std::size_t bytes_ = 0;
};

}  // namespace

Connection::Connection(ServerShared& shared, std::unique_ptr<net::Stream> stream)
    : shared_(shared),
      stream_(std::move(stream)),
      input_(*stream_),
      body_(input_),
      opened_(shared.clock.now()),
      place_(shared.busy.insert(shared.busy.end(), this)) {}

Connection::~Connection() { (idle_ ? shared_.idle : shared_.busy).erase(place_); }

void Connection::set_idle(bool idle) {
  if (idle == idle_) return;
  idle_ = idle;
  std::list<Connection*>& from = idle ? shared_.busy : shared_.idle;
  std::list<Connection*>& to = idle ? shared_.idle : shared_.busy;
  to.splice(to.end(), from, place_);
}

void Connection::end_idle() {
  set_idle(false);
  stream_->close();
}

TimePoint Connection::fresh_until() const {
  return has_asked_ ? TimePoint::min() : opened_ + shared_.limits.drain_grace;
}

void Connection::end_idle_gently() {
  if (shared_.clock.now() >= fresh_until()) return end_idle();
  stream_->set_deadline(fresh_until());
}

Task<void> Connection::run() {
  bool going_on = true;
  while (going_on) {
    going_on = co_await read_head();
    if (!going_on) break;
    co_await serve_one();
    going_on = keep_alive_ && !shared_.closing;
  }
  stream_->close();
}

/// Reads until a whole head lies in view_; false when the connection is over.
Task<bool> Connection::read_head() {
  input_.release_spare();
  HalfHead half_head(shared_.half_head_bytes);
  bool timed_head = false;
  std::size_t parsed = 0;
  std::string problem;
  while (true) {
    const std::string_view bytes = input_.bytes();
    // A head that comes in crumbs is looked at anew only where a line ended or it doubled: linear time.
    if (bytes.size() >= 2 * parsed || bytes.find('\n', parsed) != std::string_view::npos) {
      const auto status = bytes.empty() ? http1::HeadStatus::incomplete
                                        : http1::parse_request(bytes, shared_.head_limits, view_, &problem);
      if (status == http1::HeadStatus::complete) {
        has_asked_ = true;
        co_return true;
      }
      if (status != http1::HeadStatus::incomplete) {
        co_await refuse(status_of(status), problem);
        co_return false;
      }
      parsed = bytes.size();
    }
    if (!half_head.hold(bytes.size())) {
      co_await refuse(503, "Too many long heads of requests are half read; try again.");
      co_return false;
    }
    const bool is_ending = shared_.closing && bytes.empty();
    if (is_ending && shared_.clock.now() >= fresh_until()) co_return false;
    set_idle(bytes.empty());
    if (!timed_head) {
      timed_head = !idle_;
      const Duration timeout = idle_ ? shared_.limits.idle_timeout : shared_.limits.head_timeout;
      stream_->set_deadline(is_ending ? fresh_until() : shared_.clock.now() + timeout);
    }
    const auto count = co_await input_.fill();
    set_idle(false);
    if (count && *count > 0) continue;
    const bool too_slow = !count && count.error().code() == ErrorCode::deadline_exceeded;
    if (too_slow && !input_.bytes().empty()) co_await refuse(408, "The head of the request came too slowly.");
    co_return false;
  }
}

void Connection::take_head() {
  head_.method.assign(view_.method);
  head_.minor_version = view_.minor_version;
  copy_fields(view_, head_.headers);
  std::string_view target = view_.target;
  if (!target.starts_with('/') && target != "*") {
    // absolute-form: its authority stands for Host (RFC 9112 §3.2.2).
    target.remove_prefix(target.find("//") + 2);
    const std::size_t path = std::min(target.find_first_of("/?"), target.size());
    head_.headers.set("Host", target.substr(0, path));
    target.remove_prefix(path);
    head_.target = target.starts_with('/') ? "" : "/";
    head_.target.append(target);
  } else {
    head_.target.assign(target);
  }
  is_head_request_ = head_.method == "HEAD";
  keep_alive_ = view_.keep_alive;
  owes_continue_ = view_.expects_continue;
  timed_body_ = false;
  answer_ = Answer::none;
  input_.consume(view_.bytes);
  body_.start(view_.framing, view_.content_length);
}

Task<void> Connection::serve_one() {
  take_head();
  stream_->set_deadline(std::nullopt);
  std::optional<std::string> problem;
  {
    const Counted counted(shared_.exchanges);
    try {
      co_await shared_.service.serve(*this);
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      problem = error.what();
    } catch (const std::exception& error) {
      problem = error.what();
    } catch (...) {
      problem = "an exception of unknown type";
    }
    disconnect_ = nullptr;
    if (std::exchange(watching_, false)) stream_->watch_peer_close(nullptr);
    if (problem) {
      shared_.log.error("request_failed",
                        {{"method", head_.method}, {"path", head_.path()}, {"problem", *problem}});
    }
    if (answer_ == Answer::none) {
      auto response = json_response(500, R"({"error":"The request could not be answered; see the log."})");
      co_await respond(std::move(response));
    }
  }
  // An answer cut short must look cut short.
  if (answer_ == Answer::streaming) keep_alive_ = false;
  if (!body_.done()) co_await drop_unread_body();
  forget_head();
}

/// Where the address sanitizer watches, the memory of a head goes with its request instead of being used
/// again, so that a view that outlives it is found.
void Connection::forget_head() {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  std::destroy_at(&head_);
  std::construct_at(&head_);
#endif
#endif
}

Task<void> Connection::drop_unread_body() {
  std::size_t dropped = 0;
  std::array<char, 4096> into;
  if (keep_alive_) stream_->set_deadline(shared_.clock.now() + linger_time);
  while (keep_alive_ && !body_.done()) {
    const auto count = co_await body_.read_some(into);
    if (count) dropped += *count;
    if (!count || dropped > unread_body_bytes_max) keep_alive_ = false;
  }
  if (!keep_alive_) co_await linger();
}

Task<void> Connection::linger() {
  stream_->close_write();
  stream_->set_deadline(shared_.clock.now() + linger_time);
  std::size_t dropped = 0;
  std::array<char, 4096> into;
  while (dropped < linger_bytes_max) {
    const auto count = co_await stream_->read_some(into);
    if (!count || *count == 0) co_return;
    dropped += *count;
  }
}

Task<void> Connection::refuse(int status, std::string_view problem) {
  keep_alive_ = false;
  is_head_request_ = false;
  head_.minor_version = 1;
  answer_ = Answer::none;
  shared_.log.debug("request_refused", {{"status", status}, {"problem", problem}});
  auto response = json_response(status, R"({"error":)" + json_quote(problem) + "}");
  const auto sent = co_await respond(std::move(response));
  if (sent) co_await linger();
}

Task<Result<void>> Connection::prepare_to_read_body() {
  if (body_.done()) co_return Result<void>();
  if (std::exchange(owes_continue_, false) && input_.bytes().empty() && answer_ == Answer::none) {
    auto sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n", {});
    if (!sent) co_return sent;
  }
  if (!std::exchange(timed_body_, true))
    stream_->set_deadline(shared_.clock.now() + shared_.limits.body_timeout);
  co_return Result<void>();
}

Task<Result<std::string>> Connection::read_body(std::size_t bytes_max) {
  const auto length = body_.remaining();
  if (length && *length > bytes_max) {
    co_return fail(ErrorCode::resource_exhausted, "The request body has " + std::to_string(*length) +
                                                      " bytes; the limit is " + std::to_string(bytes_max) +
                                                      ".");
  }
  if (!length || *length > input_.bytes().size()) {
    auto prepared = co_await prepare_to_read_body();
    if (!prepared) co_return Failure(prepared.error());
  }
  auto body = co_await body_.read_all(bytes_max);
  if (body_.done() && timed_body_) stream_->set_deadline(std::nullopt);
  if (disconnect_) arm_watch();
  co_return body;
}

Task<Result<std::size_t>> Connection::read_body_some(std::span<char> into) {
  auto prepared = co_await prepare_to_read_body();
  if (!prepared) co_return Failure(prepared.error());
  auto count = co_await body_.read_some(into);
  if (body_.done() && timed_body_) stream_->set_deadline(std::nullopt);
  if (disconnect_ && body_.done()) arm_watch();
  co_return count;
}

void Connection::on_disconnect(std::function<void()> callback) {
  disconnect_ = std::move(callback);
  arm_watch();
}

void Connection::arm_watch() {
  watching_ = true;
  stream_->watch_peer_close([this] {
    if (const auto callback = std::exchange(disconnect_, nullptr)) callback();
  });
}

void Connection::decide_keep_alive(const Headers& headers) {
  if (shared_.draining || says_close(headers)) keep_alive_ = false;
  // A client that waits for 100 may or may not send its body now; nobody can tell where the next request is.
  if (owes_continue_ && !body_.done()) keep_alive_ = false;
  const auto unread = body_.remaining();
  if (body_.broken() || (unread && *unread > unread_body_bytes_max)) keep_alive_ = false;
}

bool Connection::put_head(int status, const Headers& headers) {
  out_.assign("HTTP/1.1 ");
  append_number(out_, static_cast<std::uint64_t>(status));
  out_.push_back(' ');
  out_.append(reason_phrase(status)).append("\r\n");
  bool is_dated = false;
  for (const auto field : headers.fields()) {
    if (is_framing_field(field.name)) continue;
    is_dated = is_dated || equals_ignoring_case(field.name, "Date");
    if (!http1::is_token(field.name) || !http1::is_field_value(field.value)) {
      shared_.log.error("response_field_invalid", {{"path", head_.path()}, {"name", field.name}});
      return false;
    }
    append_field(out_, field.name, field.value);
  }
  if (!is_dated) append_field(out_, "Date", shared_.date.at(shared_.clock.wall()));
  return true;
}

void Connection::put_end_of_head() {
  if (!keep_alive_) {
    out_.append("Connection: close\r\n");
  } else if (head_.minor_version == 0) {
    out_.append("Connection: keep-alive\r\n");
  }
  out_.append("\r\n");
}

Task<Result<void>> Connection::respond(Response response) {
  BERTH_CHECK(answer_ == Answer::none, "an exchange is answered once");
  answer_ = Answer::whole;
  decide_keep_alive(response.headers);
  if (!put_head(response.status, response.headers)) {
    response = json_response(500, R"({"error":"The answer could not be sent; see the log."})");
    put_head(response.status, response.headers);
  }
  std::string_view body = response.body;
  if (!has_no_body(response.status)) {
    out_.append("Content-Length: ");
    append_number(out_, body.size());
    out_.append("\r\n");
  }
  put_end_of_head();
  if (is_head_request_ || has_no_body(response.status)) body = {};
  auto sent = co_await send(out_, body);
  if (!sent) keep_alive_ = false;
  co_return sent;
}

Task<Result<void>> Connection::begin(ResponseHead head) {
  BERTH_CHECK(answer_ == Answer::none, "an exchange is answered once");
  decide_keep_alive(head.headers);
  if (!put_head(head.status, head.headers)) {
    co_return fail(ErrorCode::internal, "The answer has a field that HTTP cannot carry; see the log.");
  }
  answer_ = Answer::streaming;
  const auto length = length_of(head.headers);
  if (has_no_body(head.status)) {
    out_framing_ = OutFraming::none;
  } else if (length) {
    out_framing_ = OutFraming::length;
    out_remaining_ = *length;
    out_.append("Content-Length: ");
    append_number(out_, *length);
    out_.append("\r\n");
  } else if (head_.minor_version == 0) {
    out_framing_ = OutFraming::until_close;
    keep_alive_ = false;
  } else {
    out_framing_ = OutFraming::chunked;
    out_.append("Transfer-Encoding: chunked\r\n");
  }
  put_end_of_head();
  if (is_head_request_) out_framing_ = OutFraming::none;
  co_return co_await send(out_, {});
}

Task<Result<void>> Connection::write(std::string_view part) {
  BERTH_CHECK(answer_ == Answer::streaming, "begin() comes before write(), finish() after");
  if (part.empty() || out_framing_ == OutFraming::none) co_return Result<void>();
  if (out_framing_ == OutFraming::length) {
    if (part.size() > out_remaining_) {
      co_return fail(ErrorCode::internal, "The answer is longer than its Content-Length.");
    }
    out_remaining_ -= part.size();
  }
  if (out_framing_ != OutFraming::chunked) co_return co_await send(part, {});
  out_.clear();
  http1::append_chunk_head(out_, part.size());
  if (part.size() <= chunk_copied_bytes_max) {
    out_.append(part).append("\r\n");
    co_return co_await send(out_, {});
  }
  auto sent = co_await send(out_, part);
  if (!sent) co_return sent;
  co_return co_await send("\r\n", {});
}

Task<Result<void>> Connection::finish() {
  BERTH_CHECK(answer_ == Answer::streaming, "begin() comes before finish(), which is called once");
  if (out_framing_ == OutFraming::length && out_remaining_ > 0) {
    co_return fail(ErrorCode::internal, "The answer is shorter than its Content-Length.");
  }
  answer_ = Answer::finished;
  if (out_framing_ != OutFraming::chunked) co_return Result<void>();
  co_return co_await send("0\r\n\r\n", {});
}

Task<Result<void>> Connection::send(std::string_view first, std::string_view second) {
  while (true) {
    const std::string_view part = second.substr(0, write_step_bytes);
    second.remove_prefix(part.size());
    stream_->set_deadline(shared_.clock.now() + shared_.limits.write_timeout);
    auto sent = co_await stream_->write(first, part);
    if (!sent) {
      keep_alive_ = false;
      co_return sent;
    }
    if (second.empty()) break;
    first = {};
  }
  stream_->set_deadline(std::nullopt);
  co_return Result<void>();
}

}  // namespace berth::http
