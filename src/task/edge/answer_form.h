#pragma once

#include <string>
#include <vector>

#include "codec/sse.h"
#include "http/service.h"

/// For clients that accept one of the two forms of an answer alone: each passes an exchange on and changes
/// the form where it has to.
namespace berth::task::edge {

/// An exchange in another form; what it does not change it passes on.
class OneForm : public http::Exchange {
 public:
  explicit OneForm(http::Exchange& inner) : inner_(inner) {}

  const http::RequestHead& head() const override { return inner_.head(); }
  net::Endpoint remote() const override { return inner_.remote(); }
  Task<Result<std::string>> read_body(std::size_t bytes_max) override { return inner_.read_body(bytes_max); }
  Task<Result<std::size_t>> read_body_some(std::span<char> into) override {
    return inner_.read_body_some(into);
  }
  void on_disconnect(std::function<void()> callback) override { inner_.on_disconnect(std::move(callback)); }
  Task<Result<void>> respond(http::Response response) override { return inner_.respond(std::move(response)); }
  Task<Result<void>> begin(http::ResponseHead head) override { return inner_.begin(std::move(head)); }
  Task<Result<void>> write(std::string_view part) override { return inner_.write(part); }
  Task<Result<void>> finish() override { return inner_.finish(); }
  bool answered() const override { return inner_.answered(); }

 protected:
  http::Exchange& inner_;
};

/// JSON alone: of an event stream the answers are kept, and what was said along the way is left out. A
/// question to the user cannot be brought: 406.
class JsonForm final : public OneForm {
 public:
  JsonForm(http::Exchange& inner, std::size_t message_bytes_max)
      : OneForm(inner), parser_(message_bytes_max) {}

  Task<Result<void>> begin(http::ResponseHead head) override;
  Task<Result<void>> write(std::string_view part) override;
  Task<Result<void>> finish() override;
  bool answered() const override { return collecting_ || inner_.answered(); }

 private:
  bool collecting_ = false;
  sse::Parser parser_;
  std::vector<std::string> answers_;
};

/// An event stream alone: a JSON answer becomes a stream of one event. Refusals stay what they are.
class EventForm final : public OneForm {
 public:
  using OneForm::OneForm;
  Task<Result<void>> respond(http::Response response) override;
};

}  // namespace berth::task::edge
