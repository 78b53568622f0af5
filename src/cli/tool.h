#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"

/// Tools and their results as text. Pure; JSON goes in and out as text.
namespace berth::cli {

struct Tool {
  std::string name;
  std::string description;
  std::string input_schema;  ///< JSON Schema text
};

/// The tools of one tools/list result, and the cursor of the next page if there is one.
struct ToolPage {
  std::vector<Tool> tools;
  std::optional<std::string> next_cursor;
};
Result<ToolPage> read_tool_page(std::string_view result);

/// "echo(message, times?)".
std::string signature(const Tool& tool);

/// The arguments object from the words of `berth call`: none, one JSON object, or NAME=VALUE pairs.
/// `input_schema` decides what the value of name=value becomes: a text stays one where the tool takes a text.
Result<std::string> read_tool_arguments(const std::vector<std::string>& words, std::string_view input_schema);

/// The Mcp-Param-… headers that 2026-07-28 asks for: properties annotated x-mcp-header, with their values.
http::Headers parameter_headers(const Tool& tool, std::string_view arguments);

/// A progress or log message of a call as one line: "1 of 4 – copying".
std::string notification_text(std::string_view method, std::string_view params);

struct ToolResult {
  bool is_error = false;
  std::string text;  ///< of all content, a line break after each part
};
ToolResult read_tool_result(std::string_view result);

/// The messages of a prompts/get result, each after who says it: "user: …".
std::string prompt_text(std::string_view result);
/// The contents of a resources/read result; of what is no text its type and size.
std::string resource_text(std::string_view result);

/// What a call asks for when it is not complete yet.
struct Question {
  struct Field {
    std::string name;
    std::string label;
    std::string type;  ///< string, integer, number, boolean
    std::vector<std::string> choices;
    std::string default_value;  ///< JSON text or empty
    bool required = false;
  };
  std::string key;
  std::string method;
  std::string message;
  std::string url;  ///< url mode: to be opened by the user
  std::vector<Field> fields;
};
struct InputRound {
  std::vector<Question> questions;
  std::string state;  ///< JSON text of requestState, or empty
};
/// nullopt for a complete result.
std::optional<InputRound> read_input_round(std::string_view result);

/// The JSON text of what the user typed for `field`, or a sentence what is wrong with it.
Result<std::string> read_answer(const Question::Field& field, const std::string& typed);

}  // namespace berth::cli
