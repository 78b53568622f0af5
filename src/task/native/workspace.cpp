#include "task/native/workspace.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/utf8.h"
#include "berth/server.h"
#include "codec/base64.h"
#include "storage/artifacts.h"
#include "storage/shared_state.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;

struct EchoArguments {
  std::string message;
};
BOOST_DESCRIBE_STRUCT(EchoArguments, (), (message))

struct WhoAmI {
  std::string task;
  std::string zone;
  std::string principal;
  std::string version;
};
BOOST_DESCRIBE_STRUCT(WhoAmI, (), (task, zone, principal, version))

struct Key {
  std::string key;
  static void annotate(Notes<Key>& note) { note(&Key::key).description("The key.").length(1, 512); }
};
BOOST_DESCRIBE_STRUCT(Key, (), (key))

struct PutArguments {
  std::string key;
  std::string value;
  std::optional<std::int64_t> expected_version;
  static void annotate(Notes<PutArguments>& note) {
    note(&PutArguments::key).description("The key; '/' groups keys by convention.").length(1, 512);
    note(&PutArguments::value).description("The value: any text, at most 1 MiB.");
    note(&PutArguments::expected_version)
        .description(
            "Write only if the key is at this version; 0: only if it does not exist. Leave out to overwrite.")
        .minimum(0);
  }
};
BOOST_DESCRIBE_STRUCT(PutArguments, (), (key, value, expected_version))

struct DeleteArguments {
  std::string key;
  std::optional<std::int64_t> expected_version;
  static void annotate(Notes<DeleteArguments>& note) {
    note(&DeleteArguments::key).description("The key.").length(1, 512);
    note(&DeleteArguments::expected_version)
        .description("Delete only if the key is at this version.")
        .minimum(1);
  }
};
BOOST_DESCRIBE_STRUCT(DeleteArguments, (), (key, expected_version))

struct PageArguments {
  std::string prefix;
  std::string after;
  std::size_t limit() const { return static_cast<std::size_t>(count); }
  std::int32_t count = 100;
  static void annotate(Notes<PageArguments>& note) {
    note(&PageArguments::prefix).description("Only names that start with this.").optional();
    note(&PageArguments::after).description("`next` of the page before.").optional();
    note(&PageArguments::count).description("At most this many.").range(1, 1000).optional();
  }
};
BOOST_DESCRIBE_STRUCT(PageArguments, (), (prefix, after, count))

struct StateValue {
  std::string key;
  std::string value;
  std::int64_t version = 0;
  std::string written_by;
  std::string written_at;
};
BOOST_DESCRIBE_STRUCT(StateValue, (), (key, value, version, written_by, written_at))

struct StateVersion {
  std::string key;
  std::int64_t version = 0;
};
BOOST_DESCRIBE_STRUCT(StateVersion, (), (key, version))

struct StateKey {
  std::string key;
  std::int64_t version = 0;
  std::string written_by;
  std::string written_at;
};
BOOST_DESCRIBE_STRUCT(StateKey, (), (key, version, written_by, written_at))

struct StateKeys {
  std::vector<StateKey> keys;
  std::optional<std::string> next;
};
BOOST_DESCRIBE_STRUCT(StateKeys, (), (keys, next))

enum class Encoding { text, base64 };
BOOST_DESCRIBE_ENUM(Encoding, text, base64)

struct ArtifactPutArguments {
  std::string name;
  std::string content;
  Encoding encoding = Encoding::text;
  std::optional<std::string> media_type;
  static void annotate(Notes<ArtifactPutArguments>& note) {
    note(&ArtifactPutArguments::name).description("Like a path: \"reports/2026.html\".").length(1, 512);
    note(&ArtifactPutArguments::content).description("The content, in `encoding`; at most 16 MiB.");
    note(&ArtifactPutArguments::encoding).description("How `content` is written.").optional();
    note(&ArtifactPutArguments::media_type)
        .description("Default: text/plain for text, application/octet-stream for base64.");
  }
};
BOOST_DESCRIBE_STRUCT(ArtifactPutArguments, (), (name, content, encoding, media_type))

struct ArtifactName {
  std::string name;
  static void annotate(Notes<ArtifactName>& note) { note(&ArtifactName::name).length(1, 512); }
};
BOOST_DESCRIBE_STRUCT(ArtifactName, (), (name))

struct ArtifactDescription {
  std::string name;
  std::string media_type;
  std::int64_t size = 0;
  std::string sha256;
  std::string written_by;
  std::string written_at;
};
BOOST_DESCRIBE_STRUCT(ArtifactDescription, (), (name, media_type, size, sha256, written_by, written_at))

struct ArtifactList {
  std::vector<ArtifactDescription> artifacts;
  std::optional<std::string> next;
};
BOOST_DESCRIBE_STRUCT(ArtifactList, (), (artifacts, next))

struct CountdownArguments {
  std::int32_t from = 5;
  std::int32_t step_ms = 500;
  static void annotate(Notes<CountdownArguments>& note) {
    note(&CountdownArguments::from).description("Where to start.").range(1, 1000).optional();
    note(&CountdownArguments::step_ms).description("Milliseconds a step.").range(1, 60'000).optional();
  }
};
BOOST_DESCRIBE_STRUCT(CountdownArguments, (), (from, step_ms))

struct ConfirmArguments {
  std::string question;
  static void annotate(Notes<ConfirmArguments>& note) {
    note(&ConfirmArguments::question).description("What to ask the user.").length(1, 1000);
  }
};
BOOST_DESCRIBE_STRUCT(ConfirmArguments, (), (question))

struct Confirmation {
  bool yes = false;
  std::string comment;
  static void annotate(Notes<Confirmation>& note) {
    note(&Confirmation::yes).title("Yes").description("Go ahead?");
    note(&Confirmation::comment).title("Comment").optional();
  }
};
BOOST_DESCRIBE_STRUCT(Confirmation, (), (yes, comment))

struct Confirmed {
  bool confirmed = false;
  std::string action;
  std::string comment;
};
BOOST_DESCRIBE_STRUCT(Confirmed, (), (confirmed, action, comment))

struct SummarizeArguments {
  std::string key;
  static void annotate(Notes<SummarizeArguments>& note) {
    note(&SummarizeArguments::key).description("The key whose value to summarize.");
  }
};
BOOST_DESCRIBE_STRUCT(SummarizeArguments, (), (key))

std::string time_text(std::int64_t unix_ms) {
  return to_rfc3339(WallTime(std::chrono::milliseconds(unix_ms)));
}

std::string state_uri(std::string_view key) {
  std::string uri = "workspace://state/";
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7F && c != '%' && c != '?' && c != '#') {
      uri += c;
    } else {
      uri += fmt::format("%{:02X}", byte);
    }
  }
  return uri;
}

ArtifactDescription describe(const storage::ArtifactInfo& info) {
  return {.name = info.name,
          .media_type = info.media_type,
          .size = static_cast<std::int64_t>(info.size),
          .sha256 = info.sha256,
          .written_by = info.writer,
          .written_at = time_text(info.written_unix_ms)};
}

bool is_text(const storage::Artifact& artifact) {
  return is_utf8(artifact.bytes) &&
         (artifact.info.media_type.starts_with("text/") || artifact.info.media_type == "application/json");
}

ResourceContents artifact_contents(std::string uri, storage::Artifact artifact) {
  ResourceContents contents{.uri = std::move(uri), .media_type = artifact.info.media_type};
  if (is_text(artifact)) {
    contents.text = std::move(artifact.bytes);
  } else {
    contents.bytes = std::move(artifact.bytes);
  }
  return contents;
}

/// Tools on the volume. A folder that cannot be made is told by each call that needs it.
class Workspace {
 public:
  Workspace(Server& server, const WorkspaceOptions& options)
      : server_(server),
        version_(options.version),
        state_(storage::make_shared_state(options.data_directory + "/state")),
        artifacts_(storage::make_artifact_store(options.data_directory + "/artifacts")) {}

  std::string version() const { return version_; }

  Result<StateVersion> put(const PutArguments& arguments, const Call& call) {
    if (!state_) return Failure(state_.error());
    storage::StateWrite write = write_of(arguments.key, arguments.expected_version, call);
    write.value = arguments.value;
    const auto version = (*state_)->put(write);
    if (!version) return Failure(version.error());
    server_.resource_updated(state_uri(arguments.key));
    return StateVersion{.key = arguments.key, .version = *version};
  }

  Result<StateVersion> erase(const DeleteArguments& arguments, const Call& call) {
    if (!state_) return Failure(state_.error());
    const auto version = (*state_)->erase(write_of(arguments.key, arguments.expected_version, call));
    if (!version) return Failure(version.error());
    server_.resource_updated(state_uri(arguments.key));
    return StateVersion{.key = arguments.key, .version = *version};
  }

  Result<StateValue> get(std::string_view key) {
    if (!state_) return Failure(state_.error());
    const auto entry = (*state_)->get(key);
    if (!entry) return Failure(entry.error());
    return StateValue{.key = entry->key,
                      .value = entry->value,
                      .version = entry->version,
                      .written_by = entry->writer,
                      .written_at = time_text(entry->written_unix_ms)};
  }

  Result<StateKeys> list(const PageArguments& arguments) {
    if (!state_) return Failure(state_.error());
    const auto page = (*state_)->list(arguments.prefix, arguments.after, arguments.limit());
    if (!page) return Failure(page.error());
    StateKeys keys;
    for (const storage::StateEntry& entry : page->entries) {
      keys.keys.push_back({.key = entry.key,
                           .version = entry.version,
                           .written_by = entry.writer,
                           .written_at = time_text(entry.written_unix_ms)});
    }
    if (!page->next.empty()) keys.next = page->next;
    return keys;
  }

  Result<ArtifactDescription> put_artifact(const ArtifactPutArguments& arguments, const Call& call) {
    if (!artifacts_) return Failure(artifacts_.error());
    std::optional<std::string> bytes = arguments.content;
    if (arguments.encoding == Encoding::base64) bytes = base64::decode(arguments.content);
    if (!bytes) return fail(ErrorCode::invalid_argument, "'content' is not Base64 (RFC 4648, with padding).");
    const std::string_view type =
        arguments.encoding == Encoding::text ? "text/plain" : "application/octet-stream";
    const auto info = (*artifacts_)
                          ->put({.name = arguments.name,
                                 .media_type = arguments.media_type.value_or(std::string(type)),
                                 .bytes = *std::move(bytes),
                                 .writer = call.principal(),
                                 .now = call.clock().wall()});
    if (!info) return Failure(info.error());
    server_.resource_updated("workspace://artifacts/" + arguments.name);
    return describe(*info);
  }

  Result<storage::Artifact> get_artifact(std::string_view name) {
    if (!artifacts_) return Failure(artifacts_.error());
    return (*artifacts_)->get(name);
  }

  Result<ArtifactList> list_artifacts(const PageArguments& arguments) {
    if (!artifacts_) return Failure(artifacts_.error());
    const auto page = (*artifacts_)->list(arguments.prefix, arguments.after, arguments.limit());
    if (!page) return Failure(page.error());
    ArtifactList list;
    for (const storage::ArtifactInfo& info : page->artifacts) list.artifacts.push_back(describe(info));
    if (!page->next.empty()) list.next = page->next;
    return list;
  }

  std::vector<std::string> keys_starting_with(std::string_view prefix) {
    std::vector<std::string> keys;
    const auto page =
        state_ ? (*state_)->list(prefix, {}, 100) : Result<storage::StatePage>(storage::StatePage{});
    if (!page) return keys;
    for (const storage::StateEntry& entry : page->entries) keys.push_back(entry.key);
    return keys;
  }

 private:
  static storage::StateWrite write_of(const std::string& key, std::optional<std::int64_t> expected,
                                      const Call& call) {
    return {.key = key,
            .value = {},
            .expected = expected,
            .writer = call.principal(),
            .now = call.clock().wall()};
  }

  Server& server_;
  std::string version_;
  Result<std::unique_ptr<storage::SharedState>> state_;
  Result<std::unique_ptr<storage::ArtifactStore>> artifacts_;
};

using Shared = std::shared_ptr<Workspace>;

/// nullopt for what is not found, so that the client is told which URI is unknown.
template <class T>
Result<std::optional<T>> found_or_none(Result<T> result) {
  if (result) return std::optional<T>(*std::move(result));
  if (result.error().code() == ErrorCode::not_found) return std::optional<T>();
  return Failure(result.error());
}

void add_state(Server& server, const Shared& workspace) {
  server
      .tool<PutArguments>(
          "state_put", "Stores a value under a key, for every task and client of this service.",
          [workspace](const PutArguments& arguments, Call& call) { return workspace->put(arguments, call); })
      .title("Put state")
      .closed_world();
  server
      .tool<Key>("state_get", "Reads the value of a key, with its version.",
                 [workspace](const Key& arguments) { return workspace->get(arguments.key); })
      .title("Get state")
      .read_only()
      .closed_world();
  server
      .tool<PageArguments>("state_list", "Lists keys and their versions, in order.",
                           [workspace](const PageArguments& arguments) { return workspace->list(arguments); })
      .title("List state")
      .read_only()
      .closed_world();
  server
      .tool<DeleteArguments>("state_delete", "Deletes a key.",
                             [workspace](const DeleteArguments& arguments, Call& call) {
                               return workspace->erase(arguments, call);
                             })
      .title("Delete state")
      .closed_world();
  const auto read = [workspace](const Key& variables) -> Result<std::optional<std::string>> {
    auto value = found_or_none(workspace->get(variables.key));
    if (!value) return Failure(value.error());
    return *value ? std::optional((*value)->value) : std::nullopt;
  };
  server.resource_template<Key>("workspace://state/{+key}", "state", read)
      .title("Shared state")
      .description("The value of a key; watched, it tells every change by any task.")
      .complete("key", [workspace](const Completion& completion) {
        return workspace->keys_starting_with(completion.value);
      });
}

void add_artifacts(Server& server, const Shared& workspace) {
  server
      .tool<ArtifactPutArguments>("artifact_put", "Stores a file for every task and client of this service.",
                                  [workspace](const ArtifactPutArguments& arguments, Call& call) {
                                    return workspace->put_artifact(arguments, call);
                                  })
      .title("Put artifact")
      .idempotent()
      .closed_world();
  const auto get = [workspace](const ArtifactName& arguments) -> Result<ToolResult> {
    auto artifact = workspace->get_artifact(arguments.name);
    if (!artifact) return Failure(artifact.error());
    const auto contents = artifact_contents("workspace://artifacts/" + arguments.name, *std::move(artifact));
    return ToolResult(Content::resource(contents));
  };
  server.tool<ArtifactName>("artifact_get", "Reads a stored file.", get)
      .title("Get artifact")
      .read_only()
      .closed_world();
  server
      .tool<PageArguments>(
          "artifact_list", "Lists stored files with media type, size and SHA-256.",
          [workspace](const PageArguments& arguments) { return workspace->list_artifacts(arguments); })
      .title("List artifacts")
      .read_only()
      .closed_world();
  const auto read = [workspace](const ArtifactName& variables) -> Result<std::optional<ResourceContents>> {
    auto artifact = found_or_none(workspace->get_artifact(variables.name));
    if (!artifact) return Failure(artifact.error());
    if (!*artifact) return std::optional<ResourceContents>();
    return std::optional(artifact_contents({}, **std::move(artifact)));
  };
  server.resource_template<ArtifactName>("workspace://artifacts/{+name}", "artifacts", read)
      .title("Artifacts")
      .description("A stored file.");
}

Task<std::string> count_down(CountdownArguments arguments, Call& call) {
  for (std::int32_t left = arguments.from; left > 0; --left) {
    call.progress(arguments.from - left, arguments.from, fmt::format("{} to go", left));
    call.log(LoggingLevel::info, fmt::format("{}", left), "countdown");
    co_await call.clock().sleep_for(std::chrono::milliseconds(arguments.step_ms));
  }
  call.progress(arguments.from, arguments.from, "done");
  co_return fmt::format("Counted down from {}.", arguments.from);
}

Task<Confirmed> confirm(ConfirmArguments arguments, Call& call) {
  const auto answer = co_await call.elicit<Confirmation>(arguments.question);
  co_return Confirmed{.confirmed = answer.accepted() && answer.value.yes,
                      .action = std::string(to_string(answer.action)),
                      .comment = answer.value.comment};
}

void add_rest(Server& server, const Shared& workspace) {
  server
      .tool<EchoArguments>("echo", "Answers with the message it was given.",
                           [](const EchoArguments& arguments) { return arguments.message; })
      .title("Echo")
      .read_only()
      .closed_world();
  const auto who = [workspace](Call& call) {
    return WhoAmI{.task = std::string(call.task()),
                  .zone = std::string(call.zone()),
                  .principal = call.principal(),
                  .version = workspace->version()};
  };
  server.tool("whoami", "Tells which task answers, in which zone, and as whom you are known.", who)
      .title("Who am I")
      .read_only()
      .closed_world();
  server.tool<CountdownArguments>("countdown", "Counts down slowly and tells its progress.", count_down)
      .title("Countdown")
      .read_only()
      .closed_world();
  server
      .tool<ConfirmArguments>("confirm", "Asks the user a yes-or-no question and tells the answer.", confirm)
      .title("Confirm")
      .read_only();
  server
      .resource("workspace://about", "about",
                [workspace](Call& call) {
                  return fmt::format("Berth workspace {}: task {} in zone {}.\n", workspace->version(),
                                     call.task(), call.zone());
                })
      .title("About this workspace");
  server
      .prompt<SummarizeArguments>("summarize_state", "Has the model summarize a stored value.",
                                  [workspace](const SummarizeArguments& arguments) -> Result<PromptResult> {
                                    const auto value = workspace->get(arguments.key);
                                    if (!value) return Failure(value.error());
                                    const auto contents = ResourceContents{.uri = state_uri(value->key),
                                                                           .media_type = "text/plain",
                                                                           .text = value->value};
                                    return PromptResult{user("Summarize this in a few sentences."),
                                                        user(Content::resource(contents))};
                                  })
      .title("Summarize state")
      .complete("key", [workspace](const Completion& completion) {
        return workspace->keys_starting_with(completion.value);
      });
}

}  // namespace

std::unique_ptr<Server> make_workspace_server(WorkspaceOptions options) {
  auto server = std::make_unique<Server>("workspace", options.version);
  server->title("Berth workspace")
      .instructions(
          "Shared state and files for everybody who uses this service, whichever task answers. To change a "
          "value that "
          "others may change too, read it with state_get and write it with state_put and expected_version; "
          "on a "
          "conflict read again.");
  const auto workspace = std::make_shared<Workspace>(*server, options);
  add_state(*server, workspace);
  add_artifacts(*server, workspace);
  add_rest(*server, workspace);
  return server;
}

}  // namespace berth::task
