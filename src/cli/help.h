#pragma once

#include <cstddef>
#include <string>

/// What `berth help` prints, besides the table of verbs. Pure functions of values.
namespace berth::cli {

struct Verb;

/// Every verb in groups, on one screen of 80 columns and 24 rows.
std::string general_help(std::size_t columns, bool colour);
std::string verb_help(const Verb& verb, std::size_t columns, bool colour);
/// What each exit code says, for every verb the same.
std::string exit_code_help(std::size_t columns, bool colour);

}  // namespace berth::cli
