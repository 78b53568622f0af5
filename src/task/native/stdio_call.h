#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/message.h"
#include "task/server_host.h"

namespace berth::task {

/// What a call of a stdio client needs of its front.
struct StdioCallWorld {
  ServerHost& host;
  std::string server_info;
  std::function<void(std::string message)> send;
  /// Sends a request to the (legacy) client for the ask `key` of the call `id`.
  std::function<void(const std::string& id, const mcp::InputRequest& request)> ask;
  std::function<void(const std::string& id)> ended;
};

/// One request of a stdio client on its way: owns what mcp::Call borrows, writes what comes back in the
/// client's era, and for legacy clients turns asks into requests and their answers into the next round.
class StdioCall final : public mcp::CallObserver {
 public:
  /// `level`: what a legacy client has set; modern ones say it with each request.
  StdioCall(StdioCallWorld& world, mcp::Caller caller, const mcp::Message& message,
            std::optional<mcp::LoggingLevel> level);
  StdioCall(const StdioCall&) = delete;
  StdioCall& operator=(const StdioCall&) = delete;

  void start();
  /// A legacy client's answer to an ask: a result, or an error as {"error":…}.
  void answer(const std::string& key, std::string response);
  const std::string& id() const { return id_; }

  void on_notification(mcp::Notification notification) override;
  void on_outcome(mcp::Outcome outcome) override;

 private:
  bool modern() const { return caller_.era == mcp::Era::modern; }
  void finish(std::string message);
  void ask(mcp::InputRequired input);

  StdioCallWorld& world_;
  mcp::Caller caller_;
  std::string id_;
  std::string method_;
  mcp::Method known_;
  std::optional<mcp::LoggingLevel> log_level_;
  std::string text_;  ///< of the params, which parts_ borrows
  mcp::RequestParts parts_;
  std::string params_;
  std::string progress_token_;
  std::string responses_;
  std::string state_;
  std::map<std::string, std::string> open_;  ///< asks of this round and their answers
  std::unique_ptr<mcp::ActiveCall> active_;
};

}  // namespace berth::task
