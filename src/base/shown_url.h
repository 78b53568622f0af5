#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace berth {

/// What of a URL, or of a request's target, a log, an error or a client may see: no query, no fragment and no
/// user information, which are where keys are put.
inline std::string shown_url(std::string_view url) {
  std::string_view shown = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = shown.find("://");
  if (scheme == std::string_view::npos) return std::string(shown);
  const std::size_t authority = scheme + 3;
  const std::size_t path = std::min(shown.find('/', authority), shown.size());
  const std::size_t user_end = shown.substr(0, path).rfind('@');
  if (user_end == std::string_view::npos || user_end < authority) return std::string(shown);
  return std::string(shown.substr(0, authority)).append(shown.substr(user_end + 1));
}

inline std::string shown_url(const Secret& url) { return shown_url(url.reveal()); }

}  // namespace berth
