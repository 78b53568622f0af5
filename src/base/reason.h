#pragma once

#include <string>
#include <utility>

#include "base/secret.h"

namespace berth {

/// Why something failed: a sentence of Berth's, and what the failed program itself had written, which may
/// hold connection strings and keys. The words are for operators (log, status) and for holders of a key.
struct Reason {
  std::string sentence;
  Secret words;  ///< begins with a space where there are any

  Reason() = default;
  Reason(const char* said) : sentence(said) {}
  Reason(std::string said, Secret heard = {}) : sentence(std::move(said)), words(std::move(heard)) {}

  bool empty() const { return sentence.empty(); }
  std::string whole() const { return sentence + std::string(words.reveal()); }
};

}  // namespace berth
