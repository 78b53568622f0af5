#include "http/message.h"

#include <algorithm>

namespace berth::http {

namespace {

char to_lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte; }

Response typed_response(int status, std::string body, std::string_view type) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", type);
  response.body = std::move(body);
  return response;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

std::uint32_t Headers::append(std::string_view text) {
  const std::size_t at = text_.size();
  // std::string::append copes with a `text` that lies in the string itself.
  text_.append(text);
  return static_cast<std::uint32_t>(at);
}

void Headers::add(std::string_view name, std::string_view value) {
  if (text_.capacity() - text_.size() < name.size() + value.size()) {
    // Grown beside the old buffer, because `name` or `value` may be views into it.
    std::string grown;
    grown.reserve(std::max<std::size_t>(256, 2 * (text_.size() + name.size() + value.size())));
    grown.append(text_).append(name).append(value);
    const auto name_at = static_cast<std::uint32_t>(text_.size());
    text_.swap(grown);
    spans_.push_back({name_at, static_cast<std::uint32_t>(name.size()),
                      name_at + static_cast<std::uint32_t>(name.size()),
                      static_cast<std::uint32_t>(value.size())});
    return;
  }
  const std::uint32_t name_at = append(name);
  const std::uint32_t value_at = append(value);
  spans_.push_back(
      {name_at, static_cast<std::uint32_t>(name.size()), value_at, static_cast<std::uint32_t>(value.size())});
}

void Headers::set(std::string_view name, std::string_view value) {
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    if (!is_named(i, name)) continue;
    const std::string kept_name(name);
    const auto value_bytes = static_cast<std::uint32_t>(value.size());
    spans_[i].value_at = append(value);
    spans_[i].value_bytes = value_bytes;
    std::size_t kept = i + 1;
    for (std::size_t j = i + 1; j < spans_.size(); ++j) {
      if (!is_named(j, kept_name)) spans_[kept++] = spans_[j];
    }
    spans_.resize(kept);
    return;
  }
  add(name, value);
}

void Headers::remove(std::string_view name) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    if (!is_named(i, name)) spans_[kept++] = spans_[i];
  }
  spans_.resize(kept);
}

void Headers::clear() {
  text_.clear();
  spans_.clear();
}

/// Most names differ in their length or their first letter.
bool Headers::is_named(std::size_t index, std::string_view name) const {
  const Span& span = spans_[index];
  if (span.name_bytes != name.size()) return false;
  const std::string_view own(text_.data() + span.name_at, span.name_bytes);
  return own.empty() || (((own[0] ^ name[0]) & ~0x20) == 0 && equals_ignoring_case(own, name));
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    if (is_named(i, name)) return at(i).value;
  }
  return std::nullopt;
}

std::string_view Headers::repeated(std::initializer_list<std::string_view> names) const {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    std::uint64_t bit = 1;
    for (const std::string_view name : names) {
      if (is_named(i, name)) {
        if ((seen & bit) != 0) return name;
        seen |= bit;
      }
      bit <<= 1;
    }
  }
  return {};
}

std::string_view RequestHead::path() const { return std::string_view(target).substr(0, target.find('?')); }

std::string_view RequestHead::query() const {
  const std::size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

Response json_response(int status, std::string body) {
  return typed_response(status, std::move(body), "application/json");
}

Response text_response(int status, std::string body) {
  return typed_response(status, std::move(body), "text/plain; charset=utf-8");
}

}  // namespace berth::http
