#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"

/// The phases of a deploy and who hears of them.
namespace berth::deploy {

enum class Phase : std::uint8_t {
  check,       ///< who deploys what to where; nothing is changed
  base_stack,  ///< registry and secrets
  secrets,     ///< values of ${NAME}
  image,       ///< built or assembled
  push,
  scan,
  change_set,  ///< what the stack would change
  stack,       ///< everything else
  tasks,       ///< new tasks healthy, old ones gone
  proof,       ///< a real MCP call answered
};
inline constexpr std::size_t phase_count = 10;
/// "Registry and secrets".
std::string_view title(Phase phase);

enum class PhaseEnd : std::uint8_t { done, nothing_to_do, failed };

struct TimeModel;

/// Hears what a deploy does and answers what it asks.
class Progress {
 public:
  virtual ~Progress() = default;
  /// How long this deploy should take, as soon as it is known which kind it is.
  virtual void expect(const TimeModel& /*model*/) {}
  virtual void begin(Phase phase) = 0;
  /// What the phase is at; replaces the one before.
  virtual void detail(const std::string& text) = 0;
  /// A sentence that stays.
  virtual void notice(const std::string& text) = 0;
  virtual void end(Phase phase, PhaseEnd end, const std::string& summary) = 0;
  /// Whether to do what `question` says. --yes answers by itself.
  virtual Task<Result<bool>> confirm(std::string question) = 0;
};

/// What goes on by itself after Ctrl-C in `phase`, and how to watch or undo it.
std::string interruption(Phase phase, const std::string& stack, const std::string& region);

}  // namespace berth::deploy
