#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"

namespace berth::aws::testing {

/// An AWS account that answers from a script, for tests of what calls AWS. Answers of one operation are given
/// in the order in which they were scripted and the last one again and again, so that a poll needs no count.
/// An operation nobody scripted answers with a Fault of code "NotScripted".
class FakeClient final : public Client {
 public:
  struct Call {
    std::string service;
    std::string operation;
    boost::json::object input;  ///< of call() and list(); empty for rest()
    RestRequest rest;           ///< of rest()
  };
  using Handler = std::function<Reply<boost::json::object>(const boost::json::object& input)>;
  using RestHandler = std::function<Reply<http::Response>(const RestRequest& request)>;

  explicit FakeClient(std::string region = "us-east-1") : region_(std::move(region)) {}

  /// `json` is the text of an object: `{"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}`. list() takes its
  /// pages from the same answers and follows their tokens.
  void answer(std::string_view service, std::string_view operation, std::string_view json);
  void fail(std::string_view service, std::string_view operation, Fault fault);
  /// A Fault with this code, message and HTTP status and the request id "fake-request".
  void fail(std::string_view service, std::string_view operation, std::string_view code,
            std::string_view message, int status = 400);
  /// Decides by the input; takes its turn among the other answers.
  void handle(std::string_view service, std::string_view operation, Handler handler);
  /// For rest().
  void answer_rest(std::string_view service, std::string_view operation, http::Response response);
  void handle_rest(std::string_view service, std::string_view operation, RestHandler handler);

  const std::vector<Call>& calls() const { return calls_; }
  /// "cloudformation CreateChangeSet" of every call, in order.
  std::vector<std::string> names() const;
  /// The inputs that one operation was called with.
  std::vector<boost::json::object> inputs(std::string_view service, std::string_view operation) const;
  std::size_t count(std::string_view service, std::string_view operation) const;

  const std::string& region() const override { return region_; }
  Task<Reply<boost::json::object>> call(std::string service, std::string operation,
                                        boost::json::object input) override;
  Task<Reply<boost::json::array>> list(std::string service, std::string operation, boost::json::object input,
                                       std::string items) override;
  Task<Reply<http::Response>> rest(RestRequest request) override;

 private:
  template <class AnyHandler>
  struct Script {
    std::vector<AnyHandler> handlers;
    std::size_t next = 0;
    const AnyHandler& take() {
      const AnyHandler& handler = handlers.at(next);
      if (next + 1 < handlers.size()) ++next;
      return handler;
    }
  };

  std::string region_;
  std::map<std::string, Script<Handler>> scripts_;
  std::map<std::string, Script<RestHandler>> rest_scripts_;
  std::vector<Call> calls_;
};

}  // namespace berth::aws::testing
