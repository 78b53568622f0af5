#include "deploy/progress.h"

#include <fmt/format.h>

namespace berth::deploy {

std::string_view title(Phase phase) {
  switch (phase) {
    case Phase::check: return "Check";
    case Phase::base_stack: return "Registry and secrets";
    case Phase::secrets: return "Secret values";
    case Phase::image: return "Image";
    case Phase::push: return "Push";
    case Phase::scan: return "Scan";
    case Phase::change_set: return "Change set";
    case Phase::stack: return "Stack";
    case Phase::tasks: return "Tasks healthy";
    case Phase::proof: return "Proof: MCP tools/list";
  }
  return "";
}

std::string interruption(Phase phase, const std::string& stack, const std::string& region) {
  const std::string again = "`berth deploy` again continues where this one stopped.";
  switch (phase) {
    case Phase::check: return "Interrupted before anything was changed.";
    case Phase::secrets:
    case Phase::image:
    case Phase::push:
    case Phase::scan:
      return fmt::format(
          "Interrupted. Nothing goes on by itself, and what runs was not touched. {}\n"
          "To undo what is there: `berth destroy`.",
          again);
    case Phase::change_set:
      return fmt::format(
          "Interrupted. Nothing goes on by itself: the change set was not executed, and what runs was not "
          "touched. {}",
          again);
    case Phase::base_stack:
      return fmt::format(
          "Interrupted. The stack {0}-base goes on by itself to its end. {1}\n"
          "To watch it: `aws cloudformation describe-stack-events --stack-name {0}-base --region {2}`.\n"
          "To undo it: `berth destroy`.",
          stack, again, region);
    case Phase::stack:
      return fmt::format(
          "Interrupted. AWS goes on by itself: the stack {0} comes to its end or is rolled back, with nobody "
          "watching. {1}\n"
          "To watch it: `berth status --on aws`.\n"
          "To undo it: `berth rollback` (cancels an update), `berth destroy` (ends everything).",
          stack, again);
    case Phase::tasks:
      return fmt::format(
          "Interrupted. AWS goes on by itself: new tasks replace the old ones, or the deployment is rolled "
          "back "
          "when they are not healthy. {}\nTo watch it: `berth status --on aws`. To undo it: `berth "
          "rollback`.",
          again);
    case Phase::proof:
      return fmt::format(
          "Interrupted. The service is deployed; only the proof was cut short. {}\n"
          "To check it: `berth doctor --on aws`.",
          again);
  }
  return "";
}

}  // namespace berth::deploy
