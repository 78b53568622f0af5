#include "deploy/account_roles.h"

#include <array>
#include <string_view>

#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

constexpr std::array<std::string_view, 3> services{"ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com",
                                                   "ecs.application-autoscaling.amazonaws.com"};

/// IAM says InvalidInput of a role that is there ("… has been taken in this account").
bool stands(const aws::Fault& fault) {
  return fault.is("InvalidInput") || fault.is("EntityAlreadyExists") || fault.denied();
}

}  // namespace

Task<Result<void>> make_service_roles(aws::Client& client) {
  for (const std::string_view service : services) {
    boost::json::object input{{"AWSServiceName", service}};
    const auto made = co_await client.call("iam", "CreateServiceLinkedRole", std::move(input));
    if (!made && !stands(made.error())) co_return Failure(explain_fault(made.error()));
  }
  co_return Result<void>();
}

}  // namespace berth::deploy
