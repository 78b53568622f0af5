#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <map>

#include "registry/engine.h"
#include "registry/files.h"
#include "registry/gzip.h"
#include "registry/layer_maker.h"
#include "registry/manifest.h"
#include "registry/reference.h"
#include "registry/tar.h"

namespace berth::registry {

namespace {

namespace json = boost::json;

constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::string_view oci_layer_zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
/// `docker save` once wrote layers that several images share as links to one another.
constexpr int links_max = 8;

Failure no_archive(const std::string& path, std::string_view why) {
  return fail(ErrorCode::invalid_argument, fmt::format("What the engine wrote to '{}' {}.", path, why));
}

/// A range of a file: a layer in a layout folder (all of a file) or in an archive.
struct Range {
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// Stores a layer: as it is when it is compressed, compressed by us otherwise.
class LayerImport {
 public:
  LayerImport(const BlobStore& store, Clock& clock, std::string diff_id)
      : store_(store), clock_(clock), diff_id_(std::move(diff_id)) {}

  Task<Result<Layer>> run(Range range) {
    const Descriptor file(::open(range.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", range.path)));
    auto writer = store_.write();
    if (!writer) co_return Failure(writer.error());
    writer_ = &*writer;
    std::string buffer(read_bytes, '\0');
    for (std::uint64_t done = 0; done < range.bytes;) {
      const auto wanted =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), range.bytes - done));
      const auto count =
          ::pread(file.number(), buffer.data(), wanted, static_cast<off_t>(range.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", range.path)));
      if (count == 0) co_return no_archive(range.path, "ends in the middle of a layer");
      const std::string_view part(buffer.data(), static_cast<std::size_t>(count));
      if (auto taken = take(part, done == 0); !taken) co_return Failure(taken.error());
      done += part.size();
      co_await step(clock_.executor());
    }
    co_return finish(*writer);
  }

 private:
  Result<void> take(std::string_view part, bool is_first) {
    if (is_first && is_gzip(part)) kind_ = Kind::gzip;
    if (is_first && is_zstd(part)) kind_ = Kind::zstd;
    if (kind_ == Kind::plain) {
      sum_.append(part);
      compressed_.clear();
      compressor_.append(part, compressed_);
      return writer_->append(compressed_);
    }
    if (kind_ == Kind::gzip) {
      const Decompressor::Sink sink = [this](std::string_view plain) {
        sum_.append(plain);
        return Result<void>();
      };
      if (auto read = decompressor_.append(part, sink); !read) return read;
    }
    return writer_->append(part);
  }

  Result<Layer> finish(BlobStore::Writer& writer) {
    if (kind_ == Kind::plain) {
      compressed_.clear();
      compressor_.finish(compressed_);
      if (auto written = writer.append(compressed_); !written) return Failure(written.error());
    }
    if (kind_ != Kind::zstd && sum_.finish() != diff_id_) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("The layer {} is not what the image's configuration "
                              "says it is.",
                              diff_id_));
    }
    Layer layer;
    layer.bytes = writer.bytes();
    layer.diff_id = diff_id_;
    layer.media_type = kind_ == Kind::zstd ? oci_layer_zstd : oci_layer_gzip;
    auto digest = writer.commit({});
    if (!digest) return Failure(digest.error());
    layer.digest = std::move(*digest);
    return layer;
  }

  enum class Kind : std::uint8_t { plain, gzip, zstd } kind_ = Kind::plain;
  const BlobStore& store_;
  Clock& clock_;
  std::string diff_id_;
  BlobStore::Writer* writer_ = nullptr;
  Sha256 sum_;
  Compressor compressor_;
  Decompressor decompressor_;
  std::string compressed_;
};

Result<std::vector<std::string>> diff_ids_of(const std::string& config) {
  boost::system::error_code error;
  const auto root = json::parse(config, error);
  const auto* rootfs = error || !root.is_object() ? nullptr : root.get_object().if_contains("rootfs");
  const auto* diff_ids =
      rootfs == nullptr || !rootfs->is_object() ? nullptr : rootfs->get_object().if_contains("diff_ids");
  if (diff_ids == nullptr || !diff_ids->is_array()) {
    return fail(ErrorCode::invalid_argument, "The image's configuration names no layers.");
  }
  std::vector<std::string> out;
  for (const auto& each : diff_ids->get_array()) {
    if (each.is_string()) out.emplace_back(each.get_string());
    if (out.empty() || !is_digest(out.back())) {
      return fail(ErrorCode::invalid_argument, "The image's configuration names a layer without a digest.");
    }
  }
  return out;
}

Task<Result<Image>> import_ranges(std::string config, std::vector<Range> ranges, const BlobStore& store,
                                  Clock& clock) {
  auto diff_ids = diff_ids_of(config);
  if (!diff_ids) co_return Failure(diff_ids.error());
  if (diff_ids->size() != ranges.size()) {
    co_return fail(ErrorCode::invalid_argument,
                   "The image's configuration and manifest disagree about its layers.");
  }
  Image image;
  image.config = std::move(config);
  const LayerMaker layers(store, clock, 0);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::string key = "imported layer\n" + (*diff_ids)[i];
    Result<Layer> layer = Layer{};
    if (auto known = layers.recall(key)) {
      layer = std::move(*known);
    } else {
      LayerImport layer_import(store, clock, (*diff_ids)[i]);
      layer = co_await layer_import.run(ranges[i]);
      if (!layer) co_return Failure(layer.error());
      layers.remember(key, *layer);
    }
    image.bytes += layer->bytes;
    image.layers.push_back(std::move(*layer));
  }
  co_return image;
}

/// Where the members of an archive lie in it.
class ArchiveIndex final : public TarReader::Visitor {
 public:
  explicit ArchiveIndex(std::string path) : path_(std::move(path)) {}
  void member(const TarReader::Member& member) override { members_[member.path] = member; }
  void content(std::string_view) override {}

  std::optional<Range> find(std::string name) const {
    for (int links = 0; links < links_max; ++links) {
      const auto found = members_.find(name);
      if (found == members_.end()) return std::nullopt;
      const TarReader::Member& member = found->second;
      if (member.type == '0') return Range{path_, member.offset, member.bytes};
      if (member.type == '1') {
        name = member.link;
        continue;
      }
      if (member.type != '2') return std::nullopt;
      // "../<layer>/layer.tar", from beside it.
      name = member.link.starts_with("../") ? member.link.substr(3)
                                            : name.substr(0, name.rfind('/') + 1) + member.link;
    }
    return std::nullopt;
  }

  Result<std::string> text(const std::string& name) const {
    const auto range = find(name);
    if (!range || range->bytes > config_bytes_max) return no_archive(path_, "has no " + name);
    const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    std::string out(static_cast<std::size_t>(range->bytes), '\0');
    const auto count = ::pread(file.number(), out.data(), out.size(), static_cast<off_t>(range->offset));
    if (count != static_cast<ssize_t>(out.size())) return no_archive(path_, "cannot be read");
    return out;
  }

 private:
  std::string path_;
  std::map<std::string, TarReader::Member> members_;
};

}  // namespace

Task<Result<Image>> import_layout(std::string folder, const BlobStore& store, Clock& clock) {
  auto index_text = read_file(folder + "/index.json", manifest_bytes_max);
  if (!index_text) co_return Failure(index_text.error());
  auto index = parse_manifest(*index_text);
  if (!index) co_return Failure(index.error());
  if (index->choices.size() != 1) co_return no_archive(folder, "does not hold one image");
  const auto blob_path = [&](const std::string& digest) {
    return folder + "/blobs/sha256/" + std::string(hex_of(digest));
  };
  auto manifest_text = read_file(blob_path(index->choices.front().descriptor.digest), manifest_bytes_max);
  if (!manifest_text) co_return Failure(manifest_text.error());
  auto manifest = parse_manifest(*manifest_text);
  if (!manifest) co_return Failure(manifest.error());
  if (!manifest->manifest) co_return no_archive(folder, "is an index of indexes");
  auto config = read_file(blob_path(manifest->manifest->config.digest), config_bytes_max);
  if (!config) co_return Failure(config.error());
  std::vector<Range> ranges;
  for (const BlobInfo& layer : manifest->manifest->layers) {
    ranges.push_back({blob_path(layer.digest), 0, layer.bytes});
  }
  co_return co_await import_ranges(std::move(*config), std::move(ranges), store, clock);
}

Task<Result<Image>> import_docker_archive(std::string path, const BlobStore& store, Clock& clock) {
  ArchiveIndex index(path);
  {
    TarReader reader(index);
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
    std::string buffer(read_bytes, '\0');
    while (true) {
      const auto count = ::read(file.number(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
      if (count == 0) break;
      auto taken = reader.append({buffer.data(), static_cast<std::size_t>(count)});
      if (!taken) co_return Failure(taken.error());
      co_await step(clock.executor());
    }
  }
  auto manifest = index.text("manifest.json");
  if (!manifest) co_return Failure(manifest.error());
  boost::system::error_code error;
  const auto root = json::parse(*manifest, error);
  const auto* images = error ? nullptr : root.if_array();
  const auto* image = images == nullptr || images->size() != 1 ? nullptr : images->front().if_object();
  const auto* config_name = image == nullptr ? nullptr : image->if_contains("Config");
  const auto* layers = image == nullptr ? nullptr : image->if_contains("Layers");
  if (config_name == nullptr || !config_name->is_string() || layers == nullptr || !layers->is_array()) {
    co_return no_archive(path, "does not hold one image");
  }
  auto config = index.text(std::string(config_name->get_string()));
  if (!config) co_return Failure(config.error());
  std::vector<Range> ranges;
  for (const auto& name : layers->get_array()) {
    const auto range = name.is_string() ? index.find(std::string(name.get_string())) : std::nullopt;
    if (!range) co_return no_archive(path, "lacks a layer that its manifest names");
    ranges.push_back(*range);
  }
  co_return co_await import_ranges(std::move(*config), std::move(ranges), store, clock);
}

}  // namespace berth::registry
