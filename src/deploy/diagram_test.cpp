#include "deploy/diagram.h"

#include <gtest/gtest.h>

#include "deploy/diagram_facts.h"
#include "deploy/diagram_page.h"
#include "model/testing/golden.h"

namespace berth::deploy {
namespace {

using model::testing::expect_golden;
using Egress = model::AwsNetworkSpec::Egress;

model::Spec demo(std::size_t zones, std::size_t count) {
  model::Spec spec;
  spec.name = "demo";
  spec.aws.region = "us-west-2";
  spec.aws.architecture = model::AwsSpec::Architecture::arm64;
  spec.tasks.count = count;
  spec.tasks.zones.clear();
  for (std::size_t i = 0; i < zones; ++i) spec.tasks.zones.emplace_back(1, static_cast<char>('a' + i));
  return spec;
}

LiveState running() {
  return {.as_of = "2026-11-22 20:15 UTC",
          .url = "https://mcp.example.com",
          .image = "7f3a9c21",
          .desired = 4,
          .tasks = {{"us-west-2a", false, "healthy"},
                    {"us-west-2b", true, "unhealthy"},
                    {"us-west-2a", true, "starting"}},
          .alarms_ringing = 2};
}

void expect_drawings(const std::string& name, const model::Spec& spec, const std::optional<LiveState>& live) {
  expect_golden("diagram_" + name + ".svg", svg_diagram(spec, live));
  expect_golden("diagram_" + name + ".mmd", mermaid_diagram(spec, live));
}

TEST(Diagram, of_the_defaults_shows_cloudfront_three_zones_and_one_nat) {
  expect_drawings("default", demo(3, 3), std::nullopt);
}

TEST(Diagram, with_a_domain_puts_the_load_balancer_into_public_subnets) {
  model::Spec spec = demo(2, 4);
  spec.aws.domain = "mcp.example.com";
  spec.aws.hosted_zone = "Z1";
  spec.aws.waf = true;
  spec.aws.network.egress = Egress::nat_per_zone;
  spec.aws.alarms.email = "ops@example.com";
  spec.scaling.hours = model::HoursSpec{};
  expect_drawings("domain", spec, std::nullopt);
}

TEST(Diagram, of_a_running_service_shows_health_image_and_alarms) {
  model::Spec spec = demo(3, 4);
  spec.aws.domain = "mcp.example.com";
  spec.aws.certificate = "arn:aws:acm:us-west-2:1:certificate/x";
  expect_drawings("live", spec, running());
}

TEST(Diagram, of_five_zones_behind_an_internal_load_balancer_with_endpoints_fits) {
  model::Spec spec = demo(5, 21);
  spec.aws.internal = true;
  spec.aws.domain = "mcp.corp.example.com";
  spec.aws.allow = {"10.0.0.0/8"};
  spec.aws.network.egress = Egress::endpoints;
  spec.aws.open = true;
  spec.aws.traces = false;
  spec.permissions = {{.actions = {"s3:GetObject"}, .resources = {"*"}}};
  expect_drawings("internal", spec, std::nullopt);
}

TEST(Diagram, of_somebody_elses_network_names_its_subnets) {
  model::Spec spec = demo(3, 3);
  spec.aws.region.clear();
  spec.aws.network.vpc = "vpc-0a1b2c3d4e5f60718";
  spec.aws.network.public_subnets = {"subnet-0a", "subnet-0b"};
  spec.aws.network.private_subnets = {"subnet-0c1d2e3f4a5b6c7d8", "subnet-0d2e3f4a5b6c7d8e9"};
  expect_drawings("own_network", spec, std::nullopt);
}

TEST(Diagram, holds_no_markup_of_the_spec) {
  model::Spec spec = demo(1, 1);
  spec.name = "a<b>&\"c\"\x01";
  spec.aws.domain = "x\"]; click clients \"https://evil\"";
  std::string svg = svg_diagram(spec, std::nullopt);
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
  EXPECT_NE(svg.find("a&lt;b&gt;&amp;&quot;c&quot; "), std::string::npos);
  EXPECT_EQ(mermaid_diagram(spec, std::nullopt).find("\"]; click"), std::string::npos);
}

TEST(Diagram, is_standalone_and_named_for_screen_readers) {
  std::string svg = svg_diagram(demo(3, 3), std::nullopt);
  for (std::string_view banned : {"<script", "@import", "<image", "href=", "url(http", "<foreignObject"}) {
    EXPECT_EQ(svg.find(banned), std::string::npos) << banned;
  }
  EXPECT_NE(svg.find("role=\"img\" aria-labelledby=\"berth-demo-title berth-demo-desc\""), std::string::npos);
  EXPECT_NE(
      svg.find("<desc id=\"berth-demo-desc\">MCP clients reach the service demo (AWS, us-west-2) by HTTPS "
               "through CloudFront and an internal load balancer, which spreads calls over 3 tasks"),
      std::string::npos);
}

TEST(Drawing, puts_live_tasks_into_their_zones_also_into_one_the_spec_does_not_name) {
  LiveState live = running();
  live.tasks.push_back({"us-west-2d", false, "healthy"});
  Drawing drawing = draw(demo(3, 3), live);
  ASSERT_EQ(drawing.zones.size(), 4u);
  EXPECT_EQ(drawing.zones[0].tasks.size(), 2u);
  EXPECT_EQ(drawing.zones[2].tasks.size(), 0u);
  EXPECT_EQ(drawing.zones[3].name, "us-west-2d");
  EXPECT_EQ(drawing.service, "ECS service demo · 2 of 4 healthy");
}

TEST(Page, cuts_text_that_is_too_wide_and_never_a_character) {
  Page page("x");
  page.text(0, 0, "b-p", "ääääääääääääääääääää", Page::Anchor::start, 60);
  std::string svg = page.finish(10, 10, "t", "d");
  EXPECT_NE(svg.find(">ääää…</text>"), std::string::npos) << svg.substr(svg.find("<text"));
  EXPECT_EQ(xml_text("a\xff"
                     "b"),
            "a\xef\xbf\xbd"
            "b");
}

}  // namespace
}  // namespace berth::deploy
