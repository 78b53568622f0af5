#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "base/testing/sim_clock.h"
#include "http/client.h"
#include "http/inflater.h"
#include "http/server.h"
#include "net/testing/memory_network.h"

namespace berth::http {
namespace {

using namespace std::chrono_literals;

/// `window_bits` as zlib's deflateInit2 takes them: 31 gzip, 15 zlib.
std::string coded(std::string text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(text.size() + 1000, '\0');
  stream.next_in = static_cast<Bytef*>(static_cast<void*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = static_cast<Bytef*>(static_cast<void*>(out.data()));
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

/// Answers with a body and the coding it claims.
class CodedService final : public Service {
 public:
  std::string coding;
  std::string body;
  std::size_t served = 0;

  Task<void> serve(Exchange& exchange) override {
    ++served;
    Response response = text_response(200, body);
    if (!coding.empty()) response.headers.add("Content-Encoding", coding);
    co_await exchange.respond(std::move(response));
  }
};

class DecodingClient : public ::testing::Test {
 protected:
  void TearDown() override {
    client.reset();
    scope.spawn(end());
    clock.run_until_idle();
  }
  Task<void> end() { co_await server->drain(clock.now()); }

  /// The body, or what went wrong with it.
  std::string fetch(std::string coding, std::string body) {
    service.coding = std::move(coding);
    service.body = std::move(body);
    outcome = "nothing";
    scope.spawn(fetch_into());
    clock.run_until_idle();
    return outcome;
  }
  Task<void> fetch_into() {
    ClientRequest request;
    request.decodes_body = true;
    const auto response = co_await client->fetch(std::move(request), 100'000);
    if (!response) {
      outcome = response.error().message();
    } else {
      EXPECT_EQ(response->headers.get("Content-Encoding").value_or("identity"), "identity");
      outcome = response->body;
    }
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  CodedService service;
  std::unique_ptr<Server> server =
      make_server(network->listen({"10.0.0.1", 80}).value(), nullptr, service, clock, null_log(), {});
  std::unique_ptr<Client> client = make_client(*network, {.endpoint = {"10.0.0.1", 80}});
  std::string outcome;
  TaskScope scope{loop.get_executor()};
};

TEST_F(DecodingClient, DecodesGzipAndDeflateAndLeavesTheRest) {
  const std::string text(50'000, 'x');
  EXPECT_EQ(fetch("gzip", coded(text, 31)), text);
  EXPECT_EQ(fetch("X-GZip", coded("short", 31)), "short");
  EXPECT_EQ(fetch("deflate", coded(text, 15)), text);
  EXPECT_EQ(fetch("identity", "plain"), "plain");
  EXPECT_EQ(fetch("", "plain"), "plain");
  EXPECT_EQ(server->connections(), 1u) << "the connection serves again";
}

TEST_F(DecodingClient, SaysWhatItCannotDecode) {
  EXPECT_EQ(
      fetch("br", "?"),
      "GET / at 10.0.0.1:80: the answer is coded as 'br' (Content-Encoding), although it was asked to come "
      "as it is");
  EXPECT_EQ(fetch("gzip", "plain"), "The body is not what its Content-Encoding says.");
  const std::string whole = coded("some text", 31);
  EXPECT_EQ(fetch("gzip", whole.substr(0, whole.size() - 5)),
            "The body ended before its Content-Encoding did.");
}

TEST_F(DecodingClient, ABodyThatGrowsBeyondTheLimitIsNotCollected) {
  EXPECT_EQ(fetch("gzip", coded(std::string(10'000'000, 'x'), 31)),
            "The body is longer than the limit of 100000 bytes.");
}

}  // namespace
}  // namespace berth::http
