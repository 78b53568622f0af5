#include "model/shell_words.h"

#include <fmt/format.h>

namespace berth::model {
namespace {

class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_(line) {}

  Result<std::vector<std::string>> run() {
    while (at_ < line_.size()) {
      char c = line_[at_];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        end_word();
        ++at_;
        continue;
      }
      Result<void> taken = take(c);
      if (!taken) return Failure(taken.error());
    }
    end_word();
    if (words_.empty()) return fail(ErrorCode::invalid_argument, "is empty");
    return std::move(words_);
  }

 private:
  Result<void> take(char c) {
    in_word_ = true;
    if (c == '\'' || c == '"') return take_quoted(c);
    if (c == '\\') return take_escape();
    bool substitution = line_.substr(at_).starts_with("$(");
    if (substitution || std::string_view("|&;<>()`").find(c) != std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("holds {}, which needs a shell", substitution ? "$(" : std::string(1, c)));
    }
    word_ += c;
    ++at_;
    return {};
  }

  Result<void> take_quoted(char quote) {
    for (++at_; at_ < line_.size(); ++at_) {
      char c = line_[at_];
      if (c == quote) {
        ++at_;
        return {};
      }
      bool escapes = quote == '"' && c == '\\' && at_ + 1 < line_.size();
      if (escapes && std::string_view("\"\\$`").find(line_[at_ + 1]) != std::string_view::npos)
        c = line_[++at_];
      word_ += c;
    }
    return fail(ErrorCode::invalid_argument, fmt::format("has a {} that is never closed", quote));
  }

  Result<void> take_escape() {
    if (at_ + 1 == line_.size()) return fail(ErrorCode::invalid_argument, "ends in a backslash");
    word_ += line_[at_ + 1];
    at_ += 2;
    return {};
  }

  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  std::string_view line_;
  std::size_t at_ = 0;
  bool in_word_ = false;
  std::string word_;
  std::vector<std::string> words_;
};

bool is_plain(std::string_view word) {
  for (char c : word) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view("@%_+=:,./-").find(c) == std::string_view::npos) return false;
  }
  return !word.empty();
}

}  // namespace

Result<std::vector<std::string>> split_shell_words(std::string_view line) { return Splitter(line).run(); }

std::string join_shell_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    if (is_plain(word)) {
      out += word;
      continue;
    }
    out += '\'';
    for (char c : word) {
      if (c == '\'') {
        out += "'\\''";
      } else {
        out += c;
      }
    }
    out += '\'';
  }
  return out;
}

}  // namespace berth::model
