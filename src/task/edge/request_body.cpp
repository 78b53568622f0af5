#include "task/edge/request_body.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

namespace berth::task::edge {
namespace {

/// Bodies up to this size are counted at once, and taken in one piece.
constexpr std::size_t small_body_bytes = 64 * 1024;

/// nullopt: the length is not known beforehand.
std::optional<std::size_t> length_of_body(const http::Headers& headers) {
  if (headers.get("Transfer-Encoding")) return std::nullopt;
  std::size_t length = 0;
  if (const auto text = headers.get("Content-Length"))
    std::from_chars(text->data(), text->data() + text->size(), length);
  return length;
}

}  // namespace

Task<Result<std::optional<std::string>>> read_request_body(http::Exchange& exchange, std::size_t bytes_max,
                                                           MemoryAccount::Charge& memory) {
  const auto length = length_of_body(exchange.head().headers);
  if (length && (*length <= small_body_bytes || *length > bytes_max)) {
    if (*length <= bytes_max && !memory.take_message(*length)) co_return std::nullopt;
    auto whole = co_await exchange.read_body(bytes_max);
    if (!whole) co_return Failure(whole.error());
    co_return std::optional(std::move(*whole));
  }
  std::string body;
  std::size_t used = 0;
  while (true) {
    // One byte more than the limit is asked for, to see whether a body of unknown length goes on.
    const std::size_t room = length ? *length : bytes_max + 1;
    const std::size_t ahead = std::min(std::max(used, small_body_bytes), room - used);
    if (ahead == 0) break;
    if (!memory.grow(ahead)) co_return std::nullopt;
    body.resize(used + ahead);
    std::size_t filled = 0;
    while (filled < ahead) {
      const auto count = co_await exchange.read_body_some(std::span(body).subspan(used + filled));
      if (!count) co_return Failure(count.error());
      if (*count == 0) break;
      filled += *count;
    }
    used += filled;
    if (used > bytes_max) {
      co_return fail(ErrorCode::resource_exhausted,
                     "The request body is longer than the limit of " + std::to_string(bytes_max) + " bytes.");
    }
    if (filled < ahead) break;
  }
  memory.shrink(body.size() - used);
  body.resize(used);
  co_return std::optional(std::move(body));
}

}  // namespace berth::task::edge
