#include "deploy/trouble.h"

#include <gtest/gtest.h>

namespace berth::deploy {
namespace {

struct Case {
  std::string name;
  Evidence evidence;
  std::string cause;
  std::string remedy;
};

StackEvent event(std::string resource, std::string type, std::string reason) {
  return StackEvent{.resource = std::move(resource),
                    .type = std::move(type),
                    .status = "CREATE_FAILED",
                    .reason = std::move(reason)};
}

Evidence stack(std::string reason) {
  return Evidence{.failures = {event("X", "AWS::X::Y", std::move(reason))}};
}

Evidence task(std::string reason, std::string container = "", std::optional<int> code = {},
              std::vector<std::string> lines = {}) {
  return Evidence{.tasks = {TaskEnd{.id = "abcdef0123",
                                    .zone = "us-east-1a",
                                    .reason = std::move(reason),
                                    .container_reason = std::move(container),
                                    .exit_code = code,
                                    .lines = std::move(lines)}}};
}

TEST(Trouble, takes_the_end_of_retries_for_a_missing_route_and_no_quota) {
  const Explanation why = explain(
      stack("unable to pull secrets or registry auth: operation error ECR: GetAuthorizationToken, exceeded "
            "maximum number of attempts, 3, https response error StatusCode: 0"));
  EXPECT_NE(why.cause.find("their subnet has no route"), std::string::npos) << why.cause;
}

TEST(Trouble, has_a_cause_and_a_way_out_for_each_failure) {
  const Case cases[] = {
      {"permission",
       stack("User: arn:aws:iam::1:user/me is not authorized to perform: ecs:CreateCluster on resource: "
             "arn:aws:ecs:r:1:cluster/x because no identity-based policy allows it"),
       "The permission ecs:CreateCluster is missing for arn:aws:iam::1:user/me.",
       R"({"Effect": "Allow", "Action": "ecs:CreateCluster", "Resource": "arn:aws:ecs:r:1:cluster/x"})"},
      {"quota", stack("The maximum number of VPCs has been reached."), "A quota of the account is used up.",
       "Service Quotas"},
      {"name", stack("app already exists in stack arn:…"), "A name is taken", "another name"},
      {"secret name",
       stack(
           "You can't create this secret because a secret with this name is already scheduled for deletion."),
       "scheduled for deletion", "restore-secret"},
      {"throttled", stack("Rate exceeded (Service: AmazonCloudFormation; Status Code: 400)"), "throttled",
       "again in a minute"},
      {"certificate", stack("Certificate validation timed out; the certificate is not valid"),
       "not validated", "CNAME"},
      {"image gone",
       task("CannotPullContainerError: pull image manifest has been retried 1 time(s): manifest unknown"),
       "not in the registry", "berth deploy"},
      {"no route",
       task("ResourceInitializationError: unable to pull registry auth: i/o timeout: please check your task "
            "network"),
       "no route", "0.0.0.0/0 to a NAT gateway"},
      {"pull timeout", task("", "CannotPullContainerError: dial tcp 1.2.3.4:443: i/o timeout"), "no route",
       "NAT"},
      {"pull denied", task("", "CannotPullContainerError: 403 AccessDenied: denied"), "execution role",
       "ecr:BatchGetImage"},
      {"secret denied",
       task("ResourceInitializationError: unable to pull secrets or registry auth: User x is not "
            "authorized to perform: secretsmanager:GetSecretValue"),
       "may not read a secret", "secretsmanager:GetSecretValue"},
      {"file system",
       task("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes"),
       "cannot mount the file system", "2049"},
      {"memory", task("Essential container in task exited", "OutOfMemoryError: killed", 137),
       "used up its memory", "tasks.memory"},
      {"killed", task("Essential container in task exited", "", 137), "exit code 137", "tasks.memory"},
      {"crash", task("Essential container in task exited", "", 139), "segmentation fault", "berth up"},
      {"no program",
       task("", "CannotStartContainerError: exec: \"berth\": executable file not found in $PATH"),
       "no berth at its entry point", "ENTRYPOINT"},
      {"architecture",
       task("Essential container in task exited", "", 1, {"exec /usr/local/bin/berth: exec format error"}),
       "another processor architecture", "aws.architecture"},
      {"own exit", task("Essential container in task exited", "", 3, {"bad config"}), "exit code 3",
       "last lines"},
      {"container health", task("Task failed container health checks"), "own health check failed",
       "berth up"},
      {"balancer health", task("Task failed ELB health checks in (target-group x)"),
       "found the task unhealthy", "port 3000"},
      {"spot",
       Evidence{
           .service_events =
               {"(service app) was unable to place a task. Reason: Capacity is unavailable at this time."}},
       "no capacity", "aws.spot.weight"},
      {"targets", Evidence{.target_reason = "Target.Timeout Request timed out"}, "unhealthy", "berth doctor"},
      {"unknown", stack("Something new."), "could not make", "continues where it stopped"},
  };
  for (const Case& one : cases) {
    const Explanation explanation = explain(one.evidence);
    EXPECT_NE(explanation.cause.find(one.cause), std::string::npos) << one.name << ": " << explanation.cause;
    EXPECT_NE(explanation.remedy.find(one.remedy), std::string::npos)
        << one.name << ": " << explanation.remedy;
    EXPECT_FALSE(explanation.evidence.empty()) << one.name;
  }
}

TEST(Trouble, of_an_alarm_stands_before_how_it_ended_the_tasks) {
  Evidence evidence = task("Scaling activity initiated by deployment ecs-svc/1", "", 137);
  evidence.service_events = {"(service app) (deployment ecs-svc/2) deployment failed: alarm detected."};
  const Explanation explanation = explain(evidence);
  EXPECT_NE(explanation.cause.find("(5xx)"), std::string::npos) << explanation.cause;
  EXPECT_NE(explanation.remedy.find("berth logs"), std::string::npos) << explanation.remedy;
}

TEST(Trouble, of_a_new_account_is_told_as_such) {
  const Case cases[] = {
      {"CloudFront",
       stack("Access denied for operation 'AWS::CloudFront::Distribution: Your account must be verified "
             "before you can add new CloudFront resources. To verify your account, please contact AWS "
             "Support.'"),
       "nothing in CloudFront before it is verified", "aws.domain"},
      {"load balancers",
       stack("This AWS account currently does not support creating load balancers. For more information, "
             "please contact AWS Support."),
       "no load balancers before it is verified", "AWS Support"},
      {"ECS",
       stack("Invalid request provided: CreateCluster Invalid Request: Unable to assume the service linked "
             "role. Please verify that the ECS service linked role exists."),
       "the role with which ECS acts", "again in a minute"},
  };
  for (const Case& one : cases) {
    const Explanation explanation = explain(one.evidence);
    EXPECT_NE(explanation.cause.find(one.cause), std::string::npos) << one.name << ": " << explanation.cause;
    EXPECT_NE(explanation.remedy.find(one.remedy), std::string::npos) << one.name;
  }
}

TEST(Trouble, shows_the_last_lines_of_the_last_task_and_leaves_out_cancelled_resources) {
  Evidence evidence = task("Essential container in task exited", "", 1, {"one", "two"});
  evidence.failures = {event("A", "T", "Resource creation cancelled"), event("B", "T", "broken")};
  EXPECT_EQ(to_text(explain(evidence)),
            "The tasks ended by themselves with exit code 1.\n"
            "  B (T) CREATE_FAILED: broken\n"
            "  task abcdef01 in us-east-1a stopped with exit code 1: Essential container in task exited\n"
            "    | one\n"
            "    | two\n"
            "Their last lines say why; `berth up` on this machine may show the same.");
}

TEST(Trouble, names_the_statement_that_a_refused_call_lacks) {
  aws::Fault fault;
  fault.service = "cloudformation";
  fault.operation = "CreateChangeSet";
  fault.code = "AccessDenied";
  fault.status = 403;
  fault.message =
      "User: arn:aws:iam::1:user/me is not authorized to perform: cloudformation:CreateChangeSet on "
      "resource: arn:aws:cloudformation:r:1:stack/app/*";
  const std::string said = explain_fault(fault).message();
  EXPECT_NE(
      said.find(R"("cloudformation:CreateChangeSet", "Resource": "arn:aws:cloudformation:r:1:stack/app/*")"),
      std::string::npos)
      << said;
}

TEST(Trouble, of_the_line_is_told_apart_from_what_asking_again_does_not_mend) {
  aws::Fault fault;
  fault.code = "NetworkError";
  EXPECT_TRUE(is_passing(fault));
  EXPECT_NE(explain_fault(fault).message().find("goes on by itself"), std::string::npos);
  fault.code = "ThrottlingException";
  fault.status = 400;
  EXPECT_TRUE(is_passing(fault));
  fault.code = "ValidationError";
  EXPECT_FALSE(is_passing(fault));
  fault.status = 503;
  EXPECT_TRUE(is_passing(fault));
}

}  // namespace
}  // namespace berth::deploy
