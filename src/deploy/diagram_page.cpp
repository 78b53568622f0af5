#include "deploy/diagram_page.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace berth::deploy {
namespace {

// Two palettes over the same classes; colours of the bars and pills read well on both.
constexpr std::string_view style = R"css(
.b-t{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#18212d}
.b-h1{font-size:26px;font-weight:700}.b-h2{font-size:14px}.b-h3{font-size:13px;font-weight:600}
.b-p{font-size:12px}.b-s{font-size:11px}.b-pill{font-size:10.5px;font-weight:600}
.b-h2,.b-p,.b-s{fill:#56637a}
.b-page{fill:#fff;stroke:#dde3ec}.b-region{fill:#f5f7fa;stroke:#a9b5c6;stroke-dasharray:6 5}
.b-vpc{fill:#fff;stroke:#6d8fc7;stroke-width:1.5}.b-zone{fill:#eef2f8}
.b-public{fill:#e3f3e8;stroke:#9bcbaa}.b-private{fill:#e4ecfa;stroke:#a9c0e8}
.b-card{fill:#fff;stroke:#c9d2df}.b-group{fill:#fff8f0;stroke:#e0a25a;stroke-dasharray:5 4;stroke-width:1.4}
.b-none{fill:none;stroke:#c9b594;stroke-dasharray:3 3}
.b-line{fill:none;stroke:#6b7a90;stroke-width:1.5;stroke-linejoin:round}.b-head{fill:#6b7a90}
.b-client{stroke:#56637a;fill:#56637a}.b-network{stroke:#3a6fd8;fill:#3a6fd8}
.b-compute{stroke:#cf6d12;fill:#cf6d12}.b-storage{stroke:#2c8a4b;fill:#2c8a4b}
.b-security{stroke:#bf3657;fill:#bf3657}.b-monitoring{stroke:#7a50c8;fill:#7a50c8}
.b-icon{fill:none;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}
.b-spot{fill:#fdeacc;stroke:#e0a25a}.b-demand{fill:#dfe9fb;stroke:#8fb0ea}
.b-tspot{fill:#8a4b05}.b-tdemand{fill:#1f4a9c}
.b-good{fill:#25a159}.b-bad{fill:#d83a3a}.b-wait{fill:#d9a21b}
@media (prefers-color-scheme:dark){
.b-t{fill:#e9eef6}.b-h2,.b-p,.b-s{fill:#a4b3c8}
.b-page{fill:#10151c;stroke:#2a3442}.b-region{fill:#151b24;stroke:#52617a}
.b-vpc{fill:#1a212c;stroke:#5f85c4}.b-zone{fill:#212a38}
.b-public{fill:#1b3327;stroke:#3f6f52}.b-private{fill:#1c2a44;stroke:#3e5a8c}
.b-card{fill:#262f3d;stroke:#455267}.b-group{fill:#2d271f;stroke:#a8742f}.b-none{stroke:#7d6a48}
.b-line{stroke:#93a3ba}.b-head{fill:#93a3ba}.b-client{stroke:#a4b3c8;fill:#a4b3c8}
.b-network{stroke:#6a9bff;fill:#6a9bff}.b-compute{stroke:#f2953f;fill:#f2953f}
.b-storage{stroke:#4fbd75;fill:#4fbd75}.b-security{stroke:#f0708d;fill:#f0708d}
.b-monitoring{stroke:#a988f0;fill:#a988f0}.b-icon{fill:none}
.b-spot{fill:#4a3413;stroke:#a8742f}.b-demand{fill:#1f3358;stroke:#4a6fb5}
.b-tspot{fill:#ffcf8a}.b-tdemand{fill:#b7d0ff}
}
)css";

std::string_view class_of(Glyph glyph) {
  switch (glyph) {
    case Glyph::client: return "b-client";
    case Glyph::network: return "b-network";
    case Glyph::compute: return "b-compute";
    case Glyph::storage: return "b-storage";
    case Glyph::security: return "b-security";
    case Glyph::monitoring: return "b-monitoring";
  }
  return "";
}

/// Paths in a square of 18 by 18.
std::string_view shape_of(Glyph glyph) {
  switch (glyph) {
    case Glyph::client: return "M2 3h14v10H2zM6 16h6M9 13v3";
    case Glyph::network: return "M9 2v5M9 7L3 13M9 7v6M9 7l6 6M1.5 13h3v3h-3zM7.5 13h3v3h-3zM13.5 13h3v3h-3z";
    case Glyph::compute:
      return "M4 4h10v10H4zM7 7h4v4H7zM7 1v3M11 1v3M7 14v3M11 14v3M1 7h3M1 11h3M14 7h3M14 11h3";
    case Glyph::storage:
      return "M2 4.5a7 2.5 0 0 1 14 0a7 2.5 0 0 1-14 0v9a7 2.5 0 0 0 14 0v-9M2 9a7 2.5 0 0 0 14 0";
    case Glyph::security:
      return "M9 1.5l6.5 2.5v5c0 4-3 6.3-6.5 7.5C5.5 15.3 2.5 13 2.5 9V4zM6 9l2.2 2.2L12.2 7";
    case Glyph::monitoring: return "M2 2v14h14M5 12l3-4 3 2 4-6";
  }
  return "";
}

/// Width of a character in ems, a little above that of the widest usual font.
double ems(std::string_view character) {
  if (character.size() > 1) return 0.85;
  char c = character.front();
  if (std::string_view("iljI.,:;'|! ").find(c) != std::string_view::npos) return 0.36;
  if (std::string_view("mwMW@%").find(c) != std::string_view::npos) return 0.98;
  return c >= 'A' && c <= 'Z' ? 0.72 : 0.63;
}

double size_of(std::string_view style_class) {
  if (style_class.find("b-h1") != std::string_view::npos) return 26;
  if (style_class.find("b-h2") != std::string_view::npos) return 14;
  if (style_class.find("b-h3") != std::string_view::npos) return 13;
  if (style_class.find("b-s") != std::string_view::npos) return 11;
  return style_class.find("b-pill") != std::string_view::npos ? 10.5 : 12;
}

std::string fit(std::string_view words, double size, double width_max) {
  double width = 0;
  std::size_t kept = 0;  // up to here an ellipsis still fits
  for (std::size_t at = 0; at < words.size();) {
    std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(words.substr(at)));
    width += ems(words.substr(at, length)) * size;
    if (width > width_max) return std::string(words.substr(0, kept)) + "…";
    at += length;
    if (width + size * 0.85 <= width_max) kept = at;
  }
  return std::string(words);
}

std::string_view name_of(Page::Anchor anchor) {
  switch (anchor) {
    case Page::Anchor::start: return "start";
    case Page::Anchor::middle: return "middle";
    case Page::Anchor::end: return "end";
  }
  return "";
}

}  // namespace

std::string xml_text(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = utf8_sequence_length(text.substr(at));
    char c = text[at];
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (length == 1 && static_cast<unsigned char>(c) < 0x20) {
      out += ' ';
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += text.substr(at, length);
    }
    at += std::max<std::size_t>(1, length);
  }
  return out;
}

Page::Page(std::string_view name) {
  for (char c : name) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    name_ += plain ? c : '-';
  }
}

void Page::rect(const Box& box, std::string_view style_class, double radius) {
  body_ +=
      fmt::format("<rect class=\"{}\" x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" rx=\"{:g}\"/>\n",
                  style_class, box.x, box.y, box.width, box.height, radius);
}

void Page::text(double x, double y, std::string_view style_class, std::string_view words, Anchor anchor,
                double width_max) {
  if (words.empty()) return;
  std::string shown = width_max > 0 ? fit(words, size_of(style_class), width_max) : std::string(words);
  std::string anchored = anchor == Anchor::start ? "" : fmt::format(" text-anchor=\"{}\"", name_of(anchor));
  body_ += fmt::format("<text class=\"b-t {}\" x=\"{:g}\" y=\"{:g}\"{}>{}</text>\n", style_class, x, y,
                       anchored, xml_text(shown));
}

void Page::line(std::string_view points) {
  body_ += fmt::format("<polyline class=\"b-line\" points=\"{}\"/>\n", points);
}

void Page::arrow(std::string_view points) {
  body_ +=
      fmt::format("<polyline class=\"b-line\" points=\"{}\" marker-end=\"url(#{}-head)\"/>\n", points, name_);
}

void Page::glyph(Glyph which, double x, double y) {
  body_ += fmt::format("<path class=\"{} b-icon\" transform=\"translate({:g} {:g})\" d=\"{}\"/>\n",
                       class_of(which), x, y, shape_of(which));
}

void Page::dot(double x, double y, std::string_view style_class) {
  body_ += fmt::format("<circle class=\"{}\" cx=\"{:g}\" cy=\"{:g}\" r=\"4.5\"/>\n", style_class, x, y);
}

void Page::card(const Box& box, Glyph which, std::string_view title, std::string_view line_text,
                std::string_view second) {
  rect(box, "b-card", 7);
  glyph(which, box.x + 13, box.middle() - 9);
  double x = box.x + 42;
  double width = box.width - 52;
  double lines = line_text.empty() ? 0 : second.empty() ? 1 : 2;
  double y = box.middle() + 4.5 - lines * 7.5;
  text(x, y, "b-h3", title, Anchor::start, width);
  if (!line_text.empty()) text(x, y + 16, "b-s", line_text, Anchor::start, width);
  if (!second.empty()) text(x, y + 31, "b-s", second, Anchor::start, width);
}

std::string Page::finish(double width, double height, std::string_view title,
                         std::string_view description) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
      "height=\"{1:g}\" "
      "role=\"img\" aria-labelledby=\"{2}-title {2}-desc\">\n"
      "<title id=\"{2}-title\">{3}</title>\n<desc id=\"{2}-desc\">{4}</desc>\n<style>{5}</style>\n"
      "<defs><marker id=\"{2}-head\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" "
      "markerHeight=\"7\" orient=\"auto\"><path class=\"b-head\" d=\"M0 1L10 5L0 9z\"/></marker></defs>\n"
      "{6}</svg>\n",
      width, height, name_, xml_text(title), xml_text(description), style, body_);
}

}  // namespace berth::deploy
