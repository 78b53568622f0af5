#include <gtest/gtest.h>

#include "model/parse.h"

namespace berth::model {
namespace {

SpecReading read(std::string text) {
  return read_client_file({.text = std::move(text),
                           .file = ".mcp.json",
                           .directory = "/home/me/app",
                           .environment = {{"TOKEN", "t0k"}, {"HOME", "/home/me"}}});
}

std::string first_problem(std::string text) {
  SpecReading reading = read(std::move(text));
  return reading.ok() ? "" : to_string(reading.problems[0], ".mcp.json");
}

TEST(ClientFile, of_claude_is_taken_as_it_is) {
  SpecReading reading = read(R"({
	"mcpServers": {
		"files": {"command": "npx", "args": ["-y", "server-filesystem", "${HOME}"],
			"env": {"T": "${TOKEN}"}, "alwaysAllow": []},
		"web":{"type":"http","url":"https://example.com/mcp","headers":{"Authorization":"Bearer ${TOKEN}"}},
		"off": {"command": "x", "disabled": true}
	}
})");
  ASSERT_TRUE(reading.ok()) << to_string(reading.problems[0], ".mcp.json");
  EXPECT_EQ(reading.spec.name, "app");
  ASSERT_EQ(reading.spec.servers.size(), 2u);
  EXPECT_EQ(reading.spec.servers[0].name, "files");
  EXPECT_EQ(reading.spec.servers[0].command,
            (std::vector<std::string>{"npx", "-y", "server-filesystem", "/home/me"}));
  EXPECT_EQ(reading.spec.servers[0].environment.at("T"), "t0k");
  EXPECT_EQ(reading.spec.servers[0].directory, "/home/me/app");
  EXPECT_EQ(reading.spec.servers[1].kind, ServerSpec::Kind::url);
  EXPECT_EQ(reading.spec.servers[1].headers.at("Authorization"), "Bearer t0k");
}

TEST(ClientFile, of_vs_code_may_have_comments_trailing_commas_and_its_own_variables) {
  SpecReading reading = read(R"({
  // a comment with "quotes"
  "servers": {
    "a": {"type": "stdio", "args": ["${workspaceFolder}/x", "// no comment", "a,]",],
      "command": "node", /* and
      another */ "cwd": "sub", "env": {"T": "${env:TOKEN}"},},
  },
})");
  ASSERT_TRUE(reading.ok()) << to_string(reading.problems[0], ".mcp.json");
  EXPECT_EQ(reading.spec.servers[0].command,
            (std::vector<std::string>{"node", "/home/me/app/x", "// no comment", "a,]"}));
  EXPECT_EQ(reading.spec.servers[0].directory, "/home/me/app/sub");
  EXPECT_EQ(reading.spec.servers[0].environment.at("T"), "t0k");
}

TEST(ClientFile, with_mistakes_has_precise_answers) {
  EXPECT_EQ(first_problem("{}"),
            ".mcp.json:1:1: the file has no \"mcpServers\" (nor \"servers\", as VS Code writes it), so it "
            "names no server.");
  EXPECT_EQ(first_problem(R"({"mcpServers": {}})"),
            ".mcp.json:1:16: the file names no server that is enabled, so there is nothing to run.");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a": {}}})"),
            ".mcp.json:1:22: a has neither \"command\" nor \"url\", so there is nothing to run.");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a": {"command": "x", "env": {"A": "${NOPE}"}}}})"),
            ".mcp.json:1:52: a.env.A refers to ${NOPE}, which is not set; export NOPE=… before starting "
            "berth, or give a "
            "default: ${NOPE:-…}.");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"...": {"command": "x"}}})"),
            ".mcp.json:1:17: \"...\" cannot be the name of a server here, because it is part of its "
            "URL; use letters, "
            "digits, hyphens and underscores.");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a": {"type": "sse", "url": "http://h/sse"}}})"),
            ".mcp.json:1:31: a.type is \"sse\", the transport of 2024-11-05; Berth reaches servers by "
            "Streamable HTTP "
            "(\"http\") or runs them (\"stdio\").");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a": {"command": "x"})"),
            ".mcp.json:1:16: this is not JSON: the { here is never closed.");
  EXPECT_NE(first_problem("{\"mcpServers\": \"unclosed"), "");
  EXPECT_NE(first_problem("/*"), "");
  EXPECT_NE(first_problem("\"\\"), "");
}

TEST(ClientFile, names_that_no_url_can_hold_are_changed_and_that_is_said) {
  SpecReading reading = read(R"({"mcpServers": {
    "io.github.me/my server": {"command": "x"}, "plain": {"command": "y"}}})");
  ASSERT_TRUE(reading.ok()) << to_string(reading.problems[0], ".mcp.json");
  ASSERT_EQ(reading.spec.servers.size(), 2u);
  EXPECT_EQ(reading.spec.servers[0].name, "io-github-me-my-server");
  EXPECT_EQ(reading.spec.notes,
            std::vector<std::string>{
                "The server \"io.github.me/my server\" is io-github-me-my-server here and in its URL."});
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a.b": {"command": "x"}, "a b": {"command": "y"}}})"),
            ".mcp.json:1:42: \"a.b\" and \"a b\" would both be served at /a-b/mcp; give one of them another "
            "name.");
}

SpecReading read_with(std::string text, std::map<std::string, std::string> environment, bool keep = false) {
  return read_client_file(
      {.text = std::move(text),
       .file = ".vscode/mcp.json",
       .directory = "/home/me/app",
       .environment = std::move(environment),
       .keep_variables = keep,
       .read_file = [](const std::string& path) -> Result<std::string> {
         if (path != "/home/me/app/.env") return fail(ErrorCode::not_found, "There is no file " + path + ".");
         return "# keys\nexport A=from the file # why\nB=\"two\\nlines\"\nC='$x'\n\nno line\nD=\n";
       }});
}

TEST(ClientFile, env_file_is_read_and_env_goes_before_it) {
  const std::string text = R"({"servers": {"a": {"command": "x", "env": {"C": "of the entry"},
    "envFile": "${workspaceFolder}/.env"}}})";
  SpecReading reading = read_with(text, {});
  ASSERT_TRUE(reading.ok()) << to_string(reading.problems[0], "");
  EXPECT_EQ(reading.spec.servers[0].environment,
            (std::map<std::string, std::string>{
                {"A", "from the file"}, {"B", "two\nlines"}, {"C", "of the entry"}, {"D", ""}}));
  SpecReading kept = read_with(text, {}, true);
  ASSERT_TRUE(kept.ok()) << to_string(kept.problems[0], "");
  EXPECT_EQ(kept.spec.servers[0].environment.at("A"), "${A}");
  reading = read_with(R"({"servers": {"a": {"command": "x", "envFile": "nope"}}})", {});
  ASSERT_FALSE(reading.ok());
  EXPECT_EQ(to_string(reading.problems[0], "f"),
            "f:1:47: a.envFile cannot be read: There is no file /home/me/app/nope.");
}

TEST(ClientFile, inputs_are_variables_or_their_defaults) {
  const std::string text = R"({"inputs": [{"id": "api-key"}, {"id": "level", "default": "high"}],
    "servers": {"a": {"command": "x", "env": {"K": "${input:api-key}", "L": "${input:level}"}}}})";
  SpecReading reading = read_with(text, {{"api_key", "k3y"}});
  ASSERT_TRUE(reading.ok()) << to_string(reading.problems[0], "");
  EXPECT_EQ(reading.spec.servers[0].environment.at("K"), "k3y");
  EXPECT_EQ(reading.spec.servers[0].environment.at("L"), "high");
  reading = read_with(text, {});
  ASSERT_FALSE(reading.ok());
  EXPECT_EQ(reading.problems[0].text,
            "a.env.K asks for the input \"api-key\", and nobody can be asked here; export api_key=… before "
            "starting berth, or give the input a default.");
  SpecReading kept = read_with(text, {}, true);
  EXPECT_EQ(kept.spec.servers[0].environment.at("K"), "${api_key}");
  EXPECT_EQ(kept.spec.variables, std::vector<std::string>{"api_key"});
}

TEST(ClientFile, one_bad_entry_does_not_refuse_the_others) {
  SpecSource source{.text = R"({"mcpServers": {"bad": {}, "good": {"command": "x"}}})",
                    .file = ".mcp.json",
                    .directory = "/home/me/app",
                    .environment = {}};
  EXPECT_FALSE(read_client_file(source).ok());
  source.leave_out_bad_entries = true;
  SpecReading reading = read_client_file(source);
  ASSERT_TRUE(reading.ok());
  ASSERT_EQ(reading.spec.servers.size(), 1u);
  EXPECT_EQ(reading.spec.servers[0].name, "good");
  EXPECT_EQ(reading.spec.notes,
            std::vector<std::string>{"Left out: .mcp.json:1:24: bad has neither \"command\" nor \"url\", so "
                                     "there is nothing to run."});
  source.only = {"bad"};
  EXPECT_FALSE(read_client_file(source).ok());
  source.leave_out_bad_entries = false;
  source.only = {"good"};
  EXPECT_TRUE(read_client_file(source).ok());
  source.only = {"god"};
  ASSERT_FALSE(read_client_file(source).ok());
  EXPECT_EQ(read_client_file(source).problems[0].text, "there is no server \"god\" to take.");
}

}  // namespace
}  // namespace berth::model
