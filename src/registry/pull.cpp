#include <fmt/format.h>

#include <array>
#include <charconv>

#include "registry/reference.h"
#include "registry/transfer.h"

namespace berth::registry {

namespace {

constexpr auto read_patience = std::chrono::seconds(60);
/// Signed indexes of indexes exist; circles do not get far.
constexpr int index_depth_max = 3;

std::string pull_scope(const Reference& from) { return "repository:" + from.repository + ":pull"; }

std::string tag_key(const Reference& from, const std::string& tag) {
  return "tag\n" + from.registry + "/" + from.repository + ":" + tag;
}

RegistryClient::Call manifest_call(const Reference& from, const std::string& name) {
  RegistryClient::Call call;
  call.target = fmt::format("/v2/{}/manifests/{}", from.repository, name);
  // In one line: what stands between here and a registry may keep the last of several.
  call.headers.set("Accept",
                   fmt::format("{}, {}, {}, {}", oci_index, oci_manifest, docker_index, docker_manifest));
  call.scope = pull_scope(from);
  return call;
}

}  // namespace

std::string megabytes(std::uint64_t bytes) {
  if (bytes < 100'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string short_digest(const std::string& digest) { return digest.substr(0, 7 + 12); }

void Transfer::say(std::string text) const {
  if (progress_) progress_(text);
}

/// What a tag meant when it was pulled last, if it still means that. Asking by HEAD is free where pulls are
/// counted (Docker Hub).
Task<Result<std::optional<Transfer::Fetched>>> Transfer::known_manifest(Reference from, std::string name) {
  std::optional<Fetched> known;
  std::string digest = is_digest(name) ? name : store_.recall(tag_key(from, name)).value_or("");
  if (!is_digest(digest) || !store_.has(digest, 0)) co_return known;
  if (!is_digest(name)) {
    RegistryClient::Call call = manifest_call(from, name);
    call.method = "HEAD";
    auto answer = co_await client_.fetch(std::move(call));
    if (!answer) co_return Failure(answer.error());
    if (answer->status != 200 || answer->headers.get("Docker-Content-Digest") != digest) co_return known;
  }
  auto text = store_.read(digest, manifest_bytes_max);
  if (text) known = Fetched{std::move(*text), std::move(digest)};
  co_return known;
}

Task<Result<Transfer::Fetched>> Transfer::fetch_manifest(Reference from, std::string name) {
  auto known = co_await known_manifest(from, name);
  if (!known) co_return Failure(known.error());
  if (*known) co_return std::move(**known);
  RegistryClient::Call call = manifest_call(from, name);
  auto answer = co_await client_.fetch(std::move(call));
  if (!answer) co_return Failure(answer.error());
  if (answer->status != 200) {
    co_return Failure(answer_error(*answer, from.registry, "pulling " + to_string(from)));
  }
  Fetched fetched{std::move(answer->body), {}};
  fetched.digest = digest_of(fetched.text);
  if (is_digest(name) && fetched.digest != name) {
    co_return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} sent a manifest for {} whose digest is {}: it is not the image that was asked "
                    "for.",
                    from.registry, name, fetched.digest));
  }
  auto stored = store_.put(fetched.text);
  if (!stored) co_return Failure(stored.error());
  if (!is_digest(name)) store_.remember(tag_key(from, name), fetched.digest);
  co_return fetched;
}

Task<Result<Image>> Transfer::pull(Reference from, std::string architecture) {
  std::string name = manifest_name(from);
  std::optional<Manifest> manifest;
  Fetched fetched;
  for (int depth = 0; !manifest; ++depth) {
    auto got = co_await fetch_manifest(from, name);
    if (!got) co_return Failure(got.error());
    fetched = std::move(*got);
    auto parsed = parse_manifest(fetched.text);
    if (!parsed) co_return Failure(parsed.error().within(to_string(from)));
    if (parsed->manifest) {
      manifest = std::move(parsed->manifest);
      break;
    }
    auto chosen = choose(parsed->choices, architecture);
    if (!chosen) co_return Failure(chosen.error().within(to_string(from)));
    if (depth >= index_depth_max) {
      co_return fail(ErrorCode::invalid_argument, to_string(from) + " is an index of indexes.");
    }
    name = chosen->digest;
  }
  auto configured = co_await pull_blob(from, manifest->config, "configuration");
  if (!configured) co_return Failure(configured.error().within(to_string(from)));
  auto config = store_.read(manifest->config.digest, config_bytes_max);
  if (!config) co_return Failure(config.error().within(to_string(from)));
  auto image = make_image(*manifest, std::move(*config));
  if (!image) co_return Failure(image.error().within(to_string(from)));
  for (const BlobInfo& layer : manifest->layers) {
    auto pulled = co_await pull_blob(from, layer, "layer");
    if (!pulled) co_return Failure(pulled.error().within(to_string(from)));
  }
  image->manifest = std::move(fetched.text);
  image->digest = std::move(fetched.digest);
  co_return std::move(*image);
}

Task<Result<void>> Transfer::pull_blob(Reference from, BlobInfo blob, std::string_view what) {
  note_location(blob.digest, from);
  if (store_.has(blob.digest, blob.bytes)) co_return Result<void>();
  if (blob.bytes > blob_bytes_max) {
    co_return fail(ErrorCode::resource_exhausted,
                   fmt::format("The {} {} has {} GB; {} GB is the limit.", what, blob.digest,
                               blob.bytes >> 30, blob_bytes_max >> 30));
  }
  auto writer = store_.write();
  if (!writer) co_return Failure(writer.error());
  std::optional<Error> broken;
  for (int number = 0; number < attempts_max; ++number) {
    RegistryClient::Call call;
    call.target = fmt::format("/v2/{}/blobs/{}", from.repository, blob.digest);
    call.scope = pull_scope(from);
    if (writer->bytes() > 0) call.headers.set("Range", fmt::format("bytes={}-", writer->bytes()));
    auto answer = co_await client_.open(std::move(call));
    if (!answer) co_return Failure(answer.error());
    const int status = (*answer)->head().status;
    if (status != 200 && status != 206) {
      http::Response refusal{status, {}, {}};
      auto body = co_await (*answer)->read_all(answer_bytes_max);
      if (body) refusal.body = std::move(*body);
      co_return Failure(
          answer_error(refusal, from.registry, fmt::format("pulling the {} {}", what, blob.digest)));
    }
    // A registry that does not know ranges begins again.
    if (status == 200 && writer->bytes() > 0) {
      if (auto emptied = writer->restart(); !emptied) co_return emptied;
    }
    auto received = co_await receive(**answer, *writer, blob.bytes);
    if (received) {
      auto committed = writer->commit(blob.digest);
      if (!committed) co_return Failure(committed.error());
      say(fmt::format("pulled {} {} {}", what, short_digest(blob.digest), megabytes(blob.bytes)));
      co_return Result<void>();
    }
    const ErrorCode code = received.error().code();
    if (code != ErrorCode::unavailable && code != ErrorCode::deadline_exceeded) co_return received;
    broken = received.error();
    say(fmt::format("the connection broke after {} of {}; going on from there", megabytes(writer->bytes()),
                    megabytes(blob.bytes)));
  }
  co_return Failure(broken->within(fmt::format("the {} {}", what, blob.digest)));
}

Task<Result<void>> Transfer::receive(http::ClientResponse& answer, BlobStore::Writer& writer,
                                     std::uint64_t bytes_max) {
  std::string buffer(256 * 1024, '\0');
  while (true) {
    answer.set_deadline(clock_.now() + read_patience);
    const auto count = co_await answer.read_some(buffer);
    if (!count) co_return Failure(count.error());
    if (*count == 0) break;
    if (writer.bytes() + *count > bytes_max) {
      co_return fail(ErrorCode::invalid_argument,
                     fmt::format("More came than the {} bytes that the manifest says.", bytes_max));
    }
    if (auto written = writer.append({buffer.data(), *count}); !written) co_return written;
  }
  if (writer.bytes() < bytes_max) {
    co_return fail(ErrorCode::unavailable,
                   fmt::format("Only {} of {} bytes came.", writer.bytes(), bytes_max));
  }
  co_return Result<void>();
}

}  // namespace berth::registry
