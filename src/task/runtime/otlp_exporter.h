#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aws/transport.h"
#include "base/log.h"
#include "http/url.h"
#include "monitoring/otlp.h"
#include "net/network.h"

namespace berth::task {

/// Header fields that prove who sends a POST of `body` to `path` at `host`: AWS's signature. May ask for
/// credentials first.
using RequestSigner = std::function<Task<Result<std::vector<std::pair<std::string, std::string>>>>(
    std::string host, std::string path, std::string body)>;

struct OtlpOptions {
  std::string endpoint;  ///< URL: "http://127.0.0.1:4318/v1/traces"
  RequestSigner sign;    ///< null: sent as it is
  monitoring::ResourceAttributes resource;
  std::string version;
  std::map<std::string, std::string> environment;  ///< AWS_CA_BUNDLE, SSL_CERT_FILE: whom TLS trusts
};

/// Sends the tracer's spans to an OTLP/HTTP collector in batches, every two seconds. Whatever the collector
/// does costs no call any time: what it refuses is lost, what cannot reach it is tried a few times while the
/// tracer's queue holds the rest. The log says once that it fails and once that it works again.
class OtlpExporter {
 public:
  /// invalid_argument: the endpoint is no URL. What is given by reference outlives the exporter.
  static Result<std::unique_ptr<OtlpExporter>> make(OtlpOptions options, monitoring::Tracer& tracer,
                                                    net::Network& network, Log& log);

  void start();
  /// Sends what waits, until `deadline`, and ends. Await before destruction.
  Task<void> stop(TimePoint deadline);

  std::uint64_t sent() const { return sent_; }
  std::uint64_t lost() const { return lost_; }

 private:
  OtlpExporter(OtlpOptions options, http::UrlAddress address, monitoring::Tracer& tracer,
               net::Network& network, Log& log);

  Task<void> run();
  Task<void> send_waiting(TimePoint deadline, int attempts);
  /// True when the batch is done with, for better or worse.
  Task<bool> attempt(TimePoint deadline);
  Task<Result<http::Response>> post(std::string body, TimePoint deadline);
  void failed(const std::string& problem);

  OtlpOptions options_;
  http::UrlAddress address_;
  aws::Transport transport_;
  monitoring::Tracer& tracer_;
  net::Network& network_;
  Log& log_;
  std::vector<monitoring::Span> batch_;  ///< being sent
  std::uint64_t sent_ = 0;
  std::uint64_t lost_ = 0;
  bool failing_ = false;
  TaskScope scope_;
};

}  // namespace berth::task
