#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "codec/json.h"
#include "task/server_host.h"

/// What the tests of every host share: observers that remember.
namespace berth::task::host::testing {

class Observer final : public mcp::CallObserver {
 public:
  void on_notification(mcp::Notification notification) override { notes.push_back(notification.params); }
  void on_outcome(mcp::Outcome given) override {
    ++outcomes;
    outcome = std::move(given);
  }
  std::string result() const { return outcomes == 1 ? outcome.result : "(no outcome)"; }
  std::string error() const { return outcomes == 1 ? outcome.error.message : "(no outcome)"; }

  std::vector<std::string> notes;
  mcp::Outcome outcome;
  int outcomes = 0;
};

class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    ++events[std::string(event)];
  }
  std::map<std::string, int> events;
};

class Changes final : public ChangeSink {
 public:
  void on_change(const mcp::Change& change) override { all.push_back(change); }
  void on_question(OutsideQuestion question) override { questions.push_back(std::move(question)); }
  std::vector<mcp::Change> all;
  std::vector<OutsideQuestion> questions;
};

/// The text of a member of a JSON object, or nothing.
inline std::string member(const std::string& text, std::string_view name) {
  const auto parsed = json::parse(text);
  return parsed ? std::string(parsed->find(name).text()) : std::string();
}

}  // namespace berth::task::host::testing
