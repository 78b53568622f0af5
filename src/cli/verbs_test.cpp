#include "cli/verbs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "cli/testing/fake_context.h"
#include "cli/text.h"
#include "model/parse.h"
#include "model/testing/golden.h"

namespace berth::cli {
namespace {

using model::testing::expect_golden;
using testing::World;

TEST(Help, shows_every_verb_on_one_screen) {
  World world;
  world.terminal.width = 80;
  EXPECT_EQ(world.run({"help"}), 0);
  const std::string& text = world.terminal.output;
  expect_golden("help.txt", text);
  // One row of 24 is the prompt's.
  EXPECT_LE(std::ranges::count(text, '\n'), 23);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    EXPECT_LE(display_width(text.substr(at, text.find('\n', at) - at)), 80u);
  for (const Verb& verb : verbs()) {
    if (!verb.hidden) EXPECT_TRUE(text.contains(verb.name)) << verb.name;
  }
}

TEST(Help, tells_what_exit_codes_mean) {
  World world;
  world.terminal.width = 80;
  EXPECT_EQ(world.run({"help", "exit-codes"}), 0);
  expect_golden("help_exit_codes.txt", world.terminal.output);
  EXPECT_TRUE(model::testing::repository_file("docs/cli.md").contains(world.terminal.output));
}

/// A verb and the words that it needs.
const std::vector<std::vector<std::string>> lines_about_a_service{
    {"up"},        {"status"},   {"logs"},    {"tools"},      {"call", "x"}, {"prompts"},
    {"resources"}, {"connect"},  {"restart"}, {"scale", "2"}, {"down"},      {"plan"},
    {"deploy"},    {"rollback"}, {"destroy"}, {"traces"},     {"template"},  {"cost"},
    {"audit"},     {"diagram"},  {"doctor"},  {"validate"}};

TEST(ExitCode, is_3_for_every_verb_where_there_is_no_file) {
  for (const std::vector<std::string>& words : lines_about_a_service) {
    World world;
    EXPECT_EQ(world.run(words), 3) << words[0] << ": " << world.terminal.errors;
    std::vector<std::string> named = words;
    named.insert(named.end(), {"--file", "none.yaml"});
    EXPECT_EQ(world.run(named), 3) << words[0] << ": " << world.terminal.errors;
    named = words;
    named.insert(named.begin(), "--file=none.yaml");
    EXPECT_EQ(world.run(named), 3) << words[0] << ": " << world.terminal.errors;
  }
}

TEST(ExitCode, is_2_for_every_verb_with_an_option_that_is_not_there) {
  for (const Verb& verb : verbs()) {
    World world;
    EXPECT_EQ(world.run({std::string(verb.name), "--frobnicate"}), 2) << verb.name;
  }
}

TEST(CommandLine, takes_the_file_before_and_after_the_verb) {
  const std::vector<std::vector<std::string>> lines{{"--file", "sub/other.yaml", "validate"},
                                                    {"--file=sub/other.yaml", "validate"},
                                                    {"validate", "--file", "sub/other.yaml"},
                                                    {"validate", "sub/other.yaml"}};
  for (const std::vector<std::string>& words : lines) {
    World world;
    world.write("sub/other.yaml", "server: {builtin: workspace}\n");
    EXPECT_EQ(world.run(words), 0) << world.terminal.errors;
    EXPECT_TRUE(world.terminal.output.starts_with("sub/other.yaml is valid"));
  }
}

TEST(Help, of_a_verb_shows_its_options) {
  World world;
  EXPECT_EQ(world.run({"help", "call"}), 0);
  expect_golden("help_call.txt", world.terminal.output);
  World same;
  EXPECT_EQ(same.run({"call", "--help"}), 0);
  EXPECT_EQ(same.terminal.output, world.terminal.output);
}

TEST(Help, exists_for_every_verb_and_every_verb_runs) {
  for (const Verb& verb : verbs()) {
    World world;
    EXPECT_EQ(world.run({"help", std::string(verb.name)}), 0) << verb.name;
    EXPECT_NE(verb.run, nullptr) << verb.name;
    EXPECT_FALSE(verb.summary.empty()) << verb.name;
  }
}

struct Line {
  std::vector<std::string> words;
  std::string errors;
};

TEST(CommandLine, with_a_mistake_is_answered_with_what_was_meant) {
  const Line lines[] = {
      {{"stauts"}, "berth: there is no verb \"stauts\"; did you mean `berth status`?\n"},
      {{"frobnicate"}, "berth: there is no verb \"frobnicate\"; `berth help` lists what it can do.\n"},
      {{"ps"}, "berth: there is no verb \"ps\"; did you mean `berth status`?\n"},
      {{"stop"}, "berth: there is no verb \"stop\"; did you mean `berth down`?\n"},
      {{"help", "sttus"}, "berth: there is no verb \"sttus\"; did you mean `berth status`?\n"},
      {{"status", "--jsn"},
       "berth status: there is no option --jsn; did you mean --json?\n"
       "Usage: berth status [--json] [--on aws|here]\n"},
      {{"status", "now"},
       "berth status: \"now\" is one word too many.\n"
       "Usage: berth status [--json] [--on aws|here]\n"},
      {{"logs", "--task"},
       "berth logs: --task needs a value: --task N.\n"
       "Usage: berth logs [-f] [--task N] [-n N] [--since TIME] [--on aws|here]\n"},
      {{"logs", "-n"},
       "berth logs: -n needs a value: -n N.\n"
       "Usage: berth logs [-f] [--task N] [-n N] [--since TIME] [--on aws|here]\n"},
      {{"logs", "-x"},
       "berth logs: there is no option -x.\n"
       "Usage: berth logs [-f] [--task N] [-n N] [--since TIME] [--on aws|here]\n"},
      {{"logs", "-n", "many"},
       "berth logs: --lines is \"many\"; it takes a whole number from 0 to 100000.\n"},
      {{"status", "--json=1"},
       "berth status: --json takes no value.\n"
       "Usage: berth status [--json] [--on aws|here]\n"},
      {{"down", "--", "x"}, "berth down: nothing may follow -- here.\nUsage: berth down\n"},
      {{"scale"}, "berth scale: say how many tasks: berth scale 5\n"},
      {{"scale", "lots"},
       "berth scale: the number of tasks is \"lots\"; it takes a whole number from 1 to 64.\n"},
      {{"call"},
       "berth call: name the tool: berth call echo '{\"message\": \"hi\"}'. `berth tools` lists them.\n"},
      {{"connect", "--client", "curser"},
       "berth connect: there is no client \"curser\"; did you mean cursor?\n"},
      {{"\x1b[31mred"},
       "berth: there is no verb \"\xef\xbf\xbd[31mred\"; `berth help` lists what it can do.\n"},
  };
  for (const Line& line : lines) {
    World world;
    EXPECT_EQ(world.run(line.words), 2) << line.errors;
    EXPECT_EQ(world.terminal.errors, line.errors);
    EXPECT_EQ(world.terminal.output, "");
  }
}

/// A task whose /healthz answers with that status.
class FakeTask final : public http::Service {
 public:
  Task<void> serve(http::Exchange& exchange) override {
    seen = exchange.head().target;
    auto response = http::json_response(status, "{}");
    if (status != 0) co_await exchange.respond(std::move(response));
    if (status == 0) co_await clock->sleep_for(std::chrono::hours(1));
  }
  int status = 200;
  std::string seen;
  Clock* clock = nullptr;
};

TEST(Health, is_of_the_task_that_this_environment_describes) {
  World world;
  FakeTask task;
  task.clock = &world.clock;
  world.serve({"127.0.0.1", 3000}, task);
  world.serve({"127.0.1.1", 4000}, task);
  EXPECT_EQ(world.run({"health"}), 0) << world.terminal.errors;
  EXPECT_EQ(task.seen, "/healthz");
  world.environment["BERTH_LISTEN"] = "0.0.0.0:3000";
  EXPECT_EQ(world.run({"health"}), 0) << world.terminal.errors;
  world.environment["BERTH_LISTEN"] = "127.0.1.1:4000";
  EXPECT_EQ(world.run({"health"}), 0) << world.terminal.errors;
  EXPECT_EQ(world.run({"health", "http://127.0.0.1:3000/readyz"}), 0);
  EXPECT_EQ(task.seen, "/readyz");
  EXPECT_EQ(world.terminal.output + world.terminal.errors, "");
}

TEST(Health, of_a_task_that_does_not_answer_well_is_1) {
  World world;
  EXPECT_EQ(world.run({"health"}), 1);
  EXPECT_NE(world.terminal.errors.find("berth health: http://127.0.0.1:3000/healthz: "), std::string::npos);
  FakeTask task;
  task.clock = &world.clock;
  world.serve({"127.0.0.1", 3000}, task);
  task.status = 503;
  EXPECT_EQ(world.run({"health"}), 1);
  EXPECT_NE(world.terminal.errors.find("it answered HTTP 503"), std::string::npos) << world.terminal.errors;
  EXPECT_EQ(world.run({"health", "nonsense"}), 1);
  const TimePoint before = world.clock.now();
  task.status = 0;
  EXPECT_EQ(world.run({"health"}), 1);
  EXPECT_EQ(world.clock.now() - before, std::chrono::seconds(2)) << "no longer than that";
}

TEST(Version, is_printed) {
  World world;
  EXPECT_EQ(world.run({"--version"}), 0);
  EXPECT_TRUE(world.terminal.output.starts_with("berth 0.")) << world.terminal.output;
}

TEST(Up, in_a_folder_without_berth_yaml_names_berth_init) {
  World world;
  EXPECT_EQ(world.run({"up"}), 3);
  EXPECT_EQ(world.terminal.errors,
            "berth up: There is no berth.yaml in " + world.folder +
                " or above it.\n\n"
                "  berth init                    looks at this folder and writes one\n"
                "  berth init -- COMMAND ARGS…   for an MCP server started by that command\n"
                "  berth up .mcp.json            takes a client's own file as it is\n");
  World named;
  EXPECT_EQ(named.run({"up", "other.yaml"}), 3);
  EXPECT_EQ(named.terminal.errors,
            "berth up: There is no file other.yaml. Check the path, or make one with `berth init`.\n");
}

TEST(Up, with_mistakes_in_berth_yaml_prints_them_all_and_starts_nothing) {
  World world;
  world.write("berth.yaml", "nmae: x\nserver: {builtin: workspce}\n");
  EXPECT_EQ(world.run({"up"}), 3);
  EXPECT_EQ(world.terminal.errors,
            "berth.yaml:1:1: \"nmae\" is not a key of this file; did you mean \"name\"?\n"
            "berth.yaml:2:19: server.builtin is \"workspce\"; did you mean \"workspace\"?\n");
}

TEST(Up, without_the_secret_of_a_key_says_which_variable_is_missing) {
  World world;
  world.write("berth.yaml", "server: {builtin: workspace}\nauth: {keys: [{name: alice, env: ALICE}]}\n");
  EXPECT_EQ(world.run({"up", "-d"}), 3);
  EXPECT_EQ(world.terminal.errors,
            "berth up: The key \"alice\" is read from the environment variable ALICE, which is not set; "
            "export ALICE=… "
            "first.\n");
}

TEST(Validate, says_what_a_good_file_describes) {
  World world;
  world.write("berth.yaml", "server: {builtin: workspace}\n");
  EXPECT_EQ(world.run({"validate"}), 0);
  EXPECT_EQ(world.terminal.output,
            "berth.yaml is valid: service app, 3 tasks in zones a, b, c, server app.\n");
}

TEST(Validate, prints_every_mistake_for_people_and_programs) {
  World world;
  world.write("berth.yaml", "nmae: x\nserver: {builtin: workspace}\n");
  EXPECT_EQ(world.run({"validate"}), 3);
  EXPECT_EQ(world.terminal.output,
            "berth.yaml:1:1: \"nmae\" is not a key of this file; did you mean \"name\"?\n");
  EXPECT_EQ(world.terminal.errors, "1 problem in berth.yaml.\n");
  world.terminal.output.clear();
  EXPECT_EQ(world.run({"validate", "--json"}), 3);
  EXPECT_EQ(world.terminal.output, R"({
  "valid": false,
  "problems": [
    {
      "file": "berth.yaml",
      "line": 1,
      "column": 1,
      "message": "\"nmae\" is not a key of this file; did you mean \"name\"?"
    }
  ]
}
)");
}

TEST(Validate, of_an_editors_file_counts_from_the_workspace) {
  World world;
  world.write(".env", "TOKEN=t");
  world.write(
      ".vscode/mcp.json",
      R"({"servers": {"a.b": {"command": "node", "args": ["x"], "envFile": "${workspaceFolder}/.env"}}})");
  EXPECT_EQ(world.run({"validate", ".vscode/mcp.json"}), 0) << world.terminal.output;
  EXPECT_EQ(world.terminal.output,
            ".vscode/mcp.json is valid: service app, 3 tasks in zones a, b, c, server a-b.\n");
  EXPECT_EQ(world.terminal.errors, "The server \"a.b\" is a-b here and in its URL.\n");
}

TEST(Up, says_which_keys_do_nothing_here) {
  World world;
  world.write("berth.yaml",
              "server: {builtin: workspace}\nscaling: {max: 6}\naws: {waf: true}\nauth: {keys: [{name: "
              "alice, env: ALICE}]}\n");
  EXPECT_EQ(world.run({"up", "-d"}), 3);
  EXPECT_TRUE(world.terminal.errors.starts_with(
      "berth up: `aws`, `scaling` mean nothing here: that is for `berth deploy`.\n"
      "berth up: 3 tasks run whatever the load; `berth scale` changes that.\n"))
      << world.terminal.errors;
}

TEST(Up, says_how_others_reach_a_listener_that_they_can_reach) {
  World world;
  world.environment["ALICE"] = "twenty-characters-ok";
  const std::string spec = "server: {builtin: workspace}\nauth: {keys: [{name: alice, env: ALICE}]}\n";
  world.write("berth.yaml", spec + "listener: {address: 0.0.0.0}\n");
  world.run({"up", "-d"});
  EXPECT_TRUE(
      world.terminal.errors.contains("`listener.hosts` names no host, so the certificate is for localhost"))
      << world.terminal.errors;
  World clear;
  clear.environment = world.environment;
  clear.write("berth.yaml", spec + "listener: {address: 0.0.0.0, https: false}\n");
  clear.run({"up", "-d"});
  EXPECT_TRUE(
      clear.terminal.errors.contains("without HTTPS, keys and calls cross the network to 0.0.0.0 readable"))
      << clear.terminal.errors;
}

TEST(Up, takes_only_what_it_is_told_of_several_servers) {
  World world;
  world.write("berth.yaml", "servers: {a: {builtin: workspace}}\n");
  EXPECT_EQ(world.run({"up", "--only", "a,c"}), 3);
  EXPECT_EQ(world.terminal.errors, "berth.yaml: there is no server \"c\" to take.\n");
}

TEST(Validate, reads_the_keys_and_wants_good_ones_where_others_can_reach_them) {
  World world;
  const std::string keys = "server: {builtin: workspace}\nauth: {keys: [{name: bob, env: BOB}]}\n";
  world.write("berth.yaml", keys);
  EXPECT_EQ(world.run({"validate"}), 3);
  EXPECT_NE(world.terminal.output.find("BOB, which is not set"), std::string::npos) << world.terminal.output;
  world.environment["BOB"] = "nineteen-characters";
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
  world.write("berth.yaml", keys + "listener: {address: 0.0.0.0}\n");
  EXPECT_EQ(world.run({"validate"}), 3);
  EXPECT_NE(world.terminal.output.find("The key \"bob\" has fewer than 20 characters"), std::string::npos);
  EXPECT_EQ(world.terminal.output.find("nineteen-characters"), std::string::npos);
  EXPECT_EQ(world.run({"up", "-d"}), 3);
  world.environment["BOB"] = "twenty-characters-ok";
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
}

TEST(Validate, wants_key_files_that_others_cannot_read) {
  World world;
  world.write("berth.yaml",
              "server: {builtin: workspace}\nauth: {keys: [{name: bob, file: bob.key}]}\n"
              "listener: {address: 0.0.0.0}\n");
  world.write("bob.key", "twenty-characters-ok\n");
  const std::string file = world.folder + "/bob.key";
  ASSERT_EQ(::chmod(file.c_str(), 0640), 0);
  EXPECT_EQ(world.run({"validate"}), 3);
  EXPECT_NE(world.terminal.output.find("which other users can read; chmod 600 "), std::string::npos);
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
}

TEST(Validate, finds_the_file_in_a_folder_above) {
  World world;
  world.write("berth.yaml", "server: {builtin: workspace}\n");
  world.write("deep/er/x", "");
  world.folder += "/deep/er";
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.errors;
  world.folder.resize(world.folder.size() - 8);
}

TEST(VerbsOfARunningService, say_when_it_is_not_running) {
  const std::vector<std::vector<std::string>> lines{{"status"},    {"restart"},   {"down"},      {"tools"},
                                                    {"connect"},   {"logs"},      {"call", "x"}, {"prompts"},
                                                    {"resources"}, {"scale", "2"}};
  for (const std::vector<std::string>& words : lines) {
    World world;
    world.write("berth.yaml", "server: {builtin: workspace}\n");
    EXPECT_EQ(world.run(words), 4) << words[0];
    EXPECT_EQ(world.terminal.errors, "berth " + words[0] + ": The service in " + world.folder +
                                         " is not running; start it with `berth up`.\n");
  }
}

TEST(Logs, mark_where_a_task_starts_and_write_numbers_for_people) {
  World world;
  world.write("berth.yaml", "server: {builtin: workspace}\n");
  world.write(".berth/logs/task-1.jsonl",
              "{\"time\":\"2026-11-22T10:00:01.000Z\",\"level\":\"info\",\"event\":\"task_started\","
              "\"task\":\"1\",\"message\":\"pid 42\"}\n"
              "{\"time\":\"2026-11-22T10:00:02.000Z\",\"level\":\"info\",\"event\":\"call\",\"task\":\"1\","
              "\"seconds\":0.05,\"bytes\":12500000,\"share\":2.5e-4}\n");
  EXPECT_EQ(world.run({"logs"}), 0) << world.terminal.errors;
  EXPECT_EQ(world.terminal.output,
            "── 2026-11-22 10:00:01 task 1 starts: pid 42 ──\n"
            "10:00:02.000 1 info    call seconds=0.05 bytes=12500000 share=0.00025\n");
}

TEST(Logs, of_a_service_that_does_not_run_come_from_its_files) {
  World world;
  world.write("berth.yaml", "server: {builtin: workspace}\n");
  world.write(".berth/logs/task-1.jsonl",
              "{\"time\":\"2026-11-22T10:00:01.000Z\",\"level\":\"info\",\"event\":\"one\",\"task\":\"1\","
              "\"zone\":\"a\"}\n"
              "{\"time\":\"2026-11-22T10:00:03.000Z\",\"level\":\"error\",\"event\":\"three\",\"task\":\"1\","
              "\"why\":\"a b\"}\n");
  world.write(".berth/logs/task-2.jsonl",
              "{\"time\":\"2026-11-22T10:00:02.000Z\",\"level\":\"info\",\"event\":\"two\",\"task\":\"2\","
              "\"n\":5}\n");
  EXPECT_EQ(world.run({"logs"}), 0) << world.terminal.errors;
  EXPECT_EQ(world.terminal.output,
            "10:00:01.000 1/a info    one\n10:00:02.000 2 info    two n=5\n"
            "10:00:03.000 1 error   three why=\"a b\"\n");
  world.terminal.output.clear();
  EXPECT_EQ(world.run({"logs", "--task", "2", "--json"}), 0);
  EXPECT_EQ(world.terminal.output,
            "{\"time\":\"2026-11-22T10:00:02.000Z\",\"level\":\"info\",\"event\":\"two\",\"task\":\"2\","
            "\"n\":5}\n");
}

// ---- init ----

/// berth.yaml that init writes in a folder with `files`; also checks that it is valid.
std::string written(const std::vector<std::pair<std::string, std::string>>& files,
                    std::vector<std::string> words = {"init"}) {
  World world;
  for (const auto& [name, text] : files) world.write(name, text);
  EXPECT_EQ(world.run(words), 0) << world.terminal.errors;
  std::string text = world.read("berth.yaml");
  model::SpecReading reading = model::read_spec(
      {.text = text, .file = "berth.yaml", .directory = "/app", .environment = {{"TOKEN", "x"}}});
  for (const model::Problem& problem : reading.problems) ADD_FAILURE() << to_string(problem, text);
  return text + "--- said ---\n" + world.terminal.errors;
}

TEST(Init, of_a_node_package_runs_its_bin) {
  expect_golden("init_node.txt",
                written({{"package.json", R"({"name": "x", "bin": {"x": "./dist/index.js"}, "dependencies":
    {"@modelcontextprotocol/sdk": "1"}, "scripts": {"build": "tsc"}})"},
                         {"node_modules/.x", ""}}));
}

TEST(Init, of_a_python_project_runs_its_script) {
  expect_golden(
      "init_python.txt",
      written({{"pyproject.toml", "[project]\nname = \"w\"\n\n[project.scripts]\nweather = \"w:main\"\n"}}));
}

TEST(Init, takes_over_what_a_client_has_and_keeps_references_to_secrets) {
  expect_golden(
      "init_client.txt",
      written({{".mcp.json", R"({"mcpServers": {"files": {"command": "npx", "args": ["-y", "fs", "."]},
    "web": {"type": "http", "url": "https://e.example/mcp",
      "headers": {"Authorization": "Bearer ${TOKEN}"}}}})"}}));
}

TEST(Init, finds_how_the_server_of_a_folder_is_started) {
  struct Folder {
    std::vector<std::pair<std::string, std::string>> files;
    std::string command;
  };
  const Folder folders[] = {
      {{{"pyproject.toml", "[project]\nname = \"w\"\n"}, {"src/w/__main__.py", ""}},
       "[uv, run, python, -m, w]"},
      {{{"pyproject.toml", "[project]\nname = \"w\"\n"},
        {"weather.py", "mcp = FastMCP('w')\n"},
        {"a.py", ""}},
       "[uv, run, python, weather.py]"},
      {{{"pyproject.toml", "[tool.poetry.scripts]\nweather = \"w:main\"\n"}}, "[poetry, run, weather]"},
      {{{"requirements.txt", "mcp\n"}, {"weather.py", "from mcp.server import Server\n"}},
       "[python3, weather.py]"},
      {{{"go.mod", "module example.com/tools\n"}, {"cmd/admin/main.go", ""}, {"cmd/tools/main.go", ""}},
       "[go, run, ./cmd/tools]"},
      {{{"go.mod", "module x\n"}, {"main.go", ""}, {"cmd/other/main.go", ""}}, "[go, run, \".\"]"},
      {{{"deno.json", "{\"tasks\": {\"start\": \"deno run main.ts\"}}"}}, "[deno, task, start]"},
      {{{"deno.jsonc", "{/* c */ \"exports\": \"./mod.ts\",}"}}, "[deno, run, -A, mod.ts]"},
      {{{"package.json", R"({"name": "@me/tool", "bin": {"helper": "h.js", "tool": "./t.js"}})"}},
       "[node, t.js]"},
      {{{"manifest.json", R"({"server": {"type": "node", "entry_point": "s.js", "mcp_config":
         {"command": "node", "args": ["${__dirname}/s.js"], "env": {"K": "${user_config.api_key}"}}}})"}},
       "[node, ./s.js]\n  env: {K: \"${API_KEY}\"}"},
  };
  for (const Folder& folder : folders) {
    World world;
    for (const auto& [name, text] : folder.files) world.write(name, text);
    EXPECT_EQ(world.run({"init"}), 0) << world.terminal.errors;
    EXPECT_TRUE(world.read("berth.yaml").contains("\n  command: " + folder.command + "\n"))
        << world.read("berth.yaml");
  }
}

TEST(Init, takes_over_files_inputs_and_folders_of_an_editor) {
  World world;
  world.write(".vscode/mcp.json", R"({"inputs": [{"id": "key", "password": true}], "servers": {"a.b": {
    "command": "node", "args": ["${workspaceFolder}/s.js", "--key=${input:key}"],
    "env": {"R": "${env:REGION}"}, "envFile": "${workspaceFolder}/.env"}}})");
  EXPECT_EQ(world.run({"init"}), 0) << world.terminal.errors;
  EXPECT_TRUE(world.read("berth.yaml")
                  .contains("  a-b:\n    command: [sh, -c, \"exec node ./s.js --key=\\\"$key\\\"\"]\n"
                            "    env: {R: \"${env:REGION}\", key: \"${key}\"}\n    env_file: .env\n"))
      << world.read("berth.yaml");
  EXPECT_TRUE(world.terminal.errors.contains("The server \"a.b\" is a-b here and in its URL.\n"));
  EXPECT_TRUE(world.terminal.errors.contains("  export key=…")) << world.terminal.errors;
  world.environment.insert({{"key", "k"}, {"REGION", "r"}});
  world.write(".env", "MORE=m\n");
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
}

TEST(Init, takes_the_command_after_the_dashes) {
  expect_golden("init_command.txt", written({}, {"init", "--", "node", "my server.js", "--flag", "3"}));
}

TEST(Init, declares_the_state_of_servers_that_are_known_to_hold_some) {
  World world;
  EXPECT_EQ(world.run({"init", "--", "npx", "-y", "@playwright/mcp@1.2.3", "--isolated"}), 0);
  EXPECT_TRUE(world.read("berth.yaml").contains("\"]\n  state: process  ") ||
              world.read("berth.yaml").contains("--isolated]\n  state: process  "))
      << world.read("berth.yaml");
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
  World other;
  other.write(".mcp.json", R"({"mcpServers": {"shell": {"command": "npx", "args": ["desktop-commander"]},
    "mine": {"command": "node", "args": ["/home/me/playwright/s.js"]}}})");
  EXPECT_EQ(other.run({"init"}), 0) << other.terminal.errors;
  const std::string written = other.read("berth.yaml");
  EXPECT_TRUE(written.contains("command: [npx, desktop-commander]\n    state: process\n")) << written;
  EXPECT_TRUE(written.contains("playwright/s.js]\n\n")) << written;
}

TEST(Init, gives_one_process_to_servers_that_end_each_other) {
  const auto isolation = [](const std::vector<std::string>& words) {
    World world;
    std::vector<std::string> line{"init", "--", "npx"};
    line.insert(line.end(), words.begin(), words.end());
    EXPECT_EQ(world.run(line), 0) << world.terminal.errors;
    EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
    return world.read("berth.yaml").contains("\n  isolation: service  ");
  };
  EXPECT_TRUE(isolation({"@playwright/mcp@1.2.3"}));
  EXPECT_FALSE(isolation({"@playwright/mcp@1.2.3", "--isolated"}));
  EXPECT_TRUE(isolation({"@browsermcp/mcp"}));
  EXPECT_FALSE(isolation({"some-server"}));
}

TEST(Validate, says_what_one_process_for_all_tasks_means) {
  World world;
  world.write("berth.yaml", "server: {command: [node, s.js], isolation: service}\n");
  EXPECT_EQ(world.run({"validate"}), 0) << world.terminal.output;
  EXPECT_TRUE(world.terminal.output.contains("one process in one task, to which the"))
      << world.terminal.output;
  world.terminal.output.clear();
  world.write("berth.yaml", "server: {url: \"http://127.0.0.1:1/mcp\", isolation: service}\n");
  EXPECT_EQ(world.run({"validate"}), 3);
  EXPECT_TRUE(world.terminal.output.contains("server.isolation: service is only used with command"))
      << world.terminal.output;
}

TEST(Init, of_a_dockerfile_runs_its_image) {
  expect_golden("init_docker.txt", written({{"Dockerfile", "FROM scratch\n"}}));
}

TEST(Init, of_an_empty_folder_runs_the_built_in_server) { expect_golden("init_empty.txt", written({})); }

TEST(Init, never_replaces_a_file_unasked) {
  World world;
  world.write("berth.yaml", "mine");
  EXPECT_EQ(world.run({"init"}), 1);
  EXPECT_EQ(world.read("berth.yaml"), "mine");
  EXPECT_EQ(world.terminal.errors,
            "berth init: berth.yaml is there already; --force replaces it, --print shows what "
            "would be written.\n");
  EXPECT_EQ(world.run({"init", "--force"}), 0);
  EXPECT_NE(world.read("berth.yaml"), "mine");
}

TEST(Init, names_what_is_wrong_with_a_file_it_looks_at) {
  World world;
  world.write("package.json", "{broken");
  EXPECT_EQ(world.run({"init"}), 1);
  EXPECT_EQ(world.terminal.errors,
            "berth init: package.json is not a JSON object; repair it, or name the command: berth "
            "init -- COMMAND ARGS…\n");
}

}  // namespace
}  // namespace berth::cli
