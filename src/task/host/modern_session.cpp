#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "mcp/message.h"
#include "task/host/child_session.h"

namespace berth::task::host {

namespace {

constexpr Duration listen_retry_min = std::chrono::seconds(1);
constexpr Duration listen_retry_max = std::chrono::seconds(60);

class ModernSession final : public ChildSession {
 public:
  ModernSession(SessionOwner& owner, const SessionLimits& limits) : ChildSession(owner, limits) {}

  /// Nothing of 2026-07-28 itself goes from client to server outside a request.
  void notify(std::string_view method, std::string_view params) override {
    if (!ready_ || !mcp::is_custom_notification(method)) return;
    append_notification(out_, method, params);
    finish_line();
  }

 protected:
  void write_handshake() override;
  void write_call(std::int64_t number, const mcp::Call& call) override;
  mcp::Outcome read_result(json::Slice result) override { return read_modern_result(result); }
  mcp::Outcome read_error(json::Slice error) override {
    return mcp::Outcome::failure(host::read_error(error));
  }
  void on_request(const Message& message, TimePoint now) override;
  void on_notification(const Message& message, TimePoint now) override;
  bool on_own_answer(std::int64_t number, const Message& message, TimePoint now) override;
  /// The answer to subscriptions/listen comes when the stream ends, so nothing waits for it.
  bool awaits_own_answer() const override { return false; }
  void on_watched(const std::set<std::string>& before) override;
  void on_candidate_left(TimePoint) override {}
  void refuse_asks(Entry&) override {}
  void tick_more(TimePoint now) override;

 private:
  void on_discovered(const Message& message);
  void open_listen();

  std::int64_t discover_ = 0;
  std::int64_t listen_ = 0;
  Duration listen_retry_ = listen_retry_min;
  std::optional<TimePoint> listen_again_;
};

void ModernSession::write_handshake() {
  discover_ = next_number_++;
  append_request(out_, discover_, "server/discover", {}, own_modern_meta(), {});
  finish_line();
}

void ModernSession::on_discovered(const Message& message) {
  if (message.kind == Message::Kind::error) {
    return fail_start(refusal_sentence("server/discover", host::read_error(message.body)));
  }
  Result<mcp::ServerDescription> description = read_discover_result(message.body);
  if (!description) return fail_start(description.error().message());
  become_ready(std::move(*description));
  open_listen();
}

bool ModernSession::on_own_answer(std::int64_t number, const Message& message, TimePoint now) {
  if (discover_ != 0 && number == discover_) {
    discover_ = 0;
    on_discovered(message);
    return true;
  }
  if (listen_ == 0 || number != listen_) return false;
  listen_ = 0;
  if (message.kind == Message::Kind::error) {
    const mcp::RpcError error = host::read_error(message.body);
    owner_.on_oddity("a refused subscriptions/listen", error.message);
    if (error.code == mcp::code::method_not_found) return true;
  }
  listen_again_ = now + listen_retry_;
  listen_retry_ = std::min(listen_retry_ * 2, listen_retry_max);
  wake_by(*listen_again_);
  return true;
}

void ModernSession::open_listen() {
  const std::string filter = listen_filter(description_.capabilities, watched_);
  listen_again_.reset();
  const std::int64_t before = std::exchange(listen_, 0);
  // The new stream opens before the old one closes, so that no change falls between.
  if (!filter.empty()) {
    listen_ = next_number_++;
    append_request(out_, listen_, "subscriptions/listen", {}, own_modern_meta(),
                   fmt::format(R"("notifications":{{{}}})", filter));
    finish_line();
  }
  if (before == 0) return;
  append_cancelled(out_, before, "replaced");
  finish_line();
}

void ModernSession::on_watched(const std::set<std::string>&) { open_listen(); }

void ModernSession::write_call(std::int64_t number, const mcp::Call& call) {
  scratch_.clear();
  append_modern_meta(scratch_, call, number);
  append_request(out_, number, call.method, call.params, scratch_, input_members(call));
  finish_line();
}

void ModernSession::on_request(const Message& message, TimePoint) {
  owner_.on_oddity("a request, which a server of 2026-07-28 must not send", message.method);
  append_error(out_, message.id.text(), {mcp::code::method_not_found, "Method not found", {}});
  finish_line();
}

void ModernSession::on_notification(const Message& message, TimePoint now) {
  if (message.method == "notifications/progress") return forward_progress(message, now);
  if (message.method == "notifications/message") return forward_log(message);
  if (message.method == "notifications/subscriptions/acknowledged") {
    listen_retry_ = listen_retry_min;
    return;
  }
  if (auto change = read_change(message)) return owner_.on_change(std::move(*change));
  forward_custom(message);
}

void ModernSession::tick_more(TimePoint now) {
  if (!listen_again_) return;
  if (*listen_again_ > now) return wake_by(*listen_again_);
  open_listen();
}

}  // namespace

std::unique_ptr<ChildSession> make_modern_session(SessionOwner& owner, const SessionLimits& limits) {
  return std::make_unique<ModernSession>(owner, limits);
}

}  // namespace berth::task::host
