#include "registry/image.h"

namespace berth::registry {

std::string to_string(const Reference& reference) {
  std::string out = reference.registry + "/" + reference.repository;
  if (!reference.tag.empty()) out += ":" + reference.tag;
  if (!reference.digest.empty()) out += "@" + reference.digest;
  return out;
}

}  // namespace berth::registry
