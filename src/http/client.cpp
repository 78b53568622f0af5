#include "http/client.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <list>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/shown_url.h"
#include "codec/http1.h"
#include "http/inflater.h"
#include "http/redirect.h"
#include "http/wire.h"

namespace berth::http {

namespace {

constexpr http1::HeadLimits answer_head_limits{};
constexpr std::size_t redirect_body_bytes_max = 16 * 1024;

/// One connection to the endpoint: the stream with its unread bytes.
struct Link {
  explicit Link(std::unique_ptr<net::Stream> opened)
      : stream(std::move(opened)), input(*stream), body(input) {}
  std::unique_ptr<net::Stream> stream;
  Input input;
  BodyReader body;
  TimePoint idle_since{};
  bool is_reused = false;
};

/// The idle connections of a client, shared with the answers that bring theirs back.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(Clock& clock, std::size_t idle_max, Duration idle_timeout)
      : clock_(clock), idle_max_(idle_max), idle_timeout_(idle_timeout) {}

  /// The connection used last, or null. Those idle for too long are closed on the way.
  std::unique_ptr<Link> take() {
    const TimePoint oldest = clock_.now() - idle_timeout_;
    while (!idle_.empty() && idle_.front()->idle_since < oldest) idle_.pop_front();
    while (!idle_.empty()) {
      auto link = std::move(idle_.back());
      idle_.pop_back();
      link->stream->watch_peer_close(nullptr);
      if (!link->stream->quiet()) continue;
      link->is_reused = true;
      return link;
    }
    return nullptr;
  }

  void put(std::unique_ptr<Link> link) {
    if (closed_ || idle_max_ == 0 || !link->input.bytes().empty()) return;
    if (idle_.size() >= idle_max_) idle_.pop_front();
    link->idle_since = clock_.now();
    link->stream->set_deadline(std::nullopt);
    link->input.release_spare();
    idle_.push_back(std::move(link));
    Link* const kept = idle_.back().get();
    kept->stream->watch_peer_close([weak = weak_from_this(), kept] {
      if (const auto pool = weak.lock()) pool->drop(kept);
    });
  }

  void close() {
    closed_ = true;
    idle_.clear();
  }

 private:
  void drop(Link* gone) {
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (it->get() != gone) continue;
      // The stream calls from inside its watch; it must not die in the middle of it.
      std::shared_ptr<Link> dying(std::move(*it));
      idle_.erase(it);
      asio::post(clock_.executor(), [dying] {});
      return;
    }
  }

  Clock& clock_;
  std::size_t idle_max_;
  Duration idle_timeout_;
  std::list<std::unique_ptr<Link>> idle_;
  bool closed_ = false;
};

class ClientResponseImpl final : public ClientResponse {
 public:
  ClientResponseImpl(std::shared_ptr<Pool> pool, std::unique_ptr<Link> link, ResponseHead head,
                     bool keep_alive)
      : pool_(std::move(pool)), link_(std::move(link)), head_(std::move(head)), keep_alive_(keep_alive) {
    give_back_when_done();
  }

  const ResponseHead& head() const override { return head_; }

  /// From now on the body is decoded.
  void decode() {
    head_.headers.remove("Content-Encoding");
    head_.headers.remove("Content-Length");
    decoding_ = std::make_unique<Decoding>();
  }

  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    if (!decoding_) return read_raw(into);
    return read_decoded(into);
  }

  Task<Result<std::string>> read_all(std::size_t bytes_max) override {
    if (decoding_) co_return co_await read_all_decoded(bytes_max);
    if (!link_) co_return std::string();
    auto body = co_await link_->body.read_all(bytes_max);
    give_back_when_done();
    co_return body;
  }

  void set_deadline(std::optional<TimePoint> when) override {
    if (link_) link_->stream->set_deadline(when);
  }

 private:
  struct Decoding {
    Inflater inflater;
    std::array<char, 16 * 1024> coded;
    std::string_view ready;  ///< of `coded`
  };

  Task<Result<std::size_t>> read_raw(std::span<char> into) {
    if (!link_) co_return std::size_t{0};
    auto count = co_await link_->body.read_some(into);
    give_back_when_done();
    co_return count;
  }

  Task<Result<std::size_t>> read_decoded(std::span<char> into) {
    while (true) {
      auto decoded = decoding_->inflater.decode(decoding_->ready, into);
      if (!decoded || *decoded > 0 || into.empty()) co_return decoded;
      // What follows the end of the coded text is nothing, and read only to keep the connection.
      auto count = co_await read_raw(decoding_->coded);
      if (!count) co_return count;
      if (*count == 0 && !decoding_->inflater.done()) {
        co_return fail(ErrorCode::unavailable, "The body ended before its Content-Encoding did.");
      }
      if (*count == 0) co_return count;
      decoding_->ready = std::string_view(decoding_->coded.data(), *count);
    }
  }

  Task<Result<std::string>> read_all_decoded(std::size_t bytes_max) {
    std::string body;
    std::array<char, 16 * 1024> part;
    while (true) {
      const auto count = co_await read_decoded(part);
      if (!count) co_return Failure(count.error());
      if (*count == 0) co_return body;
      if (*count > bytes_max - body.size()) {
        co_return fail(ErrorCode::resource_exhausted,
                       "The body is longer than the limit of " + std::to_string(bytes_max) + " bytes.");
      }
      body.append(part.data(), *count);
    }
  }

  void give_back_when_done() {
    if (!link_->body.done()) return;
    auto link = std::move(link_);
    if (keep_alive_) pool_->put(std::move(link));
  }

  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Link> link_;  ///< null once the body has ended
  ResponseHead head_;
  bool keep_alive_;
  std::unique_ptr<Decoding> decoding_;
};

bool is_decodable(std::string_view coding) {
  return equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip") ||
         equals_ignoring_case(coding, "deflate");
}

/// How far a request got on one connection.
struct Attempt {
  std::unique_ptr<ClientResponseImpl> response;
  std::optional<Error> error;
  bool was_answered = false;  ///< a byte of an answer came
};

class ClientImpl final : public Client {
 public:
  ClientImpl(net::Network& network, ClientOptions options)
      : network_(network),
        options_(std::move(options)),
        name_(to_string(options_.endpoint)),
        pool_(std::make_shared<Pool>(network.clock(), options_.idle_connections_max, options_.idle_timeout)) {
    if (options_.host_header.empty())
      options_.host_header = options_.endpoint.is_unix() ? "localhost" : name_;
  }
  ~ClientImpl() override { pool_->close(); }

  Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request) override {
    for (int redirects = 0;; ++redirects) {
      auto response = co_await send_once(request);
      if (!response) co_return Failure(response.error());
      if (request.redirects_max == 0 || !is_redirect((*response)->head().status)) {
        co_return finished(request, std::move(*response));
      }
      if (request.delivery != nullptr) *request.delivery = {};
      auto target = redirected((*response)->head(), request.method, origin(request));
      if (target && redirects >= request.redirects_max) {
        target = fail(ErrorCode::invalid_argument, "it goes on sending the request elsewhere");
      }
      if (!target) co_return Failure(target.error().within(about(request)));
      // A short answer keeps its connection.
      if (request.deadline != TimePoint{}) (*response)->set_deadline(request.deadline);
      [[maybe_unused]] const auto ignored = co_await (*response)->read_all(redirect_body_bytes_max);
      request.target = std::move(*target);
    }
  }

 private:
  std::string about(const ClientRequest& request) const {
    return request.method + " " + shown_url(request.target) + " at " + name_;
  }

  /// Where a request goes, as a URL would say it.
  UrlAddress origin(const ClientRequest& request) const {
    const std::string scheme = options_.tls ? "https://" : "http://";
    auto address = parse_url(scheme + options_.host_header + request.target);
    return address ? std::move(*address) : UrlAddress{.target = request.target};
  }

  Result<std::unique_ptr<ClientResponse>> finished(const ClientRequest& request,
                                                   std::unique_ptr<ClientResponseImpl> response) const {
    const auto coding = response->head().headers.get("Content-Encoding");
    if (!request.decodes_body || !coding || coding->empty() || equals_ignoring_case(*coding, "identity"))
      return response;
    if (!is_decodable(*coding)) {
      return Failure(Error(ErrorCode::invalid_argument,
                           "the answer is coded as '" + std::string(*coding) +
                               "' (Content-Encoding), although it was asked to come as it is")
                         .within(about(request)));
    }
    response->decode();
    return response;
  }

  /// To this endpoint, on a connection that lives.
  Task<Result<std::unique_ptr<ClientResponseImpl>>> send_once(const ClientRequest& request) {
    auto head = format_head(request);
    if (!head) co_return Failure(head.error());
    const bool is_safe = request.method == "GET" || request.method == "HEAD";
    while (true) {
      auto link = pool_->take();
      if (!link) {
        auto opened = co_await open(request);
        if (!opened) co_return Failure(opened.error());
        link = std::move(*opened);
      }
      const bool is_reused = link->is_reused;
      Attempt attempt = co_await exchange(std::move(link), request, *head);
      if (!attempt.error) co_return std::move(attempt.response);
      // The peer may have closed an idle connection at the moment it was taken; that is nobody's failure as
      // long as it cannot have begun to work on the request. A write that failed may have handed a part over.
      const bool is_stale =
          is_reused && !attempt.was_answered && attempt.error->code() == ErrorCode::unavailable;
      if (!is_stale || !is_safe) {
        co_return Failure(attempt.error->within(about(request)));
      }
    }
  }

  Result<std::string> format_head(const ClientRequest& request) const {
    if (!http1::is_token(request.method) || request.target.empty() ||
        request.target.find_first_of(" \r\n\t") != std::string::npos) {
      return fail(ErrorCode::invalid_argument, "'" + request.method + " " + shown_url(request.target) +
                                                   "' is not a method and target that HTTP can carry.");
    }
    std::string out;
    out.reserve(512);
    out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
    if (!request.headers.get("Host")) append_field(out, "Host", options_.host_header);
    for (const auto field : request.headers.fields()) {
      if (is_framing_field(field.name)) continue;
      if (!http1::is_token(field.name) || !http1::is_field_value(field.value)) {
        return fail(ErrorCode::invalid_argument,
                    "The request field '" + std::string(field.name) + "' is not one that HTTP can carry.");
      }
      append_field(out, field.name, field.value);
    }
    const std::uint64_t body_bytes = request.body_part ? request.body_bytes : request.body.size();
    const bool has_body = body_bytes > 0 || (request.method != "GET" && request.method != "HEAD");
    if (has_body) {
      out.append("Content-Length: ");
      append_number(out, body_bytes);
      out.append("\r\n");
    }
    out.append("\r\n");
    return out;
  }

  /// Tries the addresses in turn, beginning with the one that let the last connection in.
  Task<Result<std::unique_ptr<Link>>> open(const ClientRequest& request) {
    std::string problems;
    const std::size_t addresses = 1 + options_.alternatives.size();
    for (std::size_t tried = 0; tried < addresses; ++tried) {
      const std::size_t index = (preferred_ + tried) % addresses;
      const net::Endpoint& endpoint = index == 0 ? options_.endpoint : options_.alternatives[index - 1];
      TimePoint deadline = network_.clock().now() + options_.connect_timeout;
      if (request.deadline != TimePoint{}) deadline = std::min(deadline, request.deadline);
      auto stream = co_await network_.connect(endpoint, deadline);
      if (stream && options_.tls)
        stream =
            co_await net::tls_connect(std::move(*stream), options_.tls, options_.tls_host_name, deadline);
      if (stream) {
        preferred_ = index;
        co_return std::make_unique<Link>(std::move(*stream));
      }
      if (request.delivery != nullptr)
        request.delivery->timed_out = stream.error().code() == ErrorCode::deadline_exceeded;
      // Only a failed authentication is not a matter of the address.
      if (stream.error().code() == ErrorCode::permission_denied) co_return Failure(stream.error());
      if (!problems.empty()) problems += "; ";
      problems += "cannot connect to " + to_string(endpoint) + ": " + stream.error().message();
    }
    co_return fail(ErrorCode::unavailable, std::move(problems));
  }

  Task<Attempt> exchange(std::unique_ptr<Link> link, const ClientRequest& request, const std::string& head) {
    Attempt attempt;
    if (request.deadline == TimePoint{}) {
      link->stream->set_deadline(std::nullopt);
    } else {
      link->stream->set_deadline(request.deadline);
    }
    Result<void> sent;
    if (request.body_part) {
      sent = co_await write_parts(*link, request, head);
    } else {
      sent = co_await link->stream->write(head, request.body);
    }
    if (sent && request.delivery != nullptr) request.delivery->handed_over = true;
    // A server may answer and close before it has read the whole request, so a failed write is not the end.
    http1::HeadView view;
    std::string problem;
    const bool to_head_request = request.method == "HEAD";
    while (true) {
      const std::string_view bytes = link->input.bytes();
      const auto status = http1::parse_response(bytes, answer_head_limits, to_head_request, view, &problem);
      if (status == http1::HeadStatus::complete && view.status >= 200) break;
      if (status == http1::HeadStatus::complete) {
        link->input.consume(view.bytes);
        continue;
      }
      if (status != http1::HeadStatus::incomplete) {
        attempt.error = Error(ErrorCode::unavailable, "the answer is not HTTP/1.1: " + problem);
        co_return attempt;
      }
      const auto count = co_await link->input.fill();
      if (count && *count > 0) {
        attempt.was_answered = true;
        continue;
      }
      attempt.error = why_no_answer(count, sent);
      co_return attempt;
    }
    ResponseHead answer;
    answer.status = view.status;
    copy_fields(view, answer.headers);
    const bool keep_alive = view.keep_alive && sent.has_value();
    link->input.consume(view.bytes);
    link->body.start(view.framing, view.content_length);
    link->stream->set_deadline(std::nullopt);
    attempt.response =
        std::make_unique<ClientResponseImpl>(pool_, std::move(link), std::move(answer), keep_alive);
    co_return attempt;
  }

  Task<Result<void>> write_parts(Link& link, const ClientRequest& request, std::string_view head) {
    const bool has_deadline = request.deadline != TimePoint{};
    const Duration patience = request.deadline - network_.clock().now();
    auto written = co_await link.stream->write(head);
    for (std::uint64_t offset = 0; written && offset < request.body_bytes;) {
      const auto part = request.body_part(offset);
      if (!part || part->empty() || part->size() > request.body_bytes - offset) {
        // The peer was promised more than there is, so nothing else can follow on this connection.
        link.stream->close();
        if (!part) co_return Failure(part.error());
        co_return fail(ErrorCode::internal, "the body of the request has another length than was announced");
      }
      written = co_await link.stream->write(*part);
      offset += part->size();
      if (has_deadline) link.stream->set_deadline(network_.clock().now() + patience);
    }
    co_return written;
  }

  static Error why_no_answer(const Result<std::size_t>& count, const Result<void>& sent) {
    if (!sent) return sent.error();
    if (!count) return count.error();
    return Error(ErrorCode::unavailable, "the connection was closed before the head of the answer");
  }

  net::Network& network_;
  ClientOptions options_;
  std::string name_;
  std::size_t preferred_ = 0;  ///< the address that let the last connection in
  std::shared_ptr<Pool> pool_;
};

}  // namespace

Task<Result<Response>> Client::fetch(ClientRequest request, std::size_t body_bytes_max) {
  const TimePoint deadline = request.deadline;
  auto answer = co_await send(std::move(request));
  if (!answer) co_return Failure(answer.error());
  if (deadline != TimePoint{}) (*answer)->set_deadline(deadline);
  Response response;
  response.status = (*answer)->head().status;
  response.headers = (*answer)->head().headers;
  auto body = co_await (*answer)->read_all(body_bytes_max);
  if (!body) co_return Failure(body.error());
  response.body = std::move(*body);
  co_return response;
}

std::unique_ptr<Client> make_client(net::Network& network, ClientOptions options) {
  return std::make_unique<ClientImpl>(network, std::move(options));
}

}  // namespace berth::http
