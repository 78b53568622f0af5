#include "codec/base64.h"

#include <array>
#include <cstdint>

namespace berth::base64 {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t foreign = 0xFF;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(foreign);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr std::array<std::uint8_t, 256> values = make_values();

std::uint32_t byte_at(std::string_view bytes, std::size_t index) {
  return static_cast<unsigned char>(bytes[index]);
}

}  // namespace

void append(std::string& out, std::string_view bytes) {
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  std::size_t at = 0;
  for (; at + 3 <= bytes.size(); at += 3) {
    const std::uint32_t group =
        byte_at(bytes, at) << 16 | byte_at(bytes, at + 1) << 8 | byte_at(bytes, at + 2);
    for (int shift = 18; shift >= 0; shift -= 6) out += alphabet[group >> shift & 63];
  }
  const std::size_t rest = bytes.size() - at;
  if (rest == 0) return;
  std::uint32_t group = byte_at(bytes, at) << 16;
  if (rest == 2) group |= byte_at(bytes, at + 1) << 8;
  out += alphabet[group >> 18 & 63];
  out += alphabet[group >> 12 & 63];
  out += rest == 2 ? alphabet[group >> 6 & 63] : '=';
  out += '=';
}

std::string encode(std::string_view bytes) {
  std::string out;
  append(out, bytes);
  return out;
}

std::optional<std::string> decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool padded = i >= text.size() - padding;
    const std::uint8_t value = padded ? std::uint8_t{0} : values[static_cast<unsigned char>(text[i])];
    if (value == foreign) return std::nullopt;
    group = group << 6 | value;
    if (i % 4 != 3) continue;
    out += static_cast<char>(group >> 16 & 0xFF);
    out += static_cast<char>(group >> 8 & 0xFF);
    out += static_cast<char>(group & 0xFF);
    group = 0;
  }
  for (std::size_t i = 0; i < padding; ++i) {
    if (out.back() != '\0') return std::nullopt;
    out.pop_back();
  }
  return out;
}

}  // namespace berth::base64
