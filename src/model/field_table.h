#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "model/fields.h"

/// How the rows of the field table are written; for the files that hold its parts alone.
namespace berth::model::rows {

template <class Block, class Value>
Block block_of(Value Block::*);

template <auto member>
void* at(void* block) {
  using Block = decltype(block_of(member));
  return &(static_cast<Block*>(block)->*member);
}

using Choices = std::span<const std::string_view>;
inline constexpr double kb = 1024, mb = 1024 * kb, gb = 1024 * mb;
inline constexpr double second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
inline constexpr double many = 1'000'000;

template <auto member>
constexpr Field plain(FieldKind kind, std::string_view key, std::string_view meaning,
                      std::string_view shown_default = {}) {
  return {.key = key, .kind = kind, .meaning = meaning, .default_text = shown_default, .locate = &at<member>};
}

template <auto member>
constexpr Field ranged(FieldKind kind, std::string_view key, double min, double max, std::string_view meaning,
                       std::string_view at_limit = {}, std::string_view shown_default = {}) {
  return {.key = key,
          .kind = kind,
          .meaning = meaning,
          .at_limit = at_limit,
          .min = min,
          .max = max,
          .default_text = shown_default,
          .locate = &at<member>};
}

template <auto member>
constexpr Field chosen(std::string_view key, Choices choices, std::string_view meaning) {
  return {
      .key = key, .kind = FieldKind::choice, .meaning = meaning, .choices = choices, .locate = &at<member>};
}

template <auto member>
constexpr Field nested(FieldKind kind, std::string_view key, std::span<const Field> fields,
                       std::string_view meaning) {
  return {.key = key, .kind = kind, .meaning = meaning, .fields = fields, .locate = &at<member>};
}

constexpr Field by_hand(FieldKind kind, std::string_view key, std::string_view meaning, Choices choices = {},
                        std::span<const Field> fields = {}) {
  return {.key = key, .kind = kind, .meaning = meaning, .choices = choices, .fields = fields};
}

/// A block whose keys are members of the block around it: `cpu: {out: 70}` for `cpu_out`.
constexpr Field within(std::string_view key, std::span<const Field> fields, std::string_view meaning) {
  return {
      .key = key, .kind = FieldKind::block, .meaning = meaning, .fields = fields, .locate = [](void* block) {
        return block;
      }};
}

/// A block that may be absent: a std::optional member.
template <auto member>
constexpr Field optional(std::string_view key, std::span<const Field> fields, std::string_view meaning) {
  using Block = decltype(block_of(member));
  return {.key = key,
          .kind = FieldKind::block,
          .meaning = meaning,
          .fields = fields,
          .locate = [](void* block) -> void* {
            auto& value = static_cast<Block*>(block)->*member;
            if (!value) value.emplace();
            return &*value;
          },
          .present = [](void* block) { return (static_cast<Block*>(block)->*member).has_value(); }};
}

template <class Element>
inline constexpr ListAccess list_access{
    .size = [](void* list) { return static_cast<std::vector<Element>*>(list)->size(); },
    .at = [](void* list, std::size_t index) -> void* {
      return &(*static_cast<std::vector<Element>*>(list))[index];
    },
    .append = [](void* list) -> void* { return &static_cast<std::vector<Element>*>(list)->emplace_back(); }};

template <class Block, class Element>
Element element_of(std::vector<Element> Block::*);

/// A list of blocks, of which there may be at most `max`; 0: as many as the file holds.
template <auto member>
constexpr Field listed(std::string_view key, std::span<const Field> fields, std::string_view meaning,
                       double max = 0) {
  return {.key = key,
          .kind = FieldKind::list,
          .meaning = meaning,
          .max = max,
          .fields = fields,
          .locate = &at<member>,
          .list = &list_access<decltype(element_of(member))>};
}

/// A list of texts with between `min` and `max` entries.
template <auto member>
constexpr Field words(std::string_view key, double min, double max, std::string_view meaning,
                      std::string_view shown_default = {}) {
  return {.key = key,
          .kind = FieldKind::texts,
          .meaning = meaning,
          .min = min,
          .max = max,
          .default_text = shown_default,
          .locate = &at<member>};
}

/// NAME: value pairs that are taken as they are.
template <auto member>
constexpr Field pairs(std::string_view key, std::string_view meaning) {
  return {.key = key, .kind = FieldKind::table, .meaning = meaning, .locate = &at<member>, .literal = true};
}

}  // namespace berth::model::rows
