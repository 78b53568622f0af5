#include <cstdlib>

#include "codec/sse.h"

/// Events do not depend on how the bytes are cut, and writing them parses back to the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = 1 + data[0] % 7;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  berth::sse::Parser whole(1 << 20);
  berth::sse::Parser pieces(1 << 20);
  (void)whole.feed(text);
  for (std::size_t at = 0; at < text.size(); at += step)
    (void)pieces.feed(std::string_view(text).substr(at, step));
  while (const std::optional<berth::sse::Event> event = whole.next()) {
    const std::optional<berth::sse::Event> other = pieces.next();
    if (!other || other->data != event->data || other->id != event->id || other->event != event->event)
      std::abort();
    berth::sse::Parser reader(1 << 20);
    (void)reader.feed(berth::sse::write(*event));
    const std::optional<berth::sse::Event> again = reader.next();
    if (!again || again->data != event->data) std::abort();
  }
  if (pieces.next()) std::abort();
  return 0;
}
