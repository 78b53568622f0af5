#pragma once

#include <boost/json.hpp>
#include <string>

#include "aws/client.h"
#include "aws/services.h"

/// Answers of AWS's protocols as JSON and Faults. Pure.
namespace berth::aws {

/// The body of a successful answer: query answers without their <…Result> wrapping and metadata.
/// `internal` for a body that is not what the protocol says.
Result<boost::json::object> read_answer(Protocol protocol, const std::string& operation,
                                        const http::Response& response);

/// A failed answer's code, message and request id, in whichever of AWS's error shapes it is written. A body
/// in none of them (a proxy's page) becomes code "Http502" with the first words of its text.
Fault read_fault(const std::string& service, const std::string& operation, const http::Response& response);

}  // namespace berth::aws
