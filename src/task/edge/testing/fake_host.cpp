#include "task/edge/testing/fake_host.h"

namespace berth::task::testing {
namespace {

class Active final : public mcp::ActiveCall {
 public:
  explicit Active(std::shared_ptr<FakeHost::Started> call) : call_(std::move(call)) {}
  ~Active() override {
    call_->cancelled = call_->observer != nullptr;
    call_->observer = nullptr;
  }
  void set_cancel_reason(std::string_view reason) override { call_->cancel_reason = reason; }

 private:
  std::shared_ptr<FakeHost::Started> call_;
};

}  // namespace

FakeHost::FakeHost() {
  description.capabilities =
      R"({"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true}})";
  description.server_info = R"({"name":"fake","version":"1"})";
  handlers["tools/list"] = [](Started& call) { call.end(mcp::Outcome::success(R"({"tools":[]})")); };
}

Task<Result<mcp::ServerDescription>> FakeHost::describe(const mcp::Caller&) {
  ++described;
  if (before_describe) co_await before_describe();
  if (describe_error) co_return Failure(*describe_error);
  co_return description;
}

std::unique_ptr<mcp::ActiveCall> FakeHost::start(const mcp::Call& call, mcp::CallObserver& observer) {
  auto begun = std::make_shared<Started>();
  begun->caller = *call.caller;
  begun->method = call.method;
  begun->params = call.params;
  begun->wants_progress = call.wants_progress;
  begun->log_level = call.log_level;
  begun->input_responses = call.input_responses;
  begun->request_state = call.request_state;
  begun->trace_parent = call.trace_parent;
  begun->observer = &observer;
  begun->process = process;
  started.push_back(begun);
  auto active = std::make_unique<Active>(begun);
  if (const auto handler = handlers.find(begun->method); handler != handlers.end()) handler->second(*begun);
  return active;
}

void FakeHost::notify(const mcp::Caller& caller, std::string_view method, std::string_view) {
  notified.push_back(caller.session.empty() ? std::string(method) : std::string(method) + " of a session");
}

void FakeHost::watch_resource(const mcp::Caller&, const std::string& uri) { ++watched[uri]; }

void FakeHost::unwatch_resource(const mcp::Caller&, const std::string& uri) {
  if (--watched[uri] == 0) watched.erase(uri);
}

Task<std::size_t> FakeHost::drain(TimePoint) { co_return std::size_t{0}; }

}  // namespace berth::task::testing
