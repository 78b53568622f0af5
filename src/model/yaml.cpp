#include "model/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <map>
#include <optional>
#include <streambuf>
#include <utility>

#include "base/utf8.h"

namespace berth::model {
namespace {

/// Leaves yaml-cpp's parser, which knows no other way out of an event handler.
struct Refused {
  Problem problem;
};

[[noreturn]] void refuse(const YAML::Mark& mark, std::string text) {
  throw Refused{
      {static_cast<std::size_t>(mark.line + 1), static_cast<std::size_t>(mark.column + 1), std::move(text)}};
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const YamlLimits& limits) : limits_(limits) {}

  YamlNode take_root() { return std::move(root_); }
  /// Whether the last text in quotes begins there.
  bool ends_in_quotes_from(std::size_t line, std::size_t column) const {
    return line == last_quoted_.line && column == last_quoted_.column;
  }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(make(YamlNode::Kind::null, mark), mark, anchor, 1);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = make(YamlNode::Kind::scalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    if (node.quoted) last_quoted_ = {node.line, node.column, {}};
    add(std::move(node), mark, anchor, 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      refuse(mark, "this alias stands for a value that it is itself a part of; write the value out.");
    YamlNode copy = found->second.node;
    copy.line = static_cast<std::size_t>(mark.line + 1);
    copy.column = static_cast<std::size_t>(mark.column + 1);
    add(std::move(copy), mark, YAML::NullAnchor, found->second.size);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(YamlNode::Kind::sequence, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(YamlNode::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor;
    std::size_t nodes_before;
    std::optional<YamlNode> key;
  };
  struct Anchored {
    YamlNode node;
    std::size_t size;
  };

  static YamlNode make(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode node;
    node.kind = kind;
    node.line = static_cast<std::size_t>(mark.line + 1);
    node.column = static_cast<std::size_t>(mark.column + 1);
    return node;
  }

  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ <= limits_.nodes_max) return;
    refuse(mark, fmt::format(
                     "the file holds more than {} values (aliases count as often as they are used), which no "
                     "description of a service needs; make it smaller.",
                     limits_.nodes_max));
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (stack_.size() >= limits_.depth_max) {
      refuse(mark, fmt::format("values are nested more than {} deep here; berth.yaml needs 5 levels at most.",
                               limits_.depth_max));
    }
    stack_.push_back(Open{make(kind, mark), mark, anchor, nodes_, std::nullopt});
    count(mark, 1);
  }

  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    std::size_t size = nodes_ - done.nodes_before;
    nodes_ = done.nodes_before;
    add(std::move(done.node), done.mark, done.anchor, size);
  }

  void add(YamlNode node, const YAML::Mark& mark, YAML::anchor_t anchor, std::size_t size) {
    count(mark, size);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = Anchored{node, size};
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == YamlNode::Kind::map && !parent.key) {
      if (node.kind != YamlNode::Kind::scalar)
        refuse(mark, "a key must be a plain word here, as in `name: value`.");
      parent.key = std::move(node);
      return;
    }
    if (parent.key) parent.node.keys.push_back(std::move(*parent.key));
    parent.key.reset();
    parent.node.items.push_back(std::move(node));
  }

  const YamlLimits& limits_;
  YamlNode root_;
  Problem last_quoted_;
  std::size_t nodes_ = 0;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Anchored> anchors_;
};

std::optional<Problem> find_bad_byte(std::string_view text) {
  std::size_t line = 1, column = 1;
  for (std::size_t at = 0; at < text.size();) {
    auto byte = static_cast<unsigned char>(text[at]);
    std::size_t length = utf8_sequence_length(text.substr(at));
    bool control = byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t';
    if (length == 0 || control || byte == 0x7f) {
      return Problem{line, column,
                     fmt::format("the byte 0x{:02x} is not text; save the file as UTF-8.", byte)};
    }
    at += length;
    column = byte == '\n' ? 1 : column + 1;
    if (byte == '\n') ++line;
  }
  return std::nullopt;
}

/// yaml-cpp reads from a std::istream only; this gives it one over a copy of the text.
class TextBuffer final : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) : text_(text) {
    setg(text_.data(), text_.data(), text_.data() + text_.size());
  }

 private:
  std::string text_;
};

/// Where a text that is no YAML goes wrong more plainly than the parser says, which notices an open bracket
/// or quote only where it gives up: a bracket or quote that is never closed, or a tab that indents. Looks at
/// the text once, and knows of YAML what it needs for that.
class Blame {
 public:
  explicit Blame(std::string_view text) : text_(text) {}

  std::optional<Problem> find() {
    for (; at_ < text_.size() && !found_; advance()) step();
    if (!found_ && quote_ != 0)
      found_ = problem_at(quote_place_, fmt::format("the {} here is never closed", quote_));
    if (!found_ && !open_.empty())
      found_ =
          problem_at(open_.back().place, fmt::format("the {} here is never closed", open_.back().bracket));
    return found_;
  }

 private:
  struct Place {
    std::size_t line = 1, column = 1;
  };
  struct Open {
    char bracket;
    Place place;
  };

  static Problem problem_at(Place place, const std::string& what) {
    return {place.line, place.column, fmt::format("this is not YAML: {}.", what)};
  }

  void advance() {
    if (at_ == text_.size()) return;
    const char c = text_[at_++];
    const bool is_start = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (c == '\n') {
      ++place_.line;
      place_.column = 1;
      indents_ = true;
      if (quote_ == 0 && open_.empty()) before_ = '\n';
    } else if (is_start) {
      ++place_.column;
    }
  }

  void step() {
    const char c = text_[at_];
    if (quote_ != 0) return in_quotes(c);
    if (c == '\t' && indents_ && open_.empty()) {
      found_ = problem_at(place_, "a tab indents here; use blanks");
      return;
    }
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') return;
    const bool is_comment = c == '#' && (at_ == 0 || text_[at_ - 1] == ' ' || text_[at_ - 1] == '\n');
    if (is_comment) {
      while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') advance();
      return;
    }
    indents_ = false;
    const bool begins_value = std::string_view("\n:-[{,?").contains(before_);
    if ((c == '"' || c == '\'') && begins_value) {
      quote_ = c;
      quote_place_ = place_;
    } else if ((c == '[' || c == '{') && (begins_value || !open_.empty())) {
      open_.push_back({c, place_});
    } else if ((c == ']' || c == '}') && !open_.empty()) {
      if ((open_.back().bracket == '[') != (c == ']')) {
        found_ = problem_at(place_, fmt::format("{} does not close the {} of line {}", c,
                                                open_.back().bracket, open_.back().place.line));
      }
      open_.pop_back();
    }
    before_ = c;
  }

  void in_quotes(char c) {
    if (c == '\\' && quote_ == '"') return advance();
    if (c != quote_) return;
    // Two of them stand for one.
    if (quote_ == '\'' && at_ + 1 < text_.size() && text_[at_ + 1] == '\'') return advance();
    quote_ = 0;
    before_ = c;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Place place_;
  bool indents_ = true;  ///< nothing but blanks on this line so far
  char before_ = '\n';   ///< the last character that is no blank; a line break at the start of a line
  char quote_ = 0;       ///< inside such quotes
  Place quote_place_;
  std::vector<Open> open_;
  std::optional<Problem> found_;
};

Problem from_yaml(const YAML::Exception& error, std::string_view text) {
  if (std::optional<Problem> plain = Blame(text).find()) return *plain;
  std::string what = error.msg;
  if (what.empty()) what = "this is not YAML";
  if (error.mark.is_null()) return {0, 0, fmt::format("the file is not YAML: {}.", what)};
  return {static_cast<std::size_t>(error.mark.line + 1), static_cast<std::size_t>(error.mark.column + 1),
          fmt::format(
              "this is not YAML: {}; check the indentation, colons and quotes here and on the line before.",
              what)};
}

}  // namespace

std::expected<YamlNode, Problem> parse_yaml(std::string_view text, const YamlLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return std::unexpected(Problem{0, 0,
                                   fmt::format("the file has {} bytes, more than the {} that are read; a "
                                               "berth.yaml has a few hundred.",
                                               text.size(), limits.bytes_max)});
  }
  if (std::optional<Problem> problem = find_bad_byte(text)) return std::unexpected(std::move(*problem));
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  TreeBuilder builder(limits);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take_root();
    // To the parser, a quote that is never closed ends with the file.
    const std::optional<Problem> open = Blame(text).find();
    if (open && builder.ends_in_quotes_from(open->line, open->column)) return std::unexpected(*open);
    TreeBuilder further(limits);
    if (parser.HandleNextDocument(further)) {
      YamlNode second = further.take_root();
      return std::unexpected(Problem{second.line, second.column,
                                     "a second YAML document starts here, after `---`; a "
                                     "file describes one service: remove it."});
    }
    return root;
  } catch (const Refused& refused) {
    return std::unexpected(refused.problem);
  } catch (const YAML::Exception& error) {
    return std::unexpected(from_yaml(error, text));
  }
}

}  // namespace berth::model
