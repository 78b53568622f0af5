#include "task/host/url_listen.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace berth::task::host {

namespace {

constexpr Duration url_listen_head_timeout = std::chrono::seconds(5);
constexpr Duration url_listen_retry_min = std::chrono::seconds(1);
constexpr Duration url_listen_retry_max = std::chrono::seconds(60);

}  // namespace

void UrlListen::want(std::string filter) {
  if (branch_ && !branch_->ended() && filter == filter_) return;
  stop();
  filter_ = std::move(filter);
  if (!filter_.empty()) branch_ = world_.branches.spawn(listen());
}

void UrlListen::stop() {
  if (branch_) branch_->cancel();
}

Task<void> UrlListen::listen() {
  Duration retry = url_listen_retry_min;
  for (;;) {
    const bool opened = co_await listen_once(filter_);
    retry = opened ? url_listen_retry_min : std::min(retry * 2, url_listen_retry_max);
    co_await world_.clock.sleep_for(retry);
  }
}

Task<bool> UrlListen::listen_once(std::string filter) {
  http::Headers headers;
  add_post_headers(headers);
  add_modern_headers(headers, "subscriptions/listen", {});
  std::string body;
  append_request(body, world_.next_number++, "subscriptions/listen", {}, own_modern_meta(),
                 fmt::format(R"("notifications":{{{}}})", filter));
  const TimePoint deadline = world_.clock.now() + url_listen_head_timeout;
  auto response = co_await world_.upstream.send("POST", std::move(headers), std::move(body), deadline);
  if (!response || (*response)->head().status != 200) co_return false;
  MessageStream messages(std::move(*response), world_.spec.message_bytes_max);
  bool opened = false;
  for (;;) {
    const auto text = co_await messages.next();
    if (!text || !*text) co_return opened;
    const Result<json::Slice> parsed = json::parse(**text);
    const Message message = parsed ? read_message(*parsed) : Message{};
    if (message.kind != Message::Kind::notification) continue;
    opened = true;
    if (auto change = read_change(message)) world_.on_change(std::move(*change));
  }
}

}  // namespace berth::task::host
