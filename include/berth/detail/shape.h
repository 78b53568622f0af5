#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

/// How a C++ type looks from outside: the tables that describe.h fills in per type, and the three walks
/// over them (read JSON, write JSON, print the JSON Schema), which are ordinary functions in
/// task/native/shape.cpp.
namespace berth::detail {

/// What is said about one member beside its type.
struct FieldNotes {
  std::string title;
  std::string description;
  std::string format;
  std::string header;
  std::optional<double> minimum;
  std::optional<double> maximum;
  std::optional<std::size_t> length_min;
  std::optional<std::size_t> length_max;
  bool optional = false;
};

/// Collects everything that is wrong with a value, each as a sentence naming the argument.
class Reader {
 public:
  enum class Source : std::uint8_t {
    json,  ///< tool arguments: a number is a JSON number
    text   ///< prompt arguments and template variables: every scalar comes as a string
  };
  explicit Reader(Source source = Source::json) : source_(source) {}

  Source source() const { return source_; }
  bool ok() const { return problems_.empty(); }
  const std::vector<std::string>& problems() const { return problems_; }
  /// "'times' " + `what`; at most problems_max are kept.
  void problem(std::string_view what);
  /// A problem with the whole value, told without a name in front.
  void problem_here(std::string sentence);

  /// Where reading is, while it lives: one link of the path, spelled out only when there is a problem to
  /// tell.
  class At {
   public:
    At(Reader& reader, std::string_view member) : reader_(reader), outer_(reader.at_), member_(member) {
      reader.at_ = this;
    }
    At(Reader& reader, std::size_t index) : reader_(reader), outer_(reader.at_), index_(index) {
      reader.at_ = this;
    }
    ~At() { reader_.at_ = outer_; }
    At(const At&) = delete;
    At& operator=(const At&) = delete;

   private:
    friend class Reader;
    void append_path(std::string& out) const;
    Reader& reader_;
    const At* outer_;
    std::string_view member_;
    std::size_t index_ = 0;
  };

 private:
  static constexpr std::size_t problems_max = 20;
  Source source_;
  const At* at_ = nullptr;
  std::vector<std::string> problems_;
};

enum class ShapeKind : std::uint8_t { text, integer, number, boolean, choice, list, object, any };

struct Shape;

struct Field {
  std::string_view name;
  const Shape& (*shape)() = nullptr;
  void* (*member)(void* object) = nullptr;
  FieldNotes notes;
  std::string initial;  ///< JSON text of the member's initializer
  bool required = true;
};

struct Shape {
  ShapeKind kind = ShapeKind::any;
  bool nullable = false;                  ///< std::optional: may be absent or null
  bool not_negative = false;              ///< unsigned integers
  const Shape& (*element)() = nullptr;    ///< list
  std::vector<std::string_view> choices;  ///< choice: the enumerators' names
  std::vector<Field> fields;              ///< object: at most 64, in the order described
  void (*read)(json::Slice value, void* into, const FieldNotes& notes, Reader& reader) = nullptr;
  void (*write)(const void* from, std::string& out) = nullptr;
};

void read_value(json::Slice value, std::string& into, const FieldNotes& notes, Reader& reader);
void read_value(json::Slice value, bool& into, const FieldNotes& notes, Reader& reader);
void read_value(json::Slice value, double& into, const FieldNotes& notes, Reader& reader);
/// An integer within the member's type and its notes; nullopt after reporting a problem.
std::optional<std::int64_t> read_integer(json::Slice value, std::int64_t least, std::int64_t most,
                                         const FieldNotes& notes, Reader& reader);
/// The index of the enumerator named by `value`.
std::optional<std::size_t> read_choice(const Shape& shape, json::Slice value, Reader& reader);
void read_object(const Shape& shape, json::Slice value, void* into, Reader& reader);
/// Calls `add` with each element; checks the length.
void read_list(json::Slice value, const FieldNotes& notes, Reader& reader,
               const std::function<void(json::Slice)>& add);

void write_value(std::string_view from, std::string& out);
void write_value(bool from, std::string& out);
void write_value(double from, std::string& out);
void write_value(std::int64_t from, std::string& out);
void write_object(const Shape& shape, const void* from, std::string& out);

enum class Unknown : std::uint8_t { refused, unsaid };
/// `shape` as JSON Schema 2020-12. Objects say `additionalProperties: false` when unknown members are
/// refused; elicitation forms, whose grammar has no such word, leave it unsaid.
std::string schema_text(const Shape& shape, Unknown unknown);

/// Aborts when x-mcp-header notes break the protocol's rules: on string, integer or boolean members only, a
/// token of RFC 9110, unique without regard to case.
void check_headers(const Shape& shape);

}  // namespace berth::detail
