#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace berth::aws {

/// The proof that whoever sends a request holds a key (DPoP, RFC 9449 §4.2): a JWT for a POST to `url` at
/// `time`, named by `id`, signed by ES256. `key_pem` is an EC key on P-256 (SEC 1 or PKCS #8, PEM);
/// invalid_argument for anything else.
Result<std::string> dpop_proof(const std::string& key_pem, const std::string& url, WallTime time,
                               const std::string& id);

}  // namespace berth::aws
