#include "task/host/http_sse_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "base/random.h"
#include "codec/json.h"
#include "codec/sse.h"
#include "task/host/url_wire.h"

namespace berth::task::host {

namespace {

constexpr std::size_t part_bytes = 16 * 1024;
/// Messages that came before anybody asked for the session's own stream.
constexpr std::size_t unheard_max = 64;
constexpr std::string_view session_header = "Mcp-Session-Id";

/// An answer in the making: bytes of an event stream, until it has ended or broken.
struct Mailbox {
  explicit Mailbox(Executor executor) : news(executor) {}

  void put(std::string_view message) {
    std::string line;
    json::append_single_line(line, message);
    sse::append_message(bytes, line);
    news.notify();
  }
  void end(std::optional<Error> why = std::nullopt) {
    has_ended = true;
    broken = std::move(why);
    news.notify();
  }

  std::string bytes;
  bool has_ended = false;
  std::optional<Error> broken;
  Signal news;
};

/// What a mailbox brings, as the answer to a request.
class MailboxResponse final : public http::ClientResponse {
 public:
  MailboxResponse(std::shared_ptr<Mailbox> box, Clock& clock)
      : box_(std::move(box)), clock_(clock), timer_(clock.make_timer()) {
    head_.headers.set("Content-Type", "text/event-stream");
  }

  http::ResponseHead& writable_head() { return head_; }
  const http::ResponseHead& head() const override { return head_; }
  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    while (box_->bytes.empty() && !box_->has_ended) {
      if (deadline_ && clock_.now() >= *deadline_)
        co_return fail(ErrorCode::deadline_exceeded, "the answer did not come in time");
      co_await box_->news.wait();
    }
    if (box_->bytes.empty() && box_->broken) co_return Failure(*box_->broken);
    const std::size_t count = box_->bytes.copy(into.data(), into.size());
    box_->bytes.erase(0, count);
    co_return count;
  }
  Task<Result<std::string>> read_all(std::size_t bytes_max) override {
    std::string all;
    std::string part(part_bytes, '\0');
    while (true) {
      const auto count = co_await read_some(part);
      if (!count) co_return Failure(count.error());
      if (*count == 0) co_return all;
      if (all.size() + *count > bytes_max)
        co_return fail(ErrorCode::resource_exhausted, "the answer is too long");
      all.append(part, 0, *count);
    }
  }
  void set_deadline(std::optional<TimePoint> when) override {
    deadline_ = when;
    timer_->cancel();
    if (when) timer_->arm(*when, [box = box_] { box->news.notify(); });
  }

 private:
  http::ResponseHead head_;
  std::shared_ptr<Mailbox> box_;
  Clock& clock_;
  std::unique_ptr<Timer> timer_;
  std::optional<TimePoint> deadline_;
};

/// An answer that is there already.
class WholeResponse final : public http::ClientResponse {
 public:
  WholeResponse(int status, std::string body) : body_(std::move(body)) { head_.status = status; }

  const http::ResponseHead& head() const override { return head_; }
  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    const std::size_t count = body_.copy(into.data(), into.size());
    body_.erase(0, count);
    co_return count;
  }
  Task<Result<std::string>> read_all(std::size_t) override { co_return std::exchange(body_, {}); }
  void set_deadline(std::optional<TimePoint>) override {}

 private:
  http::ResponseHead head_;
  std::string body_;
};

/// A stream of the upstream's, and who waits for what.
struct SseSession {
  explicit SseSession(Executor executor) : opened(executor) {}

  /// Hands a message to whom it is for.
  void take(json::Slice value) {
    if (value.is(json::Kind::array)) {
      for (json::Elements each(value); each.next();) take(each.value());
      return;
    }
    const Message message = read_message(value);
    const bool is_answer = message.kind == Message::Kind::result || message.kind == Message::Kind::error;
    const auto number = own_number(is_answer ? message.id : message.params.find("progressToken"));
    const auto at = number ? waiting.find(*number) : waiting.end();
    if (at != waiting.end()) {
      if (const auto box = at->second.lock()) {
        box->put(value.text());
        if (is_answer) box->end();
      }
      if (is_answer) waiting.erase(at);
    } else if (const auto box = aside.lock()) {
      box->put(value.text());
    } else if (!is_answer && unheard.size() < unheard_max) {
      unheard.emplace_back(value.text());
    }
  }
  void end(const Error& why) {
    is_over = true;
    failure = why;
    for (const auto& [number, weak] : waiting) {
      if (const auto box = weak.lock()) box->end(why);
    }
    waiting.clear();
    if (const auto box = aside.lock()) box->end();
    opened.notify();
  }

  std::string endpoint;  ///< where messages are posted; empty until the upstream has said it
  bool is_over = false;
  std::optional<Error> failure;
  Signal opened;
  std::map<std::int64_t, std::weak_ptr<Mailbox>> waiting;  ///< by the number of the request
  std::weak_ptr<Mailbox> aside;
  std::deque<std::string> unheard;
  std::shared_ptr<Branches::Branch> reader;
};

class HttpSseClient final : public http::Client {
 public:
  HttpSseClient(std::shared_ptr<http::Client> upstream, http::UrlAddress address, Branches& branches,
                Clock& clock, std::size_t message_bytes_max)
      : upstream_(std::move(upstream)),
        address_(std::move(address)),
        branches_(branches),
        clock_(clock),
        message_bytes_max_(message_bytes_max) {}
  ~HttpSseClient() override {
    for (const auto& [id, session] : sessions_) session->reader->cancel();
  }

  Task<Result<std::unique_ptr<http::ClientResponse>>> send(http::ClientRequest request) override {
    std::string id(request.headers.get(session_header).value_or(""));
    const bool is_first = request.method == "POST" && id.empty();
    if (is_first) co_return co_await initialize(std::move(request));
    const auto at = sessions_.find(id);
    if (at == sessions_.end() || at->second->is_over) {
      if (at != sessions_.end()) sessions_.erase(at);
      co_return std::make_unique<WholeResponse>(404, "");
    }
    const std::shared_ptr<SseSession> session = at->second;
    if (request.method == "DELETE") {
      close(id);
      co_return std::make_unique<WholeResponse>(200, "");
    }
    if (request.method == "GET") co_return listen(*session);
    auto sent = co_await post(session, std::move(request));
    // It has forgotten the session, whose stream is of no use any more.
    if (sent && is_session_lost((*sent)->head().status, "")) close(id);
    co_return sent;
  }

 private:
  using Sent = Result<std::unique_ptr<http::ClientResponse>>;

  void close(const std::string& id) {
    const auto at = sessions_.find(id);
    if (at == sessions_.end()) return;
    at->second->reader->cancel();
    at->second->end(Error(ErrorCode::unavailable, "the session was closed"));
    sessions_.erase(at);
  }

  std::unique_ptr<http::ClientResponse> listen(SseSession& session) {
    const auto box = std::make_shared<Mailbox>(clock_.executor());
    session.aside = box;
    for (const std::string& message : std::exchange(session.unheard, {})) box->put(message);
    return std::make_unique<MailboxResponse>(box, clock_);
  }

  Task<Sent> initialize(http::ClientRequest request) {
    const auto session = std::make_shared<SseSession>(clock_.executor());
    http::ClientRequest opening;
    opening.method = "GET";
    opening.target = address_.target;
    opening.headers = request.headers;
    opening.headers.remove("Content-Type");
    opening.headers.set("Accept", "text/event-stream");
    opening.deadline = request.deadline;
    opening.redirects_max = request.redirects_max;
    opening.decodes_body = request.decodes_body;
    auto stream = co_await upstream_->send(std::move(opening));
    if (!stream) co_return Failure(stream.error());
    const http::ResponseHead& head = (*stream)->head();
    const std::string_view type = head.headers.get("Content-Type").value_or("");
    if (head.status != 200 || !type.starts_with("text/event-stream")) {
      co_return fail(ErrorCode::unavailable,
                     fmt::format("GET was answered with HTTP {} and no event stream", head.status));
    }
    session->reader = branches_.spawn(read(session, std::move(*stream), address_, message_bytes_max_));
    const auto timer = clock_.make_timer();
    bool is_late = false;
    timer->arm(request.deadline, [&] {
      is_late = true;
      session->opened.notify();
    });
    while (session->endpoint.empty() && !session->is_over && !is_late) co_await session->opened.wait();
    if (session->endpoint.empty()) {
      session->reader->cancel();
      if (session->failure) co_return Failure(*session->failure);
      co_return fail(ErrorCode::deadline_exceeded, "its event stream named no endpoint in time");
    }
    const std::string id = random_hex(16);
    sessions_[id] = session;
    auto sent = co_await post(session, std::move(request));
    if (!sent || (*sent)->head().status != 200) {
      close(id);
    } else {
      static_cast<MailboxResponse&>(**sent).writable_head().headers.set(session_header, id);
    }
    co_return sent;
  }

  /// Posts a message to the endpoint. What the upstream refuses comes back as it is.
  Task<Sent> post(std::shared_ptr<SseSession> session, http::ClientRequest request) {
    const auto parsed = json::parse(request.body);
    const Message message = parsed ? read_message(*parsed) : Message{};
    const auto number = message.kind == Message::Kind::request ? own_number(message.id) : std::nullopt;
    const auto box = std::make_shared<Mailbox>(clock_.executor());
    if (number) session->waiting[*number] = box;
    request.target = session->endpoint;
    request.headers.remove(session_header);
    auto answer = co_await upstream_->send(std::move(request));
    if (answer && (*answer)->head().status < 300) {
      if (!number) co_return std::make_unique<WholeResponse>(202, "");
      co_return std::make_unique<MailboxResponse>(box, clock_);
    }
    if (number) session->waiting.erase(*number);
    co_return answer;
  }

  static Task<void> read(std::shared_ptr<SseSession> session, std::unique_ptr<http::ClientResponse> stream,
                         http::UrlAddress address, std::size_t message_bytes_max) {
    sse::Parser parser(message_bytes_max);
    std::string part(part_bytes, '\0');
    std::optional<Error> failure;
    while (!failure) {
      const auto count = co_await stream->read_some(part);
      if (!count) {
        failure = count.error();
      } else if (*count == 0) {
        failure = Error(ErrorCode::unavailable, "its event stream ended");
      } else if (const auto fed = parser.feed(std::string_view(part).substr(0, *count)); !fed) {
        failure = fed.error();
      }
      while (auto event = parser.next()) {
        if (event->event == "endpoint") {
          auto endpoint = resolved(event->data, address);
          if (!endpoint) failure = endpoint.error();
          if (endpoint) session->endpoint = std::move(*endpoint);
          session->opened.notify();
        } else if (const auto value = json::parse(event->data)) {
          session->take(*value);
        }
      }
    }
    session->end(*failure);
  }

  /// The target of a reference that the upstream gave, which may not lead to another origin.
  static Result<std::string> resolved(std::string_view reference, const http::UrlAddress& base) {
    if (reference.starts_with('/') && !reference.starts_with("//")) return std::string(reference);
    if (!reference.contains("://")) {
      const std::string_view path = std::string_view(base.target).substr(0, base.target.find('?'));
      return std::string(path.substr(0, path.rfind('/') + 1)).append(reference);
    }
    const auto address = http::parse_url(reference);
    if (!address) return Failure(address.error().within("The endpoint of the upstream"));
    if (address->tls == base.tls && address->host == base.host && address->port == base.port)
      return address->target;
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("The endpoint of the upstream is at another origin, {}.", address->host_header()));
  }

  std::shared_ptr<http::Client> upstream_;
  http::UrlAddress address_;
  Branches& branches_;
  Clock& clock_;
  std::size_t message_bytes_max_;
  std::map<std::string, std::shared_ptr<SseSession>> sessions_;
};

}  // namespace

std::shared_ptr<http::Client> make_http_sse_client(std::shared_ptr<http::Client> upstream,
                                                   http::UrlAddress address, Branches& branches, Clock& clock,
                                                   std::size_t message_bytes_max) {
  return std::make_shared<HttpSseClient>(std::move(upstream), std::move(address), branches, clock,
                                         message_bytes_max);
}

}  // namespace berth::task::host
