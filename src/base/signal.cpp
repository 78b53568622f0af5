#include "base/signal.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "base/check.h"

namespace berth {

namespace asio = boost::asio;
using boost::system::error_code;

using Token = asio::use_awaitable_t<asio::io_context::executor_type>;

struct Signal::Waiter {
  asio::async_result<Token, void(error_code)>::handler_type handler;
};

Signal::Signal(asio::io_context::executor_type executor) : executor_(executor) {}
Signal::~Signal() = default;

void Signal::notify() {
  notified_ = true;
  if (waiter_) complete(false);
}

void Signal::complete(bool cancelled) {
  auto waiter = std::exchange(waiter_, nullptr);
  const error_code outcome = cancelled ? asio::error::operation_aborted : error_code();
  asio::post(executor_, [handler = std::move(waiter->handler), outcome]() mutable {
    // The slot's handler refers to this Signal, which may die as soon as its waiter resumes.
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) slot.clear();
    std::move(handler)(outcome);
  });
}

asio::awaitable<void, asio::io_context::executor_type> Signal::wait() {
  if (!notified_) {
    Token token;
    auto initiate = [this](auto handler) {
      BERTH_CHECK(!waiter_, "a Signal has one waiter");
      auto slot = asio::get_associated_cancellation_slot(handler);
      waiter_ = std::make_unique<Waiter>(Waiter{std::move(handler)});
      if (slot.is_connected()) {
        slot.assign([this](asio::cancellation_type) {
          if (waiter_) complete(true);
        });
      }
    };
    co_await asio::async_initiate<Token, void(error_code)>(std::move(initiate), token);
    // The resumption was posted, so a cancellation may have come before it: what the coroutine refers to,
    // this Signal too, may have gone. Asio itself looks only when the next await begins.
    const auto state = co_await asio::this_coro::cancellation_state;
    const bool obeys = co_await asio::this_coro::throw_if_cancelled();
    if (obeys && state.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }
  notified_ = false;
}

}  // namespace berth
