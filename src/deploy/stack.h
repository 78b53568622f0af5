#pragma once

#include <boost/json.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"

/// CloudFormation stacks: what is there, what is wanted, which step leads from the one to the other.
namespace berth::deploy {

/// A stack as CloudFormation describes it. `status` is empty when there is none of this name.
struct StackState {
  std::string name;
  std::string id;  ///< ARN
  std::string status;
  std::string reason;
  std::map<std::string, std::string> outputs;
  std::map<std::string, std::string> parameters;
  std::map<std::string, std::string> tags;

  bool exists() const { return !status.empty(); }
  std::string output(const std::string& key) const;
};

/// One line of a stack's history.
struct StackEvent {
  std::string id;
  std::string time;      ///< RFC 3339
  std::string resource;  ///< logical id
  std::string type;      ///< "AWS::ECS::Service"
  std::string physical;
  std::string status;  ///< "CREATE_FAILED"
  std::string reason;
  std::string token;  ///< of who started the operation

  bool failed() const { return status.ends_with("_FAILED"); }
};

/// The template's parameter for the number of tasks: a value when the service is made, "" from then on.
inline constexpr std::string_view count_parameter = "DesiredCount";
/// The parameter that makes a stack switch on X-Ray's Transaction Search for the account and region.
inline constexpr std::string_view search_parameter = "TransactionSearch";

/// What a stack is to be.
struct StackTarget {
  std::string name;
  std::string body;  ///< the template, JSON
  std::map<std::string, std::string> parameters;
  std::map<std::string, std::string> tags;
};

/// What has to happen before or instead of a change set (pure, by the status alone).
enum class StackStep : std::uint8_t {
  create,   ///< no stack, or one that holds nothing yet (REVIEW_IN_PROGRESS)
  update,   ///< it stands
  wait,     ///< an operation is in progress
  leave,    ///< it is being deleted: wait, then create
  replace,  ///< a creation that failed: nothing can be done with it but to delete it and to begin anew
  unwind,   ///< UPDATE_ROLLBACK_FAILED: the rollback has to be finished first
};
StackStep next_step(const std::string& status);
bool in_progress(const std::string& status);

/// What differs between a stack that stands and what it is to be.
enum class StackChange : std::uint8_t {
  none,
  image,  ///< the ImageUri parameter alone
  more,
};
/// `body`: the template that the stack was made from. Templates are compared as JSON.
StackChange compare(const StackTarget& target, const StackState& state, const std::string& body);

/// Says which deploy an operation belongs to: "berth-<of template, parameters and tags>-<of the image>".
/// Equal content has equal tokens, so a deploy that was interrupted recognises its own operation, and one of
/// something else is told apart. At most 128 characters (ClientRequestToken).
std::string token_of(const StackTarget& target);
/// The part without the image, which is known before the image is: ends with "-".
std::string token_prefix(const StackTarget& target);

/// The parameters that `document` declares, each from `values`. A parameter with a default may be missing
/// there. invalid_argument names one that nobody fills.
Result<std::map<std::string, std::string>> fill_parameters(const boost::json::object& document,
                                                           const std::map<std::string, std::string>& values);

// ---- asking and acting ----

/// Values of the parameters that only the account knows: CloudFrontPrefixList, TransactionSearch, the letters
/// of zones (ZoneA …); and "" for the number of tasks. `state`: of the stack as it is. Those that `document`
/// does not declare are left out.
Task<Result<std::map<std::string, std::string>>> account_parameters(aws::Client& client,
                                                                    boost::json::object document,
                                                                    StackState state);

/// A stack that is not there is no fault.
Task<aws::Reply<StackState>> describe_stack(aws::Client& client, std::string name);
/// The template as it was sent.
Task<aws::Reply<std::string>> stack_body(aws::Client& client, std::string name);
/// The token of the operation in progress, or of the last one; empty when it has none.
Task<aws::Reply<std::string>> operation_token(aws::Client& client, std::string name);

/// What a change set does to one resource.
struct ResourceChange {
  std::string resource;
  std::string type;
  std::string action;               ///< "Add", "Modify", "Remove", "Import", "Dynamic"
  std::string replacement;          ///< "True", "False", "Conditional" or empty
  std::vector<std::string> causes;  ///< properties that change: "Cpu", "Tags"
};
struct ChangeSet {
  std::string name;
  std::string id;
  std::vector<ResourceChange> changes;  ///< empty: nothing would change
};
enum class ChangeKind : unsigned char {
  create,
  update,
  /// An update that also puts back what was changed by hand (CloudFormation's drift-aware change sets).
  revert,
};
/// Creates it (or finds the one of an earlier try, which has the same name; but not to revert, as somebody
/// may have changed more since) and waits until it is ready. A change set without changes is deleted and
/// comes back empty. A failure other than that is a Fault of code
/// "ChangeSetFailed".
Task<aws::Reply<ChangeSet>> make_change_set(aws::Client& client, Clock& clock, const StackTarget& target,
                                            ChangeKind kind, std::string name);
Task<aws::Reply<void>> delete_change_set(aws::Client& client, std::string stack, std::string name);
Task<aws::Reply<void>> execute_change_set(aws::Client& client, std::string stack, std::string name,
                                          std::string token);
/// Changes the ImageUri parameter and nothing else, without a change set. The number of tasks stays as it is.
Task<aws::Reply<void>> update_image(aws::Client& client, const StackState& state, const StackTarget& target);
Task<aws::Reply<void>> delete_stack(aws::Client& client, std::string name, std::string token);

/// The token of executing a change set: its name, as equal content has equal tokens; but what is put back
/// differs each time.
std::string operation_of(ChangeKind kind, const ChangeSet& set);
/// Whether a service of ECS comes new with it.
bool makes_service(const ChangeSet& set);

struct StackResource {
  std::string id;
  std::string type;
  std::string physical;
  std::string status;
};
/// The ids of the stacks that stand and name the resource with this physical id as theirs.
Task<aws::Reply<std::vector<std::string>>> stacks_that_hold(aws::Client& client, std::string physical);
Task<aws::Reply<std::vector<StackResource>>> stack_resources(aws::Client& client, std::string name);

}  // namespace berth::deploy
