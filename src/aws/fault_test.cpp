#include <gtest/gtest.h>

#include "aws/client.h"
#include "aws/denial.h"

namespace berth::aws {
namespace {

Fault fault(std::string service, std::string operation, std::string code, std::string message, int status) {
  Fault made;
  made.service = std::move(service);
  made.operation = std::move(operation);
  made.code = std::move(code);
  made.message = std::move(message);
  made.status = status;
  made.request_id = "req-1";
  return made;
}

TEST(Denial, NamesWhoMayNotDoWhatToWhat) {
  const auto denial = find_denial(
      "User: arn:aws:iam::123456789012:user/deployer is not authorized to perform: ecs:CreateCluster on "
      "resource: arn:aws:ecs:us-east-1:123456789012:cluster/files because no identity-based policy allows "
      "the "
      "ecs:CreateCluster action");
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->principal, "arn:aws:iam::123456789012:user/deployer");
  EXPECT_EQ(denial->action, "ecs:CreateCluster");
  EXPECT_EQ(denial->resource, "arn:aws:ecs:us-east-1:123456789012:cluster/files");
  EXPECT_EQ(denial->encoded, "");
}

TEST(Denial, ReadsEc2sMessageWithItsEncodedPart) {
  const auto denial = find_denial(
      "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/ci/x "
      "is "
      "not authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:us-east-1:123456789012:vpc/* "
      "because "
      "no identity-based policy allows the ec2:CreateVpc action. Encoded authorization failure message: "
      "4aBc_-9");
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->action, "ec2:CreateVpc");
  EXPECT_EQ(denial->resource, "arn:aws:ec2:us-east-1:123456789012:vpc/*");
  EXPECT_EQ(denial->encoded, "4aBc_-9");
}

TEST(Denial, KnowsAnEncodedRefusalThatNamesNothing) {
  const auto denial = find_denial(
      "You are not authorized to perform this operation. Encoded authorization failure message: Zk1");
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->action, "");
  EXPECT_EQ(denial->resource, "");
  EXPECT_EQ(denial->encoded, "Zk1");
}

TEST(Denial, IsFoundInsideAStackEvent) {
  const auto denial = find_denial(
      "Resource handler returned message: \"User: arn:aws:iam::1:user/d is not authorized to perform: "
      "elasticfilesystem:CreateFileSystem on the specified resource (Service: Efs, Status Code: 403)\"");
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->action, "elasticfilesystem:CreateFileSystem");
  EXPECT_EQ(denial->resource, "");
}

TEST(Denial, IsNotSeenInOtherMessages) {
  EXPECT_FALSE(find_denial("Stack with id files does not exist"));
  EXPECT_FALSE(find_denial(""));
}

TEST(Fault, NamesTheOperationAsTheActionWhenTheMessageDoesNot) {
  EXPECT_EQ(fault("s3", "PutObject", "AccessDenied", "Access Denied", 403).denied_action(), "s3:PutObject");
  EXPECT_EQ(fault("monitoring", "PutDashboard", "AccessDenied", "no", 403).denied_action(),
            "cloudwatch:PutDashboard");
  EXPECT_EQ(fault("s3", "PutObject", "SlowDown", "Reduce your rate", 503).denied_action(), "");
}

TEST(Fault, BecomesASentenceWithTheRequestId) {
  const Error error = fault("ecs", "CreateService", "ClientException", "Cluster not active.", 400).error();
  EXPECT_EQ(error.message(),
            "AWS ecs CreateService failed: Cluster not active (ClientException, status 400, request req-1).");
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
}

TEST(Fault, MapsToTheClosedListOfCodes) {
  const auto code = [](std::string_view name, std::string_view message, int status) {
    return to_string(fault("x", "Y", std::string(name), std::string(message), status).error().code());
  };
  EXPECT_EQ(code("AccessDeniedException", "", 400), to_string(ErrorCode::permission_denied));
  EXPECT_EQ(code("ExpiredTokenException", "", 400), to_string(ErrorCode::permission_denied));
  EXPECT_EQ(code("NoCredentials", "", 0), to_string(ErrorCode::permission_denied));
  EXPECT_EQ(code("ValidationError", "Stack with id x does not exist", 400), to_string(ErrorCode::not_found));
  EXPECT_EQ(code("ResourceNotFoundException", "", 400), to_string(ErrorCode::not_found));
  EXPECT_EQ(code("AlreadyExistsException", "", 400), to_string(ErrorCode::conflict));
  EXPECT_EQ(code("ThrottlingException", "", 400), to_string(ErrorCode::resource_exhausted));
  EXPECT_EQ(code("InternalFailure", "", 500), to_string(ErrorCode::unavailable));
  EXPECT_EQ(code("NetworkError", "", 0), to_string(ErrorCode::unavailable));
  EXPECT_EQ(code("Deadline", "", 0), to_string(ErrorCode::deadline_exceeded));
}

}  // namespace
}  // namespace berth::aws
