#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "cli/connection.h"
#include "cli/testing/fake_context.h"
#include "cluster/service.h"
#include "model/testing/golden.h"

/// Verbs against a running service whose control API and front door are played by the test.
namespace berth::cli {
namespace {

using model::testing::expect_golden;
using testing::FakeService;
using testing::World;

cluster::ServiceStatus three_tasks(std::int64_t now_ms) {
  cluster::ServiceStatus status;
  status.service = "everything";
  status.pid = 4711;
  status.urls = {{"everything", "http://127.0.0.1:8080/mcp"}, {"everything", "https://localhost:8443/mcp"}};
  status.desired = 3;
  for (int i = 1; i <= 3; ++i) {
    cluster::TaskStatus task;
    task.id = std::to_string(i);
    task.zone = std::string(1, static_cast<char>('a' + i - 1));
    task.address = "127.0." + task.id + ".1:3000";
    task.phase = cluster::TaskPhase::running;
    task.health = "healthy";
    task.pid = 5000 + i;
    task.cpu = 0.01;
    task.memory_bytes = 12u << 20;
    task.started_unix_ms = now_ms - 65'000;
    status.tasks.push_back(task);
  }
  status.limits = "Limits are enforced by cgroup v2.";
  status.requests = 12;
  return status;
}

/// The output of connect with "RANDOM" for the names that it gives to clients.
std::string without_random_names(std::string text) {
  for (const std::string_view before : {"Berth-Client: ", "\"Berth-Client\": \""}) {
    std::size_t at = 0;
    while ((at = text.find(before, at)) != std::string::npos) {
      at += before.size();
      text.replace(at, 2 * client_bytes, "RANDOM");
    }
  }
  return text;
}

/// A world with berth.yaml, a control API and, at 127.0.0.1:8080, a front door.
class Running {
 public:
  explicit Running(std::string spec = "name: everything\nserver: {builtin: workspace}\n") {
    world.write("berth.yaml", spec);
    status = three_tasks(to_unix_ms(world.clock.wall()));
    control.answer = [this](const FakeService::Seen& request) {
      if (request.target == "/status") return http::json_response(200, cluster::to_json(status));
      if (request.target.starts_with("/logs"))
        return http::text_response(200, "{\"level\":\"info\",\"event\":\"hello\"}\nplain\n");
      return http::json_response(200, "{}");
    };
    front.answer = [](const FakeService::Seen&) { return http::text_response(404, ""); };
    world.serve({"unix:" + world.folder + "/.berth/control.sock", 0}, control);
    world.serve({"127.0.0.1", 8080}, front);
  }

  /// The front door answers MCP requests with these results, by method.
  void answer(std::map<std::string, std::string> results) {
    front.answer = [results](const FakeService::Seen& request) {
      boost::json::value message = boost::json::parse(request.body);
      std::string method(message.at("method").as_string());
      std::string id = boost::json::serialize(message.at("id"));
      auto found = results.find(method);
      if (found == results.end())
        return http::json_response(404, R"({"error":{"code":-32601,"message":"no such method"}})");
      return http::json_response(200,
                                 R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":)" + found->second + "}");
    };
  }

  World world;
  cluster::ServiceStatus status;
  FakeService control, front;
};

constexpr std::string_view tools = R"({"tools": [
  {"name": "echo", "description": "Says it back.\nMore.", "inputSchema": {"type": "object", "properties":
    {"message": {"type": "string", "x-mcp-header": "Message"},
     "times": {"type": "integer"}}, "required": ["message"]}},
  {"name": "whoami", "inputSchema": {"type": "object"}}], "resultType": "complete"})";

TEST(Status, shows_one_line_a_task) {
  Running running;
  EXPECT_EQ(running.world.run({"status"}), 0);
  expect_golden("status.txt", running.world.terminal.output);
}

TEST(Status, names_what_is_wrong_and_exits_with_6) {
  Running running;
  cluster::TaskStatus& task = running.status.tasks[1];
  task.health = "unhealthy";
  task.phase = cluster::TaskPhase::waiting;
  task.crash_loop = true;
  task.pid = 0;
  task.restarts = 5;
  task.reason = "It exited with code 1.";
  task.last_words = {"Error: Cannot find module 'x'", "\x1b[31m  at load"};
  EXPECT_EQ(running.world.run({"status"}), 6);
  expect_golden("status_unhealthy.txt", running.world.terminal.output);
}

TEST(Status, names_servers_that_are_silent_in_healthy_tasks_and_exits_with_6) {
  Running running;
  for (std::size_t i : {0u, 2u})
    running.status.tasks[i].servers = {{"good", true, ""}, {"bad", false, "Its last words: no key"}};
  EXPECT_EQ(running.world.run({"status"}), 6);
  EXPECT_TRUE(running.world.terminal.output.starts_with("everything  3 of 3 tasks healthy\n"));
  EXPECT_TRUE(running.world.terminal.output.contains(
      "  server bad does not answer in 2 of 3 tasks: Its last words: no key\n"))
      << running.world.terminal.output;
}

/// A service that answers once `berth up -d` has begun.
class Detached : public Running {
 public:
  Detached() {
    world.on_detach = [this] { began_ = true; };
    control.answer = [this, answer = control.answer](const FakeService::Seen& request) {
      return began_ ? answer(request) : http::text_response(503, "");
    };
  }
  bool was_stopped() const {
    return std::ranges::count(control.seen, "/down", &FakeService::Seen::target) > 0;
  }

 private:
  bool began_ = false;
};

TEST(UpDetached, ends_well_when_every_server_answers) {
  Detached running;
  EXPECT_EQ(running.world.run({"up", "-d"}), 0) << running.world.terminal.errors;
  EXPECT_FALSE(running.was_stopped());
}

TEST(UpDetached, leaves_the_good_servers_up_and_names_the_bad_one) {
  Detached running;
  running.status.tasks[0].servers = {{"good", true, ""}, {"bad", false, "Its last words: no key"}};
  EXPECT_EQ(running.world.run({"up", "-d"}), 6);
  EXPECT_FALSE(running.was_stopped());
  EXPECT_EQ(running.world.terminal.errors,
            "berth up: server bad does not answer in 1 of 3 tasks: Its last words: no key\n"
            "The rest is up, and Berth goes on trying.\n");
}

TEST(UpDetached, leaves_the_good_tasks_up) {
  Detached running;
  running.status.tasks[1].health = "unhealthy";
  EXPECT_EQ(running.world.run({"up", "-d"}), 6);
  EXPECT_FALSE(running.was_stopped());
  EXPECT_TRUE(running.world.terminal.errors.ends_with(
      "berth up: not every task became healthy.\nThe rest is up, and Berth goes on trying.\n"));
}

TEST(UpDetached, does_not_wait_for_servers_that_cannot_start) {
  Detached running;
  const TimePoint begin = running.world.clock.now();
  for (cluster::TaskStatus& task : running.status.tasks) {
    task.health = "initial";
    task.reason = "app: There is no command \"nodee\".";
    task.servers = {{.name = "app", .reason = task.reason, .refused = true}};
  }
  EXPECT_EQ(running.world.run({"up", "-d"}), 6);
  EXPECT_TRUE(running.was_stopped());
  EXPECT_LE(running.world.clock.now() - begin, std::chrono::seconds(2));
  EXPECT_TRUE(running.world.terminal.output.contains("There is no command \"nodee\"."));
}

TEST(UpDetached, waits_for_a_task_whose_servers_answer_until_its_health_check_does) {
  Detached running;
  running.status.tasks[2].health = "initial";
  running.status.tasks[2].servers = {{.name = "app", .ready = true, .reason = {}}};
  const TimePoint begin = running.world.clock.now();
  EXPECT_EQ(running.world.run({"up", "-d"}), 6);
  EXPECT_GE(running.world.clock.now() - begin, std::chrono::seconds(45));
}

TEST(UpDetached, that_is_taken_down_elsewhere_is_no_success) {
  Detached running;
  running.status.desired = 0;
  for (cluster::TaskStatus& task : running.status.tasks) task.health = "draining";
  EXPECT_EQ(running.world.run({"up", "-d"}), 4);
  EXPECT_EQ(running.world.terminal.errors,
            "berth up: another command stopped the service before it had come up.\n");
}

TEST(Status, of_a_service_that_is_taken_down_is_not_0) {
  Running running;
  running.status.desired = 0;
  running.status.tasks.clear();
  EXPECT_EQ(running.world.run({"status"}), 6);
}

TEST(Status, shows_shares_restarts_of_servers_and_what_is_not_separated) {
  Running running;
  running.status.cpu_limit = 0.5;
  running.status.memory_limit_bytes = 48u << 20;
  running.status.tasks[0].servers = {{.name = "git",
                                      .ready = true,
                                      .not_separated = "no Landlock",
                                      .restarts = 2,
                                      .oom_kills = 1,
                                      .homes = 2,
                                      .home_calls = 80,
                                      .busiest = "alice",
                                      .busiest_calls = 70,
                                      .holder = "alice",
                                      .holder_homes = 2,
                                      .states_lost = 2},
                                     {.name = "browser", .ready = true, .rests = true}};
  running.status.tasks[1].servers = {{.name = "git",
                                      .ready = true,
                                      .restarts = 3,
                                      .homes = 3,
                                      .home_calls = 20,
                                      .busiest = "bob",
                                      .busiest_calls = 9,
                                      .holder = "alice",
                                      .holder_homes = 2},
                                     {.name = "shell", .ready = true, .homes = 1},
                                     {.name = "browser", .ready = true, .homes = 2, .home_calls = 3}};
  running.status.urls.push_back({"everything", "https://mcp.example.com/mcp", true});
  running.status.hosts = {"mcp.example.com", "mcp.lan"};
  EXPECT_EQ(running.world.run({"status"}), 0);
  expect_golden("status_notes.txt", running.world.terminal.output);
}

TEST(Connect, gives_clients_the_address_outside) {
  Running running;
  running.status.urls.push_back({"everything", "https://mcp.example.com/mcp", true});
  EXPECT_EQ(running.world.run({"connect", "--client", "claude"}), 0);
  EXPECT_EQ(without_random_names(running.world.terminal.output),
            "claude mcp add --transport http everything https://mcp.example.com/mcp "
            "--header \"Berth-Client: RANDOM\"\n");
}

TEST(Connect, gives_each_client_a_name_of_its_own) {
  Running running;
  EXPECT_EQ(running.world.run({"connect"}), 0);
  const std::string& said = running.world.terminal.output;
  std::set<std::string> names;
  for (const std::string_view before : {"Berth-Client: ", "\"Berth-Client\": \""}) {
    for (std::size_t at = said.find(before); at != std::string::npos; at = said.find(before, at + 1))
      names.insert(said.substr(at + before.size(), 2 * client_bytes));
  }
  EXPECT_EQ(names.size(), 4u) << said;
}

TEST(Prompts, are_listed_and_got) {
  Running running;
  running.answer(
      {{"prompts/list", R"({"prompts": [{"name": "review", "description": "Reads code.", "arguments":
    [{"name": "code", "required": true}, {"name": "style"}]}]})"},
       {"prompts/get", R"({"messages": [{"role": "user", "content": {"type": "text", "text": "Look"}}]})"}});
  EXPECT_EQ(running.world.run({"prompts"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "  review(code, style?)\n      Reads code.\n");
  running.world.terminal.output.clear();
  EXPECT_EQ(running.world.run({"prompts", "review", "code=int x = 1"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "user: Look\n");
  const boost::json::value sent = boost::json::parse(running.front.seen.back().body);
  EXPECT_EQ(sent.at("params").at("arguments").at("code").as_string(), "int x = 1");
  EXPECT_EQ(running.front.seen.back().headers.get("Mcp-Name"), "review");
  EXPECT_EQ(running.world.run({"prompts", "review", "code"}), 2);
}

TEST(Resources, are_listed_with_templates_and_read) {
  Running running;
  running.answer(
      {{"resources/list", R"({"resources": [{"uri": "file:///a", "name": "a", "description": "One."}]})"},
       {"resources/templates/list",
        R"({"resourceTemplates": [{"uriTemplate": "db://{id}", "name": "row"}]})"},
       {"resources/read", R"({"contents": [{"uri": "file:///a", "text": "hello"}]})"}});
  EXPECT_EQ(running.world.run({"resources"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "  file:///a\n      a – One.\n  db://{id}\n      row\n");
  running.world.terminal.output.clear();
  EXPECT_EQ(running.world.run({"resources", "file:///a"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "hello\n");
  EXPECT_EQ(running.front.seen.back().headers.get("Mcp-Name"), "file:///a");
}

TEST(Resources, of_a_server_without_any_are_none) {
  Running running;
  running.answer({});
  EXPECT_EQ(running.world.run({"resources"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "  no resources\n");
}

TEST(ExitCode, is_2_for_servers_and_keys_that_are_not_there) {
  for (std::string verb : {"tools", "prompts", "resources"}) {
    Running running;
    EXPECT_EQ(running.world.run({verb, "--server", "x"}), 2) << verb;
    EXPECT_EQ(running.world.run({verb, "--key", "x"}), 2) << verb;
  }
}

TEST(UpDetached, stops_a_service_of_which_nothing_serves) {
  Detached running;
  for (cluster::TaskStatus& task : running.status.tasks) task.health = "unhealthy";
  EXPECT_EQ(running.world.run({"up", "-d"}), 6);
  EXPECT_TRUE(running.was_stopped());
}

TEST(Status, is_json_for_programs) {
  Running running;
  EXPECT_EQ(running.world.run({"status", "--json"}), 0);
  boost::json::value value = boost::json::parse(running.world.terminal.output);
  EXPECT_EQ(value.at("service").as_string(), "everything");
  EXPECT_EQ(value.at("tasks").as_array().size(), 3u);
}

TEST(Scale, asks_the_service_and_can_wait) {
  Running running;
  EXPECT_EQ(running.world.run({"scale", "3", "--wait"}), 0);
  EXPECT_EQ(running.control.seen[0].method, "POST");
  EXPECT_EQ(running.control.seen[0].target, "/scale");
  EXPECT_EQ(running.control.seen[0].body, R"({"count":3})");
}

TEST(Scale, shows_why_it_was_refused) {
  Running running;
  running.control.answer = [](const FakeService::Seen&) {
    return http::json_response(400, R"({"error":"invalid_argument","message":"No."})");
  };
  EXPECT_EQ(running.world.run({"scale", "5"}), 2);
  EXPECT_EQ(running.world.terminal.errors, "berth scale: No.\n");
}

TEST(Restart, ends_well_when_every_task_is_replaced) {
  Running running;
  running.status.rollout = {cluster::RolloutStatus::State::done, 1, {}, "The front door stays."};
  EXPECT_EQ(running.world.run({"restart"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.control.seen[0].target, "/restart");
  EXPECT_TRUE(
      running.world.terminal.errors.ends_with("Replaced 3 tasks.\nberth restart: The front door stays.\n"))
      << running.world.terminal.errors;
}

TEST(Restart, that_is_undone_says_why_and_exits_with_6) {
  Running running;
  running.status.rollout = {cluster::RolloutStatus::State::undone, 1, "git: no \x1b[31mtoken", {}};
  EXPECT_EQ(running.world.run({"restart"}), 6);
  EXPECT_TRUE(running.world.terminal.errors.contains("undone, the tasks of before go on serving. git: no "))
      << running.world.terminal.errors;
  EXPECT_FALSE(running.world.terminal.errors.contains('\x1b'));
}

TEST(Restart, with_mistakes_in_the_file_changes_nothing_and_exits_with_3) {
  Running running;
  running.control.answer = [](const FakeService::Seen&) {
    return http::json_response(400, R"({"error":"invalid_argument","message":"2:3: comand"})");
  };
  EXPECT_EQ(running.world.run({"restart"}), 3);
  EXPECT_TRUE(running.world.terminal.errors.ends_with("berth restart: 2:3: comand\n"))
      << running.world.terminal.errors;
}

TEST(Up, of_a_service_that_runs_says_so_and_exits_with_5) {
  Running running;
  EXPECT_EQ(running.world.run({"up"}), 5);
  EXPECT_EQ(running.world.terminal.errors,
            "berth up: everything is already up (pid 4711). `berth status` shows it, `berth down` stops it.\n"
            "What runs is what the file says.\n");
}

TEST(Up, of_a_service_that_runs_says_what_its_file_says_otherwise_and_what_takes_that) {
  Running running;
  running.control.answer = [answer = running.control.answer](const FakeService::Seen& request) {
    if (request.target != "/differences") return answer(request);
    EXPECT_TRUE(request.body.contains(R"("builtin": "workspace")")) << request.body;
    return http::json_response(
        200, R"({"keys": ["server.command", "tasks.count", "listener.http_port", "aws.waf"]})");
  };
  EXPECT_EQ(running.world.run({"up"}), 5);
  EXPECT_TRUE(running.world.terminal.errors.ends_with(
      "The file says otherwise now: `server.command`, `tasks.count`. `berth restart` takes that.\n"
      "It says otherwise, too, and `berth down`, then `berth up`, takes it: `listener.http_port`.\n"))
      << running.world.terminal.errors;
}

TEST(Logs, come_from_the_running_service) {
  Running running;
  EXPECT_EQ(running.world.run({"logs", "-f", "--task", "2", "-n", "7"}), 0);
  EXPECT_EQ(running.control.seen[0].target, "/logs?lines=7&follow=1&task=2");
  EXPECT_EQ(running.world.terminal.output, " info    hello\nplain\n");
}

TEST(Tools, are_listed_with_their_arguments) {
  Running running;
  running.answer({{"tools/list", std::string(tools)}});
  EXPECT_EQ(running.world.run({"tools"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "  echo(message, times?)\n      Says it back.\n  whoami()\n");
  const FakeService::Seen& request = running.front.seen[0];
  EXPECT_EQ(request.headers.get("Mcp-Method"), "tools/list");
  EXPECT_EQ(request.headers.get("MCP-Protocol-Version"), "2026-07-28");
}

TEST(Call, prints_the_text_and_sends_what_2026_07_28_asks_for) {
  Running running;
  running.answer(
      {{"tools/list", std::string(tools)},
       {"tools/call", R"({"content": [{"type": "text", "text": "hé"}], "resultType": "complete"})"}});
  EXPECT_EQ(running.world.run({"call", "echo", R"({"message": "hé"})"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "hé\n");
  const FakeService::Seen& request = running.front.seen.back();
  EXPECT_EQ(request.headers.get("Mcp-Name"), "echo");
  EXPECT_EQ(request.headers.get("Mcp-Param-Message"), "=?base64?aMOp?=");
  boost::json::value body = boost::json::parse(request.body);
  EXPECT_EQ(body.at("params").at("arguments").at("message").as_string(), "hé");
  EXPECT_EQ(body.at("params").at("_meta").at("io.modelcontextprotocol/protocolVersion").as_string(),
            "2026-07-28");
}

TEST(Call, takes_arguments_as_name_and_value) {
  Running running;
  running.answer({{"tools/list", std::string(tools)}, {"tools/call", R"({"content": []})"}});
  EXPECT_EQ(running.world.run({"call", "echo", "message=a b", "times=3"}), 0)
      << running.world.terminal.errors;
  boost::json::value body = boost::json::parse(running.front.seen.back().body);
  EXPECT_EQ(boost::json::serialize(body.at("params").at("arguments")), R"({"message":"a b","times":3})");
}

TEST(Call, leaves_a_text_as_it_is_where_the_tool_takes_a_text) {
  Running running;
  running.answer({{"tools/list", std::string(tools)}, {"tools/call", R"({"content": []})"}});
  EXPECT_EQ(running.world.run({"call", "echo", "message=007", "times=3"}), 0)
      << running.world.terminal.errors;
  boost::json::value body = boost::json::parse(running.front.seen.back().body);
  EXPECT_EQ(boost::json::serialize(body.at("params").at("arguments")), R"({"message":"007","times":3})");
  EXPECT_EQ(running.world.run({"call", "echo", "message=42"}), 0) << running.world.terminal.errors;
  body = boost::json::parse(running.front.seen.back().body);
  EXPECT_EQ(boost::json::serialize(body.at("params").at("arguments")), R"({"message":"42"})");
}

TEST(Call, of_a_tool_that_fails_exits_with_7) {
  Running running;
  running.answer(
      {{"tools/list", std::string(tools)},
       {"tools/call", R"({"content": [{"type": "text", "text": "no such key"}], "isError": true})"}});
  EXPECT_EQ(running.world.run({"call", "whoami"}), 7);
  EXPECT_EQ(running.world.terminal.output, "");
  EXPECT_EQ(running.world.terminal.errors, "The tool whoami failed:\nno such key\n");
}

TEST(Call, says_that_the_servers_state_was_lost) {
  Running running;
  running.answer({{"tools/list", std::string(tools)},
                  {"tools/call", R"({"content": [{"type": "text", "text": "nothing"}],
                    "_meta": {"berth/notice": "The server's process is new."}})"}});
  EXPECT_EQ(running.world.run({"call", "whoami"}), 0);
  EXPECT_EQ(running.world.terminal.output, "nothing\n");
  EXPECT_EQ(running.world.terminal.errors, "The server's process is new.\n");
}

TEST(Call, with_mistakes_has_precise_answers) {
  Running running;
  running.answer({{"tools/list", std::string(tools)}});
  EXPECT_EQ(running.world.run({"call", "ehco"}), 2);
  EXPECT_EQ(running.world.run({"call", "echo", "[1]"}), 2);
  EXPECT_EQ(running.world.run({"call", "echo", "a=1", "b"}), 2);
  EXPECT_EQ(running.world.run({"call", "echo", "a=1", "--timeout", "0"}), 2);
  EXPECT_EQ(running.world.run({"call", "echo", "--server", "other"}), 2);
  EXPECT_EQ(running.world.run({"call", "echo"}), 1);
  EXPECT_EQ(
      running.world.terminal.errors,
      "berth call: There is no tool \"ehco\"; did you mean echo?\n"
      "berth call: The arguments \"[1]\" are not a JSON object; write '{\"name\": \"value\"}' in single "
      "quotes, or "
      "name=value.\n"
      "berth call: \"b\" is not name=value; give one JSON object in single quotes, or several name=value.\n"
      "berth call: --timeout is \"0\"; it takes a whole number from 1 to 86400.\n"
      "berth call: There is no server \"other\"; there is everything.\n"
      "berth call: The server answered with error -32601: no such method\n");
}

TEST(Call, asks_the_user_what_the_tool_wants_to_know) {
  Running running;
  running.world.terminal.interactive = true;
  running.world.terminal.input = {"maybe", "yes", "", "12"};
  running.front.answer = [](const FakeService::Seen& request) {
    boost::json::value message = boost::json::parse(request.body);
    std::string result = R"({"resultType": "input_required", "requestState": "st", "inputRequests": {"q": {
      "method": "elicitation/create", "params": {"message": "Book it?", "requestedSchema": {
        "type": "object", "required": ["sure", "seats"], "properties": {
          "sure": {"type": "boolean", "title": "Sure"},
          "size": {"type": "string", "enum": ["S", "L"], "default": "S"},
          "seats": {"type": "integer"}}}}}}})";
    if (message.at("method").as_string() == "tools/list") result = std::string(tools);
    if (message.at("params").as_object().contains("inputResponses"))
      result = R"({"content": [{"type": "text", "text": "booked"}]})";
    return http::json_response(200, R"({"jsonrpc":"2.0","id":1,"result":)" + result + "}");
  };
  EXPECT_EQ(running.world.run({"call", "whoami"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.world.terminal.output, "booked\n");
  EXPECT_EQ(running.world.terminal.errors,
            "Book it?\n  sure – Sure (yes or no):   Please write yes or no.\n  sure – Sure (yes or no): "
            "  size (S, L) [\"S\"]:   seats: ");
  boost::json::value body = boost::json::parse(running.front.seen.back().body);
  EXPECT_EQ(boost::json::serialize(body.at("params").at("inputResponses")),
            R"({"q":{"action":"accept","content":{"sure":true,"size":"S","seats":12}}})");
  EXPECT_EQ(body.at("params").at("requestState").as_string(), "st");
}

TEST(Call, shows_progress_and_log_messages_while_it_waits) {
  Running running;
  running.answer({{"tools/list", std::string(tools)}});
  auto list = running.front.answer;
  running.front.answer = [list](const FakeService::Seen& request) {
    if (request.headers.get("Mcp-Method") == "tools/list") return list(request);
    http::Response response = http::text_response(
        200, R"(data: {"method":"notifications/progress","params":{"progress":1,"total":4}}

data: {"method":"notifications/message","params":{"level":"info","data":"half way"}}

data: {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"done"}]}}

)");
    response.headers.set("Content-Type", "text/event-stream");
    return response;
  };
  EXPECT_EQ(running.world.run({"call", "whoami"}), 0);
  EXPECT_EQ(running.world.terminal.errors, "… 1 of 4\n… info: half way\n");
  EXPECT_EQ(running.world.terminal.output, "done\n");
}

TEST(Call, whose_stream_breaks_says_that_its_effect_is_not_known) {
  Running running;
  running.answer({{"tools/list", std::string(tools)}});
  auto list = running.front.answer;
  running.front.answer = [list](const FakeService::Seen& request) {
    if (request.headers.get("Mcp-Method") == "tools/list") return list(request);
    http::Response response = http::text_response(200, "data: {\"method\": \"x\"}\n\n");
    response.headers.set("Content-Type", "text/event-stream");
    return response;
  };
  EXPECT_EQ(running.world.run({"call", "whoami"}), 1);
  EXPECT_TRUE(running.world.terminal.errors.ends_with("Whether the call took effect is not known.\n"));
}

TEST(Call, sends_the_key_that_the_spec_names) {
  Running running(
      "server: {builtin: workspace}\nauth: {keys: [{name: alice, env: ALICE}, {name: bob, env: BOB}]}\n");
  running.answer({{"tools/list", std::string(tools)}, {"tools/call", R"({"content": []})"}});
  EXPECT_EQ(running.world.run({"call", "whoami"}), 3);
  EXPECT_EQ(running.world.terminal.errors,
            "berth call: The key \"alice\" is read from the environment variable ALICE, which is not set; "
            "export ALICE=… "
            "first.\n");
  running.world.environment["BOB"] = "s3cret";
  EXPECT_EQ(running.world.run({"call", "whoami", "--key", "bob"}), 0) << running.world.terminal.errors;
  EXPECT_EQ(running.front.seen.back().headers.get("Authorization"), "Bearer s3cret");
}

TEST(Connect, prints_what_each_client_needs) {
  Running running;
  EXPECT_EQ(running.world.run({"connect"}), 0);
  expect_golden("connect.txt", without_random_names(running.world.terminal.output));
}

TEST(Connect, refers_to_keys_and_never_shows_them) {
  Running running("server: {builtin: workspace}\nauth: {keys: [{name: alice, env: ALICE}]}\n");
  running.world.environment["ALICE"] = "s3cret";
  EXPECT_EQ(running.world.run({"connect"}), 0);
  expect_golden("connect_key.txt", without_random_names(running.world.terminal.output));
  EXPECT_FALSE(running.world.terminal.output.contains("s3cret"));
}

TEST(Doctor, names_the_first_broken_link) {
  Running running;
  running.status.urls.pop_back();
  running.answer({{"tools/list", std::string(tools)}});
  EXPECT_EQ(running.world.run({"doctor"}), 6);
  expect_golden("doctor_tasks.txt", running.world.terminal.output);
}

TEST(Doctor, finds_every_link_whole) {
  Running running;
  running.status.urls.pop_back();
  running.answer({{"tools/list", std::string(tools)}});
  auto mcp = running.front.answer;
  running.front.answer = [mcp](const FakeService::Seen& request) {
    return request.method == "GET" ? http::text_response(200, "ok") : mcp(request);
  };
  for (std::string zone : {"1", "2", "3"}) running.world.serve({"127.0." + zone + ".1", 3000}, running.front);
  EXPECT_EQ(running.world.run({"doctor"}), 0);
  expect_golden("doctor.txt", running.world.terminal.output);
}

TEST(Doctor, of_a_service_that_does_not_run_says_what_to_do) {
  World world;
  world.write("berth.yaml", "nmae: x\nserver: {builtin: workspace}\n");
  EXPECT_EQ(world.run({"doctor"}), 3);
  EXPECT_TRUE(world.terminal.output.ends_with(
      "The first broken link is spec: Repair the lines named; `berth validate` checks again.\n"))
      << world.terminal.output;
}

}  // namespace
}  // namespace berth::cli
