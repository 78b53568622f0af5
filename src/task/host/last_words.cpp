#include "task/host/last_words.h"

#include <algorithm>
#include <utility>

namespace berth::task::host {

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
  kept_.push_back(std::move(line));
  if (kept_.size() > lines_kept) kept_.pop_front();
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

std::string LastWords::sentence() const {
  constexpr std::size_t bytes_max = 600;
  std::string all = text();
  if (all.empty()) return {};
  if (all.size() > bytes_max) {
    const std::size_t line_start = all.find('\n', all.size() - bytes_max);
    all = line_start == std::string::npos ? all.substr(all.size() - bytes_max) : all.substr(line_start + 1);
  }
  std::replace(all.begin(), all.end(), '\n', ' ');
  return " Its last words: " + all;
}

}  // namespace berth::task::host
