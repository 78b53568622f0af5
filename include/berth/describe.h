#pragma once

#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "berth/detail/shape.h"

/// Arguments and results are plain structs, described once with Boost.Describe:
///
///     struct Greeting {
///       std::string name;
///       int times = 1;
///       std::optional<std::string> language;
///
///       static void annotate(berth::Notes<Greeting>& note) {
///         note(&Greeting::name).description("Whom to greet.").length(1, 80);
///         note(&Greeting::times).description("How often.").range(1, 10).optional();
///       }
///     };
///     BOOST_DESCRIBE_STRUCT(Greeting, (), (name, times, language))
///
/// From that come the JSON Schema that clients see, the reading of arguments with every mistake named, and
/// the writing of structured results. Members may be std::string, integers, double, bool, enums described
/// with BOOST_DESCRIBE_ENUM, berth::Json, described structs, and std::optional and std::vector of these.
/// `annotate` is optional. A member must be given by the caller unless it is a std::optional or annotated
/// `optional()`. At most 64 members; a struct that contains itself has no finite schema and is refused.
namespace berth {

/// Any JSON value, kept as its text. As the argument type of a tool: whatever the client sent.
struct Json {
  std::string text = "null";
};

/// For handlers without arguments.
struct NoArguments {};
BOOST_DESCRIBE_STRUCT(NoArguments, (), ())

/// What `annotate` says about one member; every word may be said once, in any order.
class Note {
 public:
  explicit Note(detail::Field& field) : field_(field) {}
  Note& title(std::string text) { return field_.notes.title = std::move(text), *this; }
  Note& description(std::string text) { return field_.notes.description = std::move(text), *this; }
  /// JSON Schema `format`: "email", "uri", "date", "date-time". Told to the client, not checked.
  Note& format(std::string name) { return field_.notes.format = std::move(name), *this; }
  /// Need not be given: an absent argument keeps the member's initializer, which the schema names as default.
  Note& optional() {
    field_.notes.optional = true;
    field_.required = false;
    return *this;
  }
  /// Numbers: inclusive bounds.
  Note& minimum(double value) { return field_.notes.minimum = value, *this; }
  Note& maximum(double value) { return field_.notes.maximum = value, *this; }
  Note& range(double least, double most) { return minimum(least).maximum(most); }
  /// Strings: characters. Vectors: elements. Inclusive.
  Note& length_min(std::size_t count) { return field_.notes.length_min = count, *this; }
  Note& length_max(std::size_t count) { return field_.notes.length_max = count, *this; }
  Note& length(std::size_t least, std::size_t most) { return length_min(least).length_max(most); }
  /// Clients mirror the argument in the HTTP header Mcp-Param-`name` (MCP 2026-07-28, x-mcp-header), so that
  /// intermediaries can route by it. String, integer and bool members only.
  Note& header(std::string name) { return field_.notes.header = std::move(name), *this; }

 private:
  detail::Field& field_;
};

/// Finds the member to annotate: `note(&Greeting::name)`.
template <class T>
class Notes {
 public:
  Notes(std::vector<detail::Field>& fields, T& probe) : fields_(fields), probe_(probe) {}

  template <class Member, class Owner>
    requires std::derived_from<T, Owner>
  Note operator()(Member Owner::* member) {
    void* const wanted = &(probe_.*member);
    for (detail::Field& field : fields_) {
      if (field.member(&probe_) == wanted) return Note(field);
    }
    detail::check_failed("note(&T::member)", "annotate() names a member that is not described",
                         std::source_location::current());
  }

 private:
  std::vector<detail::Field>& fields_;
  T& probe_;
};

template <class T>
concept DescribedStruct = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;
template <class T>
concept DescribedEnum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

namespace detail {

template <class T>
struct Wrapped : std::false_type {};
template <class T>
struct Wrapped<std::optional<T>> : std::true_type {
  using type = T;
};
template <class T>
inline constexpr bool is_optional = Wrapped<T>::value;

template <class T>
struct Listed : std::false_type {};
template <class T>
struct Listed<std::vector<T>> : std::true_type {
  using type = T;
};
template <class T>
inline constexpr bool is_list = Listed<T>::value;

template <class T>
const Shape& shape_of();

template <std::integral T>
Shape integer_shape() {
  static_assert(sizeof(T) < 8 || std::is_signed_v<T>,
                "use std::int64_t: larger integers are not portable JSON");
  Shape shape{.kind = ShapeKind::integer, .not_negative = std::is_unsigned_v<T>};
  shape.read = [](json::Slice value, void* into, const FieldNotes& notes, Reader& reader) {
    using Limits = std::numeric_limits<T>;
    const auto number =
        read_integer(value, std::int64_t{Limits::min()}, std::int64_t{Limits::max()}, notes, reader);
    if (number) *static_cast<T*>(into) = static_cast<T>(*number);
  };
  shape.write = [](const void* from, std::string& out) {
    write_value(static_cast<std::int64_t>(*static_cast<const T*>(from)), out);
  };
  return shape;
}

/// std::string, bool and double.
template <class T>
Shape scalar_shape(ShapeKind kind) {
  Shape shape{.kind = kind};
  shape.read = [](json::Slice value, void* into, const FieldNotes& notes, Reader& reader) {
    read_value(value, *static_cast<T*>(into), notes, reader);
  };
  shape.write = [](const void* from, std::string& out) { write_value(*static_cast<const T*>(from), out); };
  return shape;
}

inline Shape any_shape() {
  Shape shape{.kind = ShapeKind::any};
  shape.read = [](json::Slice value, void* into, const FieldNotes&, Reader&) {
    static_cast<Json*>(into)->text = value.text();
  };
  shape.write = [](const void* from, std::string& out) { out += static_cast<const Json*>(from)->text; };
  return shape;
}

template <DescribedEnum T>
Shape choice_shape() {
  Shape shape{.kind = ShapeKind::choice};
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
      [&shape](auto described) { shape.choices.emplace_back(described.name); });
  shape.read = [](json::Slice value, void* into, const FieldNotes&, Reader& reader) {
    const auto chosen = read_choice(shape_of<T>(), value, reader);
    if (!chosen) return;
    std::size_t index = 0;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>([&](auto described) {
      if (index++ == *chosen) *static_cast<T*>(into) = described.value;
    });
  };
  shape.write = [](const void* from, std::string& out) {
    std::string_view name;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>([&](auto described) {
      if (described.value == *static_cast<const T*>(from)) name = described.name;
    });
    write_value(name, out);
  };
  return shape;
}

template <class T>
Shape optional_shape() {
  Shape shape = shape_of<T>();
  shape.nullable = true;
  shape.read = [](json::Slice value, void* into, const FieldNotes& notes, Reader& reader) {
    auto& member = *static_cast<std::optional<T>*>(into);
    if (value.is(json::Kind::null)) return member.reset();
    shape_of<T>().read(value, &member.emplace(), notes, reader);
  };
  shape.write = [](const void* from, std::string& out) {
    const auto& member = *static_cast<const std::optional<T>*>(from);
    if (member) {
      shape_of<T>().write(&*member, out);
    } else {
      out += "null";
    }
  };
  return shape;
}

template <class T>
Shape list_shape() {
  static_assert(!std::same_as<T, bool>, "std::vector<bool> has no elements to refer to; use an enum");
  Shape shape{.kind = ShapeKind::list, .element = &shape_of<T>};
  shape.read = [](json::Slice value, void* into, const FieldNotes& notes, Reader& reader) {
    auto& member = *static_cast<std::vector<T>*>(into);
    member.clear();
    read_list(value, notes, reader, [&member, &reader](json::Slice element) {
      static const FieldNotes no_notes;
      shape_of<T>().read(element, &member.emplace_back(), no_notes, reader);
    });
  };
  shape.write = [](const void* from, std::string& out) {
    out += '[';
    for (const T& element : *static_cast<const std::vector<T>*>(from)) {
      if (out.back() != '[') out += ',';
      shape_of<T>().write(&element, out);
    }
    out += ']';
  };
  return shape;
}

template <DescribedStruct T>
Shape object_shape() {
  Shape shape{.kind = ShapeKind::object};
  T probe{};
  using Members =
      boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;
  static_assert(boost::mp11::mp_size<Members>::value <= 64, "a described struct has at most 64 members");
  boost::mp11::mp_for_each<Members>([&shape, &probe](auto described) {
    using Member = std::remove_reference_t<decltype(probe.*decltype(described)::pointer)>;
    Field field;
    field.name = described.name;
    field.shape = &shape_of<Member>;
    field.member = [](void* object) -> void* {
      return &(static_cast<T*>(object)->*decltype(described)::pointer);
    };
    field.required = !is_optional<Member>;
    shape_of<Member>().write(field.member(&probe), field.initial);
    shape.fields.push_back(std::move(field));
  });
  if constexpr (requires(Notes<T>& notes) { T::annotate(notes); }) {
    Notes<T> notes(shape.fields, probe);
    T::annotate(notes);
  }
  shape.read = [](json::Slice value, void* into, const FieldNotes&, Reader& reader) {
    read_object(shape_of<T>(), value, into, reader);
  };
  shape.write = [](const void* from, std::string& out) { write_object(shape_of<T>(), from, out); };
  return shape;
}

template <class>
inline constexpr bool unsupported = false;

template <class T>
Shape make_shape() {
  if constexpr (std::same_as<T, std::string>) {
    return scalar_shape<std::string>(ShapeKind::text);
  } else if constexpr (std::same_as<T, bool>) {
    return scalar_shape<bool>(ShapeKind::boolean);
  } else if constexpr (std::same_as<T, double>) {
    return scalar_shape<double>(ShapeKind::number);
  } else if constexpr (std::integral<T>) {
    return integer_shape<T>();
  } else if constexpr (std::same_as<T, Json>) {
    return any_shape();
  } else if constexpr (DescribedEnum<T>) {
    return choice_shape<T>();
  } else if constexpr (is_optional<T>) {
    return optional_shape<typename Wrapped<T>::type>();
  } else if constexpr (is_list<T>) {
    return list_shape<typename Listed<T>::type>();
  } else if constexpr (DescribedStruct<T>) {
    return object_shape<T>();
  } else {
    static_assert(unsupported<T>,
                  "not a type for arguments: describe structs with BOOST_DESCRIBE_STRUCT and enums with "
                  "BOOST_DESCRIBE_ENUM; see berth/describe.h for the member types");
  }
}

template <class T>
const Shape& shape_of() {
  static const Shape shape = make_shape<T>();
  return shape;
}

}  // namespace detail

/// The JSON Schema (2020-12) of a described struct, as tools show it in inputSchema.
template <DescribedStruct T>
std::string json_schema() {
  return detail::schema_text(detail::shape_of<T>(), detail::Unknown::refused);
}

/// `value` as JSON text.
template <class T>
std::string to_json(const T& value) {
  std::string out;
  detail::shape_of<T>().write(&value, out);
  return out;
}

/// Reads a T out of a JSON value. invalid_argument names all problems, one a line.
template <class T>
Result<T> from_json(json::Slice value) {
  T into{};
  detail::Reader reader;
  detail::shape_of<T>().read(value, &into, detail::FieldNotes{}, reader);
  if (reader.ok()) return into;
  std::string message;
  for (const std::string& problem : reader.problems()) {
    if (!message.empty()) message += '\n';
    message += problem;
  }
  return fail(ErrorCode::invalid_argument, std::move(message));
}

}  // namespace berth
