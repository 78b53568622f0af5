#include "registry/transfer.h"

#include <unistd.h>

#include <algorithm>
#include <deque>

#include "codec/base64.h"
#include "http/server.h"
#include "net/testing/certificates.h"
#include "registry/manifest.h"
#include "registry/reference.h"
#include "registry/testing/world.h"

namespace berth::registry {
namespace {

const net::Endpoint address{"127.0.0.1", 5000};

std::string header(const http::RequestHead& head, std::string_view name) {
  return std::string(head.headers.get(name).value_or(""));
}

/// A registry with a script of faults. Speaks enough of the distribution API for one repository tree.
class FakeRegistry final : public http::Service {
 public:
  Task<void> serve(http::Exchange& exchange) override {
    const std::string method = exchange.head().method;
    const std::string target = exchange.head().target;
    log.push_back(method + " " + target.substr(0, target.find("?digest")));
    auto body = co_await exchange.read_body(std::size_t{1} << 24);
    if (!body) co_return;
    if (!faults.empty() && target.find(faults.front().part) != std::string::npos &&
        method == faults.front().method) {
      const http::Response answer = faults.front().answer;
      faults.pop_front();
      co_await exchange.respond(answer);
      co_return;
    }
    if (target.starts_with("/token")) {
      co_await exchange.respond(token(exchange.head(), target, *body));
      co_return;
    }
    if (!is_allowed(exchange.head())) {
      http::Response refusal =
          http::json_response(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"who?"}]})");
      refusal.headers.set("WWW-Authenticate", challenge);
      co_await exchange.respond(std::move(refusal));
      co_return;
    }
    if (method == "GET" && target.find("/blobs/sha256") != std::string::npos) {
      co_await send_blob(exchange);
      co_return;
    }
    co_await exchange.respond(answer(exchange.head(), method, target, *body));
  }

  struct Fault {
    std::string method;
    std::string part;
    http::Response answer;
  };
  std::deque<Fault> faults;
  std::vector<std::string> log;
  std::map<std::string, std::string> blobs;      ///< by digest
  std::map<std::string, std::string> manifests;  ///< by tag or digest
  std::map<std::string, std::string> uploads;
  std::vector<std::string> authorizations;
  std::vector<std::string> token_forms;
  std::string challenge;             ///< empty: open
  std::string expected;              ///< the Authorization that passes; empty: the token of the right scope
  std::size_t cut_after = 0;         ///< a download breaks after so many bytes, once
  std::size_t patch_most = 0;        ///< bytes of a PATCH that are kept, once, before an answer 500
  std::size_t whole_max = 1u << 30;  ///< a larger PUT is 413
  bool keeps_first_part = false;     ///< of an upload in parts and no further one, as ECR does
  bool knows_ranges = true;
  bool mounts = false;
  std::string redirect;  ///< where blobs are, instead of here

 private:
  bool is_allowed(const http::RequestHead& head) {
    const std::string said = header(head, "Authorization");
    authorizations.push_back(said);
    if (challenge.empty()) return true;
    return expected.empty() ? said.starts_with("Bearer good:repository:app:pull") : said == expected;
  }

  http::Response token(const http::RequestHead& head, const std::string& target, const std::string& form) {
    const std::string asked = form.empty() ? target : form;
    const bool is_known = asked.find("refresh_token=identity") != std::string::npos;
    if (!is_known && header(head, "Authorization") != "Basic " + base64::encode("me:secret")) {
      return http::json_response(401, R"({"errors":[{"message":"wrong password"}]})");
    }
    token_forms.push_back(form);
    const std::size_t scope = asked.find("scope=");
    return http::json_response(200, R"({"token":"good:)" + asked.substr(scope + 6) + "\"}");
  }

  Task<void> send_blob(http::Exchange& exchange) {
    const std::string target = exchange.head().target;
    const auto found = blobs.find(target.substr(target.rfind('/') + 1));
    if (found == blobs.end()) {
      const http::Response missing = http::json_response(404, R"({"errors":[{"code":"BLOB_UNKNOWN"}]})");
      co_await exchange.respond(missing);
      co_return;
    }
    http::Response response = http::text_response(200, found->second);
    if (!redirect.empty()) {
      response = http::text_response(307, "");
      response.headers.set("Location", redirect + target);
      co_await exchange.respond(std::move(response));
      co_return;
    }
    const std::string range = header(exchange.head(), "Range");
    if (!range.empty() && knows_ranges) {
      response.status = 206;
      response.body = found->second.substr(std::stoul(range.substr(6)));
    }
    if (cut_after == 0) {
      co_await exchange.respond(std::move(response));
      co_return;
    }
    http::ResponseHead head;
    co_await exchange.begin(head);
    co_await exchange.write(found->second.substr(0, std::exchange(cut_after, 0)));
  }

  http::Response answer(const http::RequestHead& head, const std::string& method, const std::string& target,
                        const std::string& body) {
    http::Response response = http::text_response(200, "");
    const std::string name = target.substr(target.rfind('/') + 1);
    if (target.find("/manifests/") != std::string::npos) return manifest(method, name, body);
    if (method == "HEAD") {
      response.status = blobs.contains(name) ? 200 : 404;
      return response;
    }
    const std::size_t digest_at = target.find("digest=");
    const std::string upload = target.substr(0, target.find('?'));
    if (method == "POST") {
      const std::size_t mount = target.find("mount=");
      if (mount != std::string::npos && mounts) {
        response.status = 201;
        return response;
      }
      response.status = 202;
      response.headers.set("Location",
                           "/v2/app/blobs/uploads/" + std::to_string(++last_upload_) + "?state=s");
      return response;
    }
    std::string& kept = uploads[upload];
    if (method == "GET") {
      response.status = 204;
      response.headers.set("Range", "0-" + std::to_string(kept.empty() ? 0 : kept.size() - 1));
      return response;
    }
    if (method == "PATCH" && keeps_first_part && !kept.empty()) {
      response.status = 201;
      response.headers.set("Range", "0-" + std::to_string(kept.size() - 1));
      return response;
    }
    if (method == "PATCH") {
      EXPECT_EQ(header(head, "Content-Range"),
                std::to_string(kept.size()) + "-" + std::to_string(kept.size() + body.size() - 1));
      kept += patch_most == 0 ? body : body.substr(0, patch_most);
      response.status = std::exchange(patch_most, 0) == 0 ? 202 : 500;
      return response;
    }
    if (body.size() > whole_max) return http::text_response(413, "too large");
    const std::string whole = kept + body;
    if (digest_of(whole) != target.substr(digest_at + 7)) {
      return http::json_response(400, R"({"errors":[{"code":"DIGEST_INVALID","message":"no"}]})");
    }
    blobs[digest_of(whole)] = whole;
    response.status = 201;
    return response;
  }

  http::Response manifest(const std::string& method, const std::string& name, const std::string& body) {
    http::Response response = http::text_response(200, "");
    if (method == "PUT") {
      manifests[name] = body;
      manifests[digest_of(body)] = body;
      response.status = 201;
      response.headers.set("Docker-Content-Digest", digest_of(body));
      return response;
    }
    const auto found = manifests.find(name);
    if (found == manifests.end()) {
      return http::json_response(404,
                                 R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
    }
    response.body = method == "HEAD" ? "" : found->second;
    response.headers.set("Docker-Content-Digest", digest_of(found->second));
    return response;
  }

  int last_upload_ = 0;
};

class Registry : public World {
 protected:
  void SetUp() override { server = serve(address, fake); }
  void TearDown() override {
    for (auto* each : {&server, &other_server}) {
      if (*each) run(drain(**each));
    }
  }
  std::unique_ptr<http::Server> serve(const net::Endpoint& where, FakeRegistry& registry) {
    return http::make_server(network->listen(where).value(), nullptr, registry, clock, null_log(),
                             http::ServerLimits{});
  }
  Task<int> drain(http::Server& which) {
    co_await which.drain(clock.now());
    co_return 0;
  }

  /// An image with one layer of `content`, in the store.
  Image image_of(const std::string& content) {
    auto store = BlobStore::open(folder + "/store", clock.wall());
    Layer layer{*store->put(content), digest_of("tar of " + content), std::string(oci_layer), content.size()};
    Composition composition;
    composition.architecture = "amd64";
    composition.additions.push_back({layer, "app"});
    auto image = compose(Image{}, composition);
    EXPECT_TRUE(store->put(image->config));
    return *image;
  }

  /// "digest layers bytes", or "code: message".
  std::string push(const Image& image, const std::string& to = "127.0.0.1:5000/app:1") {
    const auto pushed = run(images(environment)->push(image, *parse_reference(to), login, note()));
    if (!pushed) return std::string(to_string(pushed.error().code())) + ": " + pushed.error().message();
    EXPECT_EQ(pushed->digest, image.digest);
    return std::to_string(pushed->layers_sent) + " layers";
  }

  std::string pull(const std::string& from, const std::string& architecture = "amd64") {
    const auto image = run(images(environment)->pull(*parse_reference(from), login, architecture, note()));
    if (!image) return std::string(to_string(image.error().code())) + ": " + image.error().message();
    return std::to_string(image->layers.size()) + " layers";
  }

  Progress note() {
    return [this](std::string_view line) { said += std::string(line) + "\n"; };
  }

  /// Pushes an image and empties the store, so that it is all to be pulled.
  Image publish(const std::string& content) {
    Image image = image_of(content);
    EXPECT_EQ(push(image), "1 layers");
    remove_tree(folder + "/store");
    fake.log.clear();
    said.clear();
    return image;
  }

  std::size_t count(std::string_view entry) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        fake.log, [&](const std::string& line) { return line.find(entry) != std::string::npos; }));
  }

  static constexpr std::string_view oci_layer = "application/vnd.oci.image.layer.v1.tar+gzip";
  FakeRegistry fake;
  FakeRegistry other;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<http::Server> other_server;
  std::map<std::string, std::string> environment;
  Login login;
  std::string said;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_F(Registry, TakesAnImageAndGivesItBack) {
  const Image image = image_of("layer one");
  EXPECT_EQ(push(image), "1 layers");
  EXPECT_EQ(fake.blobs[image.layers[0].digest], "layer one");
  EXPECT_EQ(fake.manifests["1"], image.manifest);
  remove_tree(folder + "/store");
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  EXPECT_EQ(pull("127.0.0.1:5000/app@" + image.digest), "1 layers");
}

TEST_F(Registry, IsNotSentWhatItHas) {
  const Image image = image_of("layer one");
  push(image);
  fake.log.clear();
  EXPECT_EQ(push(image), "0 layers");
  EXPECT_EQ(count("PUT"), 0u);
  EXPECT_EQ(count("POST"), 0u);
}

TEST_F(Registry, IsAskedForATagThatWasPulledBeforeByHeadAlone) {
  const Image image = publish("x");
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  fake.log.clear();
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  EXPECT_EQ(fake.log, (std::vector<std::string>{"HEAD /v2/app/manifests/1"}));
  EXPECT_EQ(push(image_of("another")), "1 layers");
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  EXPECT_EQ(count("GET /v2/app/manifests/1"), 1u);
}

TEST_F(Registry, WithATokenServiceGetsATokenForTheScope) {
  fake.challenge = R"(Bearer realm="http://127.0.0.1:5000/token",service="fake")";
  login = {"me", Secret("secret")};
  const Image image = publish("x");
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  EXPECT_EQ(count("GET /token?service=fake&scope=repository:app:pull"), 1u);
  login = {"me", Secret("mistaken")};
  remove_tree(folder + "/store");
  const std::string refused = pull("127.0.0.1:5000/app:1");
  EXPECT_TRUE(has(refused, "permission_denied: ")) << refused;
  EXPECT_TRUE(has(refused, "wrong password")) << refused;
  EXPECT_FALSE(has(refused, "mistaken")) << refused;
}

TEST_F(Registry, IsNotAskedWithATokenThatEnds) {
  fake.challenge = R"(Bearer realm="http://127.0.0.1:5000/token",service="fake")";
  RegistryClient client(
      *network, {.registry = "127.0.0.1:5000", .credentials = {"me", Secret("secret"), {}}, .ca_pem = {}});
  const auto fetch = [&] {
    RegistryClient::Call call;
    call.target = "/v2/app/manifests/none";
    call.scope = "repository:app:pull";
    const auto answer = run(client.fetch(std::move(call)));
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(fetch(), 404);
  clock.advance(std::chrono::seconds(30));
  EXPECT_EQ(fetch(), 404);
  EXPECT_EQ(count("GET /token"), 1u);
  clock.advance(std::chrono::seconds(20));
  EXPECT_EQ(fetch(), 404);
  EXPECT_EQ(count("GET /token"), 2u) << "a token that does not say when it ends lasts a minute";
  EXPECT_EQ(std::ranges::count(fake.authorizations, ""), 1) << "only the first request goes without";
}

TEST_F(Registry, GetsTheScopeItAsksForBesideOurs) {
  fake.challenge = R"(Bearer realm="http://127.0.0.1:5000/token",service="fake",scope="aws")";
  login = {"me", Secret("secret")};
  publish("x");
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  EXPECT_EQ(count("GET /token?service=fake&scope=repository:app:pull&scope=aws"), 1u);
}

TEST_F(Registry, GetsAnIdentityTokenForAllScopesAtOnce) {
  const Image image = image_of("x");
  EXPECT_EQ(push(image, "127.0.0.1:5000/app/base:1"), "1 layers");
  fake.blobs.clear();
  fake.challenge = R"(Bearer realm="http://127.0.0.1:5000/token",service="fake")";
  write("docker/config.json", R"({"auths":{"127.0.0.1:5000":{"identitytoken":"identity"}}})");
  environment["DOCKER_CONFIG"] = folder + "/docker";
  EXPECT_EQ(push(image), "1 layers");
  EXPECT_TRUE(std::ranges::any_of(fake.token_forms, [](const std::string& form) {
    return has(form, "service=fake&scope=repository:app:pull,push%20repository:app/base:pull&grant_type=");
  }));
}

TEST_F(Registry, WithBasicGetsTheLogin) {
  fake.challenge = R"(Basic realm="x")";
  fake.expected = "Basic " + base64::encode("AWS:password");
  login = {"AWS", Secret("password")};
  EXPECT_EQ(push(image_of("x")), "1 layers");
  login = {"AWS", Secret("wrong")};
  const std::string refused = push(image_of("x"));
  EXPECT_TRUE(has(refused, "permission_denied: reaching it as AWS: 127.0.0.1:5000 answers 401")) << refused;
  EXPECT_TRUE(has(refused, "docker login 127.0.0.1:5000"));
  login = {};
  EXPECT_TRUE(has(push(image_of("x")), "wants a login and there is none"));
}

TEST_F(Registry, UsesWhatDockerLoginHasStored) {
  fake.challenge = R"(Basic realm="x")";
  fake.expected = "Basic " + base64::encode("me:se:cret");
  write("docker/config.json",
        R"({"auths":{"127.0.0.1:5000":{"auth":")" + base64::encode("me:se:cret") + R"("}}})");
  environment["DOCKER_CONFIG"] = folder + "/docker";
  EXPECT_EQ(push(image_of("x")), "1 layers");
  write("docker/config.json", "{");
  EXPECT_TRUE(
      has(push(image_of("x")), "docker/config.json', where logins to registries are kept, is not JSON"));
  write("docker/config.json", R"({"auths":{"127.0.0.1:5000":{"auth":"!"}}})");
  EXPECT_TRUE(has(push(image_of("x")), "is damaged"));
  // A helper that is configured and not installed has no login.
  write("docker/config.json", R"({"credsStore":"desktop","auths":{"127.0.0.1:5000":{}}})");
  EXPECT_TRUE(has(push(image_of("x")), "there is none"));
}

TEST_F(Registry, GoesOnWhereADownloadBroke) {
  const Image image = publish(std::string(100'000, 'x'));
  fake.cut_after = 60'000;
  auto pulled =
      run(images()->pull(*parse_reference("127.0.0.1:5000/app@" + image.digest), {}, "amd64", note()));
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_TRUE(has(said, "the connection broke after")) << said;
  remove_tree(folder + "/store");
  fake.cut_after = 60'000;
  fake.knows_ranges = false;
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
}

TEST_F(Registry, IsNotBelievedWhatHasAnotherDigest) {
  const Image image = publish("good");
  fake.blobs[image.layers[0].digest] = "evil";
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app:1"), "was altered on the way"));
  fake.blobs[image.layers[0].digest] = "good and more";
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app:1"), "More came than the 4 bytes"));
  fake.manifests[image.digest] = "{}";
  remove_tree(folder + "/store");
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app@" + image.digest), "it is not the image that was asked for"));
}

TEST_F(Registry, FollowsARedirectWithoutTheLogin) {
  other_server = serve({"127.0.0.2", 9000}, other);
  fake.challenge = R"(Basic realm="x")";
  fake.expected = "Basic " + base64::encode("me:secret");
  login = {"me", Secret("secret")};
  const Image image = publish("elsewhere");
  other.blobs = fake.blobs;
  fake.redirect = "http://127.0.0.2:9000";
  EXPECT_EQ(pull("127.0.0.1:5000/app:1"), "1 layers");
  ASSERT_FALSE(other.authorizations.empty());
  for (const std::string& said_there : other.authorizations) EXPECT_EQ(said_there, "");
  remove_tree(folder + "/store");
  fake.redirect = "http://10.0.0.1:80";
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app:1"), "without TLS, which is not followed"));
}

TEST_F(Registry, ThatDropsPartsOfAnUploadIsToldFromOneThatTakesThem) {
  fake.whole_max = 1u << 20;
  fake.keeps_first_part = true;
  const std::string refused = push(image_of(std::string(9u << 20, 'x')));
  EXPECT_TRUE(has(refused, "keeps no more than the first 8388608 bytes")) << refused;
  EXPECT_EQ(count("PATCH"), 2u);
}

TEST_F(Registry, BeyondLoopbackIsSpokenToByTlsAlone) {
  const auto identity = net::testing::make_test_identity("IP:10.0.0.1");
  other_server = http::make_server(network->listen({"10.0.0.1", 443}).value(),
                                   net::make_tls_server(identity.server()).value(), other, clock, null_log(),
                                   http::ServerLimits{});
  write("ca.pem", identity.ca_pem);
  environment["SSL_CERT_FILE"] = folder + "/ca.pem";
  EXPECT_EQ(push(image_of("secret"), "10.0.0.1:443/app:1"), "1 layers");
  write("ca.pem", net::testing::make_test_identity("IP:10.0.0.1").ca_pem);
  const std::string refused = push(image_of("more"), "10.0.0.1:443/app:1");
  EXPECT_TRUE(has(refused, "permission_denied")) << refused;
}

TEST_F(Registry, TriesAgainWhenItIsOutOfBreath) {
  const Image image = image_of("x");
  for (int i = 0; i < 3; ++i) fake.faults.push_back({"HEAD", "/blobs/", http::text_response(503, "")});
  EXPECT_EQ(push(image), "1 layers");
  remove_tree(folder + "/store");
  for (int i = 0; i < 10; ++i)
    fake.faults.push_back({"GET", "/manifests/", http::text_response(429, "slow down")});
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app:1"), "unavailable: pulling 127.0.0.1:5000/app:1")) << said;
}

TEST_F(Registry, IsSentAnUploadAgainThatFailed) {
  fake.faults.push_back({"PUT", "/blobs/uploads/", http::text_response(502, "")});
  EXPECT_EQ(push(image_of("x")), "1 layers");
  EXPECT_TRUE(has(said, "sending it again"));
}

TEST_F(Registry, IsNotSentABlobThatWasCutShort) {
  const Image image = image_of("a whole layer");
  const std::string path = folder + "/store/blobs/sha256/" + image.layers[0].digest.substr(7);
  ASSERT_EQ(::truncate(path.c_str(), 5), 0);
  EXPECT_TRUE(has(push(image), "was cut short and has been removed; run the same again"));
  EXPECT_FALSE(fake.blobs.contains(image.layers[0].digest));
}

TEST_F(Registry, TakesInPiecesWhatIsTooLargeInOne) {
  fake.whole_max = 1u << 20;
  fake.patch_most = 1000;
  const Image image = image_of(std::string(9u << 20, 'x'));
  EXPECT_EQ(push(image), "1 layers");
  EXPECT_EQ(fake.blobs[image.layers[0].digest].size(), 9u << 20);
  EXPECT_EQ(count("PATCH"), 3u);  // one of them cut, and gone on with from its middle
}

TEST_F(Registry, SaysWhatARefusalMeans) {
  const auto refuse = [&](int status, const std::string& code, const std::string& message) {
    fake.faults.clear();
    fake.faults.push_back({"PUT", "/manifests/",
                           http::json_response(status, R"({"errors":[{"code":")" + code + R"(","message":")" +
                                                           message + "\"}]}")});
    return push(image_of("x"));
  };
  EXPECT_TRUE(has(refuse(400, "TAG_INVALID",
                         "The image tag '1' already exists and cannot be overwritten because "
                         "the tag is immutable."),
                  "conflict: "));
  EXPECT_TRUE(
      has(refuse(404, "NAME_UNKNOWN", "The repository with name 'app' does not exist"), "not_found: "));
  EXPECT_TRUE(has(refuse(403, "DENIED", "not authorized to perform: ecr:PutImage"), "permission_denied: "));
  EXPECT_TRUE(has(refuse(413, "", ""), "resource_exhausted: "));
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app:2"), "not_found: pulling 127.0.0.1:5000/app:2"));
  network->cut(address);
  EXPECT_TRUE(has(pull("127.0.0.1:5000/app:1"), "unavailable: "));
}

TEST_F(Registry, TakesALayerFromAnotherOfItsRepositories) {
  fake.mounts = true;
  const Image image = image_of("shared");
  push(image);
  fake.blobs.erase(image.layers[0].digest);
  EXPECT_EQ(push(image, "127.0.0.1:5000/second:1"), "0 layers");
  EXPECT_EQ(count("POST /v2/second/blobs/uploads/?mount=" + image.layers[0].digest + "&from=app"), 1u);
  EXPECT_TRUE(has(said, "taken from another repository"));
}

TEST_F(Registry, ChoosesByArchitectureFromAnIndex) {
  const Image image = publish("for amd64");
  fake.manifests["all"] = R"({"schemaVersion":2,"manifests":[{"mediaType":"m","digest":")" + image.digest +
                          R"(","size":1,"platform":{"os":"linux","architecture":"amd64"}}]})";
  EXPECT_EQ(pull("127.0.0.1:5000/app:all"), "1 layers");
  EXPECT_TRUE(
      has(pull("127.0.0.1:5000/app:all", "arm64"), "there is no linux/arm64 image; there is linux/amd64"));
}

}  // namespace
}  // namespace berth::registry
