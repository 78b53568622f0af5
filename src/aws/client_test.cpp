#include "aws/client.h"

#include <gtest/gtest.h>

#include "aws/retry.h"
#include "aws/testing/scripted_http.h"
#include "aws/time_text.h"

namespace berth::aws {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view throttled = R"({"__type":"ThrottlingException","message":"Rate exceeded"})";

/// Keys that count how often they were thrown away.
class CountingCredentials final : public CredentialsProvider {
 public:
  Task<Result<Credentials>> get() override {
    if (broken) co_return fail(ErrorCode::permission_denied, "There are no AWS credentials.");
    Credentials credentials;
    credentials.access_key_id = "AKID" + std::to_string(forgotten);
    credentials.secret_access_key = Secret("very-secret");
    credentials.source = "the test";
    co_return credentials;
  }
  void forget() override { ++forgotten; }
  int forgotten = 0;
  bool broken = false;
};

class AwsClient : public ::testing::Test {
 protected:
  void make(std::map<std::string, std::string> more = {}) {
    ClientOptions options;
    options.region = "us-east-1";
    options.environment = {{"AWS_ENDPOINT_URL", "http://10.0.0.1:80"}};
    options.environment.merge(more);
    options.credentials = credentials;
    client = make_client(std::move(options), *network, null_log());
  }

  /// The answer as JSON, or the fault's code and message.
  std::string call(std::string service, std::string operation, std::string_view input) {
    auto reply = testing::finish(
        clock, client->call(std::move(service), std::move(operation), boost::json::parse(input).as_object()));
    return reply ? boost::json::serialize(*reply) : reply.error().code + ": " + reply.error().message;
  }

  std::string rest(Client::RestRequest request) {
    auto reply = testing::finish(clock, client->rest(std::move(request)));
    return reply ? std::to_string(reply->status) + " " + reply->body : reply.error().code;
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  testing::ScriptedHttp server{*network, clock, {"10.0.0.1", 80}};
  std::shared_ptr<CountingCredentials> credentials = std::make_shared<CountingCredentials>();
  std::unique_ptr<Client> client;
};

TEST_F(AwsClient, SpeaksJson) {
  make();
  server.answer(200, R"({"clusterArns":["a"]})");
  EXPECT_EQ(call("ecs", "ListClusters", R"({"maxResults":1})"), R"({"clusterArns":["a"]})");
  EXPECT_EQ(server.seen.at(0).method, "POST");
  EXPECT_EQ(server.seen.at(0).target, "/");
  EXPECT_EQ(server.seen.at(0).body, R"({"maxResults":1})");
  EXPECT_EQ(server.seen.at(0).header("X-Amz-Target"), "AmazonEC2ContainerServiceV20141113.ListClusters");
  EXPECT_EQ(server.seen.at(0).header("Content-Type"), "application/x-amz-json-1.1");
  EXPECT_TRUE(server.seen.at(0).header("Authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKID0/"));
}

TEST_F(AwsClient, SpeaksQuery) {
  make();
  server.answer(200,
                "<R><DescribeStacksResult><Stacks><member><StackName>a</StackName></member></Stacks>"
                "</DescribeStacksResult></R>");
  EXPECT_EQ(call("cloudformation", "DescribeStacks", R"({"StackName":"a"})"),
            R"({"Stacks":[{"StackName":"a"}]})");
  EXPECT_EQ(server.seen.at(0).body, "Action=DescribeStacks&Version=2010-05-15&StackName=a");
}

TEST_F(AwsClient, SpeaksRestToABucketByPathWhenTheEndpointIsGiven) {
  make();
  server.answer(200, "content");
  Client::RestRequest request;
  request.service = "s3";
  request.operation = "GetObject";
  request.bucket = "my-bucket";
  request.path = "/a b/c";
  request.query = {{"versionId", "x/y"}};
  EXPECT_EQ(rest(request), "200 content");
  EXPECT_EQ(server.seen.at(0).target, "/my-bucket/a%20b/c?versionId=x%2Fy");
  EXPECT_NE(server.seen.at(0).header("x-amz-content-sha256"), "(none)");
  request.path = "/";
  EXPECT_EQ(rest(request), "200 content");
  EXPECT_EQ(server.seen.at(1).target, "/my-bucket?versionId=x%2Fy");
  request.path = "without-slash";
  EXPECT_EQ(rest(request), "200 content");
  EXPECT_EQ(server.seen.at(2).target, "/my-bucket/without-slash?versionId=x%2Fy");
}

TEST_F(AwsClient, SendsTheDigestThatS3DemandsForDeletions) {
  make();
  server.answer(200, "");
  Client::RestRequest request;
  request.service = "s3";
  request.operation = "DeleteObjects";
  request.method = "POST";
  request.bucket = "b";
  request.query = {{"delete", ""}};
  request.body = "hello";
  EXPECT_EQ(rest(request), "200 ");
  EXPECT_EQ(server.seen.at(0).header("x-amz-checksum-sha256"),
            "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
  // S3 refuses a request with two checksums.
  request.headers = {{"X-Amz-Checksum-Sha256", "given"}};
  EXPECT_EQ(rest(request), "200 ");
  EXPECT_TRUE(server.seen.at(1).headers.get("x-amz-checksum-sha256"));
  EXPECT_EQ(server.seen.at(1).headers.repeated({"x-amz-checksum-sha256"}), "");
  EXPECT_EQ(server.seen.at(1).header("x-amz-checksum-sha256"), "given");
}

TEST_F(AwsClient, TriesAgainWhenThrottledOrTheServerFails) {
  make();
  server.answer(400, std::string(throttled));
  server.answer(503, "");
  server.answer(200, "{}");
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "{}");
  EXPECT_EQ(server.seen.size(), 3u);
}

TEST_F(AwsClient, GivesUpAfterTheAttemptsItWasGiven) {
  make({{"AWS_MAX_ATTEMPTS", "2"}});
  server.answer(400, std::string(throttled));
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "ThrottlingException: Rate exceeded");
  EXPECT_EQ(server.seen.size(), 2u);
}

TEST_F(AwsClient, DoesNotRepeatWhatWouldFailAgain) {
  make();
  server.answer(400, R"({"__type":"ClusterNotFoundException","message":"Cluster not found."})");
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "ClusterNotFoundException: Cluster not found.");
  EXPECT_EQ(server.seen.size(), 1u);
}

TEST_F(AwsClient, TriesAgainWhenTheNetworkDropsAndThenSaysSo) {
  make();
  server.answer(200, "{}");
  network->cut({"10.0.0.1", 80});
  const std::string said = call("ecs", "ListTasks", "{}");
  EXPECT_TRUE(said.starts_with("NetworkError: ")) << said;
  network->heal({"10.0.0.1", 80});
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "{}");
}

TEST_F(AwsClient, CorrectsAWrongClockOnce) {
  make();
  const WallTime real = parse_rfc3339("2031-01-01T00:00:00Z").value();
  server.answer(403, R"({"__type":"InvalidSignatureException","message":"Signature expired"})",
                {{"Date", "Wed, 01 Jan 2031 00:00:00 GMT"}});
  server.answer(200, "{}");
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "{}");
  EXPECT_EQ(server.seen.at(1).header("x-amz-date"), to_basic_time(real));
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "{}");
  EXPECT_EQ(server.seen.at(2).header("x-amz-date").substr(0, 8), "20310101");
}

TEST_F(AwsClient, NamesTheKeysThatWereRefused) {
  make();
  server.answer(403,
                R"({"__type":"UnrecognizedClientException","message":"The security token is invalid."})");
  const std::string said = call("ecs", "ListTasks", "{}");
  EXPECT_EQ(said,
            "UnrecognizedClientException: The security token is invalid. The request was signed with the "
            "keys of the "
            "test.");
  EXPECT_EQ(said.find("very-secret"), std::string::npos);
  EXPECT_EQ(server.seen.size(), 1u);
}

TEST_F(AwsClient, FetchesExpiredKeysAnewOnce) {
  make();
  server.answer(400, R"({"__type":"ExpiredTokenException","message":"expired"})");
  server.answer(200, "{}");
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "{}");
  EXPECT_TRUE(server.seen.at(1).header("Authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKID1/"));
}

TEST_F(AwsClient, StopsWhenFreshKeysAreExpiredToo) {
  make();
  server.answer(400, R"({"__type":"ExpiredTokenException","message":"expired"})");
  EXPECT_TRUE(call("ecs", "ListTasks", "{}").starts_with("ExpiredTokenException"));
  EXPECT_EQ(server.seen.size(), 2u);
}

TEST_F(AwsClient, WithoutKeysAsksNobody) {
  make();
  credentials->broken = true;
  EXPECT_EQ(call("ecs", "ListTasks", "{}"), "NoCredentials: There are no AWS credentials.");
  EXPECT_TRUE(server.seen.empty());
}

TEST_F(AwsClient, SaysWhenAnAnswerIsNotWhatItShouldBe) {
  make();
  server.answer(200, "<html>proxy login</html>");
  EXPECT_EQ(call("ecs", "ListTasks", "{}"),
            "BadAnswer: The answer is not a JSON object: <html>proxy login</html>");
}

TEST(Retry, PausesAreRandomUpToADoublingLimit) {
  const std::uint64_t most = 0;
  EXPECT_EQ(retry_delay(2, false, most, std::nullopt), 0ms);
  EXPECT_EQ(retry_delay(2, false, 500, std::nullopt), 500ms);
  EXPECT_EQ(retry_delay(2, false, 501, std::nullopt), 0ms);
  EXPECT_EQ(retry_delay(3, false, 1000, std::nullopt), 1s);
  EXPECT_EQ(retry_delay(2, true, 1000, std::nullopt), 1s);
  EXPECT_EQ(retry_delay(30, true, 20'000, std::nullopt), 20s);
  EXPECT_EQ(retry_delay(2, false, 1, 7s), 7s);
  EXPECT_EQ(retry_delay(2, false, 1, 7h), 20s);
}

TEST(Retry, ReadsWhatTheServerAskedFor) {
  http::Headers headers;
  EXPECT_EQ(asked_delay(headers), std::nullopt);
  headers.add("Retry-After", "3");
  EXPECT_EQ(asked_delay(headers), 3s);
  headers.add("x-amz-retry-after", "1500");
  EXPECT_EQ(asked_delay(headers), 1500ms);
  headers.set("x-amz-retry-after", "soon");
  EXPECT_EQ(asked_delay(headers), 3s);
}

}  // namespace
}  // namespace berth::aws
