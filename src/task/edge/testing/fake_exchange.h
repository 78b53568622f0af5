#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "http/service.h"

namespace berth::task::testing {

/// A request written by a test, and what was answered to it.
class FakeExchange final : public http::Exchange {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  FakeExchange(std::string method, std::string target, const Fields& fields, std::string body);

  // the client's side
  int status() const { return status_; }
  std::string header(std::string_view name) const;
  /// The body so far; of an event stream the wire text.
  const std::string& body() const { return out_; }
  /// The data of each event so far (comments and priming events left out).
  std::vector<std::string> events() const;
  bool is_streaming() const { return began_; }
  bool is_finished() const { return finished_; }
  bool is_served() const { return served_; }
  void disconnect();
  std::function<Task<void>()> before_write;  ///< awaited by write(), if there is one
  void mark_served() {
    served_ = true;
    on_disconnect_ = nullptr;
  }

  const http::RequestHead& head() const override { return head_; }
  net::Endpoint remote() const override { return {"127.0.0.1", 40000}; }
  Task<Result<std::string>> read_body(std::size_t bytes_max) override;
  Task<Result<std::size_t>> read_body_some(std::span<char> into) override;
  void on_disconnect(std::function<void()> callback) override { on_disconnect_ = std::move(callback); }
  Task<Result<void>> respond(http::Response response) override;
  Task<Result<void>> begin(http::ResponseHead head) override;
  Task<Result<void>> write(std::string_view part) override;
  Task<Result<void>> finish() override;
  bool answered() const override { return status_ != 0; }

 private:
  http::RequestHead head_;
  std::string in_;
  int status_ = 0;
  http::Headers headers_;
  std::string out_;
  bool began_ = false;
  bool finished_ = false;
  bool gone_ = false;
  bool served_ = false;
  std::function<void()> on_disconnect_;
};

}  // namespace berth::task::testing
