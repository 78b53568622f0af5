#pragma once

#include "registry/blob_store.h"
#include "registry/image.h"
#include "registry/manifest.h"
#include "registry/registry_client.h"

/// Moving images between the store and a registry.
namespace berth::registry {

/// Bodies above this go in several requests when the registry refuses them in one.
inline constexpr std::uint64_t chunk_bytes = 8u << 20;
inline constexpr std::uint64_t blob_bytes_max = std::uint64_t{10} << 30;

class Transfer {
 public:
  Transfer(RegistryClient& client, const BlobStore& store, Clock& clock, Progress progress)
      : client_(client), store_(store), clock_(clock), progress_(std::move(progress)) {}

  /// Downloads what the store lacks; all is checked against its digest.
  Task<Result<Image>> pull(Reference from, std::string architecture);
  /// Uploads what the registry lacks, layers before the manifest.
  Task<Result<Images::Pushed>> push(const Image& image, Reference to);

 private:
  struct Fetched {
    std::string text;
    std::string digest;
  };
  /// Where an upload goes on.
  struct Upload {
    std::string location;
    bool is_done = false;  ///< mounted from another repository
  };

  Task<Result<std::optional<Fetched>>> known_manifest(Reference from, std::string name);
  Task<Result<Fetched>> fetch_manifest(Reference from, std::string name);
  Task<Result<void>> pull_blob(Reference from, BlobInfo blob, std::string_view what);
  Task<Result<void>> receive(http::ClientResponse& answer, BlobStore::Writer& writer,
                             std::uint64_t bytes_max);

  Task<Result<bool>> is_there(Reference to, std::string digest);
  Task<Result<std::uint64_t>> push_blob(Reference to, BlobInfo blob, std::string what);
  Task<Result<Upload>> begin_upload(Reference to, std::string digest, std::string from);
  Task<Result<http::Response>> upload_whole(Reference to, BlobInfo blob, std::string location);
  Task<Result<http::Response>> upload_chunks(Reference to, BlobInfo blob, std::string location);
  Task<Result<std::string>> resume_point(Reference to, std::string location, std::uint64_t& offset);
  Task<Result<void>> push_manifest(const Image& image, Reference to);

  void say(std::string text) const;
  void note_location(const std::string& digest, const Reference& where) const;
  /// Another repository of the same registry that is known to have the blob; "" when none is.
  std::string other_location(const std::string& digest, const Reference& where) const;

  RegistryClient& client_;
  const BlobStore& store_;
  Clock& clock_;
  Progress progress_;
};

/// "12.3 MB".
std::string megabytes(std::uint64_t bytes);
/// "sha256:1234567890ab…".
std::string short_digest(const std::string& digest);

}  // namespace berth::registry
