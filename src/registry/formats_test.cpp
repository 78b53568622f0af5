#include <gtest/gtest.h>

#include "registry/gzip.h"
#include "registry/ignore.h"
#include "registry/login.h"
#include "registry/manifest.h"
#include "registry/npm.h"
#include "registry/reference.h"
#include "registry/tar.h"

namespace berth::registry {
namespace {

const std::string some_digest = "sha256:" + std::string(64, 'a');

/// "registry repository tag digest", or the message.
std::string shown(std::string_view text) {
  const auto reference = parse_reference(text);
  if (!reference) return reference.error().message();
  return reference->registry + " " + reference->repository + " " + reference->tag +
         (reference->digest.empty() ? "" : " " + reference->digest);
}

TEST(ImageReference, FillsInWhatDockerFillsIn) {
  EXPECT_EQ(shown("node"), "docker.io library/node latest");
  EXPECT_EQ(shown("node:22-slim"), "docker.io library/node 22-slim");
  EXPECT_EQ(shown("bitnami/node"), "docker.io bitnami/node latest");
  EXPECT_EQ(shown("localhost/x"), "localhost x latest");
  EXPECT_EQ(shown("127.0.0.1:5000/a/b:1"), "127.0.0.1:5000 a/b 1");
  EXPECT_EQ(shown("[::1]:5000/x"), "[::1]:5000 x latest");
  EXPECT_EQ(shown("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/srv:v1"),
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com team/srv v1");
  EXPECT_EQ(shown("ghcr.io/a/b:1@" + some_digest), "ghcr.io a/b  " + some_digest);
}

TEST(ImageReference, IsWrittenAsItIsRead) {
  for (const std::string text : {"docker.io/library/node:22", "127.0.0.1:5000/x:latest"}) {
    EXPECT_EQ(to_string(*parse_reference(text)), text);
  }
  EXPECT_EQ(to_string(*parse_reference("gcr.io/x@" + some_digest)), "gcr.io/x@" + some_digest);
}

TEST(ImageReference, SaysWhatIsWrong) {
  const auto has = [](std::string_view text, std::string_view why) {
    EXPECT_NE(shown(text).find(why), std::string::npos) << text << ": " << shown(text);
  };
  has("", "is empty");
  has("https://ghcr.io/x", "has a scheme in it");
  has("ghcr.io/My/App", "has capital letters in its repository");
  has("x:y:z", "names no valid repository");
  has("x:", "has no valid tag");
  has("x:" + std::string(129, 'a'), "has no valid tag");
  has("x@sha256:12", "has no digest of the form");
  has("x@md5:" + std::string(32, 'a'), "has no digest of the form");
  has("a..b/c", "names no valid registry");
  has("host:99999/c", "names no valid registry");
  has("x/-y", "names no valid repository");
  has("x//y", "names no valid repository");
}

TEST(ImageReference, SpeaksInClearToLoopbackAlone) {
  EXPECT_EQ(api_url("127.0.0.1:5000"), "http://127.0.0.1:5000");
  EXPECT_EQ(api_url("localhost"), "http://localhost");
  EXPECT_EQ(api_url("127.evil.example"), "https://127.evil.example");
  EXPECT_EQ(api_url("docker.io"), "https://registry-1.docker.io");
}

TEST(Gzip, GivesTheSameBytesAndTakesThemBack) {
  const std::string text(300'000, 'x');
  std::string first;
  std::string second;
  for (std::string* out : {&first, &second}) {
    Compressor compressor;
    compressor.append(std::string_view(text).substr(0, 100'000), *out);
    compressor.append(std::string_view(text).substr(100'000), *out);
    compressor.finish(*out);
  }
  EXPECT_EQ(first, second);
  std::string back;
  Decompressor decompressor;
  const auto keep = [&](std::string_view part) {
    back += part;
    return Result<void>();
  };
  // Two members one after another, byte by byte.
  for (const char& byte : first + second) ASSERT_TRUE(decompressor.append({&byte, 1}, keep));
  EXPECT_EQ(back, text + text);
  EXPECT_TRUE(decompressor.complete());
  Decompressor other;
  EXPECT_FALSE(other.append("not gzip at all", keep));
}

class Names final : public TarReader::Visitor {
 public:
  void member(const TarReader::Member& member) override {
    text += std::string(1, member.type) + " " + member.path +
            (member.link.empty() ? "" : " -> " + member.link) +
            (member.bytes == 0 ? "" : " " + std::to_string(member.bytes)) + "\n";
  }
  void content(std::string_view part) override { bytes += part; }
  std::string text;
  std::string bytes;
};

std::string archive(std::vector<Entry> entries) {
  std::string out;
  for (const Entry& entry : entries) {
    append_tar_head(out, entry, 0);
    out += entry.content;
    append_tar_padding(out, entry.content.size());
  }
  append_tar_end(out);
  return out;
}

TEST(Tar, IsReadBackWithLongAndForeignNames) {
  const std::string long_name = "app/" + std::string(200, 'n');
  std::vector<Entry> entries(5);
  entries[0].kind = Entry::Kind::directory;
  entries[0].path = "app";
  entries[1].path = long_name;
  entries[1].content = "hello";
  entries[2].path = "app/größe";
  entries[3].kind = Entry::Kind::symlink;
  entries[3].path = "app/link";
  entries[3].target = "../" + std::string(150, 't');
  entries[4].path = "app/z";
  entries[4].content = std::string(1000, 'z');
  const std::string bytes = archive(entries);
  EXPECT_EQ(bytes.size() % 512, 0u);
  for (const std::size_t step : {std::size_t{1}, std::size_t{511}, bytes.size()}) {
    Names names;
    TarReader reader(names);
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(reader.append(std::string_view(bytes).substr(at, step)));
    }
    EXPECT_EQ(names.text, "5 app\n0 " + long_name + " 5\n0 app/größe\n2 app/link -> ../" +
                              std::string(150, 't') + "\n0 app/z 1000\n");
    EXPECT_EQ(names.bytes, "hello" + std::string(1000, 'z'));
  }
}

TEST(Tar, RefusesWhatIsNone) {
  Names names;
  TarReader reader(names);
  EXPECT_FALSE(reader.append(std::string(512, 'x')));
}

/// The paths that stay, with the rules of a .dockerignore.
std::string kept(std::string_view rules_text, std::vector<std::string> paths,
                 IgnoreRules::Defaults defaults = IgnoreRules::Defaults::none) {
  IgnoreRules rules(defaults);
  EXPECT_TRUE(rules.add_lines(rules_text));
  std::string out;
  for (const std::string& path : paths) {
    if (!rules.excludes(path)) out += (out.empty() ? "" : " ") + path;
  }
  return out;
}

TEST(Ignore, FollowsDocker) {
  EXPECT_EQ(kept("# a comment\n\n*.md\n", {"a.md", "b/a.md", "c"}), "b/a.md c");
  EXPECT_EQ(kept("**/*.md", {"a.md", "b/c/a.md", "c"}), "c");
  EXPECT_EQ(kept("/temp/\n", {"temp", "temp/x", "a/temp"}), "a/temp");
  EXPECT_EQ(kept("a?c\n[x-z]1\n[^a]2", {"abc", "ac", "y1", "a1", "b2", "a2"}), "ac a1 a2");
  EXPECT_EQ(kept("*.md\n!README*.md\nREADME-secret.md", {"a.md", "README.md", "README-secret.md"}),
            "README.md");
  EXPECT_EQ(kept("*\n!src", {"src", "src/a", "b"}), "src src/a");
  EXPECT_EQ(kept("a/**/z", {"a/z", "a/b/z", "a/b/c/z", "b/a/z"}), "b/a/z");
  EXPECT_EQ(kept("./x/../y", {"x", "y"}), "x");
  EXPECT_EQ(kept("\\*x\nb\\!", {"*x", "ax", "b!"}), "ax");
  EXPECT_EQ(kept("*a*b*c", {"xaxbxc", "abc", "acb"}), "acb");
}

TEST(Ignore, NamesABrokenPattern) {
  IgnoreRules rules(IgnoreRules::Defaults::none);
  EXPECT_FALSE(rules.add("a[b"));
  EXPECT_FALSE(rules.add("a\\"));
  EXPECT_FALSE(rules.add("!"));
  EXPECT_NE(rules.add("x/[").error().message().find("'x/['"), std::string::npos);
}

TEST(Ignore, KeepsSecretsOutUnlessTheyAreNamed) {
  const auto secrets = IgnoreRules::Defaults::secrets;
  EXPECT_EQ(
      kept("", {".git", ".git/config", "a/.env", ".env.production", "k.pem", "x/node_modules/y", "src/a"},
           secrets),
      "src/a");
  EXPECT_EQ(kept("*\n!src", {"src/a", "src/.env", "src/node_modules/x"}, secrets), "src/a");
  EXPECT_EQ(kept("!**/*.js\n!**", {"a.js", "node_modules/a.js", ".env"}, secrets), "a.js");
  EXPECT_EQ(kept("!certs/public.pem", {"certs/public.pem", "certs/private.pem"}, secrets),
            "certs/public.pem");
  EXPECT_EQ(kept("!.aws/config", {".aws/config", ".aws/credentials"}, secrets), ".aws/config");
}

TEST(Ignore, LooksIntoAnExcludedFolderOnlyForExceptions) {
  IgnoreRules rules(IgnoreRules::Defaults::secrets);
  ASSERT_TRUE(rules.add_lines("*\n!src/keep\n!**/*.md"));
  EXPECT_TRUE(rules.may_let_in_below("src"));
  EXPECT_TRUE(rules.may_let_in_below("docs"));
  EXPECT_FALSE(rules.may_let_in_below("node_modules"));
}

TEST(ManifestText, ChoosesTheArchitectureAndSaysWhatThereIs) {
  const auto entry = [](const std::string& os, const std::string& architecture) {
    return R"({"mediaType":"x","digest":")" + some_digest + R"(","size":7,"platform":{"os":")" + os +
           R"(","architecture":")" + architecture + R"("}})";
  };
  const auto index = parse_manifest(R"({"schemaVersion":2,"manifests":[)" + entry("linux", "amd64") + "," +
                                    entry("linux", "arm64") + "," + entry("unknown", "unknown") + "]}");
  ASSERT_TRUE(index);
  EXPECT_EQ(choose(index->choices, "arm64")->bytes, 7u);
  // Not the one for newer machines alone, wherever it stands.
  EXPECT_EQ(
      choose({{{"", "a", 1}, "linux", "amd64", "v3"}, {{"", "b", 2}, "linux", "amd64", ""}}, "amd64")->bytes,
      2u);
  EXPECT_EQ(choose({{{"", "a", 1}, "linux", "arm64", "v9"}, {{"", "b", 2}, "linux", "arm64", "v8"}}, "arm64")
                ->bytes,
            2u);
  EXPECT_EQ(choose({{{"", "a", 1}, "linux", "amd64", "v2"}}, "amd64")->bytes, 1u);
  EXPECT_EQ(choose(index->choices, "riscv64").error().message(),
            "there is no linux/riscv64 image; there is linux/amd64, linux/arm64");
}

TEST(ManifestText, RefusesWhatCannotBe) {
  for (const char* text : {"", "[]", "{", R"({"schemaVersion":1})", R"({"schemaVersion":2})",
                           R"({"schemaVersion":2,"config":{"digest":"md5:1","size":1},"layers":[]})",
                           R"({"schemaVersion":2,"config":{"digest":"x"},"layers":[]})"}) {
    EXPECT_FALSE(parse_manifest(text)) << text;
  }
}

TEST(Compose, KeepsTheBaseAndStartsBerth) {
  Image base;
  base.config =
      R"({"architecture":"amd64","config":{"Env":["PATH=/opt/bin","A=1"],"Cmd":["node"],"User":"root",)"
      R"("WorkingDir":"/srv","Labels":{"l":"1"}},"rootfs":{"diff_ids":[]}})";
  Composition composition;
  composition.architecture = "amd64";
  composition.environment["A"] = "2";
  composition.additions.push_back({Layer{some_digest, some_digest, "t", 3}, "app"});
  const auto image = compose(base, composition);
  ASSERT_TRUE(image);
  EXPECT_EQ(
      image->config,
      R"({"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z","config":{"User":"1000:1000",)"
      R"("ExposedPorts":{"3000/tcp":{}},"Env":["PATH=/app/node_modules/.bin:/opt/bin","A=2","HOME=/tmp"],)"
      R"("Entrypoint":["/usr/local/bin/berth","serve"],"Volumes":{"/tmp":{}},"WorkingDir":"/app",)"
      R"("Labels":{"l":"1"}},"rootfs":{"type":"layers","diff_ids":[")" +
          some_digest + R"("]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"berth: app"}]})");
  composition.keep_directory = true;
  EXPECT_NE(compose(base, composition)->config.find(R"("WorkingDir":"/srv")"), std::string::npos);
  composition.architecture = "arm64";
  EXPECT_NE(compose(base, composition).error().message().find("made for amd64"), std::string::npos);
}

TEST(LoginChallenge, IsReadInEveryForm) {
  const auto bearer =
      parse_challenge(R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
                      R"(scope="repository:a/b:pull,push")");
  ASSERT_TRUE(bearer);
  EXPECT_TRUE(bearer->bearer);
  EXPECT_EQ(bearer->realm, "https://auth.docker.io/token");
  EXPECT_EQ(bearer->service, "registry.docker.io");
  EXPECT_EQ(bearer->scope, "repository:a/b:pull,push");
  EXPECT_FALSE(
      parse_challenge(R"(Basic realm="https://x.amazonaws.com/",service="ecr.amazonaws.com")")->bearer);
  EXPECT_TRUE(parse_challenge(R"(Basic realm="x", Bearer realm="y",service=z)")->bearer);
  EXPECT_EQ(parse_challenge(R"(bearer Realm="a\"b")")->realm, "a\"b");
  for (const char* text :
       {"", "Digest realm=\"x\"", "Bearer", "Bearer realm=", ",,,", "Bearer realm=\"open"}) {
    const auto challenge = parse_challenge(text);
    EXPECT_TRUE(!challenge || challenge->bearer) << text;
  }
}

using Words = std::vector<std::string>;

TEST(Npx, NamesThePackagesItWouldDownload) {
  EXPECT_EQ(npm_packages_of({"npx", "-y", "@a/b@1.2.3", "stdio"}), (Words{"@a/b@1.2.3"}));
  EXPECT_EQ(npm_packages_of({"/usr/bin/npx", "--yes", "tsx", "server.ts"}), (Words{"tsx"}));
  EXPECT_EQ(npm_packages_of({"npx", "-p", "one", "--package=two@latest", "run", "x"}),
            (Words{"one", "two@latest"}));
  EXPECT_EQ(npm_packages_of({"npm", "exec", "-y", "--", "pkg", "a"}), (Words{"pkg"}));
  for (const Words& command :
       {Words{}, Words{"npx"}, Words{"npx", "-y"}, Words{"node", "x.js"}, Words{"npm", "run"},
        Words{"npx", "-c", "a b"}, Words{"npx", "github:a/b"}, Words{"npx", "./local"},
        Words{"npx", "https://x/y.tgz"}, Words{"npx", "a@npm:b"}, Words{"npx", "-p"}}) {
    EXPECT_EQ(npm_packages_of(command), Words{});
    EXPECT_EQ(rewritten_command(command), command);
  }
}

TEST(Npx, IsRewrittenToWhatLiesInTheImage) {
  EXPECT_EQ(rewritten_command({"npx", "-y", "@a/b@1.2.3", "stdio", "-y"}),
            (Words{"node", "/app/node_modules/.berth/package/@a/b", "stdio", "-y"}));
  EXPECT_EQ(rewritten_command({"npx", "-p", "pkg", "cmd", "x"}),
            (Words{"node", "/app/node_modules/.berth/command/cmd", "x"}));
  EXPECT_EQ(rewritten_command({"npx", "-p", "pkg", "sh", "x"}), (Words{"sh", "x"}));
}

TEST(Npx, TellsAVersionFromARange) {
  for (const char* spec : {"a@1.2.3", "@s/a@1.2.3-beta.1", "a@10.0.0+x"})
    EXPECT_TRUE(is_pinned(spec)) << spec;
  for (const char* spec : {"a", "@s/a", "a@latest", "a@^1.2.3", "a@1.2", "a@1.x", "a@>=1.2.3"}) {
    EXPECT_FALSE(is_pinned(spec)) << spec;
  }
}

}  // namespace
}  // namespace berth::registry
