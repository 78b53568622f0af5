#include "cli/deploy_view.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/talk.h"
#include "cli/text.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr double nanoseconds = 1e9;
constexpr Duration minute = std::chrono::minutes(1);
constexpr std::size_t name_columns = 23;
constexpr std::size_t time_columns = 13;
constexpr std::size_t model_columns = 10;
constexpr std::size_t text_columns_min = 20;

double seconds(Duration duration) { return static_cast<double>(duration.count()) / nanoseconds; }

/// "0.4 s", "12 s", "3 min 05 s": phases are compared with one another, so seconds stay.
std::string phase_time(Duration duration) {
  if (duration < std::chrono::seconds(10)) return fmt::format("{:.1f} s", seconds(duration));
  if (duration < 2 * minute) return fmt::format("{:.0f} s", seconds(duration));
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

std::string pad(std::string_view text, std::size_t columns) {
  const std::size_t width = display_width(text);
  return std::string(text) + std::string(width < columns ? columns - width : 1, ' ');
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

Error nobody_to_ask(const std::string& question) {
  return Error(
      ErrorCode::permission_denied,
      fmt::format("{}\nNobody can be asked here (stdin is no terminal), so nothing was changed; --yes "
                  "answers yes.",
                  question));
}

}  // namespace

Task<Result<bool>> ask_user(Context& context, std::string question) {
  if (!context.terminal.in_is_terminal()) co_return Failure(nobody_to_ask(question));
  const std::string text = fmt::format("{} [y/N] ", printable(question));
  context.terminal.err(fitted(context.terminal, text));
  const std::optional<std::string> answer = co_await context.terminal.read_line();
  co_return answer && (*answer == "y" || *answer == "Y" || *answer == "yes");
}

DeployView::DeployView(Context& context, Consent consent, Picture picture)
    : context_(context),
      consent_(consent),
      view_(context.terminal),
      begun_(context.clock.now()),
      redraws_(picture == Picture::redrawn && context.terminal.out_is_terminal()),
      quiet_out_(picture == Picture::lines_to_err) {}

void DeployView::line(const std::string& text) {
  if (redraws_) return;
  const std::string stamped = fmt::format("{}  {}\n", to_rfc3339(context_.clock.wall()).substr(11, 8), text);
  if (quiet_out_) {
    context_.terminal.err(stamped);
  } else {
    context_.terminal.out(stamped);
  }
}

void DeployView::begin(deploy::Phase phase) {
  Row& row = rows_.at(static_cast<std::size_t>(phase));
  row.state = State::running;
  row.begin = context_.clock.now();
  row.text.clear();
  shown_ = true;
  draw();
}

void DeployView::detail(const std::string& text) {
  for (Row& row : rows_) {
    if (row.state == State::running) row.text = first_line(printable(text));
  }
  draw();
}

void DeployView::notice(const std::string& text) {
  if (redraws_) view_.announce(fitted(context_.terminal, printable(text)));
  line(printable(text));
}

void DeployView::end(deploy::Phase phase, deploy::PhaseEnd end, const std::string& summary) {
  Row& row = rows_.at(static_cast<std::size_t>(phase));
  row.took = context_.clock.now() - row.begin;
  row.text = first_line(printable(summary));
  const bool failed = end == deploy::PhaseEnd::failed;
  row.state = failed ? State::failed : State::done;
  if (end == deploy::PhaseEnd::nothing_to_do) row.state = State::skipped;
  if (failed && refused_) {
    row.state = State::stopped;
    row.text = "not confirmed";
  }
  const std::string model = about(phase);
  line(fmt::format("{}{} ({}{}){}", deploy::title(phase), row.state == State::failed ? " failed" : "",
                   phase_time(row.took), model.empty() ? "" : ", model: " + model,
                   row.text.empty() ? "" : ": " + row.text));
  draw();
}

void DeployView::interrupt() {
  for (Row& row : rows_) {
    if (row.state != State::running) continue;
    row.took = context_.clock.now() - row.begin;
    row.state = State::stopped;
    row.text = "interrupted";
  }
  draw();
}

Task<Result<bool>> DeployView::confirm(std::string question) {
  if (consent_ == Consent::given) co_return true;
  // Only the question is to be read now; the picture is drawn anew below the answer.
  if (redraws_) view_.clear();
  shown_ = false;
  const TimePoint asked = context_.clock.now();
  const Result<bool> answer = co_await ask_user(context_, std::move(question));
  // A user who thinks is not time that a phase takes.
  const Duration thought = context_.clock.now() - asked;
  begun_ += thought;
  for (Row& row : rows_) {
    if (row.state == State::running) row.begin += thought;
  }
  shown_ = true;
  refused_ = !answer || !*answer;
  co_return answer;
}

void DeployView::tick() {
  if (shown_) draw();
}

void DeployView::stop() {
  if (shown_ && redraws_) view_.say("");
  shown_ = false;
}

void DeployView::draw() {
  if (redraws_ && shown_) view_.show(picture(), "", false);
}

std::string DeployView::about(deploy::Phase phase) const {
  const std::chrono::seconds time = model_ ? model_->of(phase) : std::chrono::seconds(0);
  return time.count() == 0 ? "" : deploy::roughly(time);
}

std::string DeployView::picture_row(deploy::Phase phase, bool colour) const {
  const Row& row = rows_.at(static_cast<std::size_t>(phase));
  const std::string name = pad(deploy::title(phase), name_columns);
  const Duration took = row.state == State::running ? context_.clock.now() - row.begin : row.took;
  const std::string time = pad(row.state == State::waiting ? "" : phase_time(took), time_columns);
  const std::string model = paint(Paint::dim, pad(about(phase), model_columns), colour);
  const std::size_t before = 4 + name_columns + time_columns + model_columns;
  const std::size_t columns = context_.terminal.columns();
  const std::string text =
      clip(row.text, columns > before + text_columns_min ? columns - before : text_columns_min);
  switch (row.state) {
    case State::waiting: return paint(Paint::dim, "  · " + name, colour) + time + model;
    case State::running: return paint(Paint::cyan, "  ● " + name, colour) + time + model + text;
    case State::done: return paint(Paint::green, "  ✓ ", colour) + name + time + model + text;
    case State::skipped:
      return paint(Paint::green, "  ✓ ", colour) + name + time + model + paint(Paint::dim, text, colour);
    case State::stopped: return paint(Paint::yellow, "  – " + name, colour) + time + model + text;
    case State::failed: return paint(Paint::red, "  ✗ " + name, colour) + time + model + text;
  }
  return "";
}

std::string DeployView::picture() const {
  const bool colour = context_.terminal.colour();
  const std::string head =
      fmt::format("    {}{}{}", pad("", name_columns), pad("took", time_columns), model_ ? "model" : "");
  std::string out = paint(Paint::dim, head, colour) + "\n";
  for (std::size_t i = 0; i < rows_.size(); ++i)
    out += picture_row(static_cast<deploy::Phase>(i), colour) + "\n";
  const std::string model = model_ ? deploy::roughly(model_->total()) : "";
  return out + fmt::format("    {}{}{}\n", pad("Total", name_columns),
                           pad(phase_time(elapsed()), time_columns), paint(Paint::dim, model, colour));
}

std::string DeployView::times_json() const {
  json::array out;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    if (row.state == State::waiting) continue;
    const char* end = row.state == State::failed    ? "failed"
                      : row.state == State::skipped ? "nothing_to_do"
                      : row.state == State::stopped ? "stopped"
                                                    : "done";
    const auto phase = static_cast<deploy::Phase>(i);
    const std::int64_t about = model_ ? model_->of(phase).count() : 0;
    out.push_back(json::object{{"phase", std::string(deploy::title(phase))},
                               {"seconds", seconds(row.took)},
                               {"about_seconds", about > 0 ? json::value(about) : json::value(nullptr)},
                               {"end", end},
                               {"summary", row.text}});
  }
  return json::serialize(out);
}

void LineProgress::detail(const std::string& text) {
  if (text == told_) return;
  told_ = text;
  // On a terminal the line is written over: details are many, and only the last one matters.
  const std::string line = clip(printable(text), context_.terminal.columns() - 3);
  if (context_.terminal.out_is_terminal()) context_.terminal.err(fmt::format("\r\x1b[K  {}", line));
}

void LineProgress::finish() {
  if (context_.terminal.out_is_terminal() && !told_.empty()) context_.terminal.err("\r\x1b[K");
  told_.clear();
}

void LineProgress::notice(const std::string& text) {
  finish();
  context_.terminal.err(fitted(context_.terminal, printable(text)) + "\n");
}

Task<Result<bool>> LineProgress::confirm(std::string question) {
  if (consent_ == Consent::given) co_return true;
  finish();
  const Result<bool> answer = co_await ask_user(context_, std::move(question));
  refused_ = !answer || !*answer;
  co_return answer;
}

}  // namespace berth::cli
