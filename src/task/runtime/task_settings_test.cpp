#include "task/runtime/task_settings.h"

#include <gtest/gtest.h>

#include "base/testing/sim_clock.h"
#include "http/server.h"
#include "net/testing/memory_network.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using Variables = std::map<std::string, std::string>;

constexpr std::string_view metadata = R"({
  "Cluster": "arn:aws:ecs:us-west-2:111122223333:cluster/demo",
  "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/demo/158d1c8083dd49d6b527399fd6414f5c",
  "Family": "demo", "Revision": "26", "ServiceName": "demo-Service-1x", "LaunchType": "FARGATE",
  "AvailabilityZone": "us-west-2d",
  "Containers": [
    {"Name": "init", "Networks": []},
    {"Name": "berth", "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.20.2.106"]}]}]})";

const EcsTask described{"arn:aws:ecs:us-west-2:111122223333:task/demo/158d1c8083dd49d6b527399fd6414f5c",
                        "158d1c8083dd49d6b527399fd6414f5c",
                        "us-west-2",
                        "demo",
                        "demo-Service-1x",
                        "demo",
                        "26",
                        "us-west-2d",
                        "10.20.2.106"};

RuntimeOptions with_spec() {
  RuntimeOptions options;
  options.spec.name = "demo";
  return options;
}

TaskSettings read(const Variables& environment, const Variables& flags = {}) {
  auto settings = read_task_settings(environment, flags);
  EXPECT_TRUE(settings) << settings.error().message();
  return settings.value_or(TaskSettings{});
}

TEST(TaskSettings, DefaultToAContainerOnItsOwn) {
  const TaskSettings settings = read({});
  EXPECT_EQ(net::to_string(settings.listen), "0.0.0.0:3000");
  EXPECT_EQ(settings.data_directory, "/mnt/data");
  EXPECT_EQ(settings.tls, TaskTls::clear);
  EXPECT_FALSE(settings.open);
  EXPECT_FALSE(settings.emf);
  EXPECT_FALSE(settings.traces);
}

TEST(TaskSettings, ComeFromTheEnvironmentAndTheCommandLineGoesFirst) {
  const TaskSettings settings = read({{"BERTH_LISTEN", "127.0.1.1:3000"},
                                      {"BERTH_TLS", "self-signed"},
                                      {"BERTH_DATA", "/data"},
                                      {"BERTH_OPEN", "1"},
                                      {"BERTH_HOSTS", "mcp.example.com, ,d1.cloudfront.net"},
                                      {"BERTH_METRICS", "emf"},
                                      {"BERTH_METRICS_PERIOD", "20"},
                                      {"BERTH_TRACES", "otlp"},
                                      {"BERTH_TRACES_RATIO", "0.5"},
                                      {"AWS_REGION", "us-west-2"},
                                      {"BERTH_IDLE_TIMEOUT", "150s"},
                                      {"BERTH_SERVICE", ""}},
                                     {{"BERTH_DATA", "/other"}});
  EXPECT_EQ(net::to_string(settings.listen), "127.0.1.1:3000");
  EXPECT_EQ(settings.tls, TaskTls::self_signed);
  EXPECT_EQ(settings.data_directory, "/other");
  EXPECT_TRUE(settings.open);
  EXPECT_EQ(settings.hosts, (std::vector<std::string>{"mcp.example.com", "d1.cloudfront.net"}));
  EXPECT_EQ(settings.emf_period, 20s);
  EXPECT_EQ(settings.traces->ratio, 0.5);
  EXPECT_EQ(settings.idle_timeout, 150s);
}

TEST(TaskSettings, AValueThatIsWrongIsNamedWithWhatToWriteInstead) {
  const auto problem = [](const char* name, const char* value) {
    Variables environment{{"BERTH_TRACES", "otlp"}, {"AWS_REGION", "us-west-2"}, {"BERTH_METRICS", "emf"}};
    environment[name] = value;
    const auto settings = read_task_settings(environment, {});
    return settings ? std::string() : settings.error().message();
  };
  EXPECT_EQ(problem("BERTH_TLS", "yes"), "BERTH_TLS is 'yes'; write off or self-signed.");
  EXPECT_EQ(problem("BERTH_OPEN", "yes"), "BERTH_OPEN is 'yes'; write 0 or 1 or false or true.");
  EXPECT_EQ(problem("BERTH_LISTEN", "3000"),
            "BERTH_LISTEN is '3000'; write ADDRESS:PORT with a numeric address.");
  EXPECT_EQ(problem("BERTH_TRACES_RATIO", "5%"), "BERTH_TRACES_RATIO is '5%'; write a number from 0 to 1.");
  EXPECT_EQ(problem("BERTH_TRACES_RATIO", "nan"), "BERTH_TRACES_RATIO is 'nan'; write a number from 0 to 1.");
  EXPECT_EQ(problem("BERTH_METRICS_PERIOD", "0"),
            "BERTH_METRICS_PERIOD is '0'; write a time from 1s to 1m, such as 30s.");
  EXPECT_NE(problem("BERTH_METRICS", "statsd"), "");
  EXPECT_FALSE(read_task_settings({{"BERTH_TRACES", "otlp"}}, {})) << "there is nowhere to send them";
}

TEST(TaskSettings, MetricsComeMoreOftenWhereTheServiceScalesByThem) {
  RuntimeOptions options = with_spec();
  const TaskSettings settings = read({{"BERTH_OPEN", "true"}, {"BERTH_METRICS", "emf"}});
  ASSERT_TRUE(apply_task_settings(settings, std::nullopt, options));
  EXPECT_EQ(options.telemetry.emf_period, 60s);
  options.spec.scaling.high_resolution = true;
  ASSERT_TRUE(apply_task_settings(settings, std::nullopt, options));
  EXPECT_EQ(options.telemetry.emf_period, 20s);
}

TEST(TaskSettings, SpansGoWhereTheSdksWouldSendThem) {
  const TaskSettings settings = read(
      {{"BERTH_TRACES", "xray"}, {"AWS_REGION", "us-west-2"}, {"AWS_ENDPOINT_URL", "http://127.0.0.1:5000"}});
  EXPECT_EQ(otlp_endpoint(*settings.traces, settings.region), "http://127.0.0.1:5000/v1/traces");
  EXPECT_TRUE(settings.traces->sign);
}

TEST(TaskSettings, ATaskThatOthersReachNeedsAKeyOrSaysThatItIsOpen) {
  RuntimeOptions options = with_spec();
  const auto refused = apply_task_settings(read({}), std::nullopt, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message().find("BERTH_API_KEY"), std::string::npos);
  EXPECT_TRUE(apply_task_settings(read({{"BERTH_OPEN", "1"}}), std::nullopt, options));
  EXPECT_TRUE(apply_task_settings(read({{"BERTH_LISTEN", "127.0.0.1:0"}}), std::nullopt, options));
  options.keys.emplace_back("alice", Secret("key"));
  EXPECT_TRUE(apply_task_settings(read({}), std::nullopt, options));
}

TEST(TaskSettings, TheDeployedKeyIsOneMoreBesidesTheSpecs) {
  RuntimeOptions options = with_spec();
  options.keys.emplace_back("alice", Secret("key"));
  ASSERT_TRUE(
      apply_task_settings(read({{"BERTH_API_KEY", "secret-of-20-characters"}}), std::nullopt, options));
  ASSERT_EQ(options.keys.size(), 2u);
  EXPECT_EQ(options.keys[1].first, "deploy");
  EXPECT_EQ(options.keys[1].second.reveal(), "secret-of-20-characters");
}

TEST(TaskSettings, OnEcsTheTaskIsOneOfSisters) {
  RuntimeOptions options = with_spec();
  options.spec.tasks.drain_timeout = 300s;
  const std::string key(40, 'k');
  const TaskSettings settings = read({{"BERTH_API_KEY", "secret-of-20-characters"},
                                      {"BERTH_FLEET_KEY", key},
                                      {"BERTH_HOSTS", "mcp.example.com"}});
  ASSERT_TRUE(apply_task_settings(settings, described, options));
  EXPECT_EQ(options.identity.id, described.id);
  EXPECT_EQ(options.identity.zone, "us-west-2d");
  EXPECT_EQ(options.identity.peer_address, "10.20.2.106:3001");
  EXPECT_NE(options.identity.generation, 0u);
  EXPECT_EQ(options.fleet_key.reveal(), key);
  EXPECT_EQ(options.spec.listener.hosts, (std::vector<std::string>{"mcp.example.com"}));
  EXPECT_EQ(options.spec.tasks.drain_timeout, 110s) << "ECS kills after 120 s";
  EXPECT_EQ(options.drain_grace, 5s);
  EXPECT_EQ(options.telemetry.service, "demo-Service-1x") << "as the dashboard knows it";
}

TEST(TaskSettings, TwoFleetKeysHaveACommaBetween) {
  RuntimeOptions options = with_spec();
  const std::string first(32, 'n');
  const std::string second(32, 'o');
  const TaskSettings settings =
      read({{"BERTH_API_KEY", "secret-of-20-characters"}, {"BERTH_FLEET_KEY", first + "," + second}});
  ASSERT_TRUE(apply_task_settings(settings, described, options));
  EXPECT_EQ(options.fleet_key.reveal(), first);
  EXPECT_EQ(options.second_fleet_key.reveal(), second);
}

TEST(TaskSettings, SistersNeedTheKeyThatTheyShare) {
  RuntimeOptions options = with_spec();
  const auto refused =
      apply_task_settings(read({{"BERTH_API_KEY", "secret-of-20-characters"}}), described, options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("BERTH_FLEET_KEY is not set"), std::string::npos);
  EXPECT_EQ(refused.error().message().find("secret"), std::string::npos);
}

TEST(TaskSettings, SistersElsewhereHaveNamesOfTheirOwn) {
  const TaskSettings settings = read({{"BERTH_OPEN", "1"},
                                      {"BERTH_PEER_LISTEN", "10.0.0.1:3001"},
                                      {"BERTH_FLEET_KEY", std::string(32, 'k')}});
  RuntimeOptions one = with_spec();
  RuntimeOptions two = with_spec();
  ASSERT_TRUE(apply_task_settings(settings, std::nullopt, one));
  ASSERT_TRUE(apply_task_settings(settings, std::nullopt, two));
  EXPECT_EQ(one.identity.peer_address, "10.0.0.1:3001");
  EXPECT_NE(one.identity.id, two.identity.id);
}

TEST(TaskSettings, AnOpenServiceOnEcsIsOpenByItsSpec) {
  RuntimeOptions options = with_spec();
  options.spec.aws.open = true;
  EXPECT_TRUE(apply_task_settings(read({{"BERTH_FLEET_KEY", std::string(32, 'k')}}), described, options));
  EXPECT_FALSE(apply_task_settings(read({}), std::nullopt, options)) << "elsewhere it has to be said";
}

TEST(TaskSettings, SpansGoToXRayOfTheRegionUnlessTheyAreSentElsewhere) {
  EXPECT_EQ(otlp_endpoint({}, "us-west-2"), "https://xray.us-west-2.amazonaws.com/v1/traces");
  EXPECT_EQ(otlp_endpoint({}, "cn-north-1"), "https://xray.cn-north-1.amazonaws.com.cn/v1/traces");
  EXPECT_EQ(otlp_endpoint({}, ""), "");
  EXPECT_EQ(otlp_endpoint({0.1, "http://127.0.0.1:4318/v1/traces", false}, "us-west-2"),
            "http://127.0.0.1:4318/v1/traces");
}

TEST(EcsTask, IsReadFromTheMetadataEndpointsAnswer) {
  const auto task = parse_ecs_task(metadata);
  ASSERT_TRUE(task) << task.error().message();
  EXPECT_EQ(*task, described);
}

TEST(EcsTask, AnAnswerThatIsNoneIsRefused) {
  for (const std::string_view bad :
       {"", "[]", "{}", R"({"TaskARN":7})", R"({"TaskARN":"arn:aws:ecs:r:1:task/"})",
        R"({"TaskARN":"arn:aws:ecs:r:1:task/../x y"})", "<html>"}) {
    const auto task = parse_ecs_task(bad);
    ASSERT_FALSE(task) << bad;
    EXPECT_EQ(task.error().code(), ErrorCode::invalid_argument) << bad;
  }
  EXPECT_EQ(parse_ecs_task(R"({"TaskARN":"arn:aws:ecs:r:1:task/c/x"})").error().code(),
            ErrorCode::unavailable);
}

/// The endpoint, which is not ready at once.
class Metadata final : public http::Service {
 public:
  Task<void> serve(http::Exchange& exchange) override {
    ++asked;
    const bool is_right = exchange.head().target == "/v4/abc/task";
    auto response = asked <= refusals ? http::text_response(503, "not yet")
                                      : http::json_response(is_right ? 200 : 404, std::string(metadata));
    co_await exchange.respond(std::move(response));
  }
  int asked = 0;
  int refusals = 0;
};

struct AskEcs : ::testing::Test {
  Task<void> ask_into(std::string uri) {
    auto asked = co_await ask_ecs(*network, uri, clock.now() + 5s);
    answer.emplace(std::move(asked));
  }
  Task<void> stop() { co_await server->drain(clock.now()); }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  Metadata service;
  std::unique_ptr<http::Server> server = http::make_server(*network->listen({"169.254.170.2", 80}), nullptr,
                                                           service, clock, null_log(), http::ServerLimits{});
  std::optional<Result<EcsTask>> answer;
  TaskScope scope{loop.get_executor()};
};

TEST_F(AskEcs, IsPatientInATasksFirstMoments) {
  service.refusals = 3;
  scope.spawn(ask_into("http://169.254.170.2/v4/abc"));
  clock.advance(5s);
  ASSERT_TRUE(answer && *answer) << (*answer).error().message();
  EXPECT_EQ(**answer, described);
  EXPECT_EQ(service.asked, 4);
  scope.spawn(stop());
  clock.run_until_idle();
}

TEST_F(AskEcs, GivesUpWithTheLastProblem) {
  service.refusals = 1000;
  scope.spawn(ask_into("http://169.254.170.2/v4/abc"));
  clock.advance(6s);
  ASSERT_TRUE(answer && !*answer);
  EXPECT_NE(answer->error().message().find("HTTP 503"), std::string::npos) << answer->error().message();
  answer.reset();
  scope.spawn(ask_into("ftp://x"));
  clock.run_until_idle();
  ASSERT_TRUE(answer && !*answer);
  EXPECT_NE(answer->error().message().find("ECS_CONTAINER_METADATA_URI_V4"), std::string::npos);
  scope.spawn(stop());
  clock.run_until_idle();
}

}  // namespace
}  // namespace berth::task
