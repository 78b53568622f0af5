#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "codec/http1.h"

using berth::http1::HeadLimits;
using berth::http1::HeadStatus;
using berth::http1::HeadView;

namespace {

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void require(bool condition) {
  if (!condition) std::abort();
}

/// Whatever the bytes are: views lie inside them, and a part of them is incomplete or says what the whole
/// says.
template <class Parse>
void check(std::string_view bytes, std::size_t split, Parse parse) {
  HeadView whole;
  const HeadStatus status = parse(bytes, whole);
  HeadView part;
  const HeadStatus early = parse(bytes.substr(0, split), part);
  require(early == HeadStatus::incomplete || early == status);
  if (status != HeadStatus::complete) return;
  require(whole.bytes <= bytes.size());
  for (const auto& field : whole.fields) {
    require(lies_in(field.name, bytes) && lies_in(field.value, bytes));
    require(berth::http1::is_token(field.name) && berth::http1::is_field_value(field.value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t split = bytes.size() * data[0] / 256;
  const HeadLimits limits{512, 8, 64};
  check(bytes, split,
        [&](std::string_view text, HeadView& out) { return berth::http1::parse_request(text, limits, out); });
  check(bytes, split, [&](std::string_view text, HeadView& out) {
    return berth::http1::parse_response(text, limits, data[0] % 2 == 0, out);
  });
  return 0;
}
