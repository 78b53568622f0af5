#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Base64 (RFC 4648 §4: standard alphabet, padding required).
namespace berth::base64 {

void append(std::string& out, std::string_view bytes);
std::string encode(std::string_view bytes);
/// nullopt for anything but canonical Base64: foreign characters, missing padding, bits set behind the end.
std::optional<std::string> decode(std::string_view text);

}  // namespace berth::base64
