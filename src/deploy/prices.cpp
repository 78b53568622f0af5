#include "deploy/prices.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/check.h"
#include "deploy/prices_data.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

Result<Price> parse_price(std::string_view name, const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* amount = object != nullptr ? object->if_contains("price") : nullptr;
  if (amount == nullptr || !amount->is_number() || amount->to_number<double>() < 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("The price \"{}\" needs a member \"price\" with a number of USD.", name));
  }
  return Price{.usd = amount->to_number<double>(),
               .unit = text_of(*object, "unit"),
               .source = text_of(*object, "source")};
}

}  // namespace

double Prices::of(std::string_view name) const {
  auto found = items.find(name);
  BERTH_CHECK(found != items.end(), name);
  return found->second.usd;
}

std::string Prices::priced_as(std::string_view region) const {
  return std::ranges::find(regions, region) != regions.end() ? std::string(region) : "us-east-1";
}

Result<Prices> parse_prices(std::string_view text) {
  boost::system::error_code error;
  json::value root = json::parse(text, error);
  if (error || !root.is_object()) {
    return fail(ErrorCode::invalid_argument, "The price file is not a JSON object.");
  }
  const json::object& object = root.get_object();
  const json::value* regions = object.if_contains("regions");
  const json::value* items = object.if_contains("prices");
  if (regions == nullptr || !regions->is_array() || items == nullptr || !items->is_object()) {
    return fail(ErrorCode::invalid_argument,
                "The price file needs \"regions\" (a list) and \"prices\" (an object).");
  }
  Prices prices{.date = text_of(object, "date"), .regions = {}, .items = {}};
  for (const json::value& region : regions->get_array()) {
    if (region.is_string()) prices.regions.emplace_back(region.get_string());
  }
  for (const json::key_value_pair& item : items->get_object()) {
    Result<Price> price = parse_price(item.key(), item.value());
    if (!price) return Failure(price.error());
    prices.items.emplace(item.key(), std::move(*price));
  }
  return prices;
}

Prices built_in_prices() {
  Result<Prices> prices = parse_prices(prices_data());
  BERTH_CHECK(prices.has_value(), prices.error().message());
  return std::move(*prices);
}

}  // namespace berth::deploy
