#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "task/server_host.h"

namespace berth::task::testing {

/// A server whose calls the test answers by hand, or by a handler per method.
class FakeHost final : public ServerHost {
 public:
  /// A call as it came. Copies: the call's views end with its outcome.
  struct Started {
    mcp::Caller caller;
    std::string method;
    std::string params;
    bool wants_progress = false;
    std::optional<mcp::LoggingLevel> log_level;
    std::string input_responses;
    std::string request_state;
    std::string trace_parent;
    mcp::CallObserver* observer = nullptr;  ///< null once ended or cancelled
    bool cancelled = false;
    std::string cancel_reason;
    std::uint64_t process = 0;  ///< that runs it

    void notify(std::string what, std::string with) {
      observer->on_notification({std::move(what), std::move(with)});
    }
    void end(mcp::Outcome outcome) {
      outcome.process = process;
      std::exchange(observer, nullptr)->on_outcome(std::move(outcome));
    }
  };

  FakeHost();
  /// The newest call.
  Started& last() { return *started.back(); }

  mcp::ServerDescription description;
  std::optional<Error> describe_error;
  std::function<Task<void>()> before_describe;  ///< awaited by describe(), if there is one
  std::vector<std::shared_ptr<Started>> started;
  /// Called inside start(); may end the call at once.
  std::map<std::string, std::function<void(Started&)>> handlers;
  std::map<std::string, int> watched;
  std::optional<mcp::LoggingLevel> level;                ///< as want_level said last
  std::map<std::string, mcp::RpcError> refused_watches;  ///< by URI
  std::vector<std::string> closed_sessions;
  std::vector<std::string> notified;
  std::size_t described = 0;
  bool rests = true;          ///< of `isolation: service`
  std::uint64_t process = 1;  ///< the one there is; another one means that it has ended

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) override;
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override;
  void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) override;
  void want_level(const mcp::Caller&, mcp::LoggingLevel wanted) override { level = wanted; }
  void watch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void unwatch_resource(const mcp::Caller& caller, const std::string& uri) override;
  Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller&, std::string uri) override {
    const auto refused = refused_watches.find(uri);
    if (refused == refused_watches.end()) co_return std::nullopt;
    co_return refused->second;
  }
  void session_closed(const std::string& session) override { closed_sessions.push_back(session); }
  bool runs(std::uint64_t number) const override { return number == process; }
  void wake() override { rests = false; }
  Task<void> rest() override {
    rests = true;
    ++process;
    co_return;
  }
  HostHealth health() const override { return {.ready = true}; }
  Task<std::size_t> drain(TimePoint deadline) override;
};

}  // namespace berth::task::testing
