#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "registry/files.h"
#include "registry/reference.h"
#include "registry/transfer.h"

namespace berth::registry {

namespace {

constexpr std::size_t part_bytes = 256 * 1024;
/// A registry reads a large blob again before it says that it has it.
constexpr auto upload_patience = std::chrono::minutes(5);

std::string push_scope(const Reference& to) { return "repository:" + to.repository + ":pull,push"; }

std::string with_digest(const std::string& location, const std::string& digest) {
  return location + (location.find('?') == std::string::npos ? "?" : "&") + "digest=" + digest;
}

/// Reads a range of a blob part by part.
class FileParts {
 public:
  FileParts(const std::string& path, std::uint64_t begin, std::uint64_t end)
      : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), begin_(begin), end_(end) {}
  bool is_open() const { return file_.number() >= 0; }
  std::uint64_t bytes() const { return end_ - begin_; }

  Result<std::string_view> read(std::uint64_t offset) {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(part_bytes, bytes() - offset)));
    while (true) {
      const auto count =
          ::pread(file_.number(), buffer_.data(), buffer_.size(), static_cast<off_t>(begin_ + offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Failure(errno_error(errno, fmt::format("reading '{}'", path_)));
      if (count == 0) {
        ::unlink(path_.c_str());
        return fail(
            ErrorCode::not_found,
            fmt::format("The blob '{}' was cut short and has been removed; run the same again.", path_));
      }
      return std::string_view(buffer_.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  std::string path_;
  Descriptor file_;
  std::uint64_t begin_;
  std::uint64_t end_;
  std::string buffer_;
};

/// Whether an answer to a body in one piece means that smaller ones may pass.
bool wants_chunks(int status) { return status == 405 || status == 411 || status == 413 || status == 501; }

/// "0-99": a hundred bytes are there. An upload without a byte says "0-0" or nothing.
std::uint64_t bytes_kept(const http::Headers& headers) {
  std::uint64_t last = 0;
  const std::string_view range = headers.get("Range").value_or("0-0");
  const std::string_view number = range.substr(range.find('-') + 1);
  std::from_chars(number.data(), number.data() + number.size(), last);
  return last == 0 ? 0 : last + 1;
}

bool is_broken(const Error& error) {
  return error.code() == ErrorCode::unavailable || error.code() == ErrorCode::deadline_exceeded;
}

}  // namespace

void Transfer::note_location(const std::string& digest, const Reference& where) const {
  store_.remember("location\n" + where.registry + "\n" + digest, where.repository);
}

std::string Transfer::other_location(const std::string& digest, const Reference& where) const {
  auto known = store_.recall("location\n" + where.registry + "\n" + digest);
  return known && *known != where.repository ? *known : std::string();
}

Task<Result<bool>> Transfer::is_there(Reference to, std::string digest) {
  RegistryClient::Call call;
  call.method = "HEAD";
  call.target = fmt::format("/v2/{}/blobs/{}", to.repository, digest);
  call.scope = push_scope(to);
  auto answer = co_await client_.fetch(std::move(call));
  if (!answer) co_return Failure(answer.error());
  if (answer->status == 200) co_return true;
  if (answer->status == 404) co_return false;
  co_return Failure(answer_error(*answer, to.registry, "looking into " + to.registry + "/" + to.repository));
}

Task<Result<Transfer::Upload>> Transfer::begin_upload(Reference to, std::string digest, std::string from) {
  RegistryClient::Call call;
  call.method = "POST";
  call.target = fmt::format("/v2/{}/blobs/uploads/", to.repository);
  call.scope = push_scope(to);
  if (!from.empty()) {
    call.target += fmt::format("?mount={}&from={}", digest, from);
    call.scope += " repository:" + from + ":pull";
  }
  auto answer = co_await client_.fetch(std::move(call));
  const bool may_be_mount = !from.empty() && (!answer || answer->status >= 300);
  // Who may not read the other repository can still send the blob.
  if (may_be_mount) co_return co_await begin_upload(to, digest, {});
  if (!answer) co_return Failure(answer.error());
  if (answer->status == 201) co_return Upload{{}, true};
  const auto location = answer->headers.get("Location");
  if (answer->status != 202 || !location) {
    co_return Failure(answer_error(*answer, to.registry, "pushing to " + to.registry + "/" + to.repository));
  }
  co_return Upload{std::string(*location), false};
}

Task<Result<http::Response>> Transfer::upload_whole(Reference to, BlobInfo blob, std::string location) {
  const auto parts = std::make_shared<FileParts>(store_.path_of(blob.digest), 0, blob.bytes);
  if (!parts->is_open()) {
    co_return fail(ErrorCode::not_found, "The image store has lost " + blob.digest + "; run the same again.");
  }
  RegistryClient::Call call;
  call.method = "PUT";
  call.target = with_digest(location, blob.digest);
  call.headers.set("Content-Type", "application/octet-stream");
  call.scope = push_scope(to);
  call.repeatable = false;  // an upload that broke is begun anew
  call.patience = upload_patience;
  call.body_bytes = parts->bytes();
  call.body_part = [parts](std::uint64_t offset) { return parts->read(offset); };
  co_return co_await client_.fetch(std::move(call));
}

/// PATCH after PATCH, each from where the registry says it is; after a broken connection it is asked.
Task<Result<http::Response>> Transfer::upload_chunks(Reference to, BlobInfo blob, std::string location) {
  int failures = 0;
  for (std::uint64_t offset = 0; offset < blob.bytes;) {
    const std::uint64_t end = std::min(blob.bytes, offset + chunk_bytes);
    const auto parts = std::make_shared<FileParts>(store_.path_of(blob.digest), offset, end);
    RegistryClient::Call call;
    call.method = "PATCH";
    call.target = location;
    call.headers.set("Content-Type", "application/octet-stream");
    call.headers.set("Content-Range", fmt::format("{}-{}", offset, end - 1));
    call.scope = push_scope(to);
    call.repeatable = false;
    call.body_bytes = parts->bytes();
    call.body_part = [parts](std::uint64_t at) { return parts->read(at); };
    auto answer = co_await client_.fetch(std::move(call));
    // ECR says 201 where 202 is due, and keeps nothing behind the first part
    // (https://github.com/aws/containers-roadmap/issues/2831).
    if (answer && (answer->status == 202 || answer->status == 201)) {
      const std::uint64_t kept = answer->headers.get("Range") ? bytes_kept(answer->headers) : end;
      if (kept <= offset) {
        co_return fail(ErrorCode::invalid_argument,
                       fmt::format("{} keeps no more than the first {} bytes of an upload in parts.",
                                   to.registry, kept));
      }
      if (const auto next = answer->headers.get("Location")) location = *next;
      offset = kept;
      failures = 0;
      continue;
    }
    const bool may_resume =
        answer ? answer->status == 416 || answer->status >= 500 : is_broken(answer.error());
    if (!may_resume || ++failures >= attempts_max) co_return answer;
    auto resumed = co_await resume_point(to, location, offset);
    if (!resumed) co_return Failure(resumed.error());
    location = std::move(*resumed);
  }
  RegistryClient::Call last;
  last.method = "PUT";
  last.target = with_digest(location, blob.digest);
  last.scope = push_scope(to);
  last.repeatable = false;
  last.patience = upload_patience;
  co_return co_await client_.fetch(std::move(last));
}

Task<Result<std::string>> Transfer::resume_point(Reference to, std::string location, std::uint64_t& offset) {
  RegistryClient::Call call;
  call.target = location;
  call.scope = push_scope(to);
  auto answer = co_await client_.fetch(std::move(call));
  if (!answer) co_return Failure(answer.error());
  if (answer->status != 204) co_return Failure(answer_error(*answer, to.registry, "resuming an upload"));
  offset = bytes_kept(answer->headers);
  co_return std::string(answer->headers.get("Location").value_or(location));
}

Task<Result<std::uint64_t>> Transfer::push_blob(Reference to, BlobInfo blob, std::string what) {
  auto there = co_await is_there(to, blob.digest);
  if (!there) co_return Failure(there.error());
  const std::string shown = fmt::format("{} {} {}", what, short_digest(blob.digest), megabytes(blob.bytes));
  if (*there) {
    note_location(blob.digest, to);
    say(shown + ": already there");
    co_return std::uint64_t{0};
  }
  std::optional<Error> last;
  bool in_chunks = false;
  for (int number = 0; number < attempts_max; ++number) {
    auto upload = co_await begin_upload(to, blob.digest, other_location(blob.digest, to));
    if (!upload) co_return Failure(upload.error());
    if (upload->is_done) {
      note_location(blob.digest, to);
      say(shown + ": taken from another repository there");
      co_return std::uint64_t{0};
    }
    Result<http::Response> answer = http::Response{};
    if (in_chunks) {
      answer = co_await upload_chunks(to, blob, upload->location);
    } else {
      answer = co_await upload_whole(to, blob, upload->location);
    }
    if (answer && answer->status >= 200 && answer->status < 300) {
      note_location(blob.digest, to);
      say(shown + ": pushed");
      co_return blob.bytes;
    }
    const bool try_chunks = answer && wants_chunks(answer->status) && !in_chunks;
    last = answer ? answer_error(*answer, to.registry, "pushing the " + shown) : answer.error();
    if (!try_chunks && !is_broken(*last)) co_return Failure(*last);
    in_chunks = in_chunks || try_chunks;
    if (!try_chunks) {
      say(shown + ": the connection broke; sending it again");
      co_await clock_.sleep_for(std::chrono::milliseconds(200) * (1 << number));
    }
  }
  co_return Failure(last->within("pushing the " + shown));
}

Task<Result<void>> Transfer::push_manifest(const Image& image, Reference to) {
  const std::string name = to.digest.empty() ? to.tag : to.digest;
  RegistryClient::Call head;
  head.method = "HEAD";
  head.target = fmt::format("/v2/{}/manifests/{}", to.repository, name);
  head.headers.set("Accept", oci_manifest);
  head.scope = push_scope(to);
  auto there = co_await client_.fetch(std::move(head));
  if (!there) co_return Failure(there.error());
  if (there->status == 200 && there->headers.get("Docker-Content-Digest") == image.digest) {
    say(fmt::format("{} is already {}", to_string(to), short_digest(image.digest)));
    co_return Result<void>();
  }
  RegistryClient::Call call;
  call.method = "PUT";
  call.target = fmt::format("/v2/{}/manifests/{}", to.repository, name);
  // An image that was pulled is pushed as what it was.
  const bool is_docker = image.manifest.find(docker_manifest) != std::string::npos;
  call.headers.set("Content-Type", is_docker ? docker_manifest : oci_manifest);
  call.body = image.manifest;
  call.scope = push_scope(to);
  auto answer = co_await client_.fetch(std::move(call));
  if (!answer) co_return Failure(answer.error());
  if (answer->status < 200 || answer->status >= 300) {
    co_return Failure(answer_error(*answer, to.registry, "pushing " + to_string(to)));
  }
  const auto digest = answer->headers.get("Docker-Content-Digest");
  if (digest && *digest != image.digest) {
    co_return fail(ErrorCode::unavailable,
                   fmt::format("{} stored the image as {}, not as {}; what lies there is not what was sent.",
                               to.registry, *digest, image.digest));
  }
  co_return Result<void>();
}

Task<Result<Images::Pushed>> Transfer::push(const Image& image, Reference to) {
  Images::Pushed pushed;
  pushed.digest = image.digest;
  std::vector<std::string> done;
  for (const Layer& layer : image.layers) {
    if (std::ranges::find(done, layer.digest) != done.end()) continue;
    done.push_back(layer.digest);
    BlobInfo blob{layer.media_type, layer.digest, layer.bytes};
    auto sent = co_await push_blob(to, std::move(blob), "layer");
    if (!sent) co_return Failure(sent.error());
    if (*sent > 0) ++pushed.layers_sent;
    pushed.bytes_sent += *sent;
  }
  BlobInfo config{std::string(oci_config), digest_of(image.config), image.config.size()};
  auto sent = co_await push_blob(to, std::move(config), "configuration");
  if (!sent) co_return Failure(sent.error());
  pushed.bytes_sent += *sent;
  auto named = co_await push_manifest(image, to);
  if (!named) co_return Failure(named.error());
  co_return pushed;
}

}  // namespace berth::registry
