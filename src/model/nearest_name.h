#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace berth::model {

/// Least number of inserted, removed, replaced or swapped neighbouring bytes that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// What somebody who wrote `word` most likely meant: the candidate with the least edit distance, ignoring
/// case,
/// '-' and '_', when it is near enough (a third of the word's length, at least 1); nullopt otherwise. The
/// first of equals.
std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace berth::model
