#include "cli/live_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace berth::cli {
namespace {

// Lines are not wrapped while the picture is drawn, so that its height on the screen is known.
constexpr std::string_view no_wrap = "\x1b[?7l";
constexpr std::string_view wrap_again = "\x1b[?7h";
constexpr std::string_view erase_line = "\x1b[K";
constexpr std::string_view erase_below = "\x1b[J";

/// Columns that `text` takes, colours left out.
std::size_t screen_width(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const std::size_t escape = text.find('\x1b');
    plain += text.substr(0, escape);
    text.remove_prefix(std::min(escape, text.size()));
    text.remove_prefix(text.empty() ? 0 : std::min(text.find('m'), text.size() - 1) + 1);
  }
  return display_width(plain);
}

std::string first_lines(const std::string& text, std::size_t count) {
  std::size_t end = 0;
  while (count > 0 && end < text.size()) {
    end = std::min(text.find('\n', end), text.size() - 1) + 1;
    --count;
  }
  return text.substr(0, end);
}

}  // namespace

/// A terminal that became narrower has broken the lines that are on it.
std::string LiveView::to_the_top() const {
  const std::size_t columns = std::max<std::size_t>(terminal_.columns(), 1);
  std::size_t lines = 0;
  for (std::string_view rest = visible_; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
    const std::size_t width = std::min(screen_width(rest.substr(0, end)), columns_);
    lines += std::max<std::size_t>((width + columns - 1) / columns, 1);
    rest.remove_prefix(end + 1);
  }
  return lines > 0 ? fmt::format("\x1b[{}A\r", lines) : "";
}

void LiveView::draw(const std::string& before, const std::string& picture) {
  // The last row is the cursor's.
  const std::size_t kept = footer_.empty() ? 1 : 2;
  std::string visible = first_lines(picture, std::max(terminal_.rows(), kept + 1) - kept);
  if (!footer_.empty()) visible += footer_ + "\n";
  // Lines are written over one by one: a screen that is empty for a moment flickers.
  std::string over = to_the_top() + (before.empty() ? "" : std::string(erase_below)) + before;
  over += no_wrap;
  for (std::string_view rest = visible; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
    over += fmt::format("{}{}\n", rest.substr(0, end), erase_line);
    rest.remove_prefix(end + 1);
  }
  terminal_.out(fmt::format("{}{}{}", over, wrap_again, erase_below));
  visible_ = std::move(visible);
  columns_ = terminal_.columns();
  drawn_ = picture;
}

void LiveView::clear() {
  if (!visible_.empty()) terminal_.out(to_the_top() + std::string(erase_below));
  visible_.clear();
  drawn_.clear();
}

void LiveView::show(const std::string& picture, const std::string& footer, bool good) {
  footer_ = footer;
  if (redraws_ && picture != drawn_) draw("", picture);
  if (!redraws_ && good && !shown_good_)
    terminal_.out("\n" + picture + (footer.empty() ? "" : footer + "\n"));
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
    visible_.clear();
    drawn_.clear();
  }
  terminal_.err(text);
}

}  // namespace berth::cli
