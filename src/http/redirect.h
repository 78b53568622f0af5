#pragma once

#include <string>
#include <string_view>

#include "http/message.h"
#include "http/url.h"

namespace berth::http {

/// Statuses that send a request elsewhere: it was not acted on.
bool is_redirect(int status);

/// Where an answer with such a status to `method` at `from` sends its request (RFC 9110 §15.4). 307 and 308
/// hold for every method, 301 to 303 for GET and HEAD alone: they would turn any other into a GET.
/// invalid_argument, naming the place, when it is not to be followed: elsewhere than at the same scheme, host
/// and port, where neither the credentials nor the content may go by themselves.
Result<std::string> redirected(const ResponseHead& answer, std::string_view method, const UrlAddress& from);

}  // namespace berth::http
