#include "http/proxy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

#include "base/testing/sim_clock.h"
#include "http/client.h"
#include "http/outbound.h"
#include "net/testing/memory_network.h"

namespace berth::http {
namespace {

using Environment = std::map<std::string, std::string>;

/// "host:port authorization" of the proxy for `url`, "direct", or the error.
std::string proxy_of(const Environment& environment, std::string_view url) {
  const auto found = find_proxy(environment, *parse_url(url));
  if (!found) return found.error().message();
  if (!*found) return "direct";
  const auto& proxy = **found;
  return fmt::format("{}{}:{}{}", proxy.address.tls ? "https://" : "", proxy.address.host, proxy.address.port,
                     proxy.authorization.empty() ? "" : " " + std::string(proxy.authorization.reveal()));
}

TEST(Proxy, IsWhatTheEnvironmentSays) {
  constexpr std::string_view url = "https://ecs.us-east-1.amazonaws.com/";
  EXPECT_EQ(proxy_of({}, url), "direct");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "http://proxy.corp:3128"}}, url), "proxy.corp:3128");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "http://a:1"}, {"https_proxy", "b:2"}}, url), "b:2");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "https://proxy.corp:3129/"}}, url), "https://proxy.corp:3129");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "http://ann:p%40ss@wd@proxy.corp"}}, url),
            "proxy.corp:80 Basic YW5uOnBAc3NAd2Q=");
  const std::string refused = proxy_of({{"HTTPS_PROXY", "socks5://ann:secret@proxy:1080"}}, url);
  EXPECT_TRUE(refused.starts_with("HTTPS_PROXY is no address of a proxy")) << refused;
  EXPECT_EQ(refused.find("secret"), std::string::npos);
}

TEST(Proxy, LeavesOutWhatIsExceptedOrNear) {
  const auto with = [](std::string exceptions) {
    return Environment{{"HTTPS_PROXY", "http://proxy:3128"}, {"no_proxy", std::move(exceptions)}};
  };
  EXPECT_EQ(proxy_of(with("corp.example, .amazonaws.com"), "https://ecs.amazonaws.com/"), "direct");
  EXPECT_EQ(proxy_of(with("amazonaws.com"), "https://ECS.amazonaws.com/"), "direct");
  EXPECT_EQ(proxy_of(with("*.amazonaws.com"), "https://ecs.amazonaws.com/"), "direct");
  EXPECT_EQ(proxy_of(with("azonaws.com"), "https://ecs.amazonaws.com/"), "proxy:3128");
  EXPECT_EQ(proxy_of(with("amazonaws.com:8443"), "https://ecs.amazonaws.com/"), "proxy:3128");
  EXPECT_EQ(proxy_of(with("*"), "https://ecs.amazonaws.com/"), "direct");
  EXPECT_EQ(proxy_of(with("10.0.0.0/8"), "https://10.1.2.3/"), "direct");
  EXPECT_EQ(proxy_of(with("10.0.0.0/8"), "https://11.1.2.3/"), "proxy:3128");
  EXPECT_EQ(proxy_of(with("10.0.0.0/8"), "https://ten.example/"), "proxy:3128");
  for (const std::string_view url : {"https://localhost:5000/", "https://127.0.0.1/", "https://[::1]:1/",
                                     "https://169.254.170.2/", "http://ecs.amazonaws.com/"}) {
    EXPECT_EQ(proxy_of(with(""), url), "direct") << url;
  }
}

/// A proxy that writes down what it is asked and gives one answer.
Task<void> serve(net::Listener& listener, std::string answer, std::string& asked) {
  auto stream = co_await listener.accept();
  std::array<char, 4096> part;
  while (asked.find("\r\n\r\n") == std::string::npos) {
    const auto count = co_await (*stream)->read_some(part);
    if (!count || *count == 0) co_return;
    asked.append(part.data(), *count);
  }
  co_await (*stream)->write(answer);
  // Behind a consent, whoever asked speaks to the other end.
  const auto count = co_await (*stream)->read_some(part);
  if (!count || *count == 0) co_return;
  asked.append(part.data(), *count);
  co_await (*stream)->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
}

Task<void> ask(Client& client, std::string& got) {
  ClientRequest request;
  auto response = co_await client.fetch(std::move(request), 100);
  got = response ? response->body : response.error().message();
}

class Tunnel : public ::testing::Test {
 protected:
  std::string get(std::string answer) {
    const net::Endpoint endpoint{"10.0.0.9", 3128};
    auto listener = network->listen(endpoint).value();
    Proxy proxy{*parse_url("http://10.0.0.9:3128"), Secret("Basic abc")};
    const auto tunnels =
        make_tunnels(*network, std::move(proxy), *parse_url("https://ecs.example/"), nullptr);
    ClientOptions options;
    options.endpoint = endpoint;
    options.host_header = "ecs.example";
    const auto client = make_client(*tunnels, std::move(options));
    std::string got;
    TaskScope scope(clock.executor());
    scope.spawn(serve(*listener, std::move(answer), asked));
    scope.spawn(ask(*client, got));
    clock.run_until_idle();
    clock.advance(std::chrono::seconds(10));
    return got;
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  std::string asked;
};

TEST_F(Tunnel, CarriesARequestBehindConnect) {
  EXPECT_EQ(get("HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"), "hi");
  EXPECT_EQ(asked,
            "CONNECT ecs.example:443 HTTP/1.1\r\nHost: ecs.example:443\r\nUser-Agent: berth\r\n"
            "Proxy-Authorization: Basic abc\r\n\r\n"
            "GET / HTTP/1.1\r\nHost: ecs.example\r\n\r\n");
}

TEST_F(Tunnel, TellsWhyTheProxyRefuses) {
  const std::string login = get("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  EXPECT_NE(login.find("The proxy 10.0.0.9:3128 answers 407 (Proxy Authentication Required) when asked for "
                       "ecs.example:443; give it a login"),
            std::string::npos)
      << login;
}

TEST_F(Tunnel, TellsOfAProxyThatIsNone) {
  const std::string said = get("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  EXPECT_NE(said.find("does not answer in HTTP/1.1"), std::string::npos) << said;
}

}  // namespace
}  // namespace berth::http
