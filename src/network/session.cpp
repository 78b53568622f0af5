#include "network/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace berth::network {

namespace {

constexpr std::size_t in_bytes_initial = 8 * 1024;
/// How long, and for how many bytes, a client may go on sending what nobody wants, so that it gets to read
/// why its connection ends (RFC 9112 §9.6).
constexpr Duration linger_max = std::chrono::seconds(2);
constexpr std::size_t linger_bytes_max = 8u << 20;

int status_of(http1::HeadStatus status) {
  switch (status) {
    case http1::HeadStatus::too_large: return 431;
    case http1::HeadStatus::target_too_long: return 414;
    case http1::HeadStatus::bad_version: return 505;
    case http1::HeadStatus::not_implemented: return 501;
    case http1::HeadStatus::complete:
    case http1::HeadStatus::incomplete:
    case http1::HeadStatus::bad: break;
  }
  return 400;
}

}  // namespace

/// Counts a request for as long as it is being answered.
class Session::InFlight {
 public:
  explicit InFlight(Session& session) : session_(session) {
    session_.exchanging_ = true;
    add(1);
  }
  ~InFlight() {
    session_.loop_.unwatch_client(session_);
    session_.leave_target();
    session_.exchanging_ = false;
    add(static_cast<std::size_t>(-1));
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  void add(std::size_t change) {
    std::atomic<std::size_t>& count = session_.loop_.in_flight;
    count.store(count.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
  }
  Session& session_;
};

Session::Session(LoopContext& loop, TaskScope& scope, std::unique_ptr<net::Stream> client,
                 std::string_view scheme)
    : loop_(loop),
      scope_(scope),
      client_(std::move(client)),
      client_address_(client_->remote().host),
      listener_port_(std::to_string(client_->local().port)),
      scheme_(scheme),
      in_(in_bytes_initial),
      upload_done_(scope.executor()) {}

Session::~Session() { loop_.unwatch_client(*this); }

void Session::set_idle(bool idle) {
  if (idle == idle_) return;
  idle_ = idle;
  std::list<Session*>& from = idle ? loop_.busy : loop_.idle;
  std::list<Session*>& to = idle ? loop_.idle : loop_.busy;
  to.splice(to.end(), from, place_);
}

void Session::cut() {
  set_idle(false);
  client_gone_ = true;
  client_->close();
  if (target_) target_->close();
}

/// Keeps a session in its loop's lists while it runs; an upload may outlive that for a moment.
class Session::Presence {
 public:
  explicit Presence(Session& session) : session_(session) {
    session.place_ = session.loop_.busy.insert(session.loop_.busy.end(), &session);
  }
  ~Presence() {
    session_.set_idle(false);
    session_.loop_.busy.erase(session_.place_);
  }
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

 private:
  Session& session_;
};

Task<void> Session::run() {
  const Presence presence(*this);
  while (true) {
    const http1::HeadStatus status = parse_head();
    if (status == http1::HeadStatus::incomplete) {
      prepare_read();
      const auto count = co_await client_->read_some(in_.space());
      set_idle(false);
      if (!count || *count == 0) {
        co_await end_of_requests(count);
        co_return;
      }
      in_.filled(*count);
      continue;
    }
    if (status != http1::HeadStatus::complete) {
      co_await refuse(status);
      co_return;
    }
    const After after = co_await exchange();
    if (after == After::close || (loop_.draining && in_.empty())) co_return;
  }
}

http1::HeadStatus Session::parse_head() {
  const std::string_view bytes = in_.view();
  if (bytes.empty()) {
    parse_at_ = scanned_ = 0;
    return http1::HeadStatus::incomplete;
  }
  // A head that trickles in is not parsed from its start at every byte: only when its end may have come, or
  // when it has doubled.
  const std::size_t from = scanned_ < 3 ? 0 : scanned_ - 3;
  scanned_ = bytes.size();
  if (bytes.size() < parse_at_ && bytes.find("\r\n\r\n", from) == std::string_view::npos) {
    return http1::HeadStatus::incomplete;
  }
  const http1::HeadStatus status =
      http1::parse_request(bytes, loop_.options.head_limits, request_, &problem_);
  const bool again = status == http1::HeadStatus::incomplete;
  parse_at_ = again ? bytes.size() * 2 : 0;
  if (!again) scanned_ = 0;
  return status;
}

void Session::prepare_read() {
  const TimePoint now = loop_.clock.now();
  if (in_.empty()) {
    set_idle(true);
    head_deadline_ = {};
    client_->set_deadline(now + loop_.options.idle_timeout);
    return;
  }
  if (head_deadline_ == TimePoint{}) head_deadline_ = now + loop_.options.head_timeout;
  client_->set_deadline(head_deadline_);
  // The parser refuses a head beyond the limit, so the buffer stops growing a little above it.
  if (in_.size() == in_.capacity()) in_.grow(in_.capacity() * 2);
}

Task<void> Session::end_of_requests(Result<std::size_t> read) {
  if (!read && read.error().code() == ErrorCode::deadline_exceeded && !in_.empty() && !loop_.draining) {
    co_await answer_error(408, "The request head was not complete in time.", false);
  }
}

Task<void> Session::refuse(http1::HeadStatus status) {
  head_only_ = false;
  started_ = loop_.clock.now();
  std::string message = problem_.empty() ? "The request is not HTTP/1.1." : problem_;
  co_await answer_error(status_of(status), std::move(message), false);
  co_await linger();
}

namespace {

/// Requests of MCP 2026-07-28 that ask what a server offers, by the header that exists for intermediaries:
/// sent again to another target they do nothing twice.
bool only_describes(std::string_view mcp_method) {
  return mcp_method == "server/discover" || mcp_method == "tools/list" || mcp_method == "prompts/list" ||
         mcp_method == "resources/list" || mcp_method == "resources/templates/list";
}

}  // namespace

void Session::prepare_request() {
  http10_ = request_.minor_version == 0;
  head_only_ = request_.method == "HEAD";
  safe_method_ = head_only_ || request_.method == "GET" || request_.method == "OPTIONS" ||
                 only_describes(request_.get("Mcp-Method").value_or(""));
  keep_alive_ = request_.keep_alive;
  const Arrival arrival{client_address_, scheme_, listener_port_};
  target_head_.clear();
  append_request_head(target_head_, in_.view(), request_, arrival, loop_.next_trace());
  if (loop_.log.threshold() <= LogLevel::debug) {
    // The query may hold what must not be logged.
    const std::string_view path = request_.target.substr(0, request_.target.find('?'));
    logged_ = fmt::format("{} {}", request_.method, path);
  }
  tried_.clear();
  attempts_ = 0;
  own_status_ = 0;
  fresh_only_ = false;
  discarding_ = false;
  is_repeated_ = false;
}

Task<Session::After> Session::exchange() {
  const InFlight in_flight(*this);
  started_ = loop_.clock.now();
  prepare_request();
  request_body_.start(request_.framing, request_.content_length);
  const std::size_t head_bytes = request_.bytes;
  const auto taken = request_body_.take(in_.view().substr(head_bytes));
  if (!taken) {
    own_status_ = 400;
    own_message_ = taken.error().message();
  } else if (request_.method == "CONNECT" || request_.method == "TRACE") {
    own_status_ = 405;
    own_message_ = "The methods TRACE and CONNECT are not supported.";
  }
  if (own_status_ != 0) {
    keep_alive_ = false;
    co_return co_await finish(Relay::no_answer);
  }
  first_part_ = in_.view().substr(head_bytes, *taken);
  const Relay relay = co_await attempt();
  // What an upload has read belongs to the next request already.
  if (!uploaded_) in_.consume(head_bytes + *taken);
  co_return co_await finish(relay);
}

Task<Session::Relay> Session::attempt() {
  uploaded_ = false;
  ByteBuffer buffer = loop_.take_buffer();
  Relay relay = Relay::retry;
  while (relay == Relay::retry) {
    relay = co_await hand_over();
    if (relay != Relay::complete) break;
    if (!request_body_.done()) start_upload();
    buffer.clear();
    relay = co_await relay_answer(buffer);
  }
  loop_.give_buffer(std::move(buffer));
  co_return relay;
}

Task<Session::After> Session::finish(Relay relay) {
  After after = After::close;
  const bool request_read = request_body_.done() && !uploading_;
  if (relay == Relay::complete) {
    if (target_keeps_ && request_read && !discarding_) upstream_->give_back(std::move(target_), answered_at_);
    if (client_keeps_) after = After::next_request;
  } else if (client_gone_ || relay == Relay::broken) {
    if (client_gone_) count_disconnect();
    cut();
  } else {
    const bool keep_alive = keep_alive_ && request_read && !loop_.draining;
    std::string message = own_message_;
    co_await answer_error(own_status_, std::move(message), keep_alive);
    if (keep_alive) after = After::next_request;
    if (!request_read && !uploading_) co_await linger();
  }
  if (uploading_) co_await end_upload();
  if (std::exchange(keeps_upload_, false)) kept_body_ = std::string();
  if (watching_) {
    watching_ = false;
    client_->watch_peer_close(nullptr);
  }
  if (loop_.log.threshold() <= LogLevel::debug) log_request();
  co_return after;
}

Task<void> Session::answer_error(int status, std::string message, bool keep_alive) {
  answered_status_ = status;
  const std::string answer = error_answer(status, message, loop_.clock.wall(), keep_alive, head_only_);
  count_own_answer(status);
  client_->set_deadline(loop_.clock.now() + loop_.options.idle_timeout);
  // A client that has gone meanwhile needs no answer.
  const auto written = co_await client_->write(answer);
  if (!written) client_->close();
}

Task<void> Session::linger() {
  client_->close_write();
  client_->set_deadline(loop_.clock.now() + linger_max);
  std::size_t left = linger_bytes_max;
  while (left > 0) {
    in_.clear();
    const auto count = co_await client_->read_some(in_.space());
    if (!count || *count == 0) break;
    left -= std::min(left, *count);
  }
}

Task<void> Session::end_upload() {
  discarding_ = true;
  if (target_) target_->close();
  linger_until_ = loop_.clock.now() + linger_max;
  client_->close_write();
  client_->set_deadline(*linger_until_);
  while (uploading_) co_await upload_done_.wait();
}

void Session::count_own_answer(int status) {
  const std::lock_guard lock(loop_.mutex);
  ++loop_.counters.answers[status / 100 - 1];
  ++loop_.counters.own_answers;
}

void Session::count_disconnect() {
  const std::lock_guard lock(loop_.mutex);
  ++loop_.counters.disconnects;
}

void Session::log_request() {
  const std::chrono::duration<double, std::milli> took = loop_.clock.now() - started_;
  loop_.log.debug("request",
                  {{"request", logged_},
                   {"status", answered_status_},
                   {"ms", took.count()},
                   {"client", client_address_},
                   {"scheme", scheme_},
                   {"target", upstream_ ? std::string_view(upstream_->target().id) : std::string_view()},
                   {"attempts", attempts_},
                   {"client_left", client_gone_}});
}

}  // namespace berth::network
