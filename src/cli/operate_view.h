#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "deploy/doctor.h"
#include "deploy/logs.h"
#include "deploy/observe.h"
#include "deploy/traces.h"

/// A service on AWS as text for people. Pure.
namespace berth::cli {

/// "files  3 of 3 tasks healthy", a line a task, the last deployment, scaling, alarms, and what could not be
/// asked.
std::string aws_status_text(const deploy::LiveService& live,
                            const std::vector<std::pair<std::string, std::string>>& urls, WallTime now,
                            std::size_t columns, bool colour);

/// A line of a task's log; JSON lines as `berth logs` shows those of this machine, others with time and task.
std::string aws_log_line(const deploy::LogLine& line, bool colour);
/// One JSON object: the line itself when it is one, otherwise one of time, task and message.
std::string aws_log_json(const deploy::LogLine& line);

/// A line a trace: when, how long, whether it failed, its name and its id's first digits.
std::string trace_table(const std::vector<deploy::Trace>& traces, WallTime now, bool colour);

/// A line a link, and below a broken one what AWS says.
std::string doctor_text(const std::vector<deploy::Link>& links, std::size_t columns, bool colour);

}  // namespace berth::cli
