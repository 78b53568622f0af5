// What comes from registries, engines and files of users, in one: the first byte chooses the reader.

#include <cstddef>
#include <cstdint>

#include "registry/gzip.h"
#include "registry/ignore.h"
#include "registry/image.h"
#include "registry/login.h"
#include "registry/manifest.h"
#include "registry/npm.h"
#include "registry/tar.h"

namespace {

using namespace berth;

class Nobody final : public registry::TarReader::Visitor {
 public:
  void member(const registry::TarReader::Member&) override {}
  void content(std::string_view) override {}
};

void read(char kind, std::string_view text) {
  Nobody nobody;
  registry::TarReader reader(nobody);
  registry::IgnoreRules rules(registry::IgnoreRules::Defaults::secrets);
  const auto split = text.substr(0, text.find('\n'));
  const auto rest = text.substr(std::min(split.size() + 1, text.size()));
  switch (kind) {
    case 't': static_cast<void>(reader.append(text)); break;
    case 'g': {
      registry::Decompressor decompressor;
      static_cast<void>(decompressor.append(text, [](std::string_view) { return Result<void>(); }));
      break;
    }
    case 'i':
      static_cast<void>(rules.add(split));
      rules.excludes(rest);
      rules.may_let_in_below(rest);
      break;
    case 'm':
      if (const auto manifest = registry::parse_manifest(text); manifest && manifest->manifest) {
        static_cast<void>(registry::make_image(*manifest->manifest, std::string(text)));
      }
      break;
    case 'c': registry::parse_challenge(text); break;
    case 'n':
      registry::rewritten_command({"npx", std::string(split), std::string(rest)});
      registry::is_pinned(text);
      break;
    default: static_cast<void>(registry::parse_reference(text));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!text.empty()) read(text.front(), text.substr(1));
  return 0;
}
