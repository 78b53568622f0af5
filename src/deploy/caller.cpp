#include <fmt/format.h>

#include "deploy/pipeline.h"
#include "deploy/trouble.h"

namespace berth::deploy {

Task<Result<Caller>> find_caller(aws::Client& client, std::string expected_account) {
  boost::json::object none;
  const auto reply = co_await client.call("sts", "GetCallerIdentity", std::move(none));
  if (!reply) co_return Failure(explain_fault(reply.error()));
  Caller caller{.account = aws::text(*reply, "Account"), .arn = aws::text(*reply, "Arn")};
  if (!expected_account.empty() && caller.account != expected_account) {
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("These credentials belong to account {} ({}); berth.yaml allows {} alone "
                               "(aws.account). Choose other credentials: aws.profile, AWS_PROFILE.",
                               caller.account, caller.arn, expected_account));
  }
  co_return caller;
}

}  // namespace berth::deploy
