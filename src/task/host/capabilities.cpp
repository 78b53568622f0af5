#include "task/host/capabilities.h"

#include "codec/json.h"

namespace berth::task::host {

namespace {

/// Longer `extensions` objects are left out: they would become keys of children.
constexpr std::size_t extensions_bytes_max = 4096;
constexpr std::string_view session_prefix = "session:";

std::string read_extensions(json::Slice extensions) {
  if (!extensions.is(json::Kind::object)) return {};
  std::string text = json::edit(extensions, {{tasks_extension, std::nullopt}});
  if (text.size() > extensions_bytes_max || text.size() <= 2) return {};
  for (char& byte : text) {
    if (byte == '\n' || byte == '\r') byte = ' ';
  }
  return text;
}

void append_member(std::string& out, std::string_view member) {
  if (out.size() > 1) out += ',';
  out += member;
}

}  // namespace

std::string CapabilitySet::to_json() const {
  std::string out = "{";
  if (elicitation_form && elicitation_url) append_member(out, R"("elicitation":{"form":{},"url":{}})");
  if (elicitation_form && !elicitation_url) append_member(out, R"("elicitation":{})");
  if (!elicitation_form && elicitation_url) append_member(out, R"("elicitation":{"url":{}})");
  if (sampling) {
    std::string inside;
    if (sampling_tools) inside += R"("tools":{})";
    if (sampling_context) inside += inside.empty() ? R"("context":{})" : R"(,"context":{})";
    append_member(out, R"("sampling":{)" + inside + "}");
  }
  if (roots) append_member(out, R"("roots":{"listChanged":true})");
  if (!extensions.empty()) append_member(out, R"("extensions":)" + extensions);
  return out + "}";
}

CapabilitySet read_capabilities(std::string_view json) {
  CapabilitySet set;
  if (json.empty() || json == "{}") return set;
  const json::Slice capabilities = json::Slice::trusted(json);
  const json::Slice elicitation = capabilities.find("elicitation");
  if (elicitation.is(json::Kind::object)) {
    set.elicitation_url = elicitation.find("url").exists();
    set.elicitation_form = elicitation.find("form").exists() || !set.elicitation_url;
  }
  const json::Slice sampling = capabilities.find("sampling");
  if (sampling.is(json::Kind::object)) {
    set.sampling = true;
    set.sampling_tools = sampling.find("tools").exists();
    set.sampling_context = sampling.find("context").exists();
  }
  set.roots = capabilities.find("roots").is(json::Kind::object);
  set.extensions = read_extensions(capabilities.find("extensions"));
  return set;
}

std::string scope_of(const mcp::Caller& caller, model::Isolation isolation) {
  switch (isolation) {
    case model::Isolation::shared:
    case model::Isolation::service: return {};
    case model::Isolation::principal: return caller.principal;
    case model::Isolation::session: break;
  }
  // The prefix keeps a principal from ever naming a session.
  return caller.session.empty() ? "principal:" + caller.principal
                                : std::string(session_prefix) + caller.session;
}

PoolKey legacy_key(const mcp::Caller& caller, model::Isolation isolation, const CapabilitySet& capabilities) {
  if (isolation == model::Isolation::service) return sole_key();
  PoolKey key{scope_of(caller, isolation), capabilities};
  if (isolation != model::Isolation::session || caller.session.empty()) return key;
  const json::Slice info = json::Slice::trusted(caller.client_info);
  // Servers refuse an initialize whose client lacks one of the two.
  if (info.find("name").is(json::Kind::string) && info.find("version").is(json::Kind::string))
    key.client_info = caller.client_info;
  return key;
}

bool narrow_to_scope(mcp::Change& change, const std::string& scope, model::Isolation isolation) {
  const bool is_message = change.kind == mcp::Change::Kind::message;
  switch (isolation) {
    case model::Isolation::shared:
    case model::Isolation::service: return !is_message;  // which may concern one of the callers alone
    case model::Isolation::principal: change.principal = scope; return true;
    case model::Isolation::session: break;
  }
  // A needless refresh harms nobody; a message is for the one session there is, if there is one.
  if (!is_message) return true;
  if (!scope.starts_with(session_prefix)) return false;
  change.session = scope.substr(session_prefix.size());
  return true;
}

}  // namespace berth::task::host
