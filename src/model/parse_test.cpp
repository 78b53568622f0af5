#include "model/parse.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/difference.h"
#include "model/inherited.h"
#include "model/testing/golden.h"

namespace berth::model {
namespace {

SpecSource source(std::string text, std::map<std::string, std::string> environment = {}) {
  return {.text = std::move(text),
          .file = "berth.yaml",
          .directory = "/work/my app",
          .environment = std::move(environment)};
}

Spec good(std::string text, std::map<std::string, std::string> environment = {}) {
  SpecReading reading = read_spec(source(std::move(text), std::move(environment)));
  for (const Problem& problem : reading.problems) ADD_FAILURE() << to_string(problem, "berth.yaml");
  return reading.spec;
}

/// All problems of `text`, one a line.
std::string problems(std::string text) {
  std::string out;
  for (const Problem& problem : read_spec(source(std::move(text))).problems)
    out += to_string(problem, "berth.yaml") + "\n";
  return out;
}

TEST(Spec, of_three_keys_is_whole) {
  Spec spec = good(R"(name: everything
server:
  command: [npx, -y, "@modelcontextprotocol/server-everything"]   # a comment
tasks: {count: 3, zones: [a, b, c], cpu: 0.5, memory: 1GB}
)");
  EXPECT_EQ(spec.name, "everything");
  ASSERT_EQ(spec.servers.size(), 1u);
  EXPECT_EQ(spec.servers[0].name, "everything");
  EXPECT_EQ(spec.servers[0].kind, ServerSpec::Kind::command);
  EXPECT_EQ(spec.servers[0].command,
            (std::vector<std::string>{"npx", "-y", "@modelcontextprotocol/server-everything"}));
  EXPECT_EQ(spec.servers[0].directory, "/work/my app");
  EXPECT_EQ(spec.tasks.count, 3u);
  EXPECT_EQ(spec.tasks.zones, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(spec.tasks.cpu, 0.5);
  EXPECT_EQ(spec.tasks.memory_bytes, std::uint64_t{1} << 30);
}

TEST(Spec, puts_variables_to_inherit_into_the_environment_of_the_server_where_they_are_set) {
  const std::map<std::string, std::string> environment{
      {"AWS_REGION", "eu-west-1"}, {"AWS_PROFILE", "dev"}, {"TOKEN", "t0k"}, {"OTHER", "x"}};
  const std::string text =
      "server: {command: node x.js, env: {AWS_PROFILE: prod}, inherit: [TOKEN, AWS_*, NOT_SET]}";
  const ServerSpec server = good(text, environment).servers[0];
  EXPECT_EQ(server.environment, (std::map<std::string, std::string>{
                                    {"AWS_PROFILE", "prod"}, {"AWS_REGION", "eu-west-1"}, {"TOKEN", "t0k"}}));
  EXPECT_TRUE(server.inherit.empty());
}

TEST(Spec, keeps_what_to_inherit_for_the_machine_that_will_run_it) {
  SpecSource kept = source("server: {command: node x.js, inherit: [TOKEN]}", {{"TOKEN", "t0k"}});
  kept.keep_variables = true;
  const Spec spec = read_spec(kept).spec;
  EXPECT_TRUE(spec.servers[0].environment.empty());
  const std::string again = write_spec(spec);
  EXPECT_EQ(good(again, {{"TOKEN", "there"}}).servers[0].environment.at("TOKEN"), "there") << again;
}

TEST(Spec, says_what_cannot_be_inherited) {
  EXPECT_EQ(
      problems("server:\n  command: x\n  inherit: [\"*\"]\n"),
      "berth.yaml:3:3: server.inherit holds \"*\"; write names of variables, or their beginnings with a "
      "star at the end: [GITHUB_TOKEN, AWS_*].\n");
  EXPECT_EQ(problems("server:\n  builtin: workspace\n  inherit: [A]\n"),
            "berth.yaml:3:3: server.inherit is only used with command and native; remove it.\n");
}

TEST(Inherited, are_what_programs_and_package_runners_need_and_no_secret_of_others) {
  const std::map<std::string, std::string> environment{{"https_proxy", "p"},
                                                       {"HTTPS_PROXY", "p"},
                                                       {"npm_config_registry", "r"},
                                                       {"NPM_CONFIG_CAFILE", "c"},
                                                       {"PIP_INDEX_URL", "i"},
                                                       {"UV_INDEX_URL", "i"},
                                                       {"LOGNAME", "me"},
                                                       {"LC_CTYPE", "C"},
                                                       {"REQUESTS_CA_BUNDLE", "b"},
                                                       {"GITHUB_TOKEN", "s"},
                                                       {"AWS_SECRET_ACCESS_KEY", "s"},
                                                       {"PATHS", "x"}};
  std::map<std::string, std::string> expected = environment;
  for (const char* const name : {"GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PATHS"}) expected.erase(name);
  EXPECT_EQ(inherited_variables(environment), expected);
}

TEST(Difference, names_the_keys_that_a_file_says_otherwise_now) {
  const Spec before = good(
      "name: a\nserver: {command: node x.js, env: {A: a}}\ntasks: {count: 2}\nlistener: {http_port: 8080}\n");
  EXPECT_TRUE(differing_keys(before, before).empty());
  const Spec now = good(
      "name: a\nserver: {command: node y.js, env: {A: b}}\ntasks: {count: 3, cpu: 1}\n"
      "auth: {keys: [{name: al, env: AL}]}\n");
  EXPECT_EQ(differing_keys(before, now),
            (std::vector<std::string>{"server.command", "server.env", "tasks.count", "tasks.cpu",
                                      "listener.http_port", "auth.keys"}));
  const Spec two = good("name: a\nservers: {x: {builtin: workspace}, y: {builtin: workspace}}\n");
  const Spec other = good("name: a\nservers: {x: {builtin: workspace, warm: 2}, z: {builtin: workspace}}\n");
  EXPECT_EQ(differing_keys(two, other),
            (std::vector<std::string>{"servers.x.warm", "servers.z", "servers.y"}));
}

TEST(Spec, is_named_after_its_folder) {
  EXPECT_EQ(good("server: {builtin: workspace}").name, "my-app");
  EXPECT_EQ(good("server: {builtin: workspace}").servers[0].builtin, "workspace");
}

TEST(Spec, takes_a_command_as_a_line_and_further_words_as_args) {
  Spec spec = good("server: {command: node 'my server.js', args: [--port, 3]}");
  EXPECT_EQ(spec.servers[0].command, (std::vector<std::string>{"node", "my server.js", "--port", "3"}));
}

TEST(Spec, takes_several_servers_of_every_kind) {
  Spec spec = good(R"(
servers:
  files: {command: [fs, /], cwd: sub, env: {A: "1"}, era: legacy, isolation: session, state: process, warm: 0}
  up: {url: "http://127.0.0.1:8000/mcp", headers: {X-A: b}}
  mine: {native: ./server}
  ws: {builtin: workspace}
)");
  ASSERT_EQ(spec.servers.size(), 4u);
  EXPECT_EQ(spec.servers[0].directory, "/work/my app/sub");
  EXPECT_EQ(spec.servers[0].environment.at("A"), "1");
  EXPECT_EQ(spec.servers[0].era, EraChoice::legacy);
  EXPECT_EQ(spec.servers[0].isolation, Isolation::session);
  EXPECT_EQ(spec.servers[0].state, State::process);
  EXPECT_EQ(spec.servers[0].warm, 0u);
  EXPECT_EQ(spec.servers[1].url.reveal(), "http://127.0.0.1:8000/mcp");
  EXPECT_EQ(spec.servers[1].headers.at("X-A"), "b");
  EXPECT_EQ(spec.servers[2].kind, ServerSpec::Kind::native);
  EXPECT_EQ(spec.servers[2].command, (std::vector<std::string>{"./server"}));
}

TEST(Spec, reads_every_block) {
  Spec spec = good(R"(
server: {builtin: workspace}
listener:
  address: 0.0.0.0
  http_port: 9000
  https: false
  balancing: least_outstanding_requests
  health_check: {path: /healthz, interval: 1s, unhealthy_threshold: 3}
  slow_start: 30s
auth: {keys: [{name: alice, env: ALICE}, {name: bob, file: keys/bob}]}
limits: {body_bytes_max: 8MB, head_timeout: 5s, json_depth_max: 64}
)");
  EXPECT_EQ(spec.listener.http_port, 9000);
  EXPECT_FALSE(spec.listener.https);
  EXPECT_EQ(spec.listener.balancing, Balancing::least_outstanding_requests);
  EXPECT_EQ(spec.listener.health_check.path, "/healthz");
  EXPECT_EQ(spec.listener.health_check.interval, Milliseconds(1000));
  EXPECT_EQ(spec.listener.health_check.unhealthy_threshold, 3u);
  ASSERT_EQ(spec.auth.keys.size(), 2u);
  EXPECT_EQ(spec.auth.keys[0].environment, "ALICE");
  EXPECT_EQ(spec.auth.keys[1].file, "/work/my app/keys/bob");
  EXPECT_EQ(spec.limits.body_bytes_max, 8u << 20);
  EXPECT_EQ(spec.limits.head_timeout, Milliseconds(5000));
}

TEST(Spec, puts_variables_into_env_and_not_into_the_command) {
  Spec spec = good(R"(server: {command: [x, "${A}"], env: {T: "a-${A}-${B:-none}", L: "$${A} $5"}})",
                   {{"A", "${B}"}});
  EXPECT_EQ(spec.servers[0].environment.at("T"), "a-${B}-none");
  EXPECT_EQ(spec.servers[0].environment.at("L"), "${A} $5");
  EXPECT_EQ(spec.servers[0].command[1], "${A}");
}

TEST(Spec, puts_variables_into_the_url_which_no_message_shows_whole) {
  Spec spec = good(R"(server: {url: "http://h/mcp?key=${K}"})", {{"K", "s${x}"}});
  EXPECT_EQ(spec.servers[0].url.reveal(), "http://h/mcp?key=s${x}");
  const SpecReading again = read_spec(source(write_spec(spec)));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.spec.servers[0].url.reveal(), spec.servers[0].url.reveal());
  EXPECT_EQ(problems("server: {url: \"ftp://u:secret@h/mcp?key=secret\"}\n").find("secret"),
            std::string::npos);
}

TEST(Spec, says_which_variable_is_missing) {
  EXPECT_EQ(problems("server:\n  command: x\n  env:\n    TOKEN: ${GH}\n    T: \"${1}${\"\n"),
            "berth.yaml:4:12: server.env.TOKEN refers to ${GH}, which is not set; export GH=… before "
            "starting berth, or give a "
            "default: ${GH:-…}.\n"
            "berth.yaml:5:8: server.env.T refers to ${1}, which is no environment variable; write ${NAME}, "
            "or $${ for the "
            "characters themselves.\n"
            "berth.yaml:5:8: server.env.T has a ${ that is never closed; write ${NAME}, or $${ for the "
            "characters themselves.\n");
}

TEST(Spec, reports_all_mistakes_at_once_in_the_order_of_the_file) {
  std::string text = testing::repository_file("test/golden/mistakes.yaml");
  testing::expect_golden("mistakes.txt", problems(text));
}

struct Mistake {
  std::string_view text, problem;
};

class SpecMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(SpecMistake, has_a_precise_answer) {
  EXPECT_EQ(problems(std::string(GetParam().text)), fmt::format("berth.yaml:{}\n", GetParam().problem));
}

constexpr Mistake mistakes[] = {
    {"# nothing\n",
     "1:1: the file is empty, so there is nothing to run; write for example `server: {builtin: workspace}`."},
    {"- a\n", "1:1: the file is a list, but it takes keys; write for example name: …."},
    {"name: x\n",
     "1:1: no server is given, so there is nothing to run; add for example `server: {builtin: workspace}` or "
     "`server: {command: [node, server.js]}`."},
    {"server: {builtin: workspace}\nservers: {a: {builtin: workspace}}\n",
     "1:1: both server and servers are given; put every server under servers."},
    {"server: {builtin: workspce}", "1:19: server.builtin is \"workspce\"; did you mean \"workspace\"?"},
    {"server: {builtin: workspace, command: x}",
     "1:10: server gives both command and builtin, but a server is one of command, builtin, url or native; "
     "remove one."},
    {"server: {url: localhost:80}",
     "1:10: server.url is \"localhost:80\", which has no scheme; write http://HOST:PORT/PATH."},
    {"server: {url: \"http://u:p@h/\"}",
     "1:10: server.url is \"http://h/\", which holds a user name; send credentials with "
     "headers: {Authorization: …}."},
    {"server: {url: \"http://h/\", headers: {\"a b\": c}}",
     "1:38: server.headers: \"a b\" is no name of a header field."},
    {"server: {command: x, headers: {A: b}}",
     "1:22: server.headers is only used with url; remove it, or use env for a command."},
    {"server: {builtin: workspace, args: [x]}",
     "1:30: server.args is given without command; name the program: command: …"},
    {"server: {command: \"a | b\"}",
     "1:19: server.command holds |, which needs a shell; quote it, or write the words as a list, "
     "or ask for a shell: [sh, -c, \"…\"]."},
    {"server: {command: []}",
     "1:19: server.command has no first word, which names the program; write for example [node, server.js]."},
    {"server: {command: {a: b}}",
     "1:19: server.command is a block of keys, but it takes a text; write one or remove the key."},
    {"server: {command: [a, [b]]}",
     "1:23: server.command[1] is a list, but it takes a text; put it in quotes."},
    {"servers: {a b: {builtin: workspace}}",
     "1:11: \"a b\" cannot be the name of a server, which is part of its URL; use letters, "
     "digits, hyphens and underscores, at most 64."},
    {"servers: {}",
     "1:10: servers takes a block for each server; write for example servers: {files: {command: …}}."},
    {"servers: {a: {builtin: workspace}, a: {builtin: workspace}}",
     "1:36: servers.a is given twice; give one of them another name."},
    {"name: \"a/b\"\nserver: {builtin: workspace}",
     "1:1: name is \"a/b\"; use letters, digits, hyphens and underscores, at most 64."},
    {"server: {builtin: workspace}\ntasks: {zones: [a, a]}",
     "2:9: tasks.zones names zone a twice; remove one."},
    {"server: {builtin: workspace}\ntasks: {zones: []}",
     "2:16: tasks.zones has 0 entries; it takes from 1 to 6."},
    {"server: {builtin: workspace}\ntasks: {zones: [eu-1]}",
     "2:9: tasks.zones holds \"eu-1\"; a zone is a single letter from a to z."},
    {"server: {builtin: workspace}\ntasks: {restart_backoff_min: 1m}",
     "2:9: tasks.restart_backoff_min (1m) is longer than restart_backoff_max (30s); raise the latter."},
    {"server: {builtin: workspace}\nlistener: {address: 0.0.0.0}",
     "2:12: listener.address 0.0.0.0 can be reached from other machines, but no key is asked for; add auth: "
     "{keys: [{name: "
     "alice, env: ALICE_KEY}]}, or listen on 127.0.0.1."},
    {"server: {builtin: workspace}\nlistener: {address: localhost}",
     "2:12: listener.address is \"localhost\", which is no IP address; write 127.0.0.1."},
    {"server: {builtin: workspace}\nlistener: {http_port: 70000}",
     "2:23: listener.http_port is \"70000\", which is out of range; write a whole number from 1 to 65535."},
    {"server: {builtin: workspace}\nlistener: {http_port: 80, https_port: 80}",
     "2:27: listener.http_port and https_port are both 80; give them different ports."},
    {"server: {builtin: workspace}\nlistener: {certificate_file: a.pem}",
     "2:12: listener.certificate_file is given without key_file; give both, or neither for a certificate of "
     "Berth's local CA."},
    {"server: {builtin: workspace}\nlistener: {slow_start: 5s}",
     "2:12: listener.slow_start is 5s; write 0s for off, or from 30s to 15m."},
    {"server: {builtin: workspace}\nlistener: {health_check: {path: ready}}",
     "2:27: listener.health_check.path is \"ready\"; a path starts with a slash: \"/ready\"."},
    {"server: {builtin: workspace}\nlistener: {origins: [example.com]}",
     "2:12: listener.origins holds \"example.com\"; an origin has a scheme and no path, as in "
     "https://app.example.com."},
    {"server: {builtin: workspace}\nauth: {keys: [{name: a}]}",
     "2:15: auth.keys[0] must say where its secret is read: either env: VARIABLE or file: PATH."},
    {"server: {builtin: workspace}\nauth: {keys: [{name: a, env: A}, {name: a, env: B}]}",
     "2:34: auth.keys[1] has the same name as a key before it, \"a\"; give each key its own."},
    {"server: {builtin: workspace}\nauth: {keys: secret}",
     "2:14: auth.keys takes a list; write auth.keys: [{name: alice, env: ALICE_KEY}]."},
    {"server: [unclosed", "1:9: this is not YAML: the [ here is never closed."},
    {"name: x\ntasks: {zones: [a, b\n  count: 3}\n# it's\nserver: {builtin: workspace}",
     "3:11: this is not YAML: } does not close the [ of line 2."},
    {"name: \"x\nserver: {builtin: workspace}\n", "1:7: this is not YAML: the \" here is never closed."},
    {"server:\n\tbuiltin: workspace\n", "2:1: this is not YAML: a tab indents here; use blanks."},
    {"listener: {public_url: mcp.example.com}\nserver: {builtin: workspace}",
     "1:12: listener.public_url is \"mcp.example.com\"; write a URL with a host, as in "
     "https://mcp.example.com."},
    {"server: {builtin: workspace}\n---\nname: b\n",
     "3:1: a second YAML document starts here, after `---`; a file describes one service: remove it."},
    {"? [a]\n: b\n", "1:3: a key must be a plain word here, as in `name: value`."},
    {"name: \x01\n", "1:7: the byte 0x01 is not text; save the file as UTF-8."},
    {"name: \xff\n", "1:7: the byte 0xff is not text; save the file as UTF-8."},
    {"name: \"a\\0b\"\nserver: {builtin: workspace}",
     "1:7: name holds a NUL byte, which no text may; remove it."},
};
INSTANTIATE_TEST_SUITE_P(Each, SpecMistake, ::testing::ValuesIn(mistakes));

TEST(Spec, follows_aliases_but_not_into_billions) {
  EXPECT_EQ(good("servers:\n  a: &x {builtin: workspace}\n  b: *x\n").servers[1].builtin, "workspace");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i,
                        i - 1);
  }
  EXPECT_TRUE(problems(bomb).contains("more than 20000 values")) << problems(bomb);
}

TEST(Spec, has_limits_on_size_and_depth) {
  EXPECT_TRUE(problems(std::string((1 << 20) + 1, ' ')).contains("more than the 1048576 that are read"));
  EXPECT_TRUE(problems("name: " + std::string(200, '[') + std::string(200, ']'))
                  .contains("nested more than 32 deep"));
  EXPECT_FALSE(problems("name: " + std::string(20'000, '[')).empty());
}

TEST(Spec, failure_names_one_problem_a_line) {
  Result<Spec> result = parse_spec(source("nmae: x\nserver: {builtin: workspace, warm: -1}\n"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(result.error().message(),
            "berth.yaml:1:1: \"nmae\" is not a key of this file; did you mean \"name\"?\n"
            "berth.yaml:2:36: server.warm is \"-1\", which is not a whole number; write a whole number from "
            "0 to 100.");
}

TEST(Spec, is_written_so_that_it_reads_back) {
  Spec spec = good(R"(
name: all
servers:
  a: {command: [x, "it's \"q\" ${A}"], env: {K: "$${X} \t ü", E: ""}, cwd: d, call_timeout: 1m30s}
  b: {url: "http://h/mcp", headers: {Authorization: "Bearer ${A}"}}
  c: {native: [./n, arg]}
  d: {builtin: workspace, isolation: shared, state: none, message_bytes_max: 100KB}
tasks: {count: 5, zones: [a, f], cpu: 0.25}
listener: {http_port: 8080, hosts: [h.example], health_check: {timeout: 1500ms}}
auth: {keys: [{name: k, env: KEY}]}
)",
                   {{"A", "s3cr${et"}});
  std::string written = write_spec(spec);
  SpecReading again = read_spec(source(written));
  ASSERT_TRUE(again.ok()) << to_string(again.problems[0], "written") << "\n" << written;
  EXPECT_EQ(write_spec(again.spec), written);
  EXPECT_EQ(again.spec.servers[0].command, spec.servers[0].command);
  EXPECT_EQ(again.spec.servers[0].environment, spec.servers[0].environment);
  EXPECT_EQ(again.spec.servers[1].headers.at("Authorization"), "Bearer s3cr${et");
  EXPECT_EQ(again.spec.servers[2].kind, ServerSpec::Kind::native);
  EXPECT_EQ(again.spec.tasks.zones, spec.tasks.zones);
  EXPECT_EQ(again.spec.listener.health_check.timeout, Milliseconds(1500));
}

}  // namespace
}  // namespace berth::model
