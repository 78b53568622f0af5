#include <gtest/gtest.h>

#include <array>

#include "model/nearest_name.h"
#include "model/shell_words.h"
#include "model/units.h"

namespace berth::model {
namespace {

using std::chrono::milliseconds;
using Words = std::vector<std::string>;

TEST(NearestName, suggests_what_was_most_likely_meant) {
  constexpr std::array<std::string_view, 5> names{"command", "builtin", "call_timeout", "idle_timeout",
                                                  "warm"};
  EXPECT_EQ(nearest_name("comand", names), "command");
  EXPECT_EQ(nearest_name("built-in", names), "builtin");
  EXPECT_EQ(nearest_name("callTimeout", names), "call_timeout");
  EXPECT_EQ(nearest_name("ilde_timeout", names), "idle_timeout");
  EXPECT_EQ(nearest_name("wrm", names), "warm");
  EXPECT_EQ(nearest_name("colour", names), std::nullopt);
  EXPECT_EQ(nearest_name("", names), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(5000, 'a'), names), std::nullopt);
}

TEST(EditDistance, counts_insertions_removals_replacements_and_swaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", "abc"), 0u);
  EXPECT_EQ(edit_distance("abc", "acb"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Duration, reads_what_people_write) {
  EXPECT_EQ(parse_duration("250ms").value(), milliseconds(250));
  EXPECT_EQ(parse_duration("30s").value(), milliseconds(30'000));
  EXPECT_EQ(parse_duration("5m").value(), milliseconds(300'000));
  EXPECT_EQ(parse_duration("1h").value(), milliseconds(3'600'000));
  EXPECT_EQ(parse_duration("1m30s").value(), milliseconds(90'000));
  EXPECT_EQ(parse_duration("0").value(), milliseconds(0));
}

TEST(Duration, says_what_is_wrong_with_the_rest) {
  EXPECT_EQ(parse_duration("30").error().message(), "has no unit");
  EXPECT_EQ(parse_duration("30 s").error().message(), "has a unit that is none of ms, s, m and h");
  EXPECT_EQ(parse_duration("3d").error().message(), "has a unit that is none of ms, s, m and h");
  EXPECT_EQ(parse_duration("1s1m").error().message(), "names its units in the wrong order");
  EXPECT_EQ(parse_duration("soon").error().message(), "is not a duration");
  EXPECT_EQ(parse_duration("-1s").error().message(), "is not a duration");
  EXPECT_EQ(parse_duration("99999999999999999999s").error().message(), "is too long");
  EXPECT_EQ(parse_duration("").error().message(), "is empty");
}

TEST(Duration, is_written_so_that_it_reads_back) {
  for (std::int64_t ms : {0, 1, 999, 1000, 1500, 60'000, 90'500, 3'600'000, 86'400'000}) {
    EXPECT_EQ(parse_duration(format_duration(milliseconds(ms))).value(), milliseconds(ms)) << ms;
  }
  EXPECT_EQ(format_duration(milliseconds(90'500)), "1m30s500ms");
}

TEST(Bytes, reads_what_people_write) {
  EXPECT_EQ(parse_bytes("512").value(), 512u);
  EXPECT_EQ(parse_bytes("1GB").value(), std::uint64_t{1} << 30);
  EXPECT_EQ(parse_bytes("1 GiB").value(), std::uint64_t{1} << 30);
  EXPECT_EQ(parse_bytes("1.5g").value(), std::uint64_t{3} << 29);
  EXPECT_EQ(parse_bytes("64kb").value(), 65'536u);
}

TEST(Bytes, says_what_is_wrong_with_the_rest) {
  EXPECT_EQ(parse_bytes("1XB").error().message(), "has a unit that is none of KB, MB, GB and TB");
  EXPECT_EQ(parse_bytes("lots").error().message(), "is not a size");
  EXPECT_EQ(parse_bytes("1.2.3MB").error().message(), "is not a size");
  EXPECT_EQ(parse_bytes("0.3B").error().message(), "is not a whole number of bytes");
  EXPECT_EQ(parse_bytes("99999999999TB").error().message(), "is too large");
}

TEST(Bytes, are_written_so_that_they_read_back) {
  for (std::uint64_t bytes : {0ull, 1ull, 1023ull, 1024ull, 1536ull, 1ull << 20, 1ull << 30, 3ull << 29}) {
    EXPECT_EQ(parse_bytes(format_bytes(bytes)).value(), bytes);
  }
  EXPECT_EQ(format_bytes(std::uint64_t{3} << 29), "1536MB");
}

TEST(ShellWords, are_split_as_a_shell_splits_them) {
  EXPECT_EQ(split_shell_words("npx -y  @scope/pkg").value(), (Words{"npx", "-y", "@scope/pkg"}));
  EXPECT_EQ(split_shell_words(R"(sh -c 'echo "a b"; exit')").value(),
            (Words{"sh", "-c", R"(echo "a b"; exit)"}));
  EXPECT_EQ(split_shell_words(R"(a"b c"d\ e "" '')").value(), (Words{"ab cd e", "", ""}));
  EXPECT_EQ(split_shell_words(R"("\"\\\n")").value(), (Words{R"("\\n)"}));
}

TEST(ShellWords, refuse_what_only_a_shell_understands) {
  EXPECT_EQ(split_shell_words("a | b").error().message(), "holds |, which needs a shell");
  EXPECT_EQ(split_shell_words("a $(b)").error().message(), "holds $(, which needs a shell");
  EXPECT_EQ(split_shell_words("a 'b").error().message(), "has a ' that is never closed");
  EXPECT_EQ(split_shell_words("a \\").error().message(), "ends in a backslash");
  EXPECT_EQ(split_shell_words("  ").error().message(), "is empty");
}

TEST(ShellWords, are_joined_so_that_they_split_back) {
  Words words{"plain", "with space", "it's", "", "\"", "a;b", "new\nline", "\\"};
  EXPECT_EQ(split_shell_words(join_shell_words(words)).value(), words);
  EXPECT_EQ(join_shell_words({"npx", "-y", "@a/b"}), "npx -y @a/b");
}

}  // namespace
}  // namespace berth::model
