#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// List prices of AWS with a date: infra/prices.json, which is part of the program.
namespace berth::deploy {

struct Price {
  double usd = 0;      ///< for one `unit`
  std::string unit;    ///< "GB-month"
  std::string source;  ///< who says so, and when
};

struct Prices {
  std::string date;                  ///< "2026-11-22"
  std::vector<std::string> regions;  ///< where they hold exactly
  std::map<std::string, Price, std::less<>> items;

  /// USD for one unit. A name that the file does not have is a bug of the caller.
  double of(std::string_view name) const;
  /// The region whose prices are used for `region`: itself where they are known, else "us-east-1".
  std::string priced_as(std::string_view region) const;
};

/// Reads the JSON of a price file. invalid_argument names what is missing or not a price.
Result<Prices> parse_prices(std::string_view json);

/// The prices this program was built with.
Prices built_in_prices();

}  // namespace berth::deploy
