#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "codec/http1.h"

using berth::http1::ChunkedDecoder;

/// Decoding in two parts gives what decoding at once gives; skipping consumes what decoding consumes; and
/// what was decoded, coded again, decodes to itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t split = bytes.size() * data[0] / 256;

  std::string whole;
  ChunkedDecoder at_once;
  const auto used = at_once.feed(bytes, whole);

  std::string parts;
  ChunkedDecoder in_parts;
  auto first = in_parts.feed(bytes.substr(0, split), parts);
  const bool goes_on = first && !in_parts.done();
  auto second = goes_on ? in_parts.feed(bytes.substr(split), parts) : first;
  if (used.has_value() != second.has_value()) std::abort();
  if (!used) return 0;
  if (*used != (goes_on ? *first + *second : *first) || whole != parts) std::abort();

  ChunkedDecoder skipper;
  const auto skipped = skipper.skip(bytes);
  if (!skipped || *skipped != *used || skipper.done() != at_once.done()) std::abort();

  if (whole.empty()) return 0;
  std::string coded;
  berth::http1::append_chunk_head(coded, whole.size());
  coded += whole + "\r\n0\r\n\r\n";
  std::string again;
  ChunkedDecoder recoder;
  const auto reused = recoder.feed(coded, again);
  if (!reused || *reused != coded.size() || !recoder.done() || again != whole) std::abort();
  return 0;
}
