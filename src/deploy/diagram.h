#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/spec.h"

/// The architecture of one service as a drawing: from the spec, with live state where it is deployed. Pure.
namespace berth::deploy {

/// A running task as AWS reports it.
struct RunningTask {
  std::string zone;  ///< "us-west-2a"
  bool spot = false;
  std::string health;  ///< "healthy", "unhealthy", "starting", "draining"
};

/// What a drawing shows besides the spec when the service is deployed.
struct LiveState {
  std::string as_of;  ///< "2026-11-22 20:15 UTC"
  std::string url;
  std::string image;  ///< tag or short digest that runs
  std::size_t desired = 0;
  std::vector<RunningTask> tasks;
  std::size_t alarms_ringing = 0;
};

/// Mermaid flowchart text (https://mermaid.js.org/syntax/flowchart.html), as README files show it.
std::string mermaid_diagram(const model::Spec& spec, const std::optional<LiveState>& live);

/// A standalone SVG: no scripts, no fonts, no references. Draws its own ground, light or dark as the viewer
/// prefers.
std::string svg_diagram(const model::Spec& spec, const std::optional<LiveState>& live);

}  // namespace berth::deploy
