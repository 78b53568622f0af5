#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "registry/base_facts.h"
#include "registry/engine.h"
#include "registry/gzip.h"
#include "registry/layer_maker.h"
#include "registry/source_tree.h"
#include "registry/testing/world.h"

namespace berth::registry {
namespace {

/// "mode owner path[ -> link][=content]" of each member of a layer.
class Listing final : public TarReader::Visitor {
 public:
  void member(const TarReader::Member& member) override {
    lines.push_back(std::string(1, member.type) + " " + member.path +
                    (member.type == '2' ? " -> " + member.link : ""));
  }
  void content(std::string_view part) override { lines.back() += "=" + std::string(part); }
  std::vector<std::string> lines;
};

class Assembling : public World {
 protected:
  void SetUp() override {
    write("berth", "the program", 0755);
    write("spec.yaml", "servers: {}\n");
    write("app/index.js", "hello");
    write("app/lib/b.js", "b");
    options.directory = folder + "/app";
    options.berth = folder + "/berth";
    options.spec_file = folder + "/spec.yaml";
  }

  Result<Image> assemble() {
    said.clear();
    const Progress progress = [this](std::string_view line) { said += std::string(line) + "\n"; };
    return run(images()->assemble(options, progress));
  }

  std::vector<std::string> members(const Layer& layer) const {
    const auto bytes = read_file(folder + "/store/blobs/sha256/" + layer.digest.substr(7), 1u << 24);
    EXPECT_TRUE(bytes);
    Listing listing;
    TarReader reader(listing);
    Decompressor decompressor;
    const auto sink = [&](std::string_view part) { return reader.append(part); };
    EXPECT_TRUE(decompressor.append(*bytes, sink));
    return listing.lines;
  }

  Error failure() {
    const auto image = assemble();
    EXPECT_FALSE(image);
    return image ? Error(ErrorCode::internal, "") : image.error();
  }

  AssembleOptions options;
  std::string said;
};

using Lines = std::vector<std::string>;

TEST_F(Assembling, PutsEverythingInItsLayer) {
  write("ca.pem", "authorities");
  options.ca_bundle = folder + "/ca.pem";
  write("app/berth.yaml", "not this one");
  const auto image = assemble();
  ASSERT_TRUE(image) << image.error().message();
  ASSERT_EQ(image->layers.size(), 4u);
  EXPECT_EQ(members(image->layers[0]),
            (Lines{"5 app", "5 etc", "0 etc/group=root:x:0:\nberth:x:1000:\n",
                   "0 etc/passwd=root:x:0:0:root:/root:/sbin/nologin\n"
                   "berth:x:1000:1000:berth:/tmp:/sbin/nologin\n",
                   "5 etc/ssl", "5 etc/ssl/certs", "0 etc/ssl/certs/ca-certificates.crt=authorities", "5 mnt",
                   "5 mnt/data", "5 tmp", "5 usr", "5 usr/local", "5 usr/local/bin"}));
  EXPECT_EQ(members(image->layers[1]), (Lines{"0 usr/local/bin/berth=the program"}));
  EXPECT_EQ(members(image->layers[2]), (Lines{"0 app/index.js=hello", "5 app/lib", "0 app/lib/b.js=b"}));
  EXPECT_EQ(members(image->layers[3]), (Lines{"0 app/berth.yaml=servers: {}\n"}));
}

TEST_F(Assembling, TheSameInputsGiveTheSameDigestInAnotherStore) {
  const auto first = assemble();
  remove_tree(folder + "/store");
  write("app/index.js", "hello");
  const auto second = assemble();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->digest, second->digest);
}

TEST_F(Assembling, TheStoreIsALayoutThatOtherToolsRead) {
  const auto made = assemble();
  auto store = BlobStore::open(folder + "/other", clock.wall());
  const auto image = run(import_layout(folder + "/store", *store, clock));
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->config, made->config);
  EXPECT_EQ(image->layers.size(), made->layers.size());
  EXPECT_EQ(image->layers[1].digest, made->layers[1].digest);
}

TEST_F(Assembling, MakesAgainOnlyWhatChanged) {
  const auto first = assemble();
  const auto again = assemble();
  EXPECT_EQ(first->digest, again->digest);
  EXPECT_EQ(said.find("berth.yaml) ") != std::string::npos, true) << said;
  EXPECT_NE(said.find("(app)"), std::string::npos);
  std::size_t reused = 0;
  for (std::size_t at = 0; (at = said.find("as before", at)) != std::string::npos; ++at) ++reused;
  EXPECT_EQ(reused, 4u) << said;
  write("app/index.js", "HELLO");  // as long as before
  const auto changed = assemble();
  EXPECT_NE(changed->digest, first->digest);
  EXPECT_EQ(changed->layers[1].digest, first->layers[1].digest);
  EXPECT_NE(changed->layers[2].digest, first->layers[2].digest);
  EXPECT_EQ(members(changed->layers[2]).front(), "0 app/index.js=HELLO");
}

TEST_F(Assembling, ALayerWhoseBlobIsGoneIsMadeAgain) {
  const auto first = assemble();
  ::unlink((folder + "/store/blobs/sha256/" + first->layers[2].digest.substr(7)).c_str());
  const auto second = assemble();
  ASSERT_TRUE(second);
  EXPECT_EQ(first->digest, second->digest);
  EXPECT_FALSE(members(second->layers[2]).empty());
}

TEST_F(Assembling, ModesAreNormalisedAndTheTimeIsTheSourceDate) {
  write("app/run.sh", "x", 0700);
  write("app/private", "x", 0600);
  const auto rules = ignore_rules_of(options.directory, {});
  const auto tree = list_tree(options.directory, "app", *rules, 0);
  ASSERT_TRUE(tree);
  for (const Entry& entry : tree->entries) {
    if (entry.path == "app/run.sh") EXPECT_EQ(entry.mode, 0755u);
    if (entry.path == "app/private") EXPECT_EQ(entry.mode, 0644u);
  }
  const auto now = run(images({{"SOURCE_DATE_EPOCH", "1000"}})->assemble(options, {}));
  ASSERT_TRUE(now);
  EXPECT_NE(now->digest, assemble()->digest);
  EXPECT_NE(now->config.find(R"("created":"1970-01-01T00:16:40Z")"), std::string::npos);
}

TEST_F(Assembling, KeepsLinksAndNeverFollowsThem) {
  write("secret", "outside");
  ASSERT_EQ(::symlink("../secret", (folder + "/app/out").c_str()), 0);
  ASSERT_EQ(::symlink("/etc", (folder + "/app/etc").c_str()), 0);
  ASSERT_EQ(::symlink(".", (folder + "/app/self").c_str()), 0);
  const auto image = assemble();
  ASSERT_TRUE(image);
  EXPECT_EQ(members(image->layers[2]),
            (Lines{"2 app/etc -> /etc", "0 app/index.js=hello", "5 app/lib", "0 app/lib/b.js=b",
                   "2 app/out -> ../secret", "2 app/self -> ."}));
}

TEST_F(Assembling, LeavesOutSecretsAndWhatIsIgnored) {
  write("app/.env", "KEY=1");
  write("app/.git/config", "x");
  write("app/node_modules/a/index.js", "x");
  write("app/notes.md", "x");
  write("app/test/a.js", "x");
  write("app/test/keep.js", "x");
  write("app/.dockerignore", "*.md\ntest\n!test/keep.js\n");
  options.ignore = {"lib"};
  const auto image = assemble();
  ASSERT_TRUE(image);
  EXPECT_EQ(members(image->layers[2]), (Lines{"0 app/.dockerignore=*.md\ntest\n!test/keep.js\n",
                                              "0 app/index.js=hello", "5 app/test", "0 app/test/keep.js=x"}));
  write("app/.dockerignore", "[");
  EXPECT_EQ(failure().code(), ErrorCode::invalid_argument);
}

TEST_F(Assembling, LeavesOutSocketsAndSaysSo) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder + "/app/s.sock";
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::mkfifo((folder + "/app/pipe").c_str(), 0600), 0);
  const auto image = assemble();
  ::close(descriptor);
  ASSERT_TRUE(image);
  EXPECT_NE(said.find("left out: 'pipe'"), std::string::npos) << said;
  EXPECT_NE(said.find("left out: 's.sock'"), std::string::npos) << said;
}

TEST_F(Assembling, NamesWhatIsMissingOrTooLarge) {
  ASSERT_EQ(::truncate((folder + "/app/index.js").c_str(), off_t{11} << 30), 0);
  Error error = failure();
  EXPECT_EQ(error.code(), ErrorCode::resource_exhausted);
  EXPECT_NE(error.message().find("'app/index.js' (11264 MB)"), std::string::npos) << error.message();
  options.directory = folder + "/nowhere";
  EXPECT_NE(failure().message().find("nowhere' is not there"), std::string::npos);
  options.directory = folder + "/app/lib";
  options.berth = folder + "/none";
  EXPECT_EQ(failure().code(), ErrorCode::not_found);
  options.berth = folder + "/berth";
  options.architecture = "sparc";
  EXPECT_EQ(failure().code(), ErrorCode::invalid_argument);
}

TEST_F(Assembling, AFileThatChangesIsAConflict) {
  auto store = BlobStore::open(folder + "/store", clock.wall());
  ASSERT_TRUE(store);
  const LayerMaker layers(*store, clock, 0);
  auto rules = ignore_rules_of(options.directory, {});
  const auto tree = list_tree(options.directory, "app", *rules, 0);
  write("app/index.js", "longer than before");
  auto made = run(layers.make(tree->entries, options.directory));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), ErrorCode::conflict);
  ::unlink((folder + "/app/index.js").c_str());
  ASSERT_EQ(::symlink("/etc/hostname", (folder + "/app/index.js").c_str()), 0);
  made = run(layers.make(tree->entries, options.directory));
  EXPECT_EQ(made.error().code(), ErrorCode::conflict) << made.error().message();
}

TEST_F(Assembling, NpmNeedsNodeInTheBaseAndAPackage) {
  options.npm_packages = {"pkg"};
  EXPECT_NE(failure().message().find("has no `node`"), std::string::npos);
  options.npm_packages = {"github:a/b"};
  EXPECT_EQ(failure().code(), ErrorCode::invalid_argument);
}

TEST_F(Assembling, WithoutAnEngineADockerfileIsRefusedWithTheReasons) {
  const auto image = run(images()->build(folder + "/Dockerfile", options, {}));
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code(), ErrorCode::not_found);
  for (const char* engine : {"docker: not on PATH", "podman: not on PATH", "buildah: not on PATH"}) {
    EXPECT_NE(image.error().message().find(engine), std::string::npos) << image.error().message();
  }
}

TEST_F(Assembling, ADamagedFactOrBlobCostsTimeAlone) {
  auto store = BlobStore::open(folder + "/store", clock.wall());
  ASSERT_TRUE(store);
  store->remember("key", "not json");
  EXPECT_FALSE(LayerMaker(*store, clock, 0).recall("key"));
  const auto digest = store->put("content");
  write("store/blobs/sha256/" + digest->substr(7), "CONTENT");
  EXPECT_FALSE(store->read(*digest, 100));
  EXPECT_FALSE(store->has(*digest, 0));
}

/// A plain tar as a layer in the store.
Layer layer_of(const BlobStore& store, const std::vector<std::pair<std::string, std::string>>& files) {
  std::string bytes;
  for (const auto& [path, content] : files) {
    Entry entry;
    entry.path = path;
    entry.content = content;
    append_tar_head(bytes, entry, 0);
    bytes += content;
    append_tar_padding(bytes, content.size());
  }
  append_tar_end(bytes);
  return {*store.put(bytes), digest_of(bytes), "application/vnd.oci.image.layer.v1.tar", bytes.size()};
}

TEST_F(Assembling, TheBaseIsLeftAsItIs) {
  auto store = BlobStore::open(folder + "/store", clock.wall());
  ASSERT_TRUE(store);
  const Layer below = layer_of(*store, {{"etc/passwd", "root:x:0:0:::\nnode:x:1000:1000:::\n"},
                                        {"etc/group", "root:x:0:"},
                                        {"etc/ssl/certs/ca-certificates.crt", "theirs"},
                                        {"usr/local/bin/node", "elf"},
                                        {"tmp/x", ""}});
  const Layer above = layer_of(*store, {{"etc/ssl/certs/.wh.ca-certificates.crt", ""}});
  auto facts = run(read_base_facts(*store, clock, {below}));
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->has_program("node"));
  EXPECT_FALSE(facts->is_musl());
  std::string shown;
  for (const Entry& entry : system_entries(*facts, "ours")) shown += entry.path + "=" + entry.content + "\n";
  EXPECT_EQ(shown, "app=\netc/group=root:x:0:\nberth:x:1000:\n\nmnt=\nmnt/data=\n");
  facts = run(read_base_facts(*store, clock, {below, above}));
  shown.clear();
  for (const Entry& entry : system_entries(*facts, "ours")) shown += entry.path + " ";
  EXPECT_EQ(shown, "app etc/group etc/ssl/certs/ca-certificates.crt mnt mnt/data ");
}

TEST_F(Assembling, TakesOverWhatDockerSaves) {
  auto store = BlobStore::open(folder + "/store", clock.wall());
  ASSERT_TRUE(store);
  std::string layer;
  Entry file;
  file.path = "srv/x";
  append_tar_head(layer, file, 0);
  append_tar_end(layer);
  const std::string config =
      R"({"architecture":"amd64","config":{"Entrypoint":["/usr/local/bin/berth","serve"]},)"
      R"("rootfs":{"diff_ids":[")" +
      digest_of(layer) + R"("]}})";
  std::string archive;
  const auto add = [&](const std::string& path, const std::string& content, const std::string& link) {
    Entry entry;
    entry.path = path;
    entry.content = content;
    entry.target = link;
    if (!link.empty()) entry.kind = Entry::Kind::symlink;
    append_tar_head(archive, entry, 0);
    archive += content;
    append_tar_padding(archive, content.size());
  };
  add("aaa/layer.tar", layer, "");
  add("bbb/layer.tar", "", "../aaa/layer.tar");
  add("config.json", config, "");
  add("manifest.json", R"([{"Config":"config.json","Layers":["bbb/layer.tar"]}])", "");
  append_tar_end(archive);
  write("saved.tar", archive);
  const auto image = run(import_docker_archive(folder + "/saved.tar", *store, clock));
  ASSERT_TRUE(image) << image.error().message();
  ASSERT_EQ(image->layers.size(), 1u);
  EXPECT_EQ(image->layers[0].diff_id, digest_of(layer));
  EXPECT_EQ(image->layers[0].media_type, oci_layer_gzip);
  EXPECT_EQ(members(image->layers[0]), (Lines{"0 srv/x"}));
  write("saved.tar", archive.substr(0, 700));
  EXPECT_FALSE(run(import_docker_archive(folder + "/saved.tar", *store, clock)));
}

}  // namespace
}  // namespace berth::registry
