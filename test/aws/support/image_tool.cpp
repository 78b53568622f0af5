// Drives src/registry for the system tests; not shipped. One verb, then name=value words; prints one JSON
// object.
//   assemble, build  base= directory= berth= spec= ca= architecture= npm=1 package= ignore= label=a:b
//                    dockerfile=
//   base             directory= (a root file system) architecture= : an image of it, as a base for tests
//   pull             from= architecture=
// each with store=, push= (a reference) and user= (the password comes on stdin).

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "registry/blob_store.h"
#include "registry/image.h"
#include "registry/layer_maker.h"
#include "registry/manifest.h"
#include "registry/program.h"
#include "registry/source_tree.h"

namespace {

using namespace berth;
namespace json = boost::json;

struct Words {
  std::multimap<std::string, std::string> values;
  std::string one(const std::string& name, std::string otherwise = {}) const {
    const auto found = values.find(name);
    return found == values.end() ? otherwise : found->second;
  }
  std::vector<std::string> all(const std::string& name) const {
    std::vector<std::string> out;
    for (auto [it, end] = values.equal_range(name); it != end; ++it) out.push_back(it->second);
    return out;
  }
};

registry::Environment read_environment() {
  registry::Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    environment.emplace(text.substr(0, equals), text.substr(std::min(equals + 1, text.size())));
  }
  return environment;
}

/// An image of one layer with a folder's content as it is.
Task<Result<registry::Image>> make_base(Clock& clock, Words words) {
  const std::string directory = words.one("directory");
  const std::string architecture = words.one("architecture", "amd64");
  auto store = registry::BlobStore::open(words.one("store"), clock.wall());
  if (!store) co_return Failure(store.error());
  const registry::IgnoreRules everything(registry::IgnoreRules::Defaults::none);
  auto tree = registry::list_tree(directory, {}, everything, 0);
  if (!tree) co_return Failure(tree.error());
  const registry::LayerMaker layers(*store, clock, 0);
  auto made = co_await layers.make(std::move(tree->entries), directory);
  if (!made) co_return Failure(made.error());
  registry::Image image;
  image.layers = {made->layer};
  image.bytes = made->layer.bytes;
  const json::object config{
      {"architecture", architecture},
      {"os", "linux"},
      {"config", json::object{{"Env", json::array{"PATH=/usr/local/bin:/usr/bin:/bin"}}}},
      {"rootfs", json::object{{"type", "layers"}, {"diff_ids", json::array{made->layer.diff_id}}}},
      {"history", json::array{json::object{{"created_by", "a root file system"}}}}};
  image.config = json::serialize(config);
  const json::object manifest{{"schemaVersion", 2},
                              {"mediaType", registry::oci_manifest},
                              {"config", json::object{{"mediaType", registry::oci_config},
                                                      {"digest", registry::digest_of(image.config)},
                                                      {"size", image.config.size()}}},
                              {"layers", json::array{json::object{{"mediaType", made->layer.media_type},
                                                                  {"digest", made->layer.digest},
                                                                  {"size", made->layer.bytes}}}}};
  image.manifest = json::serialize(manifest);
  image.digest = registry::digest_of(image.manifest);
  if (auto stored = store->put(image.config); !stored) co_return Failure(stored.error());
  co_return image;
}

registry::AssembleOptions read_options(const Words& words) {
  registry::AssembleOptions options;
  options.base = words.one("base", "scratch");
  options.architecture = words.one("architecture", "amd64");
  options.directory = words.one("directory");
  options.berth = words.one("berth");
  options.spec_file = words.one("spec");
  options.ca_bundle = words.one("ca");
  options.npm = words.one("npm") == "1";
  options.npm_packages = words.all("package");
  options.ignore = words.all("ignore");
  for (const std::string& label : words.all("label")) {
    options.labels[label.substr(0, label.find(':'))] = label.substr(label.find(':') + 1);
  }
  return options;
}

/// Makes or fetches the image, pushes it if asked, and says what came of it.
Task<Result<json::object>> work(std::string verb, Words words, net::Network& network,
                                net::ProcessLauncher& launcher, registry::Login login) {
  json::array progress;
  const registry::Progress note = [&](std::string_view line) { progress.emplace_back(line); };
  const auto images = registry::make_images(words.one("store"), read_environment(), network, launcher);
  Clock& clock = network.clock();
  const TimePoint start = clock.now();
  Result<registry::Image> image = registry::Image{};
  if (verb == "assemble") image = co_await images->assemble(read_options(words), note);
  if (verb == "build") image = co_await images->build(words.one("dockerfile"), read_options(words), note);
  if (verb == "base") image = co_await make_base(clock, words);
  if (verb == "pull") {
    auto from = registry::parse_reference(words.one("from"));
    if (!from) co_return Failure(from.error());
    image = co_await images->pull(*from, login, words.one("architecture", "amd64"), note);
  }
  if (!image) co_return Failure(image.error());
  const TimePoint made = clock.now();
  const auto ms = [](Duration span) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
  };
  json::array layers;
  for (const auto& layer : image->layers) {
    layers.push_back(json::object{{"digest", layer.digest}, {"bytes", layer.bytes}});
  }
  json::object out{{"digest", image->digest},
                   {"bytes", image->bytes},
                   {"layers", std::move(layers)},
                   {"config", json::parse(image->config)},
                   {"made_ms", ms(made - start)}};
  if (const std::string to = words.one("push"); !to.empty()) {
    auto reference = registry::parse_reference(to);
    if (!reference) co_return Failure(reference.error());
    auto pushed = co_await images->push(*image, *reference, login, note);
    if (!pushed) co_return Failure(pushed.error());
    out["pushed"] = json::object{{"layers_sent", pushed->layers_sent}, {"bytes_sent", pushed->bytes_sent}};
    out["push_ms"] = ms(clock.now() - made);
  }
  out["progress"] = std::move(progress);
  co_return out;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  Words words;
  const std::string verb = argc > 1 ? argv[1] : "";
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    words.values.emplace(word.substr(0, word.find('=')),
                         word.substr(std::min(word.find('=') + 1, word.size())));
  }
  registry::Login login{words.one("user"), {}};
  if (!login.user.empty()) {
    std::array<char, 4096> password{};
    const auto count = ::read(0, password.data(), password.size());
    login.password = Secret(std::string(password.data(), count > 0 ? static_cast<std::size_t>(count) : 0));
  }
  asio::io_context loop(1);
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = net::make_network(*clock);
  const auto launcher = net::make_process_launcher(*clock);
  int code = 1;
  const auto finish = [&](std::exception_ptr, Result<json::object> result) {
    code = result ? 0 : 1;
    const json::object error{{"error", result ? "" : result.error().message()},
                             {"code", result ? "" : to_string(result.error().code())}};
    fmt::print("{}\n", json::serialize(result ? *result : error));
    loop.stop();
  };
  asio::co_spawn(loop.get_executor(), work(verb, std::move(words), *network, *launcher, std::move(login)),
                 finish);
  loop.run();
  return code;
}
