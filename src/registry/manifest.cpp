#include "registry/manifest.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "registry/digest.h"
#include "registry/layer_maker.h"
#include "registry/reference.h"

namespace berth::registry {

namespace {

namespace json = boost::json;

constexpr std::string_view oci_layer_prefix = "application/vnd.oci.image.layer.v1.tar";
constexpr std::string_view docker_layer_gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
constexpr std::string_view docker_layer_zstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";
constexpr std::string_view docker_layer_plain = "application/vnd.docker.image.rootfs.diff.tar";

Failure broken(std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("The image's manifest {}.", what));
}

std::string text(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_string() ? std::string(member->as_string()) : std::string();
}

const json::object* object_in(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member == nullptr ? nullptr : member->if_object();
}

const json::array* array_in(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member == nullptr ? nullptr : member->if_array();
}

Result<json::object> parse_object(std::string_view bytes, std::string_view what) {
  boost::system::error_code error;
  auto value = json::parse(bytes, error);
  if (error || !value.is_object()) {
    return fail(ErrorCode::invalid_argument, fmt::format("The image's {} is not a JSON object.", what));
  }
  return std::move(value.as_object());
}

Result<BlobInfo> read_blob_info(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return broken("holds a descriptor that is not an object");
  BlobInfo info{text(*object, "mediaType"), text(*object, "digest"), 0};
  const auto* size = object->if_contains("size");
  boost::system::error_code error;
  if (size != nullptr && size->is_number()) info.bytes = size->to_number<std::uint64_t>(error);
  if (!is_digest(info.digest)) return broken("holds a digest that is not sha256");
  if (size == nullptr || error) return broken("holds a descriptor without a size");
  return info;
}

/// OCI's name for a layer's type, or empty when it is not one that can be used.
std::string oci_type_of(const std::string& media_type) {
  if (media_type == docker_layer_gzip) return std::string(oci_layer_gzip);
  if (media_type == docker_layer_zstd) return std::string(oci_layer_prefix) + "+zstd";
  if (media_type == docker_layer_plain) return std::string(oci_layer_prefix);
  if (media_type == oci_layer_prefix || media_type == oci_layer_gzip ||
      media_type == std::string(oci_layer_prefix) + "+zstd") {
    return media_type;
  }
  return {};
}

std::string rfc3339(std::int64_t time_s) {
  return to_rfc3339(WallTime{std::chrono::seconds(time_s)}).substr(0, 19) + "Z";
}

/// Sets NAME=value in an image's environment, in the order of first appearance.
void set_variable(json::array& environment, const std::string& name, const std::string& value) {
  const std::string entry = name + "=" + value;
  for (auto& each : environment) {
    if (!each.is_string() || !std::string_view(each.as_string()).starts_with(name + "=")) continue;
    each = entry;
    return;
  }
  environment.emplace_back(entry);
}

std::string variable(const json::array& environment, const std::string& name) {
  for (const auto& each : environment) {
    if (!each.is_string()) continue;
    const std::string_view entry = each.as_string();
    if (entry.starts_with(name + "=")) return std::string(entry.substr(name.size() + 1));
  }
  return {};
}

json::array environment_of(const json::object& base, const std::map<std::string, std::string>& wanted) {
  const auto* own = array_in(base, "Env");
  json::array environment = own == nullptr ? json::array() : *own;
  std::string path = variable(environment, "PATH");
  if (path.empty()) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (path.find("/app/node_modules/.bin") == std::string::npos) path = "/app/node_modules/.bin:" + path;
  set_variable(environment, "PATH", path);
  // The root is read-only; what programs keep at home goes where the task may write.
  if (variable(environment, "HOME").empty()) set_variable(environment, "HOME", "/tmp");
  for (const auto& [name, value] : wanted) set_variable(environment, name, value);
  return environment;
}

json::object settings_of(const json::object& base, const Composition& composition) {
  json::object out;
  const std::string user = text(base, "User");
  const bool is_root =
      user.empty() || user == "0" || user == "root" || user.starts_with("0:") || user.starts_with("root:");
  out["User"] = is_root ? "1000:1000" : user;
  json::object ports;
  ports["3000/tcp"] = json::object();
  out["ExposedPorts"] = std::move(ports);
  out["Env"] = environment_of(base, composition.environment);
  const std::string directory = text(base, "WorkingDir");
  const bool keeps_directory = composition.keep_directory && !directory.empty() && directory != "/";
  if (composition.keep_entry_point) {
    for (const char* name : {"Entrypoint", "Cmd"}) {
      if (const auto* member = base.if_contains(name)) out[name] = *member;
    }
  } else {
    json::array entry_point{"/usr/local/bin/berth"};
    entry_point.insert(entry_point.end(), composition.arguments.begin(), composition.arguments.end());
    entry_point.emplace_back("serve");
    out["Entrypoint"] = std::move(entry_point);
  }
  // Fargate gives a volume the owner and mode of the image's folder only where the image declares it.
  const auto* volumes = object_in(base, "Volumes");
  json::object all_volumes = volumes == nullptr ? json::object() : *volumes;
  all_volumes["/tmp"] = json::object();
  out["Volumes"] = std::move(all_volumes);
  out["WorkingDir"] = keeps_directory ? directory : "/app";
  const auto* labels = object_in(base, "Labels");
  json::object all_labels = labels == nullptr ? json::object() : *labels;
  for (const auto& [name, value] : composition.labels) all_labels[name] = value;
  if (!all_labels.empty()) out["Labels"] = std::move(all_labels);
  if (const auto* signal = base.if_contains("StopSignal")) out["StopSignal"] = *signal;
  return out;
}

/// The base's history when it tells one step a layer, and ours.
json::array history_of(const json::object& base, std::size_t base_layers, const Composition& composition) {
  json::array out;
  std::size_t told = 0;
  if (const auto* own = array_in(base, "history")) {
    for (const auto& step : *own) {
      const auto* object = step.if_object();
      const auto* empty = object == nullptr ? nullptr : object->if_contains("empty_layer");
      if (empty == nullptr || !empty->is_bool() || !empty->as_bool()) ++told;
    }
    if (told == base_layers) out = *own;
  }
  if (told != base_layers) {
    for (std::size_t i = 0; i < base_layers; ++i) out.push_back(json::object{{"created_by", "base"}});
  }
  for (const Addition& addition : composition.additions) {
    out.push_back(
        json::object{{"created", rfc3339(composition.time_s)}, {"created_by", "berth: " + addition.name}});
  }
  return out;
}

json::object to_json(const Layer& layer) {
  return {{"mediaType", layer.media_type}, {"digest", layer.digest}, {"size", layer.bytes}};
}

}  // namespace

Result<ManifestOrIndex> parse_manifest(std::string_view bytes) {
  auto root = parse_object(bytes, "manifest");
  if (!root) return Failure(root.error());
  const auto* version = root->if_contains("schemaVersion");
  if (version == nullptr || !version->is_int64() || version->as_int64() != 2) {
    return broken("is of schema 1, which registries gave up; push the image again with a current engine");
  }
  ManifestOrIndex out;
  if (const auto* choices = array_in(*root, "manifests")) {
    for (const auto& value : *choices) {
      auto info = read_blob_info(value);
      if (!info) return Failure(info.error());
      const auto* platform = object_in(value.as_object(), "platform");
      const json::object none;
      const json::object& said = platform == nullptr ? none : *platform;
      out.choices.push_back(
          {std::move(*info), text(said, "os"), text(said, "architecture"), text(said, "variant")});
    }
    return out;
  }
  const auto* config = root->if_contains("config");
  const auto* layers = array_in(*root, "layers");
  if (config == nullptr || layers == nullptr)
    return broken("has neither `config` and `layers` nor `manifests`");
  if (layers->size() > layers_max) return broken(fmt::format("has {} layers", layers->size()));
  auto config_info = read_blob_info(*config);
  if (!config_info) return Failure(config_info.error());
  Manifest manifest{std::move(*config_info), {}};
  for (const auto& value : *layers) {
    auto info = read_blob_info(value);
    if (!info) return Failure(info.error());
    manifest.layers.push_back(std::move(*info));
  }
  out.manifest = std::move(manifest);
  return out;
}

Result<BlobInfo> choose(const std::vector<ManifestOrIndex::Choice>& choices,
                        const std::string& architecture) {
  const auto fits = [&](const ManifestOrIndex::Choice& choice) {
    return choice.os == "linux" && choice.architecture == architecture;
  };
  const std::string_view plain = architecture == "arm64" ? "v8" : "v1";
  for (const auto& choice : choices) {
    if (fits(choice) && (choice.variant.empty() || choice.variant == plain)) return choice.descriptor;
  }
  std::string there;
  for (const auto& choice : choices) {
    if (fits(choice)) return choice.descriptor;
    // Signatures and attestations go by the platform "unknown".
    if (choice.os.empty() || choice.os == "unknown") continue;
    there += fmt::format("{}{}/{}", there.empty() ? "" : ", ", choice.os, choice.architecture);
  }
  return fail(ErrorCode::not_found, fmt::format("there is no linux/{} image; there is {}", architecture,
                                                there.empty() ? "none at all" : there));
}

Result<Image> make_image(const Manifest& manifest, std::string config) {
  auto root = parse_object(config, "configuration");
  if (!root) return Failure(root.error());
  const auto* rootfs = object_in(*root, "rootfs");
  const auto* diff_ids = rootfs == nullptr ? nullptr : array_in(*rootfs, "diff_ids");
  if (diff_ids == nullptr || diff_ids->size() != manifest.layers.size()) {
    return fail(ErrorCode::invalid_argument,
                "The image's configuration and manifest disagree about its layers.");
  }
  Image image;
  image.config = std::move(config);
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const BlobInfo& info = manifest.layers[i];
    const auto& diff_id = (*diff_ids)[i];
    Layer layer{info.digest, diff_id.is_string() ? std::string(diff_id.as_string()) : std::string(),
                oci_type_of(info.media_type), info.bytes};
    if (!is_digest(layer.diff_id)) {
      return fail(ErrorCode::invalid_argument, "The image's configuration names a layer without a digest.");
    }
    if (layer.media_type.empty()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("The image has a layer of the type '{}', which is not a file system.",
                              info.media_type));
    }
    image.bytes += layer.bytes;
    image.layers.push_back(std::move(layer));
  }
  return image;
}

Result<Image> compose(const Image& base, const Composition& composition) {
  json::object base_root;
  if (!base.config.empty()) {
    auto parsed = parse_object(base.config, "configuration");
    if (!parsed) return Failure(parsed.error());
    base_root = std::move(*parsed);
    const std::string has = text(base_root, "architecture");
    if (has != composition.architecture) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("The base image is made for {} and the service runs on {}; choose a base that has "
                      "both, or set aws.architecture.",
                      has.empty() ? "no architecture" : has, composition.architecture));
    }
  }
  const auto* base_settings = object_in(base_root, "config");
  Image image;
  image.layers = base.layers;
  for (const Addition& addition : composition.additions) image.layers.push_back(addition.layer);
  json::array diff_ids;
  json::array layers;
  for (const Layer& layer : image.layers) {
    diff_ids.emplace_back(layer.diff_id);
    layers.push_back(to_json(layer));
    image.bytes += layer.bytes;
  }
  json::object config{{"architecture", composition.architecture}, {"os", "linux"}};
  if (const std::string variant = text(base_root, "variant"); !variant.empty()) config["variant"] = variant;
  config["created"] = rfc3339(composition.time_s);
  config["config"] = settings_of(base_settings == nullptr ? json::object() : *base_settings, composition);
  config["rootfs"] = json::object{{"type", "layers"}, {"diff_ids", std::move(diff_ids)}};
  config["history"] = history_of(base_root, base.layers.size(), composition);
  image.config = json::serialize(config);
  const json::object manifest{{"schemaVersion", 2},
                              {"mediaType", oci_manifest},
                              {"config", json::object{{"mediaType", oci_config},
                                                      {"digest", digest_of(image.config)},
                                                      {"size", image.config.size()}}},
                              {"layers", std::move(layers)}};
  image.manifest = json::serialize(manifest);
  image.digest = digest_of(image.manifest);
  return image;
}

std::vector<std::string> entry_point_of(const Image& image) {
  std::vector<std::string> words;
  boost::system::error_code error;
  const auto root = json::parse(image.config, error);
  const auto* object = error ? nullptr : root.if_object();
  const auto* settings = object == nullptr ? nullptr : object_in(*object, "config");
  const auto* entry_point = settings == nullptr ? nullptr : array_in(*settings, "Entrypoint");
  if (entry_point == nullptr) return words;
  for (const auto& word : *entry_point) {
    if (word.is_string()) words.emplace_back(word.as_string());
  }
  return words;
}

}  // namespace berth::registry
