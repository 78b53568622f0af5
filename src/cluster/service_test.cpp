#include "cluster/service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cluster/task_file.h"
#include "http/client.h"
#include "http/server.h"
#include "model/parse.h"
#include "net/network.h"

namespace berth::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto test_timeout = 20s;

/// What a task of these tests is: this very program, which answers on its address until SIGTERM.
class Answering final : public http::Service {
 public:
  Task<void> serve(http::Exchange& exchange) override {
    http::Response response = http::text_response(200, std::string(exchange.head().path()) + "\n");
    const auto sent = co_await exchange.respond(std::move(response));
    EXPECT_TRUE(sent);
  }
};

int run_task(const std::string& path) {
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = net::make_network(*clock);
  const auto options = take_task_file(path);
  if (!options) {
    std::fputs(options.error().message().c_str(), stderr);
    return 3;
  }
  auto listener = network->listen(options->listen);
  if (!listener) return 4;
  std::fputs("listening\n", stderr);
  Answering answering;
  const auto server = http::make_server(std::move(*listener), nullptr, answering, *clock, null_log(), {});
  loop.run();
  return 0;
}

std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

/// gtest's main runs this before any test; a task never comes back.
const bool is_task = [] {
  const char* const path = std::getenv("BERTH_TEST_TASK");
  if (path == nullptr) return false;
  ::_exit(run_task(path));
}();

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest()
      : clock_(make_real_clock(loop_.get_executor())),
        network_(net::make_network(*clock_)),
        launcher_(net::make_process_launcher(*clock_)) {
    std::string pattern = ::testing::TempDir() + "berth-service-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    options_.spec.name = "demo";
    options_.spec.directory = folder_;
    options_.spec.servers.resize(1);
    options_.spec.servers[0].name = "workspace";
    options_.spec.servers[0].builtin = "workspace";
    options_.spec.listener.https = false;
    options_.spec.listener.threads = 1;
    options_.state_directory = folder_ + "/.berth";
    // A shell passes the path on in the environment, because gtest owns argv.
    options_.task_command = {"/bin/sh", "-c", "BERTH_TEST_TASK=$2 exec " + this_program(), "task"};
    options_.environment = {{"PATH", "/usr/bin:/bin"}};
    options_.on_event = [this](const ServiceEvent& event) { events_.push_back(event.text); };
    options_.on_down = [this] { down_asked_ = true; };
  }
  ~ServiceTest() override {
    if (service_) run(service_->drain());
    service_.reset();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    auto service = make_service(options_, *network_, *launcher_, null_log());
    ASSERT_TRUE(service) << service.error().message();
    service_ = std::move(*service);
  }

  void run(Task<void> task) {
    TaskScope scope(loop_.get_executor());
    scope.spawn(std::move(task));
    const auto limit = clock_->now() + test_timeout;
    while (scope.size() > 0 && clock_->now() < limit) {
      loop_.restart();
      loop_.run_one_for(20ms);
    }
    ASSERT_EQ(scope.size(), 0u) << "the test did not finish in time";
  }

  Task<void> expect_healthy() {
    const bool healthy = co_await service_->wait_until_healthy(clock_->now() + 15s);
    std::string events;
    for (const std::string& event : events_) events += event + "\n";
    EXPECT_TRUE(healthy) << events;
  }

  Task<void> send(net::Endpoint to, std::string method, std::string target, std::string body) {
    http::ClientOptions client_options;
    client_options.endpoint = std::move(to);
    const auto client = http::make_client(*network_, std::move(client_options));
    http::ClientRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    request.deadline = clock_->now() + 10s;
    auto response = co_await client->fetch(std::move(request), 1u << 20);
    EXPECT_TRUE(response) << response.error().message();
    if (response) answer_ = std::move(*response);
  }

  http::Response control(std::string method, std::string target, std::string body = "") {
    run(send(control_endpoint(options_.state_directory), std::move(method), std::move(target),
             std::move(body)));
    return answer_;
  }

  http::Response call(std::string target) {
    const std::string url = service_->status().urls.at(0).url;
    const std::string authority = url.substr(7, url.find('/', 7) - 7);
    run(send(*net::parse_endpoint(authority), "GET", std::move(target), ""));
    return answer_;
  }

  asio::io_context loop_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<net::Network> network_;
  std::unique_ptr<net::ProcessLauncher> launcher_;
  std::string folder_;
  ServiceOptions options_;
  std::vector<std::string> events_;
  bool down_asked_ = false;
  http::Response answer_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceTest, ThreeTasksInThreeZonesAnswerThroughTheFrontDoorAndNothingIsLeft) {
  start();
  run(expect_healthy());
  ServiceStatus status = service_->status();
  ASSERT_EQ(status.tasks.size(), 3u);
  EXPECT_EQ(status.tasks[2].zone, "c");
  EXPECT_TRUE(status.tasks[2].address.starts_with("127.0.3.")) << status.tasks[2].address;
  EXPECT_EQ(status.tasks[2].health, "healthy");
  EXPECT_GT(status.tasks[2].memory_bytes, 100'000u);
  ASSERT_EQ(status.urls.size(), 2u);
  EXPECT_TRUE(status.urls[0].url.ends_with("/mcp"));
  EXPECT_EQ(call("/hello").body, "/hello\n");
  run(service_->drain());
  service_.reset();
  for (const TaskStatus& task : status.tasks) EXPECT_NE(::kill(task.pid, 0), 0) << "task " << task.id;
  EXPECT_FALSE(std::filesystem::exists(options_.state_directory + "/control.sock"));
  EXPECT_FALSE(std::filesystem::exists(options_.state_directory + "/tasks"));
}

TEST_F(ServiceTest, AKilledTaskIsReplacedWhileOthersAnswer) {
  start();
  run(expect_healthy());
  const pid_t victim = service_->status().tasks[0].pid;
  ::kill(victim, SIGKILL);
  const auto noticed = [this](pid_t before) -> Task<void> {
    while (service_->status().tasks[0].pid == before) co_await clock_->sleep_for(1ms);
  };
  run(noticed(victim));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(call("/still").status, 200) << "its successor gets nothing yet";
  const auto replaced = [this]() -> Task<void> {
    while (service_->status().tasks[0].health != "healthy") co_await clock_->sleep_for(5ms);
  };
  run(replaced());
  EXPECT_EQ(service_->status().tasks[0].restarts, 1u);
}

TEST_F(ServiceTest, SaysWhatAFileSaysOtherwiseThanWhatRuns) {
  options_.spec.tasks.count = 1;
  options_.spec.servers[0].directory = folder_;
  start();
  model::Spec spec = options_.spec;
  EXPECT_EQ(control("POST", "/differences", model::write_spec(spec)).body, R"({"keys":[]})");
  spec.tasks.count = 2;
  spec.tasks.cpu = 1;
  EXPECT_EQ(control("POST", "/differences", model::write_spec(spec)).body,
            R"({"keys":["tasks.count","tasks.cpu"]})");
  EXPECT_EQ(control("POST", "/differences", "nmae: x").status, 400);
}

TEST_F(ServiceTest, TheControlApiAnswersTheVerbs) {
  options_.spec.tasks.count = 1;
  start();
  run(expect_healthy());
  const http::Response answer = control("GET", "/status");
  const auto status = parse_service_status(answer.body);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->service, "demo");
  EXPECT_EQ(status->pid, ::getpid());
  EXPECT_EQ(control("POST", "/scale", R"({"count":2})").status, 200);
  run(expect_healthy());
  EXPECT_EQ(service_->status().tasks.size(), 2u);
  EXPECT_EQ(
      control("POST", "/scale", R"({"count":1000})").body,
      R"({"error":"invalid_argument","message":"1000 tasks are more than one machine runs; give a number )"
      R"(from 0 to 64"})");
  EXPECT_EQ(control("POST", "/scale", "many").status, 400);
  EXPECT_EQ(control("GET", "/nothing").status, 404);
  EXPECT_EQ(control("GET", "/scale").status, 405);
  EXPECT_TRUE(control("GET", "/metrics").body.contains("berth_tasks_healthy 2\n"));
  EXPECT_TRUE(control("GET", "/logs?task=1").body.contains(R"("message":"listening")"));
  EXPECT_EQ(control("GET", "/logs?task=9").status, 404);
  EXPECT_EQ(control("GET", "/logs?task=../x").status, 404);
  const pid_t before = service_->status().tasks[0].pid;
  EXPECT_EQ(control("POST", "/restart").status, 202);
  const auto renewed = [this, before]() -> Task<void> {
    while (true) {
      bool old = false;
      for (const TaskStatus& task : service_->status().tasks) old = old || task.pid == before;
      if (!old) co_return;
      co_await clock_->sleep_for(5ms);
    }
  };
  run(renewed());
  EXPECT_EQ(control("POST", "/down").status, 202);
  EXPECT_TRUE(down_asked_);
}

TEST_F(ServiceTest, AFollowedLogStreamsAndEndsWithTheService) {
  options_.spec.tasks.count = 1;
  start();
  run(expect_healthy());
  std::string seen;
  const auto follow = [this, &seen]() -> Task<void> {
    http::ClientOptions client_options;
    client_options.endpoint = control_endpoint(options_.state_directory);
    const auto client = http::make_client(*network_, std::move(client_options));
    http::ClientRequest request;
    request.target = "/logs?follow=1&lines=1";
    request.deadline = clock_->now() + 5s;
    auto response = co_await client->send(std::move(request));
    EXPECT_TRUE(response);
    std::vector<char> part(1000);
    while (true) {
      const auto count = co_await (*response)->read_some(part);
      if (!count || *count == 0) co_return;
      seen.append(part.data(), *count);
    }
  };
  TaskScope scope(loop_.get_executor());
  scope.spawn(follow());
  const auto restart_when_following = [this, &seen]() -> Task<void> {
    while (seen.empty()) co_await clock_->sleep_for(5ms);
    ::kill(service_->status().tasks[0].pid, SIGKILL);
    while (!seen.contains("killed by signal 9")) co_await clock_->sleep_for(5ms);
  };
  run(restart_when_following());
  run(service_->drain());
  run(scope.join());
  service_.reset();
}

TEST_F(ServiceTest, ASecondServiceInTheSameFolderIsTold) {
  options_.spec.tasks.count = 0;
  start();
  const auto second = make_service(options_, *network_, *launcher_, null_log());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::conflict);
  const std::string start =
      "the service 'demo' runs already (pid " + std::to_string(::getpid()) + ", since 20";
  EXPECT_TRUE(second.error().message().starts_with(start)) << second.error().message();
  EXPECT_TRUE(second.error().message().ends_with("; see berth status, or stop it with berth down"));
}

TEST_F(ServiceTest, TheStateFolderIsForItsOwnerAloneHoweverItWasMade) {
  options_.spec.tasks.count = 0;
  std::filesystem::create_directories(options_.state_directory);
  std::filesystem::permissions(options_.state_directory, std::filesystem::perms(0755));
  start();
  EXPECT_EQ(std::filesystem::status(options_.state_directory).permissions(), std::filesystem::perms(0700));
}

TEST_F(ServiceTest, AnOpenServiceListensOnLoopbackOnly) {
  options_.spec.listener.address = "0.0.0.0";
  const auto open = make_service(options_, *network_, *launcher_, null_log());
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code(), ErrorCode::permission_denied);
  EXPECT_TRUE(open.error().message().contains("add a key to auth.keys, or listen on 127.0.0.1"));
}

TEST_F(ServiceTest, AnUnusableStateFolderIsNamed) {
  options_.state_directory = "/proc/berth";
  auto service = make_service(options_, *network_, *launcher_, null_log());
  ASSERT_FALSE(service);
  EXPECT_TRUE(service.error().message().starts_with("the state folder is not usable: /proc/berth: "))
      << service.error().message();
  options_.state_directory = folder_ + "/file";
  ::close(::open(options_.state_directory.c_str(), O_CREAT | O_WRONLY, 0600));
  service = make_service(options_, *network_, *launcher_, null_log());
  EXPECT_EQ(service.error().message(),
            "the state folder is not usable: " + options_.state_directory + ": Not a directory");
}

TEST_F(ServiceTest, AFleetKeyThatOthersCanReadIsRefused) {
  options_.spec.tasks.count = 0;
  start();
  run(service_->drain());
  service_.reset();
  const std::string key = options_.state_directory + "/fleet.key";
  ::chmod(key.c_str(), 0644);
  const auto service = make_service(options_, *network_, *launcher_, null_log());
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().message(),
            "the fleet key " + key + " can be read by other users; delete it, and a new one is made");
}

TEST_F(ServiceTest, ASecondDrainKillsWhatDoesNotEnd) {
  options_.spec.tasks.count = 1;
  options_.task_command = {"/bin/sh", "-c", "trap '' TERM; echo deaf >&2; while :; do sleep 0.05; done",
                           "task"};
  start();
  const auto deaf = [this]() -> Task<void> {
    while (service_->status().tasks[0].last_words.empty()) co_await clock_->sleep_for(5ms);
  };
  run(deaf());
  TaskScope scope(loop_.get_executor());
  scope.spawn(service_->drain());
  loop_.restart();
  loop_.run_for(50ms);
  EXPECT_EQ(scope.size(), 1u);
  run(service_->drain());
  run(scope.join());
  service_.reset();
}

}  // namespace
}  // namespace berth::cluster
