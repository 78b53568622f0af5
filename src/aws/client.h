#pragma once

#include <boost/json.hpp>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/credentials.h"
#include "base/log.h"
#include "http/message.h"

namespace berth::aws {

/// Why a call failed, as AWS said it (or as Berth did, when no answer came).
struct Fault {
  std::string service;    ///< "cloudformation"
  std::string operation;  ///< "CreateChangeSet"
  std::string code;       ///< "ValidationError", "AccessDenied" …; "NetworkError", "NoCredentials" of ours
  std::string message;
  std::string request_id;      ///< empty when no answer came
  int status = 0;              ///< HTTP; 0 when no answer came
  boost::json::value details;  ///< the rest of a JSON error, or null

  bool is(std::string_view a_code) const { return code == a_code; }
  /// AccessDenied, AccessDeniedException, UnauthorizedOperation …
  bool denied() const;
  /// The IAM action that was refused ("ecs:CreateCluster") and its resource, when the message tells.
  std::string denied_action() const;
  std::string denied_resource() const;
  /// A sentence for people: what was asked, what AWS said, the request id.
  Error error() const;
};

template <class T>
using Reply = std::expected<T, Fault>;

/// Calls AWS APIs. One input and output shape for every protocol: JSON with the names that the API reference
/// uses, so `{"StackName": "x"}` for CloudFormation (query protocol, sent as a form; its XML answer comes
/// back as an object whose member lists are arrays and whose scalars are strings) and `{"cluster": "x"}` for
/// ECS (JSON 1.1). EC2's lists are named as in its reference, without ".N": `{"SubnetId": ["a", "b"]}` asks,
/// "subnetSet" answers. Retries throttling, 5xx and broken connections with full jitter (at most
/// AWS_MAX_ATTEMPTS, default 4), corrects a skewed clock once, refreshes expired credentials once. Endpoints:
/// services.h; CA: AWS_CA_BUNDLE, SSL_CERT_FILE, the system's; proxy: HTTPS_PROXY, NO_PROXY.
class Client {
 public:
  virtual ~Client() = default;
  virtual const std::string& region() const = 0;

  /// `service`: cloudformation, ec2, elasticloadbalancing, ecs, ecr, logs, secretsmanager, sts, iam,
  /// application-autoscaling, monitoring (CloudWatch), sns, events. The others (s3, xray, elasticfilesystem)
  /// are for rest() alone.
  virtual Task<Reply<boost::json::object>> call(std::string service, std::string operation,
                                                boost::json::object input) = 0;
  /// Every page: the elements of the list `items` of each answer, following NextToken, nextToken or Marker.
  virtual Task<Reply<boost::json::array>> list(std::string service, std::string operation,
                                               boost::json::object input, std::string items) = 0;

  struct RestRequest {
    std::string service;    ///< "s3", "xray", "elasticfilesystem"
    std::string operation;  ///< for messages: "PutObject"
    std::string method = "GET";
    std::string bucket;                                      ///< S3 only
    std::string path = "/";                                  ///< decoded
    std::vector<std::pair<std::string, std::string>> query;  ///< decoded
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
  };
  /// For REST APIs; a status of 300 or more is a Fault.
  virtual Task<Reply<http::Response>> rest(RestRequest request) = 0;
};

struct ClientOptions {
  std::string region;
  std::map<std::string, std::string> environment;
  std::shared_ptr<CredentialsProvider> credentials;
};
std::unique_ptr<Client> make_client(ClientOptions options, net::Network& network, Log& log);

/// Text of an S3 or query answer as the same JSON that call() gives: attributes are dropped, elements named
/// member or item (and repeated ones) become arrays, the root's own name is dropped. S3's lists (Contents,
/// Version …) and lists of REST answers (<Tags><Tag>) are arrays even of one; an empty element is "".
/// invalid_argument, with line and column, for what is not XML, or has a document type.
Result<boost::json::object> xml_to_json(std::string_view xml);

/// Reading answers without checking each step: the member, or "", an empty array or object.
std::string text(const boost::json::object& object, std::string_view name);
const boost::json::array& array(const boost::json::object& object, std::string_view name);
const boost::json::object& object(const boost::json::object& parent, std::string_view name);

}  // namespace berth::aws
