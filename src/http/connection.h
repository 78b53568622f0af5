#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "http/server.h"
#include "http/service.h"
#include "http/wire.h"

/// One connection of the HTTP server. Internal to http/.
namespace berth::http {

class Connection;

/// What the connections of one server share.
struct ServerShared {
  Service& service;
  Clock& clock;
  Log& log;
  ServerLimits limits;
  http1::HeadLimits head_limits;
  std::list<Connection*> busy{};  ///< connections with a request, or a part of one
  std::list<Connection*> idle{};  ///< those that wait for a request, the longest first
  DateText date{};
  std::size_t exchanges = 0;        ///< being served now
  std::size_t half_head_bytes = 0;  ///< of long heads that are not whole yet
  bool draining = false;            ///< every answer closes its connection
  bool closing = false;             ///< and idle connections close too
};

/// Serves the requests of one stream in order, and is the Exchange of the request being served. The stream,
/// its buffers and the parsed head live as long as the connection, so that a request on a warm connection
/// costs one read, one write and next to no allocation.
class Connection final : public Exchange {
 public:
  Connection(ServerShared& shared, std::unique_ptr<net::Stream> stream);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Until the connection is over.
  Task<void> run();
  /// Ends a connection that waits for a request.
  void end_idle();
  /// The same for the end of a drain: one that was just opened, surely for a request, gets a moment for it.
  void end_idle_gently();

  const RequestHead& head() const override { return head_; }
  net::Endpoint remote() const override { return stream_->remote(); }
  Task<Result<std::string>> read_body(std::size_t bytes_max) override;
  Task<Result<std::size_t>> read_body_some(std::span<char> into) override;
  void on_disconnect(std::function<void()> callback) override;
  Task<Result<void>> respond(Response response) override;
  Task<Result<void>> begin(ResponseHead head) override;
  Task<Result<void>> write(std::string_view part) override;
  Task<Result<void>> finish() override;
  bool answered() const override { return answer_ != Answer::none; }

 private:
  enum class Answer : std::uint8_t { none, whole, streaming, finished };
  enum class OutFraming : std::uint8_t { none, length, chunked, until_close };

  Task<bool> read_head();
  Task<void> serve_one();
  Task<void> refuse(int status, std::string_view problem);
  Task<void> drop_unread_body();
  Task<void> linger();
  Task<Result<void>> prepare_to_read_body();
  Task<Result<void>> send(std::string_view first, std::string_view second);

  void set_idle(bool idle);
  /// Until when a first request is surely on its way.
  TimePoint fresh_until() const;
  void take_head();
  void forget_head();
  void arm_watch();
  void decide_keep_alive(const Headers& headers);
  /// Status line and fields into out_; false when a field cannot be sent.
  bool put_head(int status, const Headers& headers);
  void put_end_of_head();

  ServerShared& shared_;
  std::unique_ptr<net::Stream> stream_;
  Input input_;
  BodyReader body_;
  http1::HeadView view_;
  RequestHead head_;
  std::string out_;
  std::function<void()> disconnect_;
  Answer answer_ = Answer::none;
  OutFraming out_framing_ = OutFraming::none;
  std::uint64_t out_remaining_ = 0;
  bool is_head_request_ = false;
  bool keep_alive_ = true;
  bool owes_continue_ = false;
  bool timed_body_ = false;
  bool watching_ = false;
  bool idle_ = false;
  bool has_asked_ = false;
  TimePoint opened_;
  std::list<Connection*>::iterator place_;
};

}  // namespace berth::http
