#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// The one table of everything that berth.yaml may say. The parser, the JSON Schema
/// (schema/berth.schema.json), the reference
/// (docs/berth.yaml.md) and write_spec are all made from it, so that they cannot disagree.
namespace berth::model {

enum class FieldKind : std::uint8_t {
  text,      ///< std::string
  flag,      ///< bool
  count,     ///< std::size_t
  number,    ///< double
  bytes,     ///< std::size_t or std::uint64_t, written as 1GB
  duration,  ///< Milliseconds, written as 30s
  port,      ///< std::optional<std::uint16_t>
  texts,     ///< std::vector<std::string>
  table,     ///< std::map<std::string, std::string>; ${NAME} is substituted in the values
  choice,    ///< an enum of std::uint8_t: the index into `choices`
  argv,      ///< a command: one line split like a shell would, or a list of words
  block,     ///< nested fields in `fields`
  blocks,    ///< NAME → block
  list,      ///< a list of blocks
};

/// How the elements of a list are reached whatever their type: each is a block.
struct ListAccess {
  std::size_t (*size)(void* list);
  void* (*at)(void* list, std::size_t index);
  void* (*append)(void* list);  ///< a default-constructed element at the end
};

struct Field {
  std::string_view key;
  FieldKind kind;
  std::string_view meaning;   ///< one sentence, Markdown
  std::string_view at_limit;  ///< what happens when it is reached; empty where it is no limit
  double min = 0;  ///< count, number, bytes, duration (ms), port: what is accepted; texts: how many
  double max = 0;
  std::span<const std::string_view> choices;
  std::span<const Field> fields;
  /// The default where it is not the value that a default-constructed block has. A count of 0 then stands
  /// for this default, and is not written out.
  std::string_view default_text;
  /// The member inside its block; nullptr for keys that the parser treats by hand. Makes a std::optional
  /// block that is not there yet.
  void* (*locate)(void* block) = nullptr;
  /// block: whether a std::optional one is there; nullptr where it always is.
  bool (*present)(void* block) = nullptr;
  const ListAccess* list = nullptr;  ///< list: its elements
  /// table: the values are taken as they are; ${NAME} is not replaced.
  bool literal = false;
};

/// Blocks of berth.yaml: the keys of the file itself, of a server and so on.
std::span<const Field> spec_fields();
std::span<const Field> server_fields();

/// The value at `field` of `block` as berth.yaml would write it ("30s", "4MB", "[a, b, c]"); empty where
/// there is none.
std::string value_text(const Field& field, void* block);

}  // namespace berth::model
