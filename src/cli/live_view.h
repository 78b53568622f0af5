#pragma once

#include <string>

#include "cli/context.h"

namespace berth::cli {

/// The changing picture of a running service. On a terminal it is redrawn in place; elsewhere events are
/// printed as plain
/// lines, and the picture only when the service has become healthy or has stopped being so.
class LiveView {
 public:
  explicit LiveView(Terminal& terminal) : terminal_(terminal), redraws_(terminal.out_is_terminal()) {}

  /// `footer` is one line below the picture, which is on the screen however small that is; empty: none.
  /// `good`: whether every task is healthy.
  void show(const std::string& picture, const std::string& footer, bool good);
  /// What stays and is read once: above the picture on a terminal, after it elsewhere.
  void announce(const std::string& text);
  /// Where the picture is not redrawn: shows it although not every task is healthy.
  void complain(const std::string& picture) {
    if (!redraws_) terminal_.out("\n" + picture);
  }
  /// One sentence about something that happened.
  void event(std::string_view text, WallTime now);
  /// A line that stays.
  void say(std::string_view text);
  /// Takes the picture off the screen, for something that is better read without it.
  void clear();

 private:
  void draw(const std::string& before, const std::string& picture);
  std::string to_the_top() const;

  Terminal& terminal_;
  bool redraws_;
  std::string drawn_;  ///< the picture
  std::string footer_;
  std::string visible_;  ///< the part of it that is on the screen
  std::size_t columns_ = 0;
  bool shown_good_ = false;
};

}  // namespace berth::cli
