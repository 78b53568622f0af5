#include <fmt/format.h>

#include "deploy/diagram_facts.h"

/// The drawing as Mermaid text.
namespace berth::deploy {
namespace {

using WayIn = Drawing::WayIn;

/// Text inside quotes of Mermaid: quotes and markup as entities, no line breaks.
std::string label_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '"': out += "#quot;"; break;
      case '<': out += "#lt;"; break;
      case '>': out += "#gt;"; break;
      case '#': out += "#35;"; break;
      case ';': out += "#59;"; break;
      case '\n': out += ' '; break;
      default: out += c;
    }
  }
  return out;
}

std::string node(std::string_view id, std::string_view title, const std::vector<std::string>& lines) {
  std::string label = label_text(title);
  for (const std::string& line : lines) label += "<br/>" + label_text(line);
  return fmt::format("{}[\"{}\"]\n", id, label);
}

std::string zone_text(const Drawing& drawing, std::size_t index) {
  const DrawnZone& zone = drawing.zones[index];
  std::string out = fmt::format("      subgraph zone{}[\"{}\"]\n", index + 1, label_text(zone.name));
  if (zone.nat) out += "        " + node(fmt::format("nat{}", index + 1), "NAT gateway", {"public subnet"});
  for (std::size_t k = 0; k < zone.tasks.size(); ++k) {
    std::string title = fmt::format("Task {}", index + 1 + k * drawing.zones.size());
    if (!zone.tasks[k].health.empty()) title += ", " + zone.tasks[k].health;
    out += "        " + node(fmt::format("task{}_{}", index + 1, k + 1), title,
                             {drawing.task_size, zone.tasks[k].spot ? "Spot" : "on demand"});
  }
  return out + "      end\n";
}

std::string edges(const Drawing& drawing) {
  std::string out;
  std::string address = label_text(drawing.address);
  if (drawing.way_in == WayIn::cloudfront) {
    out +=
        fmt::format("  clients -->|\"{}\"| cloudfront\n  cloudfront -->|\"VPC origin\"| balancer\n", address);
  } else {
    out += fmt::format("  clients -->|\"{}\"| balancer\n", address);
  }
  for (std::size_t i = 0; i < drawing.zones.size(); ++i) {
    for (std::size_t k = 0; k < drawing.zones[i].tasks.size(); ++k) {
      std::string id = fmt::format("task{}_{}", i + 1, k + 1);
      bool first = i == 0 && k == 0;
      out += fmt::format("  balancer -->{} {}\n  {} -->{} files\n", first ? "|\"HTTPS :3000\"|" : "", id, id,
                         first ? "|\"NFS over TLS\"|" : "");
    }
  }
  for (std::size_t i = 0; i < drawing.parts.size(); ++i) {
    out += fmt::format("  service {} part{}\n", drawing.parts[i].called_by_tasks ? "-->" : "-.-", i + 1);
  }
  return out;
}

std::string_view class_of(DrawnPart::Kind kind) {
  switch (kind) {
    case DrawnPart::Kind::compute: return "compute";
    case DrawnPart::Kind::storage: return "storage";
    case DrawnPart::Kind::security: return "security";
    case DrawnPart::Kind::monitoring: return "monitoring";
  }
  return "";
}

constexpr std::string_view classes =
    "  classDef network stroke:#3a6fd8,stroke-width:2px\n"
    "  classDef compute stroke:#cf6d12,stroke-width:2px\n"
    "  classDef storage stroke:#2c8a4b,stroke-width:2px\n"
    "  classDef security stroke:#bf3657,stroke-width:2px\n"
    "  classDef monitoring stroke:#7a50c8,stroke-width:2px\n";

}  // namespace

std::string mermaid_diagram(const model::Spec& spec, const std::optional<LiveState>& live) {
  Drawing drawing = draw(spec, live);
  std::string out = fmt::format("flowchart TB\n  accTitle: {}: architecture on AWS\n  accDescr: {}\n",
                                label_text(drawing.title), label_text(drawing.description));
  out += "  " + node("clients", "MCP clients", {drawing.clients});
  if (drawing.way_in == WayIn::cloudfront)
    out += "  " + node("cloudfront", "CloudFront", {"valid TLS, no caching"});
  out += fmt::format("  subgraph region[\"{}\"]\n    subgraph vpc[\"{}\"]\n", label_text(drawing.region),
                     label_text(drawing.vpc));
  out += "    " + node("balancer", "Application Load Balancer", drawing.balancer);
  out += fmt::format("    subgraph service[\"{} · Fargate\"]\n", label_text(drawing.service));
  for (std::size_t i = 0; i < drawing.zones.size(); ++i) out += zone_text(drawing, i);
  out += "    end\n    " +
         node("files", "EFS file system, /mnt/data", {"encrypted, a mount target in every zone"});
  if (drawing.endpoints)
    out += "    " + node("endpoints", "VPC endpoints", {"AWS alone, nothing of the internet"});
  out += "    end\n";
  std::string styles = "  class balancer,cloudfront,endpoints network\n  class files storage\n";
  for (std::size_t i = 0; i < drawing.parts.size(); ++i) {
    const DrawnPart& part = drawing.parts[i];
    out += "    " + node(fmt::format("part{}", i + 1), part.name, part.lines);
    styles += fmt::format("  class part{} {}\n", i + 1, class_of(part.kind));
  }
  if (drawing.way_in != WayIn::cloudfront) styles.replace(styles.find(",cloudfront"), 11, "");
  if (!drawing.endpoints) styles.replace(styles.find(",endpoints"), 10, "");
  return out + "  end\n" + edges(drawing) + std::string(classes) + styles;
}

}  // namespace berth::deploy
