#pragma once

#include <array>
#include <optional>
#include <string>

#include "cli/context.h"
#include "cli/live_view.h"
#include "deploy/plan_time.h"
#include "deploy/progress.h"

namespace berth::cli {

/// How a verb that changes something gets its answer.
enum class Consent : unsigned char { ask, given };

/// The phases of a deploy with their times: redrawn on a terminal, plain lines elsewhere. `lines_to_err`:
/// never redrawn, and out is left to what the verb answers.
enum class Picture : unsigned char { redrawn, lines_to_err };
class DeployView final : public deploy::Progress {
 public:
  DeployView(Context& context, Consent consent, Picture picture);

  void expect(const deploy::TimeModel& model) override { model_ = model; }
  void begin(deploy::Phase phase) override;
  void detail(const std::string& text) override;
  void notice(const std::string& text) override;
  void end(deploy::Phase phase, deploy::PhaseEnd end, const std::string& summary) override;
  Task<Result<bool>> confirm(std::string question) override;

  /// Ctrl-C: what runs stands still from now on.
  void interrupt();
  /// Once a second, for the times.
  void tick();
  /// Redraws no more; what comes next stands below the picture.
  void stop();
  /// Nobody could be asked, or the answer was no.
  bool refused() const { return refused_; }
  /// The phases that were reached, as JSON: [{"phase", "seconds", "about_seconds", "end", "summary"}];
  /// about_seconds is what the model says, null where it says nothing.
  std::string times_json() const;
  Duration elapsed() const { return context_.clock.now() - begun_; }

 private:
  enum class State : unsigned char { waiting, running, done, skipped, stopped, failed };
  struct Row {
    State state = State::waiting;
    TimePoint begin{};
    Duration took{};
    std::string text;
  };
  std::string picture() const;
  std::string picture_row(deploy::Phase phase, bool colour) const;
  /// "about 15 min", or nothing where the model says nothing.
  std::string about(deploy::Phase phase) const;
  void draw();
  void line(const std::string& text);

  Context& context_;
  Consent consent_;
  LiveView view_;
  std::array<Row, deploy::phase_count> rows_;
  std::optional<deploy::TimeModel> model_;
  TimePoint begun_;
  bool redraws_;
  bool quiet_out_;
  bool shown_ = false;
  bool refused_ = false;
};

/// Asks on the terminal; true for y and yes. Where stdin is no terminal: permission_denied, naming --yes.
Task<Result<bool>> ask_user(Context& context, std::string question);

/// Progress for verbs without phases (destroy, rollback): notices and details as lines.
class LineProgress final : public deploy::Progress {
 public:
  LineProgress(Context& context, Consent consent) : context_(context), consent_(consent) {}
  /// Takes the last detail off the screen; what comes next begins a line.
  void finish();
  void begin(deploy::Phase /*phase*/) override {}
  void detail(const std::string& text) override;
  void notice(const std::string& text) override;
  void end(deploy::Phase /*phase*/, deploy::PhaseEnd /*end*/, const std::string& /*summary*/) override {}
  Task<Result<bool>> confirm(std::string question) override;
  bool refused() const { return refused_; }

 private:
  Context& context_;
  Consent consent_;
  std::string told_;
  bool refused_ = false;
};

}  // namespace berth::cli
