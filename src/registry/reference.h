#pragma once

#include <string>
#include <string_view>

#include "registry/image.h"

/// What follows from a reference's registry.
namespace berth::registry {

/// localhost, 127.0.0.0/8, ::1: spoken to in clear, as every container engine does.
bool is_loopback_registry(std::string_view registry);

/// Where the API of a registry is: "https://registry-1.docker.io" for docker.io.
std::string api_url(std::string_view registry);

/// Tag or digest: what a manifest is asked for by.
const std::string& manifest_name(const Reference& reference);

/// "sha256:" and 64 lower-case hexadecimal digits, the one algorithm that is accepted.
bool is_digest(std::string_view text);

}  // namespace berth::registry
