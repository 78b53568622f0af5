#pragma once

#include <string>
#include <string_view>

/// The shapes of names that AWS gives. Each function answers what is wrong with the text, to follow "which",
/// or an empty string; it does not know whether such a thing exists.
namespace berth::model {

/// "eu-central-1"; suggests the nearest known one.
std::string region_problem(std::string_view text);
/// 12 digits.
std::string account_problem(std::string_view text);
/// "arn:aws:SERVICE:…" of any partition, with a resource that starts with `resource` ("certificate/").
std::string arn_problem(std::string_view text, std::string_view service, std::string_view resource);
/// The part of an ARN: 0 "arn", 1 partition, 2 service, 3 region, 4 account, 5 the rest. Empty if missing.
std::string_view arn_part(std::string_view arn, std::size_t index);
/// "10.20.0.0/16" whose address has no bit beyond the prefix; the prefix from `prefix_min` to `prefix_max`.
std::string cidr_problem(std::string_view text, unsigned prefix_min, unsigned prefix_max);
/// A host name with at least one dot, in lower case.
std::string domain_problem(std::string_view text);
/// "dynamodb:GetItem", "s3:Get*"; "*" alone is refused.
std::string action_problem(std::string_view text);
/// An id such as "vpc-0a1b2c3d": `prefix` and hexadecimal digits.
std::string id_problem(std::string_view text, std::string_view prefix);
/// "HH:MM" of 24 hours, as minutes since midnight; -1 if it is no such text. "7:00" is understood.
int minutes_of_day(std::string_view text);
/// "Mon - Fri" as "mon-fri"; empty if it names no days of the week.
std::string days_of_week(std::string_view text);

}  // namespace berth::model
