#pragma once

#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "deploy/stack.h"

/// From what AWS says when something fails to what happened and what to do. Pure functions of values.
namespace berth::deploy {

/// A task that has stopped, as ECS and its log tell it.
struct TaskEnd {
  std::string id;
  std::string zone;
  std::string reason;            ///< stoppedReason
  std::string container_reason;  ///< "OutOfMemoryError: …", "CannotPullContainerError: …"
  std::optional<int> exit_code;
  std::vector<std::string> lines;  ///< the last ones it wrote
  bool operator==(const TaskEnd&) const = default;
};

/// Everything that may tell why.
struct Evidence {
  std::string status;  ///< of the stack: "ROLLBACK_COMPLETE"
  std::vector<StackEvent> failures;
  std::vector<TaskEnd> tasks;
  std::vector<std::string> service_events;
  std::string target_reason;  ///< of an unhealthy target
};

/// One thing that went wrong, for people.
struct Explanation {
  std::string cause;                  ///< a sentence
  std::vector<std::string> evidence;  ///< what AWS said, word by word
  std::string remedy;                 ///< sentences: the way out
};
Explanation explain(const Evidence& evidence);
std::string to_text(const Explanation& explanation);

/// What a refused or failed call means, with the statement that the deployer's policy lacks where that is it.
Error explain_fault(const aws::Fault& fault);

/// The IAM statement that allows `action` on `resource` ("*" when empty), as JSON.
std::string missing_statement(const std::string& action, const std::string& resource);

/// Whether a fault is of the line or the moment, so that asking again may help: no answer, throttled, 5xx.
bool is_passing(const aws::Fault& fault);

}  // namespace berth::deploy
