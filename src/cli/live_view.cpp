#include "cli/live_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace berth::cli {
namespace {

// Lines are not wrapped while the picture is drawn, so that its height on the screen is known.
constexpr std::string_view no_wrap = "\x1b[?7l";
constexpr std::string_view wrap_again = "\x1b[?7h";

}  // namespace

void LiveView::show(const std::string& picture, bool good) {
  if (!redraws_) {
    if (good && !shown_good_) terminal_.out("\n" + picture);
    shown_good_ = good;
    return;
  }
  if (picture == drawn_) return;
  std::size_t lines = lines_;
  std::string head = lines > 0 ? fmt::format("\x1b[{}A\r\x1b[J", lines) : "";
  terminal_.out(fmt::format("{}{}{}{}", head, no_wrap, picture, wrap_again));
  lines_ = static_cast<std::size_t>(std::ranges::count(picture, '\n'));
  drawn_ = picture;
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
