#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "registry/digest.h"

namespace berth::registry {

/// A folder of blobs by digest in the OCI image layout (blobs/sha256/…, oci-layout), and beside them small
/// facts by key (facts/…): which inputs gave which layer, what a base image holds. Everything in it can be
/// made or pulled again, so what nobody used for 30 days is deleted. Several processes may share it: files
/// appear whole, under their final name.
class BlobStore {
 public:
  /// Makes the folder (0700) when it is not there. permission_denied, unavailable.
  static Result<BlobStore> open(const std::string& folder, WallTime now);

  const std::string& folder() const { return folder_; }
  std::string path_of(std::string_view digest) const;
  /// Whether the blob is there with that size (0: any); marks it as used.
  bool has(std::string_view digest, std::uint64_t bytes) const;
  /// The whole blob, checked against its digest. not_found, resource_exhausted above `bytes_max`.
  Result<std::string> read(std::string_view digest, std::size_t bytes_max) const;
  /// Stores a small blob and returns its digest.
  Result<std::string> put(std::string_view bytes) const;

  /// Makes the image that `manifest` describes the one that tools find in the folder (index.json): the last
  /// one made.
  Result<void> set_index(std::string_view manifest) const;

  /// A blob being written. Dropped without a trace unless committed.
  class Writer {
   public:
    ~Writer();
    Writer(Writer&& other) noexcept;
    Writer& operator=(Writer&&) = delete;
    Result<void> append(std::string_view bytes);
    std::uint64_t bytes() const { return bytes_; }
    /// Empties it, to begin anew.
    Result<void> restart();
    /// Gives the blob its name and returns its digest; invalid_argument when it is not `expected` (empty:
    /// any).
    Result<std::string> commit(std::string_view expected);

   private:
    friend class BlobStore;
    Writer(const BlobStore& store, std::string path, int descriptor);
    const BlobStore* store_;
    std::string path_;
    int descriptor_;
    std::uint64_t bytes_ = 0;
    Sha256 sum_;
  };
  Result<Writer> write() const;

  /// A new empty folder for work, which the caller removes (or which is swept up a day later).
  Result<std::string> make_work_folder() const;

  /// What was remembered under `key`; nullopt when nothing was.
  std::optional<std::string> recall(std::string_view key) const;
  /// Losing a fact costs time alone, so failures are not reported.
  void remember(std::string_view key, std::string_view fact) const;

 private:
  explicit BlobStore(std::string folder) : folder_(std::move(folder)) {}
  void sweep(WallTime now) const;
  std::string fact_path(std::string_view key) const;
  std::string folder_;
};

}  // namespace berth::registry
