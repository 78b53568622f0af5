#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "registry/blob_store.h"
#include "registry/image.h"
#include "registry/tar.h"

namespace berth::registry {

inline constexpr std::string_view oci_layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Makes layers of entries, unless the store has them: first by the stamps of the files (nothing is read),
/// then by their content (nothing is compressed).
class LayerMaker {
 public:
  /// `time_s` is the time of every member (SOURCE_DATE_EPOCH, or 0).
  LayerMaker(const BlobStore& store, Clock& clock, std::int64_t time_s)
      : store_(store), clock_(clock), time_s_(time_s) {}

  struct Made {
    Layer layer;
    bool reused = false;
  };
  /// `root`: the folder that the sources lie in. invalid_argument when a file changes while it is read.
  Task<Result<Made>> make(std::vector<Entry> entries, std::string root) const;

  /// The layer that `key` gave before, if its blob is still there.
  std::optional<Layer> recall(std::string_view key) const;
  void remember(std::string_view key, const Layer& layer) const;

 private:
  struct Output;
  Task<Result<void>> write(const std::vector<Entry>& entries, const std::string& root, Output& output) const;
  Task<Result<void>> copy(const Entry& entry, int root, const std::string& root_path, Output& output) const;

  const BlobStore& store_;
  Clock& clock_;
  std::int64_t time_s_;
};

}  // namespace berth::registry
