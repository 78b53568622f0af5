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
  EXPECT_EQ(first_problem(R"({"mcpServers": {"my server": {"command": "x"}}})"),
            ".mcp.json:1:17: \"my server\" cannot be the name of a server here, because it is part of its "
            "URL; use letters, "
            "digits, hyphens and underscores.");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a": {"type": "sse", "url": "http://h/sse"}}})"),
            ".mcp.json:1:31: a.type is \"sse\", the transport of 2024-11-05; Berth reaches servers by "
            "Streamable HTTP "
            "(\"http\") or runs them (\"stdio\").");
  EXPECT_EQ(first_problem(R"({"mcpServers": {"a": {"command": "x"})").substr(0, 31),
            ".mcp.json:1:1: this is not JSON");
  EXPECT_NE(first_problem("{\"mcpServers\": \"unclosed"), "");
  EXPECT_NE(first_problem("/*"), "");
  EXPECT_NE(first_problem("\"\\"), "");
}

}  // namespace
}  // namespace berth::model
