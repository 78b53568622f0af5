#include <cstdlib>

#include "codec/json.h"

namespace {

void walk(berth::json::Slice slice) {
  (void)slice.as_string();
  (void)slice.as_plain_string();
  (void)slice.as_int();
  (void)slice.as_double();
  for (berth::json::Members members(slice); members.next();) {
    if (!slice.find(members.key()).exists()) std::abort();
    walk(members.value());
  }
  for (berth::json::Elements elements(slice); elements.next();) walk(elements.value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const berth::Result<berth::json::Slice> slice = berth::json::parse(text, {.depth_max = 40});
  if (!slice) return 0;
  walk(*slice);
  if (!slice->is(berth::json::Kind::object)) return 0;
  const std::string edited = berth::json::edit(*slice, {{"id", "1"}, {"a", std::nullopt}});
  const berth::Result<berth::json::Slice> again = berth::json::parse(edited, {.depth_max = 40});
  if (!again || again->find("id").text() != "1" || again->find("a").exists()) std::abort();
  std::string line;
  berth::json::append_single_line(line, edited);
  if (!berth::json::parse(line, {.depth_max = 40})) std::abort();
  return 0;
}
