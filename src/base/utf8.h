#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth {

/// Length in bytes (1 to 4) of the well-formed UTF-8 sequence (RFC 3629: no surrogates, no overlong forms,
/// at most U+10FFFF) that `text` starts with, or 0 when it does not start with one.
std::size_t utf8_sequence_length(std::string_view text);

bool is_utf8(std::string_view text);

/// The first `bytes_max` bytes of `text`, or fewer: not the half of a character.
std::string_view cut_utf8(std::string_view text, std::size_t bytes_max);

/// `text` with each byte that belongs to no well-formed sequence made U+FFFD, as text decoders do.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace berth
