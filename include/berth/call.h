#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "berth/content.h"
#include "berth/detail/link.h"
#include "mcp/core.h"

/// What a running call can do beside answering: tell its progress, log, and ask the user. Asking works the
/// same for every client: for modern ones the call is answered with `input_required` and goes on when the
/// client retries, for older ones the client gets a request of its own; a handler sees neither, it awaits.
namespace berth {

using mcp::LoggingLevel;

/// What a client may be able to do for a server.
enum class Capability : std::uint8_t { form, url, sampling, roots };

/// Names an ask within its round, for clients that show or script it. By default the library counts.
struct Key {
  explicit Key(std::string text) : name(std::move(text)) {}
  std::string name;
};

enum class Action : std::uint8_t { accept, decline, cancel };
std::string_view to_string(Action action);

/// The user's answer to a form whose fields are T's members.
template <class T>
struct Elicited {
  Action action = Action::cancel;
  T value{};  ///< meaningful when accepted
  bool accepted() const { return action == Action::accept; }
  explicit operator bool() const { return accepted(); }
};

struct Sampled {
  std::string text;  ///< the text blocks of the answer, joined
  std::string model;
  std::string stop_reason;
  Json content;  ///< as the client sent it
};

struct Root {
  std::string uri;
  std::string name;
};

/// Something to ask in a round: an Elicit, ElicitForm, ElicitUrl, Sample or ListRoots. Each has `Answer`,
/// what the round gives back for it.
class Ask {
 public:
  const detail::RawAsk& raw() const { return raw_; }

 protected:
  Ask(Capability capability, std::string method, std::string params, Key key);
  detail::RawAsk raw_;
};

/// A form made from a described struct of strings, integers, doubles, bools and enums (the protocol has no
/// deeper forms). Members' annotations show as titles, descriptions, bounds and defaults.
template <DescribedStruct T>
class Elicit : public Ask {
 public:
  using Answer = Elicited<T>;
  explicit Elicit(std::string_view message, Key key = Key({}))
      : Ask(Capability::form, "elicitation/create",
            detail::form_params(message, detail::schema_text(detail::shape_of<T>(), detail::Unknown::unsaid)),
            std::move(key)) {
    raw_.fits = [](json::Slice content) { return from_json<T>(content).has_value(); };
  }
  static Answer read(json::Slice response) {
    Answer answer;
    answer.action = detail::read_action(response);
    if (!answer.accepted()) return answer;
    auto value = from_json<T>(response.find("content"));
    if (value) answer.value = std::move(*value);
    return answer;
  }
};

/// A form with a schema of one's own (JSON text), for what a struct cannot say; the answer's content stays
/// JSON.
class ElicitForm : public Ask {
 public:
  using Answer = Elicited<Json>;
  ElicitForm(std::string_view message, std::string schema, Key key = Key({}));
  static Answer read(json::Slice response);
};

/// Sends the user to a page (a sign-in, a payment): accepted means that they agreed to go, not that they
/// finished.
class ElicitUrl : public Ask {
 public:
  using Answer = Action;
  ElicitUrl(std::string_view message, std::string_view url, Key key = Key({}));
  static Answer read(json::Slice response) { return detail::read_action(response); }
};

/// Asks the client's model.
class Sample : public Ask {
 public:
  using Answer = Sampled;
  explicit Sample(std::string_view prompt, std::size_t tokens_max = 1024, Key key = Key({}));
  /// `params` of sampling/createMessage as JSON text, for everything else the protocol offers.
  explicit Sample(Json params, Key key = Key({}));
  static Answer read(json::Slice response);
};

/// Asks which folders the client works in.
class ListRoots : public Ask {
 public:
  using Answer = std::vector<Root>;
  explicit ListRoots(Key key = Key({}));
  static Answer read(json::Slice response);
};

/// One call under way, as its handler sees it. Lives as long as the handler runs, however many rounds of
/// asking that takes. Asks are for tools, prompts and resources; they need a handler that is a coroutine.
class Call {
 public:
  explicit Call(detail::CallLink& link) : link_(link) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Who calls: the authenticated subject, or "anonymous".
  const std::string& principal() const { return link_.caller().principal; }
  const mcp::Caller& caller() const { return link_.caller(); }
  /// The task that runs this call ("1", zone "a"); of a stdio server: "stdio", no zone.
  std::string_view task() const { return link_.place().task; }
  std::string_view zone() const { return link_.place().zone; }
  Clock& clock() const { return link_.clock(); }
  /// Whether asking for it can succeed. A call that asks for what its client cannot do ends with -32021.
  bool client_can(Capability capability) const;

  /// Tells how far the call is; dropped unless the client asked for progress and `done` has grown.
  void progress(double done, std::optional<double> total = std::nullopt, std::string_view message = {});
  /// A log message to the client; dropped unless the client asked for messages this severe.
  void log(LoggingLevel level, std::string_view message, std::string_view logger = {});

  /// Asks everything in one round and waits for all the answers, as a tuple in the order asked. A call
  /// waits for its user for `input_timeout` (berth.yaml) and is then cancelled: the coroutine unwinds and
  /// never resumes here.
  ///     const auto answers = co_await call.ask(berth::Elicit<Name>("Who are you?"), berth::ListRoots());
  template <std::derived_from<Ask>... Asks>
  Task<std::tuple<typename Asks::Answer...>> ask(Asks... asks) {
    std::vector<detail::RawAsk> raw;
    (raw.push_back(asks.raw()), ...);
    const std::vector<std::string> texts = co_await link_.ask(std::move(raw));
    std::size_t index = 0;
    // Braces evaluate left to right.
    co_return std::tuple<typename Asks::Answer...>{Asks::read(json::Slice::trusted(texts[index++]))...};
  }

  /// Asks any number of things found out at run time; the answers are the responses as they came.
  Task<std::vector<Json>> ask(std::vector<Ask> asks);

  template <DescribedStruct T>
  Task<Elicited<T>> elicit(std::string message, Key key = Key({})) {
    auto answers = co_await ask(Elicit<T>(message, std::move(key)));
    co_return std::get<0>(std::move(answers));
  }
  Task<Action> elicit_url(std::string message, std::string url, Key key = Key({}));
  Task<Sampled> sample(std::string prompt, std::size_t tokens_max = 1024, Key key = Key({}));
  Task<std::vector<Root>> list_roots(Key key = Key({}));

 private:
  detail::CallLink& link_;
};

}  // namespace berth
