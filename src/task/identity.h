#pragma once

#include <cstdint>
#include <string>

namespace berth::task {

/// Who this task is among its sisters. The generation is drawn anew at every start, so a handle sealed by an
/// earlier life of the same task is recognised as lost.
struct TaskIdentity {
  std::string id = "1";  ///< stable name within the service
  std::string zone = "a";
  std::uint64_t generation = 0;
  std::string peer_address;  ///< "127.0.1.1:3001": where sisters reach it over mutual TLS
  bool operator==(const TaskIdentity&) const = default;
};

/// Whether the two name the same task in the very same life.
inline bool is_same_life(const TaskIdentity& a, const TaskIdentity& b) {
  return a.id == b.id && a.generation == b.generation;
}

}  // namespace berth::task
