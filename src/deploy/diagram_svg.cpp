#include <fmt/format.h>

#include <algorithm>

#include "deploy/diagram_facts.h"
#include "deploy/diagram_page.h"

/// Layout of the drawing: columns are zones, bars across them are what spans zones, at the right what belongs
/// to the region. All lengths are pixels.
namespace berth::deploy {
namespace {

using Anchor = Page::Anchor;
using WayIn = Drawing::WayIn;

constexpr double margin = 28;
constexpr double pad = 20;  // inside region and VPC
constexpr double column_gap = 14;
constexpr double bus_width = 48;  // between the VPC and the parts at its right
constexpr double side_width = 248;
constexpr double card_height = 58;
constexpr double way_gap = 40;  // an arrow with its label
constexpr double arrow_gap = 30;
constexpr double label_height = 24;
constexpr double nat_height = 44;
constexpr double task_height = 52;
constexpr double task_gap = 8;
constexpr std::size_t tasks_shown_max = 3;
constexpr double part_height = 64;
constexpr double part_gap = 10;

double column_width(std::size_t zones) {
  constexpr double widths[] = {390, 262, 214, 192};
  return zones <= 4 ? widths[zones - 1] : 184;
}

Glyph glyph_of(DrawnPart::Kind kind) {
  switch (kind) {
    case DrawnPart::Kind::compute: return Glyph::compute;
    case DrawnPart::Kind::storage: return Glyph::storage;
    case DrawnPart::Kind::security: return Glyph::security;
    case DrawnPart::Kind::monitoring: return Glyph::monitoring;
  }
  return Glyph::compute;
}

std::string points(std::initializer_list<std::pair<double, double>> list) {
  std::string out;
  for (const auto& [x, y] : list) out += fmt::format("{}{:g},{:g}", out.empty() ? "" : " ", x, y);
  return out;
}

class Sheet {
 public:
  explicit Sheet(const Drawing& drawing) : drawing_(drawing), page_("berth-" + drawing.title) { measure(); }
  std::string finish();

 private:
  bool balancer_is_public() const { return drawing_.balancer_in_public; }
  bool has_nat() const {
    return std::ranges::any_of(drawing_.zones, [](const DrawnZone& zone) { return zone.nat; });
  }
  Box column(std::size_t index) const {
    return {vpc_.x + pad + static_cast<double>(index) * (column_width_ + column_gap), public_y_,
            column_width_, 0};
  }
  /// A bar across all columns.
  Box across(double y, double height) const {
    return {vpc_.x + pad + 8, y, vpc_.width - 2 * pad - 16, height};
  }
  void measure();
  void measure_rows();
  void clients();
  void frames();
  void cells();
  void balancer();
  void tasks();
  void task(const Box& box, std::size_t number, const DrawnTask& task);
  void storage();
  void parts();

  const Drawing& drawing_;
  Page page_;
  double column_width_ = 0;
  double width_ = 0, height_ = 0;
  double entry_x_ = 0;  ///< of the arrow into the VPC
  double down_x_ = 0;   ///< of arrows from the load balancer to tasks, from the column's left
  Box region_, vpc_, balancer_, group_, files_, endpoints_, clients_, edge_;
  double public_y_ = 0, private_y_ = 0, public_height_ = 0, private_height_ = 0, nat_y_ = 0, parts_y_ = 0;
};

void Sheet::measure() {
  std::size_t zones = drawing_.zones.size();
  column_width_ = column_width(zones);
  auto count = static_cast<double>(zones);
  double vpc_width = count * column_width_ + (count - 1) * column_gap + 2 * pad;
  region_ = {margin, 0, pad + vpc_width + bus_width + side_width + pad, 0};
  vpc_ = {region_.x + pad, 0, vpc_width, 0};
  width_ = region_.right() + margin;

  double y = 96;
  clients_ = {vpc_.centre() - 130, y, 260, card_height};
  y = clients_.bottom() + way_gap;
  if (drawing_.way_in == WayIn::cloudfront) {
    edge_ = {vpc_.centre() - 130, y, 260, card_height};
    y = edge_.bottom() + way_gap;
  }
  region_.y = y;
  vpc_.y = y + 38;
  public_y_ = vpc_.y + 38;
  measure_rows();
  region_.height = vpc_.bottom() + pad - region_.y;
  height_ = region_.bottom() + 52;

  bool gap_in_the_middle = zones % 2 == 0;
  entry_x_ = vpc_.centre();
  if (!balancer_is_public() && zones > 1 && !gap_in_the_middle) entry_x_ += (column_width_ + column_gap) / 2;
  down_x_ = balancer_is_public() && has_nat() ? column_width_ - 26 : column_width_ / 2;
}

void Sheet::measure_rows() {
  double y = public_y_;
  if (drawing_.public_subnets) {
    y += label_height;
    if (balancer_is_public()) {
      balancer_ = across(y, card_height);
      y = balancer_.bottom() + 12;
    }
    if (has_nat()) {
      nat_y_ = y;
      y += nat_height + 12;
    }
    public_height_ = y - public_y_;
    y += 14;
  }
  private_y_ = y;
  y += label_height + (balancer_is_public() ? 8 : 0);
  std::size_t most = 0;
  for (const DrawnZone& zone : drawing_.zones) most = std::max(most, zone.tasks.size());
  double rows = static_cast<double>(std::clamp<std::size_t>(most, 1, tasks_shown_max));
  double group_height = 32 + rows * (task_height + task_gap) + (most > tasks_shown_max ? 20 : 0) + 4;

  // What the parts at the right need more than the rows here is shared out between the arrows.
  double wanted = vpc_.y + static_cast<double>(drawing_.parts.size()) * (part_height + part_gap) - part_gap;
  double used = y + (balancer_is_public() ? 0 : card_height + arrow_gap) + group_height + arrow_gap +
                card_height + (drawing_.endpoints ? 12 + card_height : 0) + 14 + 34;
  double spare = std::max(0.0, wanted - used) / (balancer_is_public() ? 1 : 2);

  if (!balancer_is_public()) {
    balancer_ = across(y, card_height);
    y = balancer_.bottom() + arrow_gap + spare;
  }
  group_ = across(y, group_height);
  y = group_.bottom() + arrow_gap + spare;
  files_ = across(y, card_height);
  y = files_.bottom();
  if (drawing_.endpoints) {
    endpoints_ = across(y + 12, card_height);
    y = endpoints_.bottom();
  }
  y += 14;
  private_height_ = y - private_y_;
  vpc_.height = y + 34 - vpc_.y;
  double total = static_cast<double>(drawing_.parts.size()) * (part_height + part_gap) - part_gap;
  parts_y_ = vpc_.y + std::max(0.0, (vpc_.height - total) / 2);
}

void Sheet::frames() {
  page_.rect({0.5, 0.5, width_ - 1, height_ - 1}, "b-page", 12);
  page_.text(margin, 50, "b-h1", drawing_.title, Anchor::start, width_ - 2 * margin);
  page_.text(margin, 74, "b-h2", drawing_.subtitle, Anchor::start, width_ - 2 * margin);
  page_.rect(region_, "b-region", 12);
  page_.text(region_.x + pad, region_.y + 25, "b-h3", drawing_.region);
  page_.rect(vpc_, "b-vpc", 10);
  page_.text(vpc_.x + pad, vpc_.y + 25, "b-h3", drawing_.vpc, Anchor::start, vpc_.width / 2 - 30);
  page_.text(margin, height_ - 20, "b-s", drawing_.footer);
}

void Sheet::clients() {
  page_.card(clients_, Glyph::client, "MCP clients", drawing_.clients);
  double x = vpc_.centre();
  if (drawing_.way_in == WayIn::cloudfront) {
    page_.arrow(points({{x, clients_.bottom()}, {x, edge_.y}}));
    page_.text(x + 12, clients_.bottom() + way_gap / 2 + 4, "b-p", drawing_.address);
    page_.card(edge_, Glyph::network, "CloudFront", "valid TLS, no caching");
    page_.arrow(points({{entry_x_, edge_.bottom()}, {entry_x_, balancer_.y}}));
    page_.text(entry_x_ + 12, edge_.bottom() + way_gap / 2 + 4, "b-p", "VPC origin");
    return;
  }
  page_.arrow(points({{entry_x_, clients_.bottom()}, {entry_x_, balancer_.y}}));
  page_.text(entry_x_ + 12, clients_.bottom() + way_gap / 2 + 4, "b-p", drawing_.address);
}

void Sheet::cells() {
  for (std::size_t i = 0; i < drawing_.zones.size(); ++i) {
    const DrawnZone& zone = drawing_.zones[i];
    Box strip = column(i);
    page_.rect({strip.x - 5, public_y_ - 6, strip.width + 10, vpc_.bottom() - 6 - public_y_ + 2}, "b-zone",
               8);
    std::string_view suffix = column_width_ >= 200 ? " subnet" : "";
    if (drawing_.public_subnets) {
      page_.rect({strip.x, public_y_, strip.width, public_height_}, "b-public", 6);
      page_.text(strip.x + 10, public_y_ + 16, "b-s", fmt::format("public{}", suffix));
    }
    page_.rect({strip.x, private_y_, strip.width, private_height_}, "b-private", 6);
    page_.text(strip.x + 10, private_y_ + 16, "b-s", fmt::format("private{}", suffix));
    page_.text(strip.centre(), vpc_.bottom() - 13, "b-h3", zone.name, Anchor::middle, strip.width - 12);
    if (zone.nat) {
      double width = std::min(strip.width - 20 - 34, 170.0);
      page_.card({strip.x + 8, nat_y_, width, nat_height}, Glyph::network,
                 width < 150 ? "NAT" : "NAT gateway", "to the internet");
    }
  }
}

void Sheet::balancer() {
  page_.card(balancer_, Glyph::network, "Application Load Balancer",
             drawing_.balancer.empty() ? "" : fmt::format("{}", fmt::join(drawing_.balancer, " · ")));
  for (std::size_t i = 0; i < drawing_.zones.size(); ++i) {
    double x = column(i).x + down_x_;
    page_.arrow(points({{x, balancer_.bottom()}, {x, group_.y}}));
    if (i > 0) continue;
    double y = group_.y - (balancer_is_public() ? 12 : (group_.y - balancer_.bottom()) / 2 - 4);
    bool right = down_x_ <= column_width_ / 2;
    page_.text(right ? x + 8 : x - 8, y, "b-s", "HTTPS :3000", right ? Anchor::start : Anchor::end);
  }
}

void Sheet::task(const Box& box, std::size_t number, const DrawnTask& task) {
  page_.rect(box, "b-card", 6);
  double x = box.x + 12;
  std::string title = fmt::format("Task {}", number);
  if (!task.health.empty()) {
    bool good = task.health == "healthy";
    page_.dot(x + 4, box.y + 17, good ? "b-good" : task.health == "unhealthy" ? "b-bad" : "b-wait");
    x += 16;
    title = task.health;
  }
  double pill_width = task.spot ? 42 : 78;
  page_.text(x, box.y + 21, "b-h3", title, Anchor::start, box.right() - 14 - pill_width - x);
  Box pill{box.right() - 9 - pill_width, box.y + 8, pill_width, 18};
  page_.rect(pill, task.spot ? "b-spot" : "b-demand", 9);
  page_.text(pill.centre(), pill.y + 12.5, task.spot ? "b-pill b-tspot" : "b-pill b-tdemand",
             task.spot ? "Spot" : "on demand", Anchor::middle);
  page_.text(box.x + 12, box.y + 40, "b-s", drawing_.task_size, Anchor::start, box.width - 20);
}

void Sheet::tasks() {
  page_.rect(group_, "b-group", 8);
  page_.text(group_.x + 12, group_.y + 20, "b-h3", drawing_.service + " · Fargate", Anchor::start,
             group_.width - 24);
  std::size_t number = 0;
  std::vector<std::size_t> numbers;  // tasks are numbered zone by zone, as they are started
  for (std::size_t i = 0; i < drawing_.zones.size(); ++i) {
    const DrawnZone& zone = drawing_.zones[i];
    Box strip = column(i);
    Box box{strip.x + 16, group_.y + 32, strip.width - 32, task_height};
    if (zone.tasks.empty()) {
      page_.rect(box, "b-none", 6);
      page_.text(box.centre(), box.middle() + 4, "b-s", "no task here", Anchor::middle);
      continue;
    }
    for (std::size_t k = 0; k < std::min(zone.tasks.size(), tasks_shown_max); ++k) {
      number = i + 1 + k * drawing_.zones.size();
      task(box, number, zone.tasks[k]);
      box.y += task_height + task_gap;
    }
    if (zone.tasks.size() > tasks_shown_max) {
      page_.text(box.centre(), box.y + 11, "b-s",
                 fmt::format("and {} more", zone.tasks.size() - tasks_shown_max), Anchor::middle);
    }
  }
}

void Sheet::storage() {
  page_.card(files_, Glyph::storage, "EFS file system, /mnt/data", "encrypted, a mount target in every zone");
  for (std::size_t i = 0; i < drawing_.zones.size(); ++i) {
    double x = column(i).centre();
    page_.arrow(points({{x, group_.bottom()}, {x, files_.y}}));
    if (i == 0) page_.text(x + 8, (group_.bottom() + files_.y) / 2 + 4, "b-s", "NFS over TLS");
  }
  if (drawing_.endpoints) {
    page_.card(endpoints_, Glyph::network, "VPC endpoints", "AWS alone, nothing of the internet");
  }
}

void Sheet::parts() {
  double x = vpc_.right() + bus_width;
  double bus = vpc_.right() + bus_width / 2;
  double from = group_.middle();
  double y = parts_y_;
  double first = from, last = from;
  for (const DrawnPart& part : drawing_.parts) {
    Box box{x, y, side_width, part_height};
    y = box.bottom() + part_gap;
    page_.card(box, glyph_of(part.kind), part.name, part.lines.empty() ? "" : part.lines[0],
               part.lines.size() > 1 ? part.lines[1] : "");
    if (!part.called_by_tasks) continue;
    page_.arrow(points({{bus, box.middle()}, {box.x, box.middle()}}));
    first = std::min(first, box.middle());
    last = std::max(last, box.middle());
  }
  page_.line(points({{bus, first}, {bus, last}}));
  page_.line(points({{group_.right(), from}, {bus, from}}));
}

std::string Sheet::finish() {
  frames();
  cells();
  clients();
  balancer();
  tasks();
  storage();
  parts();
  return page_.finish(width_, height_, drawing_.title + ": architecture on AWS", drawing_.description);
}

}  // namespace

std::string svg_diagram(const model::Spec& spec, const std::optional<LiveState>& live) {
  Drawing drawing = draw(spec, live);
  return Sheet(drawing).finish();
}

}  // namespace berth::deploy
