#include "aws/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/answer.h"
#include "aws/digest.h"
#include "aws/pages.h"
#include "aws/query.h"
#include "aws/retry.h"
#include "aws/services.h"
#include "aws/sigv4.h"
#include "aws/time_text.h"
#include "aws/transport.h"
#include "base/check.h"
#include "base/random.h"

namespace berth::aws {

namespace {

constexpr int attempts_default = 4;
constexpr int attempts_limit = 20;
constexpr std::chrono::seconds answer_timeout{60};
/// A slow uplink's share of the deadline for large bodies.
constexpr std::size_t upload_bytes_per_s = 64 * 1024;

int attempts_max(const Environment& environment) {
  const std::string text = variable(environment, "AWS_MAX_ATTEMPTS");
  int number = attempts_default;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return attempts_default;
  return std::clamp(number, 1, attempts_limit);
}

/// A call that is ready to be signed and sent, as often as it takes.
struct Prepared {
  const Service* service = nullptr;
  std::string operation;
  http::UrlAddress address;
  SignableRequest request;
  std::string signing_region;

  Signing signing(WallTime time) const {
    Signing signing;
    signing.region = signing_region;
    signing.service = service->name;
    signing.time = time;
    signing.encode_path_twice = service->name != "s3";
    signing.sign_payload_hash = service->name == "s3";
    return signing;
  }
};

/// What came of one attempt.
struct Attempt {
  std::optional<http::Response> response;  ///< with a status below 300
  Fault fault;                             ///< otherwise
  std::optional<WallTime> server_time;
  std::optional<Duration> asked_delay;
  WallTime signed_at;
};

bool has_header(const std::vector<std::pair<std::string, std::string>>& headers, std::string_view name) {
  return std::ranges::any_of(
      headers, [name](const auto& field) { return http::equals_ignoring_case(field.first, name); });
}

/// S3 demands a digest of the bodies of these.
bool wants_checksum(const Client::RestRequest& request) {
  return request.service == "s3" && !request.body.empty() &&
         (request.operation == "DeleteObjects" || request.operation.starts_with("PutBucket"));
}

/// Refusals of the keys themselves, where it helps to know which ones they were.
bool refuses_keys(const Fault& fault) {
  for (const std::string_view code :
       {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
        "InvalidSignatureException", "AuthFailure", "ExpiredToken", "ExpiredTokenException",
        "IncompleteSignature", "InvalidToken"}) {
    if (fault.code == code) return true;
  }
  return false;
}

class ClientImpl final : public Client {
 public:
  ClientImpl(ClientOptions options, net::Network& network, Log& log)
      : options_(std::move(options)),
        log_(log),
        clock_(network.clock()),
        transport_(options_.environment, network),
        attempts_max_(attempts_max(options_.environment)) {}

  const std::string& region() const override { return options_.region; }

  Task<Reply<boost::json::object>> call(std::string service, std::string operation,
                                        boost::json::object input) override {
    auto prepared = prepare(service, operation);
    if (!prepared) co_return std::unexpected(std::move(prepared.error()));
    const Protocol protocol = prepared->service->protocol;
    BERTH_CHECK(protocol != Protocol::rest, service + " is a REST API: use rest()");
    if (protocol == Protocol::json) {
      prepared->request.headers = {
          {"Content-Type", "application/x-amz-json-1.1"},
          {"X-Amz-Target", std::string(prepared->service->version) + "." + operation}};
      prepared->request.body = boost::json::serialize(input);
    } else {
      const auto dialect = protocol == Protocol::ec2 ? QueryDialect::ec2 : QueryDialect::query;
      prepared->request.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
      prepared->request.body = query_form(dialect, operation, std::string(prepared->service->version), input);
    }
    const auto response = co_await exchange(*prepared);
    if (!response) co_return std::unexpected(response.error());
    auto answer = read_answer(protocol, operation, *response);
    if (!answer) co_return std::unexpected(own_fault(*prepared, "BadAnswer", answer.error()));
    co_return std::move(*answer);
  }

  Task<Reply<boost::json::array>> list(std::string service, std::string operation, boost::json::object input,
                                       std::string items) override {
    auto all = co_await collect_pages(*this, std::move(service), std::move(operation), std::move(input),
                                      std::move(items));
    co_return all;
  }

  Task<Reply<http::Response>> rest(RestRequest request) override {
    auto prepared = prepare(request.service, request.operation);
    if (!prepared) co_return std::unexpected(std::move(prepared.error()));
    SignableRequest& signable = prepared->request;
    signable.method = request.method;
    if (!request.path.starts_with('/')) request.path.insert(0, "/");
    signable.path += request.path.substr(1);
    if (!request.bucket.empty()) place_bucket(*prepared, request.bucket, request.path);
    signable.query = std::move(request.query);
    signable.headers = std::move(request.headers);
    if (!request.body.empty() && !has_header(signable.headers, "content-type")) {
      signable.headers.emplace_back(
          "Content-Type", request.service == "s3" ? "application/octet-stream" : "application/json");
    }
    if (wants_checksum(request) && !has_header(signable.headers, "x-amz-checksum-sha256")) {
      signable.headers.emplace_back("x-amz-checksum-sha256", sha256_base64(request.body));
    }
    signable.body = std::move(request.body);
    auto response = co_await exchange(*prepared);
    co_return response;
  }

 private:
  /// Everything but the method, the query, the headers and the body; the path ends in a slash.
  Reply<Prepared> prepare(const std::string& service, const std::string& operation) {
    Prepared prepared;
    prepared.service = find_service(service);
    BERTH_CHECK(prepared.service != nullptr, "no AWS service named " + service);
    prepared.operation = operation;
    const ServiceEndpoint endpoint = find_endpoint(*prepared.service, options_.region, options_.environment);
    prepared.signing_region = endpoint.signing_region;
    auto address = http::parse_url(endpoint.url);
    if (!address) return std::unexpected(own_fault(prepared, "BadEndpoint", address.error()));
    prepared.address = std::move(*address);
    prepared.request.host = prepared.address.host_header();
    prepared.request.path = prepared.address.target.substr(0, prepared.address.target.find('?'));
    if (!prepared.request.path.ends_with('/')) prepared.request.path.push_back('/');
    return prepared;
  }

  /// The bucket goes into the host name, unless a certificate for *.s3… would not cover it or the endpoint is
  /// one that somebody gave (an emulator, which has one name only).
  void place_bucket(Prepared& prepared, const std::string& bucket, const std::string& path) {
    const bool is_given = find_endpoint(*prepared.service, options_.region, options_.environment).is_given;
    if (!is_given && bucket.find('.') == std::string::npos) {
      prepared.address.host = bucket + "." + prepared.address.host;
      prepared.request.host = prepared.address.host_header();
      return;
    }
    std::string base = prepared.address.target;
    if (!base.ends_with('/')) base.push_back('/');
    prepared.request.path = base + bucket + (path == "/" ? "" : path);
  }

  Task<Reply<http::Response>> exchange(const Prepared& prepared) {
    bool took_time = false;
    bool took_keys = false;
    for (int number = 1;; ++number) {
      Attempt attempt = co_await try_once(prepared, number);
      if (attempt.response) co_return std::move(*attempt.response);
      const Remedy remedy = find_remedy(attempt.fault, attempt.server_time, attempt.signed_at);
      if (remedy == Remedy::none || number >= attempts_max_)
        co_return std::unexpected(std::move(attempt.fault));
      if (remedy == Remedy::new_time && !std::exchange(took_time, true)) {
        skew_ = *attempt.server_time - clock_.wall();
        continue;
      }
      if (remedy == Remedy::new_keys && !std::exchange(took_keys, true)) {
        options_.credentials->forget();
        continue;
      }
      if (remedy != Remedy::wait) co_return std::unexpected(std::move(attempt.fault));
      const Duration pause =
          retry_delay(number + 1, is_throttling(attempt.fault), random_u64(), attempt.asked_delay);
      co_await clock_.sleep_for(pause);
    }
  }

  Task<Attempt> try_once(const Prepared& prepared, int number) {
    Attempt attempt;
    attempt.signed_at = clock_.wall() + skew_;
    const auto credentials = co_await options_.credentials->get();
    if (!credentials) {
      attempt.fault = own_fault(prepared, "NoCredentials", credentials.error());
      co_return attempt;
    }
    const TimePoint begun = clock_.now();
    Outgoing outgoing = sign_and_address(prepared, *credentials, attempt.signed_at);
    auto response = co_await transport_.send(std::move(outgoing));
    if (!response) {
      attempt.fault = own_fault(prepared, network_code(response.error()), response.error());
    } else if (response->status >= 300) {
      attempt.fault = read_fault(std::string(prepared.service->name), prepared.operation, *response);
      if (const auto date = response->headers.get("Date")) attempt.server_time = parse_http_date(*date);
      attempt.asked_delay = asked_delay(response->headers);
      if (refuses_keys(attempt.fault)) {
        attempt.fault.message += " The request was signed with the keys of " + credentials->source + ".";
      }
    } else {
      attempt.response = std::move(*response);
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - begun);
    log_.debug("aws_call", {{"service", prepared.service->name},
                            {"operation", prepared.operation},
                            {"attempt", number},
                            {"ms", took.count()},
                            {"fault", attempt.response ? std::string() : attempt.fault.code}});
    co_return attempt;
  }

  Outgoing sign_and_address(const Prepared& prepared, const Credentials& credentials, WallTime time) {
    const Signing signing = prepared.signing(time);
    Outgoing outgoing;
    outgoing.address = prepared.address;
    outgoing.method = prepared.request.method;
    outgoing.target = encode_target(prepared.request, signing);
    outgoing.headers = prepared.request.headers;
    for (auto& field : sign(prepared.request, credentials, signing))
      outgoing.headers.push_back(std::move(field));
    outgoing.headers.emplace_back("User-Agent", "berth");
    outgoing.body = prepared.request.body;
    outgoing.timeout = answer_timeout + std::chrono::seconds(outgoing.body.size() / upload_bytes_per_s);
    return outgoing;
  }

  static std::string network_code(const Error& error) {
    switch (error.code()) {
      case ErrorCode::permission_denied: return "UntrustedCertificate";
      case ErrorCode::deadline_exceeded: return "Deadline";
      case ErrorCode::resource_exhausted: return "AnswerTooLarge";
      case ErrorCode::invalid_argument: return "BadRequest";
      default: return "NetworkError";
    }
  }

  static Fault own_fault(const Prepared& prepared, std::string code, const Error& error) {
    Fault fault;
    fault.service = prepared.service->name;
    fault.operation = prepared.operation;
    fault.code = std::move(code);
    fault.message = error.message();
    return fault;
  }

  ClientOptions options_;
  Log& log_;
  Clock& clock_;
  Transport transport_;
  int attempts_max_;
  Duration skew_{};  ///< what the server's clock is ahead
};

}  // namespace

std::unique_ptr<Client> make_client(ClientOptions options, net::Network& network, Log& log) {
  return std::make_unique<ClientImpl>(std::move(options), network, log);
}

}  // namespace berth::aws
