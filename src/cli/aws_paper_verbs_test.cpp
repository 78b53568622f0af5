#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/cost_view.h"
#include "cli/testing/fake_context.h"
#include "model/testing/golden.h"

namespace berth::cli {
namespace {

namespace json = boost::json;
using model::testing::expect_golden;
using testing::World;

constexpr std::string_view demo = R"(name: demo
server:
  builtin: workspace
aws:
  region: us-west-2
  architecture: arm64
)";

/// A world with `more` after the demo's aws block, at its indentation.
struct Demo : World {
  explicit Demo(std::string_view more = "") { write("berth.yaml", std::string(demo) + std::string(more)); }
};

std::size_t widest_line(const std::string& text) {
  std::size_t widest = 0;
  for (std::size_t from = 0; from < text.size();) {
    std::size_t end = std::min(text.find('\n', from), text.size());
    std::string line = text.substr(from, end - from);
    auto characters = std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; });
    widest = std::max(widest, static_cast<std::size_t>(characters));
    from = end + 1;
  }
  return widest;
}

TEST(Cost, is_understood_at_a_glance) {
  Demo world;
  EXPECT_EQ(world.run({"cost"}), 0) << world.terminal.errors;
  expect_golden("cost.txt", world.terminal.output);
  EXPECT_LE(widest_line(world.terminal.output), 100u);
}

TEST(Cost, with_what_if_compares_other_ways) {
  Demo world;
  EXPECT_EQ(world.run({"cost", "--what-if"}), 0) << world.terminal.errors;
  expect_golden("cost_what_if.txt", world.terminal.output);
  EXPECT_LE(widest_line(world.terminal.output), 100u);
}

TEST(Cost, of_another_region_says_whose_prices_it_takes) {
  Demo world;
  world.write("berth.yaml", "name: demo\nserver: {builtin: workspace}\naws: {region: eu-central-1}\n");
  EXPECT_EQ(world.run({"cost"}), 0);
  EXPECT_NE(world.terminal.output.find("List prices of us-east-1 in USD, as of 2026-11-22"),
            std::string::npos);
  EXPECT_NE(world.terminal.output.find("eu-central-1 are not known"), std::string::npos);
}

TEST(Cost, takes_the_region_of_the_environment) {
  World world;
  world.environment["AWS_REGION"] = "us-west-2";
  world.write("berth.yaml", "name: demo\nserver: {builtin: workspace}\n");
  EXPECT_EQ(world.run({"cost", "--json"}), 0);
  json::value out = json::parse(world.terminal.output);
  EXPECT_EQ(out.at("region"), "us-west-2");
  EXPECT_EQ(out.at("priced_as"), "us-west-2");
  EXPECT_EQ(out.at("assumptions").at("calls-per-month"), 1e6);
  EXPECT_GT(out.at("month").as_double(), 60);
}

TEST(Cost, follows_the_assumptions_that_options_make) {
  Demo few;
  Demo many;
  EXPECT_EQ(few.run({"cost", "--json", "--calls-per-month", "0"}), 0);
  EXPECT_EQ(many.run({"cost", "--json", "--calls-per-month=5e7"}), 2);
  EXPECT_EQ(many.terminal.errors,
            "berth cost: --calls-per-month is \"5e7\"; it takes a number from 0 to 1000000000000.\n");
  Demo more;
  EXPECT_EQ(more.run({"cost", "--json", "--calls-per-month=50000000"}), 0);
  double before = json::parse(few.terminal.output).at("month").to_number<double>();
  EXPECT_GT(json::parse(more.terminal.output).at("month").to_number<double>(), before + 50);
}

TEST(Audit, of_the_defaults_passes_and_gives_advice) {
  Demo world;
  EXPECT_EQ(world.run({"audit"}), 0) << world.terminal.errors;
  expect_golden("audit.txt", world.terminal.output);
  EXPECT_LE(widest_line(world.terminal.output), 100u);
  EXPECT_EQ(world.run({"audit", "--fail-on", "low"}), 1);
}

TEST(Audit, shows_every_check_when_asked) {
  Demo world("  alarms: {email: ops@example.com}\n");
  EXPECT_EQ(world.run({"audit", "--all", "--fail-on=low"}), 0) << world.terminal.output;
  expect_golden("audit_all.txt", world.terminal.output);
}

TEST(Audit, with_mistakes_says_what_why_and_what_to_do) {
  World world;
  world.write("berth.yaml",
              "name: demo\nserver: {builtin: workspace}\naws: {open: true, region: us-west-2, exec: true}\n"
              "permissions: [{actions: [\"s3:*\"], resources: [\"*\"]}]\n");
  EXPECT_EQ(world.run({"audit"}), 1) << world.terminal.errors;
  expect_golden("audit_mistakes.txt", world.terminal.output);
  World same;
  same.write("berth.yaml", world.read("berth.yaml"));
  EXPECT_EQ(same.run({"audit", "--json"}), 1);
  json::value out = json::parse(same.terminal.output);
  EXPECT_GT(out.at("failed").as_int64(), 3);
}

TEST(Template, is_printed_whole_or_in_parts) {
  Demo world;
  EXPECT_EQ(world.run({"template"}), 0) << world.terminal.errors;
  const std::string& all = world.terminal.output;
  EXPECT_TRUE(all.starts_with("--- # stack demo-base\n"));
  EXPECT_NE(all.find("\n--- # stack demo\n"), std::string::npos);
  EXPECT_NE(all.find("AWS::ECS::Service"), std::string::npos);
  Demo base;
  EXPECT_EQ(base.run({"template", "--part", "base", "--json"}), 0);
  EXPECT_TRUE(json::parse(base.terminal.output).at("Resources").as_object().contains("Repository"));
  Demo both;
  EXPECT_EQ(both.run({"template", "--json"}), 0);
  EXPECT_TRUE(json::parse(both.terminal.output).at("demo").at("Resources").as_object().contains("Service"));
}

TEST(Template, is_written_as_a_file_a_stack) {
  Demo world;
  EXPECT_EQ(world.run({"template", "-o", "out/stacks"}), 0);
  EXPECT_EQ(world.terminal.errors, "wrote out/stacks/demo-base.yaml\nwrote out/stacks/demo.yaml\n");
  EXPECT_NE(world.read("out/stacks/demo.yaml").find("AWS::ECS::Service"), std::string::npos);
  world.write("file", "");
  EXPECT_EQ(world.run({"template", "-o", "file/x"}), 1);
}

TEST(Diagram, is_mermaid_or_svg_by_option_or_file_name) {
  Demo world;
  EXPECT_EQ(world.run({"diagram"}), 0);
  EXPECT_TRUE(world.terminal.output.starts_with("flowchart TB\n"));
  Demo svg;
  EXPECT_EQ(svg.run({"diagram", "--svg"}), 0);
  EXPECT_TRUE(svg.terminal.output.starts_with("<svg "));
  EXPECT_EQ(svg.run({"diagram", "-o", "demo.svg"}), 0);
  EXPECT_EQ(svg.read("demo.svg"), svg.terminal.output);
  EXPECT_EQ(svg.terminal.errors, "wrote demo.svg\n");
}

struct Line {
  std::vector<std::string> words;
  int code;
  std::string errors;
};

TEST(PaperVerbs, answer_mistakes_with_what_they_take) {
  const Line lines[] = {
      {{"template", "--part", "top"},
       2,
       "berth template: --part is \"top\"; it takes base, service or all.\n"},
      {{"audit", "--fail-on", "never"},
       2,
       "berth audit: --fail-on is \"never\"; it takes low, medium or high.\n"},
      {{"audit", "--on", "mars"}, 2, "berth audit: --on is \"mars\"; it takes aws or here.\n"},
      {{"diagram", "--on", "mars"}, 2, "berth diagram: --on is \"mars\"; it takes aws or here.\n"},
      {{"diagram", "--svg", "--mermaid"}, 2, "berth diagram: --svg and --mermaid exclude one another.\n"},
      {{"cost", "--gb-state", "lots"},
       2,
       "berth cost: --gb-state is \"lots\"; it takes a number from 0 to 1000000000.\n"}};
  for (const Line& line : lines) {
    Demo world;
    EXPECT_EQ(world.run(line.words), line.code);
    EXPECT_EQ(world.terminal.errors, line.errors);
    EXPECT_EQ(world.terminal.output, "");
  }
  for (const char* verb : {"template", "cost", "audit", "diagram"}) {
    World empty;
    EXPECT_EQ(empty.run({verb}), 3) << verb;
    World broken;
    broken.write("berth.yaml", "nmae: x\n");
    EXPECT_EQ(broken.run({verb}), 3) << verb;
  }
}

TEST(CostText, paints_only_where_colours_are_wanted) {
  CostReport report{.service = "demo", .estimate = {.priced_as = "us-east-1"}, .usage = {}};
  report.what_if = {{.name = "all Spot", .note = "", .usd = 1, .difference = -2}};
  EXPECT_EQ(cost_text(report, 100, false).find('\x1b'), std::string::npos);
  EXPECT_NE(cost_text(report, 100, true).find("\x1b[32m"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
