#include "cli/live_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace berth::cli {
namespace {

// Lines are not wrapped while the picture is drawn, so that its height on the screen is known.
constexpr std::string_view no_wrap = "\x1b[?7l";
constexpr std::string_view wrap_again = "\x1b[?7h";

std::string first_lines(const std::string& text, std::size_t count) {
  std::size_t end = 0;
  while (count > 0 && end < text.size()) {
    end = std::min(text.find('\n', end), text.size() - 1) + 1;
    --count;
  }
  return text.substr(0, end);
}

}  // namespace

void LiveView::draw(const std::string& before, const std::string& picture) {
  std::string erase = lines_ > 0 ? fmt::format("\x1b[{}A\r\x1b[J", lines_) : "";
  std::string visible = first_lines(picture, std::max<std::size_t>(terminal_.rows(), 2) - 1);
  terminal_.out(fmt::format("{}{}{}{}{}", erase, before, no_wrap, visible, wrap_again));
  lines_ = static_cast<std::size_t>(std::ranges::count(visible, '\n'));
  drawn_ = picture;
}

void LiveView::show(const std::string& picture, bool good) {
  if (redraws_ && picture != drawn_) draw("", picture);
  if (!redraws_ && good && !shown_good_) terminal_.out("\n" + picture);
  shown_good_ = good;
}

void LiveView::announce(const std::string& text) {
  if (redraws_) {
    draw(text + "\n", drawn_);
  } else {
    terminal_.out("\n" + text);
  }
}

void LiveView::event(std::string_view text, WallTime now) {
  if (redraws_) return;
  std::string time = to_rfc3339(now);
  terminal_.out(fmt::format("{}  {}\n", time.substr(11, 8), printable(text)));
}

void LiveView::say(std::string_view text) {
  if (redraws_) {
    lines_ = 0;
    drawn_.clear();
  }
  terminal_.err(text);
}

}  // namespace berth::cli
