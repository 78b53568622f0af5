#pragma once

#include <array>

#include "base/result.h"

namespace berth::net {

/// How a child is kept from what belongs to others, made before the fork: between fork and exec only
/// async-signal-safe calls are allowed (child_image.h).
struct SeparationImage {
  bool wanted = false;
  int ruleset = -1;              ///< of Landlock, above 2; -1: the kernel has none
  const char* hidden = nullptr;  ///< a folder that the child sees empty; null: none
  const char* kept = nullptr;    ///< a folder in `hidden` that it sees nevertheless; null: none
  /// Further files and folders that it sees empty, up to a null; those that are not there are passed over.
  const char* const* secrets = nullptr;
  /// The lines for a user namespace's uid_map and gid_map, for those who may not mount without one.
  std::array<char, 48> uid_map{};
  std::array<char, 48> gid_map{};
};

/// A Landlock ruleset that forbids nothing in the file system: a domain is what keeps a process from tracing
/// those outside, from reading their environments and memory and, on Linux 6.12 or later, from signalling
/// them. -1 with errno where the kernel has no Landlock.
int make_landlock_ruleset();

/// Takes from a forked child every capability, the sight of what `image` hides, and the reach to processes
/// outside.
/// Does as much as the kernel lets it; returns 0, or errno of the first part that was refused.
int separate_self(const SeparationImage& image);

}  // namespace berth::net
