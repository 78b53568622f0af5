#pragma once

#include "cli/context.h"
#include "cli/options.h"

/// What each row of the table in verbs.cpp runs.
namespace berth::cli {

Task<ExitCode> run_init(Context& context, const Arguments& arguments);
Task<ExitCode> run_up(Context& context, const Arguments& arguments);
Task<ExitCode> run_status(Context& context, const Arguments& arguments);
Task<ExitCode> run_logs(Context& context, const Arguments& arguments);
Task<ExitCode> run_tools(Context& context, const Arguments& arguments);
Task<ExitCode> run_call(Context& context, const Arguments& arguments);
Task<ExitCode> run_prompts(Context& context, const Arguments& arguments);
Task<ExitCode> run_resources(Context& context, const Arguments& arguments);
Task<ExitCode> run_connect(Context& context, const Arguments& arguments);
Task<ExitCode> run_scale(Context& context, const Arguments& arguments);
Task<ExitCode> run_restart(Context& context, const Arguments& arguments);
Task<ExitCode> run_down(Context& context, const Arguments& arguments);
Task<ExitCode> run_validate(Context& context, const Arguments& arguments);
Task<ExitCode> run_doctor(Context& context, const Arguments& arguments);
Task<ExitCode> run_schema(Context& context, const Arguments& arguments);
/// The same verbs for the service that is meant: here or on AWS.
Task<ExitCode> run_status_anywhere(Context& context, const Arguments& arguments);
Task<ExitCode> run_logs_anywhere(Context& context, const Arguments& arguments);
Task<ExitCode> run_doctor_anywhere(Context& context, const Arguments& arguments);
Task<ExitCode> run_connect_anywhere(Context& context, const Arguments& arguments);
Task<ExitCode> run_traces(Context& context, const Arguments& arguments);
/// Hands over to Context::serve.
Task<ExitCode> run_serve(Context& context, const Arguments& arguments);
/// Whether a task lives: the container's health check.
Task<ExitCode> run_health(Context& context, const Arguments& arguments);
Task<ExitCode> run_version(Context& context, const Arguments& arguments);

Task<ExitCode> run_template(Context& context, const Arguments& arguments);
Task<ExitCode> run_cost(Context& context, const Arguments& arguments);
Task<ExitCode> run_audit(Context& context, const Arguments& arguments);
Task<ExitCode> run_diagram(Context& context, const Arguments& arguments);

Task<ExitCode> run_plan(Context& context, const Arguments& arguments);
Task<ExitCode> run_deploy(Context& context, const Arguments& arguments);
Task<ExitCode> run_rollback(Context& context, const Arguments& arguments);
Task<ExitCode> run_destroy(Context& context, const Arguments& arguments);
/// `berth scale N` for the service on AWS.
Task<ExitCode> run_scale_on_aws(Context& context, const Arguments& arguments);

}  // namespace berth::cli
