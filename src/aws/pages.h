#pragma once

#include <string>

#include "aws/client.h"

namespace berth::aws {

/// The most pages one list() reads; more is taken for a service that goes in circles.
inline constexpr int pages_max = 1000;

/// What Client::list does, over any client's call(): the elements of `items` of every page. The next page is
/// asked for with the token that the answer holds under the first of these names: NextToken and nextToken
/// (sent back under the same name; EC2 answers nextToken and wants NextToken), NextMarker and Marker (sent
/// back as Marker). It ends without a token, when IsTruncated says so, or when a token comes a second time.
Task<Reply<boost::json::array>> collect_pages(Client& client, std::string service, std::string operation,
                                              boost::json::object input, std::string items);

}  // namespace berth::aws
