#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "codec/json.h"
#include "mcp/core.h"

namespace berth {
enum class Capability : std::uint8_t;
enum class Action : std::uint8_t;
}  // namespace berth

/// The seam between berth::Call and the host that runs it (task/native/native_host.cpp).
namespace berth::detail {

struct RawAsk {
  Capability capability{};
  std::string key;  ///< empty: the host counts
  std::string method;
  std::string params;  ///< JSON object text
  /// False when an accepted form's content does not fit; nullptr: the schema in `params` decides.
  bool (*fits)(json::Slice content) = nullptr;
};

/// Where a call runs.
struct Place {
  std::string_view task;
  std::string_view zone;
};

class CallLink {
 public:
  virtual ~CallLink() = default;
  virtual const mcp::Caller& caller() const = 0;
  virtual Place place() const = 0;
  virtual Clock& clock() const = 0;
  virtual bool wants_progress() const = 0;
  virtual bool wants_log(mcp::LoggingLevel level) const = 0;
  /// `params` without the token; dropped when `done` does not exceed the last.
  virtual void progress(double done, std::string params) = 0;
  virtual void log(std::string params) = 0;
  /// The responses' JSON text, in the order asked.
  virtual Task<std::vector<std::string>> ask(std::vector<RawAsk> asks) = 0;
};

/// {"mode":"form","message":…,"requestedSchema":…}
std::string form_params(std::string_view message, std::string_view schema);
Action read_action(json::Slice response);
/// Whether ClientCapabilities (JSON text) declare `capability`. A bare `elicitation: {}` means forms only.
bool declares(std::string_view capabilities, Capability capability);
/// The ClientCapabilities that would have been needed, e.g. {"sampling":{}}.
std::string required_capabilities(const std::vector<Capability>& missing);

}  // namespace berth::detail
