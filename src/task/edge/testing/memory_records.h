#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "task/session_records.h"

namespace berth::task::testing {

/// The records of a whole fleet in memory; each task has its own view of them.
class MemoryRecords {
 public:
  std::unique_ptr<SessionRecords> of(TaskIdentity self);

  using Name = std::pair<std::string, std::uint64_t>;  ///< session, life
  std::map<Name, TaskIdentity> heirs;
  std::map<Name, std::string> kept;
  std::set<Name> ended;
  bool available = true;
};

}  // namespace berth::task::testing
