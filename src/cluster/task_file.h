#pragma once

#include <string>

#include "base/result.h"
#include "net/stream.h"
#include "task/runtime.h"

namespace berth::cluster {

/// What one task is told, as a JSON file that its owner alone can read and that the task removes as soon as
/// it has read it, because it may hold substituted secrets of the spec: {"id","zone","listen",
/// "peer_address","data_directory","fleet_key_file","readiness_file","authority_directory","spec":{…},
/// "spec_directory","spec_file"}. The path is all that a process list shows.
struct TaskFile {
  model::Spec spec;
  std::string id;
  std::string zone;
  net::Endpoint listen;
  std::string peer_address;
  std::string data_directory;
  std::string fleet_key_file;
  std::string readiness_file;
  std::string authority_directory;  ///< of the certificate authority; empty: there is none
};

/// Writes it to `path`, mode 0600.
Result<void> write_task_file(const std::string& path, const TaskFile& file);

/// For `berth serve --task-file PATH`: reads the file, removes it, and reads the fleet key that it names. The
/// generation is drawn anew; `native` is left null. Errors name the file.
Result<task::RuntimeOptions> take_task_file(const std::string& path);

}  // namespace berth::cluster
