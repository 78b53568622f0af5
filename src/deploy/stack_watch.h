#pragma once

#include <string>
#include <vector>

#include "deploy/rollout.h"
#include "deploy/stack.h"
#include "deploy/trouble.h"

/// Following a stack's operation to its end, with what its service's tasks do meanwhile.
namespace berth::deploy {

/// How an operation ended.
struct StackEnd {
  StackState state;
  Evidence evidence;  ///< of the failure; empty when it went well
  bool ok = false;
};

/// What the watch tells.
class StackListener {
 public:
  virtual ~StackListener() = default;
  virtual void on_event(const StackEvent& event) = 0;
  /// Once a poll: "24 of 61 resources", what is in progress.
  virtual void on_progress(std::size_t done, const std::vector<std::string>& busy) = 0;
  /// One sentence: the connection dropped and is back, a certificate waits for its record.
  virtual void on_notice(const std::string& text) = 0;
};

struct WatchOptions {
  std::string stack;  ///< ARN or name; an ARN also finds a stack that has been deleted
  std::string since;  ///< id of the last event that belongs to the past; empty: from the newest operation on
  Duration poll = std::chrono::seconds(2);
  Duration timeout = std::chrono::hours(2);
  /// Whether to wait until what an update replaced has been removed, too.
  bool through_cleanup = false;
  /// Of no answer at all before giving up; the operation goes on regardless.
  Duration outage_max = std::chrono::minutes(15);
};

/// The id of the newest event of a stack, for WatchOptions::since; empty when there is none.
Task<aws::Reply<std::string>> last_event(aws::Client& client, std::string stack);

/// Polls until the stack's operation has ended. Faults of the line are outlasted; any other is returned.
/// While a service is being made or changed, its stopped tasks are looked at at once: a creation that is
/// rolled back takes their log with it.
Task<aws::Reply<StackEnd>> watch_stack(aws::Client& client, Clock& clock, WatchOptions options,
                                       StackListener& listener);

/// "_x.mcp.example.com. CNAME _y.acm-validations.aws." out of the reason that CloudFormation gives while a
/// certificate waits; empty for any other.
std::string validation_record(const std::string& reason);

}  // namespace berth::deploy
