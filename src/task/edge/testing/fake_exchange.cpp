#include "task/edge/testing/fake_exchange.h"

#include "base/check.h"
#include "codec/sse.h"

namespace berth::task::testing {

FakeExchange::FakeExchange(std::string method, std::string target, const Fields& fields, std::string body)
    : in_(std::move(body)) {
  head_.method = std::move(method);
  head_.target = std::move(target);
  for (const auto& [name, value] : fields) head_.headers.add(name, value);
}

std::string FakeExchange::header(std::string_view name) const {
  return std::string(headers_.get(name).value_or(""));
}

std::vector<std::string> FakeExchange::events() const {
  sse::Parser parser(64u << 20);
  BERTH_CHECK(parser.feed(out_).has_value(), "a test's stream is small");
  std::vector<std::string> found;
  while (auto event = parser.next()) {
    if (!event->data.empty()) found.push_back(std::move(event->data));
  }
  return found;
}

void FakeExchange::disconnect() {
  gone_ = true;
  if (const auto callback = std::exchange(on_disconnect_, nullptr)) callback();
}

Task<Result<std::string>> FakeExchange::read_body(std::size_t bytes_max) {
  if (in_.size() > bytes_max) co_return fail(ErrorCode::resource_exhausted, "The request body is too large.");
  co_return in_;
}

Task<Result<std::size_t>> FakeExchange::read_body_some(std::span<char> into) {
  const std::size_t count = in_.copy(into.data(), into.size());
  in_.erase(0, count);
  co_return count;
}

Task<Result<void>> FakeExchange::respond(http::Response response) {
  BERTH_CHECK(!answered(), "an exchange is answered once");
  status_ = response.status;
  headers_ = std::move(response.headers);
  out_ = std::move(response.body);
  finished_ = true;
  co_return Result<void>();
}

Task<Result<void>> FakeExchange::begin(http::ResponseHead head) {
  BERTH_CHECK(!answered(), "an exchange is answered once");
  status_ = head.status;
  headers_ = std::move(head.headers);
  began_ = true;
  if (gone_) co_return fail(ErrorCode::unavailable, "The client has gone.");
  co_return Result<void>();
}

Task<Result<void>> FakeExchange::write(std::string_view part) {
  BERTH_CHECK(began_ && !finished_, "parts come between begin and finish");
  if (before_write) co_await before_write();
  if (gone_) co_return fail(ErrorCode::unavailable, "The client has gone.");
  out_.append(part);
  co_return Result<void>();
}

Task<Result<void>> FakeExchange::finish() {
  BERTH_CHECK(began_ && !finished_, "a streamed answer ends once");
  finished_ = true;
  co_return Result<void>();
}

}  // namespace berth::task::testing
