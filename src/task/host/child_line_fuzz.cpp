#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mcp/message.h"
#include "task/host/child_session.h"
#include "task/host/line_splitter.h"

namespace {

using namespace berth;
using namespace berth::task::host;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_json(std::string_view text) { return json::parse(text, {.depth_max = 600}).has_value(); }

/// One call: hears of one end, in valid JSON.
class Heard final : public CallSink {
 public:
  void on_notification(mcp::Notification said) override {
    require(!ended && (said.params.empty() || is_json(said.params)));
  }
  void on_outcome(mcp::Outcome given) override {
    require(!std::exchange(ended, true));
    require(is_json(given.result) && (given.error.data.empty() || is_json(given.error.data)));
    for (const mcp::InputRequest& request : given.input.requests)
      require(request.params.empty() || is_json(request.params));
    outcome = std::move(given);
  }
  void on_not_executed() override { require(!std::exchange(ended, true)); }

  bool ended = false;
  mcp::Outcome outcome;
};

/// A session in whichever era, with calls under way.
class Fixture final : public SessionOwner {
 public:
  Fixture(bool is_modern, bool one_session) {
    if (is_modern) {
      session_ = make_modern_session(*this, {});
    } else {
      session_ =
          make_legacy_session(*this, {},
                              {.capabilities = read_capabilities(R"({"elicitation":{},"sampling":{}})"),
                               .one_session = one_session});
    }
    caller_.session = one_session ? "one" : "";
    session_->start(now_);
    check_output();
  }

  void be_ready(bool is_modern) {
    line(is_modern ? R"({"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":)"
                     R"({"tools":{"listChanged":true}}}})"
                   : R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":)"
                     R"({"logging":{},"resources":{"subscribe":true}}}})");
    session_->watch({"a:1"});
  }
  void call(std::string_view method) {
    if (!session_->ready()) return;
    calls_.push_back(std::make_unique<Heard>());
    const std::int64_t number = session_->call(request(method, {}), *calls_.back(), now_);
    numbers_[number] = calls_.back().get();
    check_output();
  }
  void line(std::string_view text) {
    const Heard* named = nullptr;
    const auto parsed = json::parse(text);
    if (parsed && parsed->is(json::Kind::object)) {
      const Message message = read_message(*parsed);
      const bool answers = message.kind == Message::Kind::result || message.kind == Message::Kind::error;
      const auto at = numbers_.find(answers ? own_number(message.id).value_or(0) : 0);
      if (at != numbers_.end()) named = at->second;
    }
    session_->receive(text, now_);
    session_->settle(now_);
    require(named == nullptr || named->ended);
    check_output();
    resume_parked();
  }
  void pass(Duration time) {
    now_ += time;
    session_->tick(now_);
    session_->settle(now_);
    check_output();
  }
  void end() {
    session_->close(mcp::unknown_end("It ended."), 0);
    for (const auto& each : calls_) require(each->ended);
  }

  void on_ready() override {}
  void on_start_failed(const std::string&) override {}
  void on_change(mcp::Change change) override {
    require(change.message.params.empty() || is_json(change.message.params));
  }
  void on_watch_answered(const std::string& uri, const std::optional<mcp::RpcError>&) override {
    require(uri == "a:1");
  }
  void on_asking(std::string_view) override {}
  void on_question(std::string id, mcp::InputRequest request) override {
    require(request.params.empty() || is_json(request.params));
    session_->answer_outside(id, R"({"roots":[]})");
  }
  void on_oddity(std::string_view, std::string_view) override {}
  void on_output() override {}

 private:
  mcp::Call request(std::string_view method, std::string_view responses) const {
    mcp::Call made;
    made.caller = &caller_;
    made.method = method;
    made.params = R"({"name":"x"})";
    made.wants_progress = true;
    made.log_level = mcp::LoggingLevel::info;
    made.input_responses = responses;
    return made;
  }
  /// Each line to the server is one message.
  void check_output() {
    std::string output;
    session_->take_output(output);
    std::string_view rest = output;
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      require(end != std::string_view::npos && is_json(rest.substr(0, end)));
      rest.remove_prefix(end + 1);
    }
  }
  void resume_parked() {
    const std::size_t known = calls_.size();
    for (std::size_t i = 0; i < known; ++i) {
      const mcp::InputRequired& input = calls_[i]->outcome.input;
      if (!calls_[i]->ended || !input.owned || calls_.size() > 64) continue;
      std::string responses = "{";
      for (const mcp::InputRequest& asked : input.requests) {
        if (responses.size() > 1) responses += ',';
        responses += '"' + asked.key + R"(":{"action":"decline"})";
      }
      responses += '}';
      const std::string state = std::exchange(calls_[i]->outcome.input.state, {});
      calls_[i]->outcome.input.owned = false;
      auto again = std::make_unique<Heard>();
      const auto number = session_->resume(state, request("tools/call", responses), *again, now_);
      session_->settle(now_);
      if (!number) continue;
      numbers_[*number] = again.get();
      calls_.push_back(std::move(again));
    }
    check_output();
  }

  mcp::Caller caller_;
  TimePoint now_{};
  std::unique_ptr<ChildSession> session_;
  std::vector<std::unique_ptr<Heard>> calls_;
  std::map<std::int64_t, Heard*> numbers_;
};

}  // namespace

/// Whatever a server writes: what goes on from it is valid JSON, and each call has one end. The first byte
/// says the era and what is under way.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned char plan = data[0];
  const bool is_modern = (plan & 1) != 0;
  Fixture fixture(is_modern, (plan & 2) != 0);
  if ((plan & 4) == 0) fixture.be_ready(is_modern);
  for (int i = 0; i < ((plan >> 4) & 3); ++i) fixture.call(i == 1 ? "tools/list" : "tools/call");
  LineSplitter lines(4096);
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  while (!rest.empty() && !lines.too_long()) {
    const std::span<char> space = lines.space();
    const std::size_t count = std::min({rest.size(), space.size(), std::size_t{1} + plan});
    std::copy_n(rest.begin(), count, space.begin());
    rest.remove_prefix(count);
    lines.commit(count);
    while (const auto line = lines.next()) fixture.line(*line);
  }
  if ((plan & 8) != 0) fixture.pass(std::chrono::seconds(700));
  fixture.end();
  return 0;
}
