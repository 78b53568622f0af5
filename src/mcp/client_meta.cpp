#include "mcp/client_meta.h"

#include <fmt/format.h>

#include "mcp/core.h"
#include "mcp/message.h"

namespace berth::mcp {

std::string client_meta(std::string_view client_info) {
  return fmt::format(R"("{}":"{}","{}":{{}},"{}":{})", meta_key::protocol_version, modern_version,
                     meta_key::client_capabilities, meta_key::client_info, client_info);
}

}  // namespace berth::mcp
