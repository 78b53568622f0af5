#include <fmt/format.h>

#include <array>

#include "aws/sources.h"
#include "model/shell_words.h"

namespace berth::aws {

namespace {

constexpr std::chrono::minutes process_timeout{3};
constexpr std::size_t output_bytes_max = 64 * 1024;
constexpr std::size_t shown_bytes_max = 200;

/// Reads to the end of the stream; what is above the limit is dropped. nullopt when the deadline passed.
Task<std::optional<std::string>> drain(net::Stream& stream) {
  std::string all;
  std::array<char, 4096> part;
  for (;;) {
    const auto count = co_await stream.read_some(part);
    if (!count && count.error().code() == ErrorCode::deadline_exceeded) co_return std::nullopt;
    if (!count || *count == 0) co_return all;
    all.append(part.data(), std::min(*count, output_bytes_max - std::min(all.size(), output_bytes_max)));
  }
}

Error failed(const std::string& program, std::string_view why) {
  return Error(ErrorCode::permission_denied, fmt::format("The credential_process '{}' {}.", program, why));
}

Result<Credentials> read_output(const std::string& program, const std::string& output,
                                const net::ExitStatus& ended, std::string said) {
  if (ended.code != 0) {
    while (!said.empty() && (said.back() == '\n' || said.back() == '.')) said.pop_back();
    if (said.size() > shown_bytes_max) said.resize(shown_bytes_max);
    return Failure(failed(program, net::to_string(ended) + (said.empty() ? "" : ": " + said)));
  }
  boost::system::error_code broken;
  const boost::json::value value = boost::json::parse(output, broken);
  if (broken || !value.is_object())
    return Failure(failed(program, "printed something that is not a JSON object"));
  const std::string version = text(value.get_object(), "Version");
  if (version != "1") return Failure(failed(program, "printed no \"Version\": 1"));
  return read_keys(value.get_object(), fmt::format("credential_process '{}'", program));
}

}  // namespace

Task<Result<Credentials>> from_process(SourceContext context, std::string command) {
  auto words = model::split_shell_words(command);
  if (!words) co_return Failure(words.error().within("credential_process"));
  const std::string program = words->front();
  net::ProcessSpec spec;
  spec.argv = std::move(*words);
  spec.argv.front() = expand_home(context.environment, program);
  spec.environment.assign(context.environment.begin(), context.environment.end());
  spec.input = net::ProcessSpec::Stdio::null;
  auto process = context.launcher.launch(std::move(spec));
  if (!process) co_return Failure(process.error().within("credential_process"));
  const TimePoint deadline = context.transport.clock().now() + process_timeout;
  (*process)->output().set_deadline(deadline);
  (*process)->errors().set_deadline(deadline);
  // One after the other: what a program says beyond a pipe's 64 KiB would only make it run into the limit.
  const auto output = co_await drain((*process)->output());
  std::optional<std::string> said;
  if (output) said = co_await drain((*process)->errors());
  if (!said) co_return Failure(failed(program, "took longer than three minutes"));
  const net::ExitStatus ended = co_await (*process)->wait();
  co_return read_output(program, *output, ended, std::move(*said));
}

}  // namespace berth::aws
