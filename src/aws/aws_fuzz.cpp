// What comes from AWS, from metadata endpoints and from the files of users, in one: the first byte chooses
// the reader.

#include <cstddef>
#include <cstdint>

#include "aws/answer.h"
#include "aws/denial.h"
#include "aws/shared_config.h"
#include "aws/sources.h"
#include "aws/time_text.h"
#include "http/proxy.h"

namespace {

using namespace berth;

http::Response answer_of(std::string_view body) {
  http::Response response;
  response.status = 400;
  response.body = body;
  return response;
}

void read_times(const std::string& text) {
  aws::parse_rfc3339(text);
  aws::parse_http_date(text);
}

void read(char kind, const std::string& text) {
  switch (kind) {
    case 'i': static_cast<void>(aws::parse_ini(text, "config")); break;
    case 'x': static_cast<void>(aws::xml_to_json(text)); break;
    case 'f': static_cast<void>(aws::read_fault("ecs", "X", answer_of(text)).error()); break;
    case 'q': static_cast<void>(aws::read_answer(aws::Protocol::query, "X", answer_of(text))); break;
    case 'j':
      if (const auto keys = aws::read_answer(aws::Protocol::json, "X", answer_of(text)); keys) {
        static_cast<void>(aws::read_keys(*keys, "the test"));
      }
      break;
    case 'd': aws::find_denial(text); break;
    case 't': read_times(text); break;
    default:
      const std::size_t split = std::min(text.find('\n'), text.size());
      static_cast<void>(
          http::find_proxy({{"HTTPS_PROXY", text.substr(0, split)}, {"NO_PROXY", text.substr(split)}},
                           {true, "a.b", 443, "/"}));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!text.empty()) read(text.front(), text.substr(1));
  return 0;
}
