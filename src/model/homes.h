#pragma once

#include <string>
#include <vector>

#include "model/spec.h"

namespace berth::model {

/// Where the state of a hosted server is among several tasks, as far as the file tells.
struct StateHome {
  enum class Of : std::uint8_t {
    caller,   ///< each caller's in one task
    service,  ///< everybody's in one: `isolation: service`
  };
  std::string server;
  Of of = Of::caller;
  std::string sentence;  ///< what follows from it
};

/// Of the servers that may keep something in their process; the others run anywhere and are left out.
std::vector<StateHome> state_homes(const Spec& spec);

}  // namespace berth::model
