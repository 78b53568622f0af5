#include "deploy/doctor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

LiveTask running(std::string id, std::string zone) {
  LiveTask task;
  task.id = std::move(id);
  task.zone = std::move(zone);
  task.status = "RUNNING";
  task.health = "HEALTHY";
  task.target = "healthy";
  return task;
}

/// A service without any complaint.
Facts well() {
  Facts facts;
  facts.caller = "arn:aws:iam::123456789012:user/me";
  LiveService& live = facts.live;
  live.region = "us-east-1";
  live.stack.name = "files";
  live.stack.status = "UPDATE_COMPLETE";
  live.stack.outputs = {{"Url", "https://files.example.com"}, {"TargetGroupArn", "tg"}};
  live.service.name = "files";
  live.service.status = "ACTIVE";
  live.service.desired = live.service.running = 2;
  ServiceDeployment deployment;
  deployment.status = "PRIMARY";
  deployment.rollout = "COMPLETED";
  deployment.desired = deployment.running = 2;
  live.service.deployments = {deployment};
  live.tasks = {running("aaaaaaaaaa", "us-east-1a"), running("bbbbbbbbbb", "us-east-1b")};
  live.alarms = {{.name = "errors", .state = "OK", .reason = "", .description = "Tasks answer with errors."}};
  facts.probe.reached = Probe::Stage::answered;
  facts.probe.status = 200;
  facts.probe.tools = "7 tools in 84 ms";
  LoadBalancerFacts balancer;
  balancer.found = balancer.listens = balancer.forwards = true;
  balancer.state = "active";
  facts.balancer = balancer;
  facts.drift.asked = true;
  return facts;
}

TaskEnd stopped(std::string reason, std::string container_reason, std::optional<int> exit_code) {
  TaskEnd task;
  task.id = "cccccccccc";
  task.zone = "us-east-1a";
  task.reason = std::move(reason);
  task.container_reason = std::move(container_reason);
  task.exit_code = exit_code;
  return task;
}

void lose_tasks(Facts& facts, TaskEnd end) {
  facts.live.service.running = 0;
  facts.live.tasks.clear();
  facts.probe.tools.reset();
  facts.probe.status = 503;
  facts.stopped = {std::move(end)};
}

aws::Fault fault(std::string code, std::string message, int status) {
  aws::Fault made;
  made.service = "sts";
  made.operation = "GetCallerIdentity";
  made.code = std::move(code);
  made.message = std::move(message);
  made.status = status;
  return made;
}

/// A sickness, the first link that has to be named, and words of its detail and remedy.
struct Case {
  std::string_view name;
  void (*make_sick)(Facts&);
  std::string_view link;
  std::string_view detail;
  std::string_view remedy;
};

const Case cases[] = {
    {"no credentials",
     [](Facts& f) { f.no_account = fault("NoCredentials", "There are no AWS credentials.", 0); }, "account",
     "no AWS credentials", "aws sso login"},
    {"no permission",
     [](Facts& f) {
       f.no_account =
           fault("AccessDenied", "User: u is not authorized to perform: cloudformation:DescribeStacks", 403);
     },
     "account", "not authorized", "cloudformation:DescribeStacks"},
    {"no network", [](Facts& f) { f.no_account = fault("NetworkError", "cannot connect", 0); }, "account",
     "cannot connect", "network"},
    {"never deployed", [](Facts& f) { f.live.stack.status.clear(); }, "stack",
     "there is no stack files in us-east-1", "berth deploy"},
    {"a creation taken back",
     [](Facts& f) {
       f.live.stack.status = "ROLLBACK_COMPLETE";
       f.live.service = {};
       f.failures = {"FileSystem: quota"};
     },
     "stack", "ROLLBACK_COMPLETE", "berth deploy"},
    {"a name unknown",
     [](Facts& f) {
       f.probe = {};
       f.probe.reached = Probe::Stage::name;
       f.probe.error = "it has no address";
     },
     "address", "is not known", "aws.hosted_zone"},
    {"a CloudFront name too new",
     [](Facts& f) {
       f.live.stack.outputs["Url"] = "https://d1.cloudfront.net";
       f.probe = {};
       f.probe.reached = Probe::Stage::name;
     },
     "address", "is not known", "CloudFront"},
    {"a closed port",
     [](Facts& f) {
       f.probe = {};
       f.probe.reached = Probe::Stage::connect;
     },
     "address", "cannot be reached", "Port 443"},
    {"an internal service",
     [](Facts& f) {
       f.probe = {};
       f.probe.reached = Probe::Stage::connect;
       f.is_internal = true;
     },
     "address", "cannot be reached", "inside the VPC"},
    {"a foreign certificate",
     [](Facts& f) {
       f.probe = {};
       f.probe.reached = Probe::Stage::tls;
       f.probe.error = "certificate has expired";
     },
     "address", "certificate has expired", "aws.certificate"},
    {"a load balancer deleted", [](Facts& f) { f.balancer = LoadBalancerFacts{}; }, "load balancer",
     "not there", "berth deploy"},
    {"a load balancer that failed",
     [](Facts& f) {
       f.balancer->state = "failed";
       f.balancer->reason = "no free addresses";
     },
     "load balancer", "no free addresses", "subnets"},
    {"no listener", [](Facts& f) { f.balancer->listens = f.balancer->forwards = false; }, "listener",
     "no listener", "berth deploy"},
    {"a rule changed", [](Facts& f) { f.balancer->forwards = false; }, "listener", "forwards to the tasks",
     "berth deploy"},
    {"a service deleted", [](Facts& f) { f.live.service.status = "INACTIVE"; }, "service", "not there",
     "berth deploy"},
    {"scaled to zero by hand", [](Facts& f) { f.live.service.desired = f.live.service.running = 0; },
     "service", "scaled to zero", "berth scale 3"},
    {"scaled to zero by schedule",
     [](Facts& f) {
       f.live.service.desired = f.live.service.running = 0;
       f.live.scaling = LiveScaling{0, 0, false, {"cron(0 20 * * ? *) UTC: 0 to 0"}};
     },
     "service", "scaled to zero", "schedule"},
    {"out of memory",
     [](Facts& f) {
       lose_tasks(f, stopped("Essential container in task exited", "OutOfMemoryError: killed", 137));
     },
     "tasks", "0 of 2 tasks run", "memory"},
    {"a crash at start",
     [](Facts& f) {
       lose_tasks(f, stopped("Essential container in task exited", "", 1));
       f.stopped.back().lines = {"Error: Cannot find module 'x'"};
     },
     "tasks", "0 of 2 tasks run", ""},
    {"a segmentation fault",
     [](Facts& f) { lose_tasks(f, stopped("Essential container in task exited", "", 139)); }, "tasks",
     "0 of 2 tasks run", ""},
    {"an image not there",
     [](Facts& f) {
       lose_tasks(
           f, stopped("CannotPullContainerError: pull image manifest has been retried: not found", "", {}));
     },
     "tasks", "image", "berth deploy"},
    {"no way to the registry",
     [](Facts& f) {
       lose_tasks(
           f, stopped("ResourceInitializationError: unable to pull secrets or registry auth: i/o timeout", "",
                      {}));
     },
     "tasks", "", "aws.network.egress"},
    {"a secret that may not be read",
     [](Facts& f) {
       lose_tasks(
           f,
           stopped(
               "ResourceInitializationError: unable to pull secrets: AccessDeniedException: not authorized",
               "", {}));
     },
     "tasks", "secret", "secretsmanager:GetSecretValue"},
    {"a Spot shortage",
     [](Facts& f) {
       f.live.service.running = 1;
       f.live.tasks.pop_back();
       f.live.service.events = {
           "(service files) was unable to place a task. Reason: Capacity is unavailable at this time."};
     },
     "service", "1 of 2 tasks run", "aws.spot"},
    {"a deployment that the circuit breaker ended",
     [](Facts& f) {
       f.live.service.deployments.front().rollout = "FAILED";
       f.live.service.deployments.front().reason = "ECS deployment circuit breaker: tasks failed to start.";
       f.stopped = {stopped("Essential container in task exited", "", 1)};
     },
     "tasks", "circuit breaker", ""},
    {"tasks on their way",
     [](Facts& f) {
       f.live.service.running = 1;
       f.live.service.pending = 1;
       f.live.tasks.pop_back();
     },
     "service", "1 start", "half a minute"},
    {"a security group closed",
     [](Facts& f) {
       f.live.tasks[1].target = "unhealthy";
       f.live.tasks[1].target_reason = "Target.Timeout: Request timed out";
     },
     "targets", "Target.Timeout", "security groups"},
    {"a health path that fails",
     [](Facts& f) {
       f.live.tasks[0].target = "unhealthy";
       f.live.tasks[0].target_reason =
           "Target.ResponseCodeMismatch: Health checks failed with these codes: [503]";
     },
     "targets", "[503]", "berth logs"},
    {"nothing listens",
     [](Facts& f) {
       f.live.tasks[0].target = "unhealthy";
       f.live.tasks[0].target_reason = "Target.FailedHealthChecks: Health checks failed";
     },
     "targets", "Target.FailedHealthChecks", "port 3000"},
    {"a target not registered", [](Facts& f) { f.live.tasks[0].target.clear(); }, "targets",
     "Target.NotRegistered", "in a minute"},
    {"a wrong key",
     [](Facts& f) {
       f.probe.tools.reset();
       f.probe.mcp_error = "the server answers 401";
     },
     "server", "401", "starts them anew"},
    {"a server that hangs",
     [](Facts& f) {
       f.probe.tools.reset();
       f.probe.mcp_error = "timed out";
     },
     "server", "timed out", "berth logs -f"},
    {"a change by hand",
     [](Facts& f) { f.drift.resources = {"TaskSecurityGroup (AWS::EC2::SecurityGroup) MODIFIED"}; }, "drift",
     "1 resource was", "--revert-drift"},
    {"an alarm", [](Facts& f) { f.live.alarms.front().state = "ALARM"; }, "alarms", "1 of 1 ring",
     "answer with errors"},
};

TEST(AwsDoctor, NamesTheFirstBrokenLinkOfEverySickness) {
  for (const Case& sick : cases) {
    Facts facts = well();
    sick.make_sick(facts);
    const std::vector<Link> links = diagnose(facts);
    const Link* const broken = first_broken(links);
    ASSERT_NE(broken, nullptr) << sick.name;
    EXPECT_EQ(broken->name, sick.link) << sick.name << ": " << broken->detail;
    EXPECT_NE(broken->detail.find(sick.detail), std::string::npos) << sick.name << ": " << broken->detail;
    EXPECT_NE(broken->remedy.find(sick.remedy), std::string::npos) << sick.name << ": " << broken->remedy;
    EXPECT_FALSE(broken->remedy.empty()) << sick.name;
  }
}

TEST(AwsDoctor, FindsNothingWrongWithAServiceThatIsWell) {
  const std::vector<Link> links = diagnose(well());
  EXPECT_EQ(first_broken(links), nullptr);
  std::string names;
  for (const Link& link : links) names += link.name + " ";
  EXPECT_EQ(names, "account stack address load balancer service targets server drift alarms ");
}

TEST(AwsDoctor, TakesAnAlarmThatOnlyScalesForNoFault) {
  Facts facts = well();
  facts.live.alarms.push_back({.name = "files-CpuLow",
                               .state = "ALARM",
                               .reason = "",
                               .description = "Below 30 % CPU: a task is taken away.",
                               .scales = true});
  EXPECT_EQ(first_broken(diagnose(facts)), nullptr);
}

TEST(AwsDoctor, JudgesNothingBehindAMissingStack) {
  Facts facts = well();
  facts.live.stack.status.clear();
  EXPECT_EQ(diagnose(facts).size(), 2u);
}

TEST(AwsDoctor, SaysThatAnUpdateWasTakenBackWhileTheOldVersionServes) {
  Facts facts = well();
  facts.live.stack.status = "UPDATE_ROLLBACK_COMPLETE";
  const std::vector<Link> links = diagnose(facts);
  EXPECT_EQ(first_broken(links), nullptr);
  EXPECT_NE(links.at(1).detail.find("taken back"), std::string::npos);
}

TEST(AwsDoctor, SkipsWhatCouldNotBeAsked) {
  Facts facts = well();
  facts.balancer.reset();
  facts.drift = {};
  facts.probe = {};
  facts.is_internal = true;
  const std::vector<Link> links = diagnose(facts);
  EXPECT_EQ(first_broken(links), nullptr);
  EXPECT_EQ(std::ranges::count(links, Link::State::skipped, &Link::state), 4);
}

/// Gathering, with an account that answers from a script.
class AwsDoctorFacts : public ::testing::Test {
 protected:
  Facts gather(Duration drift_timeout = std::chrono::seconds(10)) {
    std::optional<Facts> facts;
    TaskScope scope(clock.executor());
    scope.spawn(
        [](aws::Client& of, Clock& clock_of, Duration timeout, std::optional<Facts>& out) -> Task<void> {
          out = co_await gather_facts(of, clock_of, "files", timeout);
        }(client, clock, drift_timeout, facts));
    clock.advance(std::chrono::minutes(1));
    return std::move(facts).value();
  }

  void script_service() {
    client.answer("sts", "GetCallerIdentity", R"({"Arn":"arn:me"})");
    client.answer("cloudformation", "DescribeStacks",
                  R"({"Stacks":[{"StackName":"files","StackStatus":"UPDATE_ROLLBACK_COMPLETE","Outputs":[
                     {"OutputKey":"ClusterName","OutputValue":"c"},
                     {"OutputKey":"ServiceName","OutputValue":"files"},
                     {"OutputKey":"TargetGroupArn","OutputValue":"tg"}]}]})");
    client.answer("ecs", "DescribeServices",
                  R"({"services":[{"serviceName":"files","status":"ACTIVE","desiredCount":1,"runningCount":0,
                     "deployments":[{"status":"PRIMARY","rolloutState":"IN_PROGRESS","failedTasks":2}]}]})");
    client.answer("ecs", "ListTasks", R"({"taskArns":["arn:aws:ecs:r:1:task/c/dead"]})");
    client.answer("ecs", "DescribeTasks",
                  R"({"tasks":[{"taskArn":"arn:aws:ecs:r:1:task/c/dead","lastStatus":"STOPPED",
                     "stoppedReason":"Essential container in task exited","containers":[{"exitCode":1}]}]})");
    client.answer("elasticloadbalancing", "DescribeTargetHealth", R"({"TargetHealthDescriptions":""})");
    client.answer("cloudformation", "ListStackResources",
                  R"({"StackResourceSummaries":[{"LogicalResourceId":"LoadBalancer","PhysicalResourceId":"lb",
                     "ResourceType":"AWS::ElasticLoadBalancingV2::LoadBalancer"}]})");
    client.answer("application-autoscaling", "DescribeScalableTargets", R"({"ScalableTargets":[]})");
    client.answer("elasticloadbalancing", "DescribeLoadBalancers",
                  R"({"LoadBalancers":[{"State":{"Code":"active"},"Scheme":"internal"}]})");
    client.answer("elasticloadbalancing", "DescribeListeners", R"({"Listeners":[{"ListenerArn":"l"}]})");
    client.answer(
        "elasticloadbalancing", "DescribeRules",
        R"({"Rules":[{"Actions":[{"ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"tg"}]}}]}]})");
    client.answer("cloudformation", "DescribeStackEvents",
                  R"({"StackEvents":[{"LogicalResourceId":"Service","ResourceStatus":"UPDATE_FAILED",
                     "ResourceStatusReason":"circuit breaker"},{"ResourceStatus":"UPDATE_FAILED",
                     "ResourceStatusReason":"Resource update cancelled"}]})");
    client.answer("cloudformation", "DetectStackDrift", R"({"StackDriftDetectionId":"d"})");
    client.answer("cloudformation", "DescribeStackDriftDetectionStatus",
                  R"({"DetectionStatus":"DETECTION_IN_PROGRESS"})");
    client.answer("cloudformation", "DescribeStackDriftDetectionStatus",
                  R"({"DetectionStatus":"DETECTION_COMPLETE"})");
    client.answer("cloudformation", "DescribeStackResourceDrifts",
                  R"({"StackResourceDrifts":[{"LogicalResourceId":"Alb","ResourceType":"T",
                     "StackResourceDriftStatus":"DELETED"}]})");
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  aws::testing::FakeClient client;
};

TEST_F(AwsDoctorFacts, AreGatheredFromEveryService) {
  script_service();
  const Facts facts = gather();
  EXPECT_EQ(facts.caller, "arn:me");
  EXPECT_EQ(facts.live.service.running, 0u);
  ASSERT_TRUE(facts.balancer);
  EXPECT_TRUE(facts.balancer->forwards);
  ASSERT_EQ(facts.stopped.size(), 1u);
  EXPECT_EQ(facts.stopped.front().exit_code, 1);
  EXPECT_EQ(facts.failures, std::vector<std::string>{"Service: circuit breaker"});
  EXPECT_EQ(facts.drift.resources, std::vector<std::string>{"Alb (T) DELETED"});
}

TEST_F(AwsDoctorFacts, ComeWithoutDriftWhenThatTakesTooLong) {
  script_service();
  client.answer("cloudformation", "DescribeStackDriftDetectionStatus",
                R"({"DetectionStatus":"DETECTION_IN_PROGRESS"})");
  EXPECT_TRUE(gather().drift.asked) << "the script completes at the second look";
  EXPECT_FALSE(gather().drift.asked) << "and then never again";
  EXPECT_FALSE(gather(Duration::zero()).drift.asked);
}

TEST_F(AwsDoctorFacts, SurviveRefusals) {
  script_service();
  aws::testing::FakeClient refusing;
  refusing.answer("sts", "GetCallerIdentity", R"({"Arn":"arn:me"})");
  refusing.fail("cloudformation", "DescribeStacks", "AccessDenied",
                "User: arn:me is not authorized to perform: cloudformation:DescribeStacks", 403);
  std::optional<Facts> facts;
  TaskScope scope(clock.executor());
  scope.spawn([](aws::Client& of, Clock& clock_of, std::optional<Facts>& out) -> Task<void> {
    out = co_await gather_facts(of, clock_of, "files", Duration::zero());
  }(refusing, clock, facts));
  clock.run_until_idle();
  ASSERT_TRUE(facts && facts->no_account);
  EXPECT_EQ(first_broken(diagnose(*facts))->name, "account");
}

}  // namespace
}  // namespace berth::deploy
