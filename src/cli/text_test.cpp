#include "cli/text.h"

#include <gtest/gtest.h>

#include "cli/live_view.h"
#include "cli/testing/fake_context.h"
#include "cli/welcome.h"
#include "model/testing/golden.h"

namespace berth::cli {
namespace {

TEST(Table, pads_columns_by_what_is_seen) {
  std::vector<std::vector<Cell>> rows{{{"ü"}, {"b"}}, {{"aaa", Paint::red}, {""}}};
  EXPECT_EQ(table(rows, 1, false), " ü    b\n aaa\n");
  EXPECT_EQ(table(rows, 1, true), " ü    b\n \x1b[31maaa\x1b[0m\n");
}

TEST(Table, breaks_its_last_column_where_the_terminal_ends) {
  const std::vector<std::vector<Cell>> rows{{{"--a"}, {"one two three four five six"}},
                                            {{"--bc"}, {"short"}}};
  EXPECT_EQ(table(rows, 2, false, 32), "  --a   one two three four five\n        six\n  --bc  short\n");
  EXPECT_EQ(table(rows, 2, false, 80), table(rows, 2, false));
}

TEST(Text, fits_a_terminal_without_breaking_words_and_commands) {
  EXPECT_EQ(fit("short  line\n", 20), "short  line\n");
  EXPECT_EQ(fit("  one two three\nfour", 10), "  one two\n  three\nfour");
  EXPECT_EQ(fit("see `a b c d e` now, it`s ok", 12), "see\n`a b c d e`\nnow, it`s ok");
  EXPECT_EQ(fit("Really go on? [y/N] ", 12), "Really go\non? [y/N] ");
}

TEST(Text, is_clipped_wrapped_and_made_harmless) {
  EXPECT_EQ(clip("äöüß", 4), "äöüß");
  EXPECT_EQ(clip("äöüßx", 4), "äöü…");
  EXPECT_EQ(wrap("one two three", 9, 2), "  one two\n  three\n");
  EXPECT_EQ(printable("a\x1b[2Jb\xff\n\t\xc2\x9b"), "a\xef\xbf\xbd[2Jb\xef\xbf\xbd\n\t\xef\xbf\xbd");
}

TEST(Age, is_short) {
  EXPECT_EQ(age(std::chrono::milliseconds(850)), "850 ms");
  EXPECT_EQ(age(std::chrono::seconds(65)), "65 s");
  EXPECT_EQ(age(std::chrono::minutes(3)), "3 min");
  EXPECT_EQ(age(std::chrono::hours(3)), "3 h");
  EXPECT_EQ(age(std::chrono::hours(72)), "3 d");
}

TEST(Welcome, tells_a_first_time_user_everything) {
  cluster::ServiceStatus status;
  status.desired = 3;
  status.urls = {{"demo", "http://127.0.0.1:8080/mcp"}, {"demo", "https://localhost:8443/mcp"}};
  const WelcomeHints hints{.ca_file = "/home/me/.local/share/berth/ca.pem",
                           .example_call = "call echo message=hello",
                           .file_words = {}};
  model::testing::expect_golden("welcome.txt", welcome(status, {}, hints, false));
  status.urls = {{"a", "http://127.0.0.1:8080/a/mcp"}, {"b", "http://127.0.0.1:8080/b/mcp"}};
  std::vector<model::KeySpec> keys{{.principal = "alice", .environment = {}, .file = "/etc/key file"}};
  status.urls.push_back({"a", "https://mcp.example.com/a/mcp", true});
  const WelcomeHints elsewhere{
      .ca_file = {}, .example_call = {}, .file_words = " --file 'my files/mcp.json'"};
  model::testing::expect_golden("welcome_several.txt", welcome(status, keys, elsewhere, false));
}

TEST(LiveView, redraws_in_place_on_a_terminal) {
  testing::FakeTerminal terminal;
  terminal.interactive = true;
  LiveView view(terminal);
  view.show("one\n", "stop", false);
  view.show("one\n", "stop", false);
  view.show("two\n", "stop", true);
  view.announce("welcome\n");
  view.event("not shown", WallTime());
  view.show("3\n4\nbelow the screen\n", "stop", true);
  EXPECT_EQ(terminal.output,
            "\x1b[?7lone\x1b[K\nstop\x1b[K\n\x1b[?7h\x1b[J"
            "\x1b[2A\r\x1b[?7ltwo\x1b[K\nstop\x1b[K\n\x1b[?7h\x1b[J"
            "\x1b[2A\r\x1b[Jwelcome\n\n\x1b[?7ltwo\x1b[K\nstop\x1b[K\n\x1b[?7h\x1b[J"
            "\x1b[2A\r\x1b[?7l3\x1b[K\n4\x1b[K\nstop\x1b[K\n\x1b[?7h\x1b[J")
      << "how to stop is said however low the terminal is";
}

TEST(LiveView, finds_its_first_line_on_a_terminal_that_became_narrower) {
  testing::FakeTerminal terminal;
  terminal.interactive = true;
  LiveView view(terminal);
  view.show("\x1b[31m" + std::string(30, 'a') + "\x1b[0m\n", "b", false);
  terminal.width = 20;
  terminal.output.clear();
  view.clear();
  EXPECT_EQ(terminal.output, "\x1b[3A\r\x1b[J");
  terminal.output.clear();
  view.clear();
  EXPECT_EQ(terminal.output, "");
}

TEST(LiveView, prints_plain_lines_elsewhere) {
  testing::FakeTerminal terminal;
  LiveView view(terminal);
  view.event("task 1 started", WallTime(std::chrono::hours(1)));
  view.show("picture 1\n", "stop", false);
  view.show("picture 2\n", "stop", true);
  view.announce("welcome\n");
  view.show("picture 3\n", "stop", true);
  EXPECT_EQ(terminal.output, "01:00:00  task 1 started\n\npicture 2\nstop\n\nwelcome\n");
}

}  // namespace
}  // namespace berth::cli
