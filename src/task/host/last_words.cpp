#include "task/host/last_words.h"

#include <algorithm>
#include <utility>

namespace berth::task::host {

namespace {

/// An error so many lines back is no reason for the end any more.
constexpr std::size_t error_lines_max = 200;

bool contains_word(std::string_view line, std::string_view word) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::search(line.begin(), line.end(), word.begin(), word.end(), same) != line.end();
}

bool names_error(std::string_view line) {
  constexpr std::string_view words[] = {"error",  "fatal",  "panic",  "exception",
                                        "failed", "cannot", "missing"};
  // Options are described with such words too, indented.
  if (line.starts_with(' ') || line.starts_with('\t')) return false;
  return std::ranges::any_of(words, [&](std::string_view word) { return contains_word(line, word); });
}

}  // namespace

bool RateLimit::allow(TimePoint now) {
  const double passed = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  tokens_ = std::min(burst_, tokens_ + passed * per_second_);
  if (tokens_ < 1) {
    ++suppressed_;
    return false;
  }
  tokens_ -= 1;
  return true;
}

std::uint64_t RateLimit::take_suppressed() { return std::exchange(suppressed_, 0); }

std::vector<std::string> LastWords::take(std::string_view bytes, TimePoint now) {
  std::vector<std::string> out;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    line_.append(part.substr(0, line_bytes_max - std::min(line_bytes_max, line_.size())));
    if (end == std::string_view::npos) break;
    finish_line(now, out);
    bytes.remove_prefix(end + 1);
  }
  return out;
}

void LastWords::finish_line(TimePoint now, std::vector<std::string>& out) {
  std::string line = std::exchange(line_, {});
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  if (line.empty()) return;
  if (rate_.allow(now)) out.push_back(line);
  keep(std::move(line));
}

void LastWords::keep(std::string line) {
  if (++error_age_ > error_lines_max) error_.clear();
  const bool is_usage = error_.empty() && line.size() < 80 && contains_word(line, "usage");
  if (names_error(line)) {
    error_ = line;
    error_age_ = 0;
  } else if (is_usage && !kept_.empty()) {
    error_ = kept_.back();
    error_age_ = 1;
  }
  kept_.push_back(std::move(line));
  if (kept_.size() > lines_kept) kept_.pop_front();
}

void LastWords::add(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  keep(std::string(line.substr(0, line_bytes_max)));
}

std::string LastWords::text() const {
  std::string text;
  for (const std::string& line : kept_) {
    if (!text.empty()) text += '\n';
    text += line;
  }
  if (!line_.empty()) {
    if (!text.empty()) text += '\n';
    text += line_;
  }
  return text;
}

Secret LastWords::sentence() const {
  constexpr std::size_t bytes_max = 600;
  constexpr std::size_t error_bytes_max = 300;
  std::string all = text();
  if (all.empty()) return {};
  if (all.size() > bytes_max) {
    const std::size_t line_start = all.find('\n', all.size() - bytes_max);
    all = line_start == std::string::npos ? all.substr(all.size() - bytes_max) : all.substr(line_start + 1);
  }
  if (!error_.empty() && all.find(error_) == std::string::npos) {
    if (all.size() > error_bytes_max) all.erase(0, all.size() - error_bytes_max);
    all = error_.substr(0, error_bytes_max) + " … " + all;
  }
  std::replace(all.begin(), all.end(), '\n', ' ');
  return Secret(" Its last words: " + all);
}

}  // namespace berth::task::host
