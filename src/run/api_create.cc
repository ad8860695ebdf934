#include "base/text.h"
#include "configversion/configversion.h"
#include "crypto/hash.h"
#include "installation/version.h"
#include "run/api.h"
#include "run/run_sql.h"

namespace terrane::run {
namespace {

constexpr std::size_t answered_limit = 10'000;
constexpr std::string_view default_message = "Queued manually via the Terraform Enterprise API";

/// The run's own variables: a list of `{key, value}` whose values are HCL expressions. Nothing when none are
/// given.
std::optional<json::array> own_variables(const json::object& data) {
  const json::object* attributes = find_object(data, "attributes");
  const json::value* given = attributes ? attributes->if_contains("variables") : nullptr;
  if (!given || given->is_null()) return std::nullopt;
  if (!given->is_array())
    throw Error(Code::unprocessable, "The variables must be a list of keys and values.",
                "/data/attributes/variables");
  const json::array* list = &given->get_array();
  if (list->empty()) return std::nullopt;
  json::array out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string pointer = "/data/attributes/variables/" + std::to_string(i);
    const json::object* item = (*list)[i].if_object();
    std::optional<std::string> key = item ? find_string(*item, "key") : std::nullopt;
    std::optional<std::string> value = item ? find_string(*item, "value") : std::nullopt;
    if (!key || key->empty() || !value)
      throw Error(Code::unprocessable, "A variable must have a key and a value, both strings.", pointer);
    if (!is_clean_utf8(*key) || !is_clean_utf8(*value))
      throw Error(Code::unprocessable, "A variable must be UTF-8 text without NUL.", pointer);
    out.push_back(json::object{{"key", *key}, {"value", *value}});
  }
  return out;
}

/// The run as the request describes it, before it is checked against the workspace.
Run described(const json::object& data) {
  Run run;
  run.message = default_message;
  jsonapi::decode(resource(), data, jsonapi::create, &run);
  if (run.message.empty()) run.message = default_message;
  if (run.message.size() > 16 * 1024)
    throw Error(Code::unprocessable, "The message has at most 16 KiB.", "/data/attributes/message");
  if (!run.terraform_version.empty() && !run.plan_only) {
    throw Error(Code::unprocessable, "Terraform version can only be set for plan-only runs",
                "/data/attributes/terraform-version");
  }
  if (!run.terraform_version.empty() && !installation::is_version_or_constraint(run.terraform_version)) {
    throw Error(Code::unprocessable, "The version must be one such as 1.9.0, a constraint, or latest.",
                "/data/attributes/terraform-version");
  }
  if (run.is_destroy && run.refresh_only)
    throw Error(Code::unprocessable, "A run cannot both destroy and only refresh.",
                "/data/attributes/refresh-only");
  return run;
}

/// Checks the request against workspace and configuration version, and fills in what follows from them.
void complete(Run& run, const json::object& data, const Workspace& workspace,
              const ConfigurationVersion& configuration) {
  const json::object* attributes = find_object(data, "attributes");
  if (!attributes || !find_bool(*attributes, "auto-apply")) run.auto_apply = workspace.auto_apply;
  if (configuration.speculative) run.plan_only = true;
  if (run.plan_only || run.save_plan) run.auto_apply = false;
  if (run.terraform_version.empty()) run.terraform_version = workspace.terraform_version;
  if (workspace.execution_mode == "local") {
    throw Error(Code::unprocessable,
                "The workspace's execution mode is local: runs execute on your own machine.");
  }
  if (run.is_destroy && !workspace.allow_destroy_plan && !run.plan_only) {
    throw Error(Code::unprocessable, "Destroy plans are not allowed in this workspace.",
                "/data/attributes/is-destroy");
  }
  if (run.plan_only && configuration.speculative && !workspace.speculative_enabled) {
    throw Error(Code::unprocessable, "Speculative plans are not enabled in this workspace.");
  }
  if (!configuration.usable()) {
    throw Error(
        Code::unprocessable,
        "The configuration version is " + configuration.shown_status() + "; a run needs an uploaded one.",
        "/data/relationships/configuration-version");
  }
}

}  // namespace

Task<http::Response> Api::create(http::Request& request) {
  std::string body = co_await http::read_body(request, 1024 * 1024);
  json::object data = jsonapi::parse_data(body, "runs");
  const api::Principal& principal = api::principal(request);
  std::optional<std::string> workspace_id = jsonapi::related_id(data, "workspace");
  if (!workspace_id)
    throw Error(Code::unprocessable, "A run needs a workspace.", "/data/relationships/workspace");
  Run run = described(data);
  std::optional<json::array> variables = own_variables(data);
  run.id = Id<Run>::make();
  std::optional<std::string> sealed;
  if (variables) {
    Secret text(json::serialize(*variables));
    sealed = co_await needs_.vault.encrypt("terrane", text, run.id.text());
  }

  postgres::Tx tx = co_await needs_.database.begin();
  auto seen = co_await workspace::require(tx, principal, *workspace_id, workspace::RowLock::yes);
  if (!seen.access.queue_runs || principal.kind == api::Principal::Kind::organization)
    throw Error(Code::not_found, "");
  std::optional<std::string> wanted = jsonapi::related_id(data, "configuration-version");
  std::optional<ConfigurationVersion> configuration;
  if (wanted)
    configuration = co_await configversion::find(tx, *wanted);
  else
    configuration = co_await configversion::latest(tx, *workspace_id);
  if (wanted && (!configuration || configuration->workspace != *workspace_id)) {
    throw Error(Code::not_found, "There is no such configuration version.",
                "/data/relationships/configuration-version");
  }
  if (!configuration)
    throw Error(Code::unprocessable, "Configuration version is missing: upload a configuration first.");
  complete(run, data, seen.workspace, *configuration);

  // A client that lost our answer sends the same again: it gets the run it made (invariant 8).
  std::string key = hex(crypto::hash(crypto::HashKind::sha256,
                                     principal.token_id + "\n" + configuration->id.text() + "\n" + body));
  postgres::Result unanswered = co_await tx.run(sql::run_unanswered, postgres::Params::of(key));
  if (!unanswered.empty() && !answered_.contains(unanswered[0].string("id"))) {
    Id<Run> known(unanswered[0].string("id"));
    co_await tx.commit();
    co_return co_await answer_with(request, known, 201);
  }

  run.workspace = *workspace_id;
  run.configuration_version = configuration->id.text();
  NewRun wanted_run{run, sealed, principal.id, key};
  co_await insert(tx, wanted_run);
  co_await tx.commit();
  co_return co_await answer_with(request, run.id, 201);
}

Task<http::Response> Api::answer_with(http::Request& request, Id<Run> id, int status) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, id.text(), workspace::RowLock::no);
  json::object shown = co_await document(tx, seen);
  http::Response response = api::answer(status, jsonapi::document(std::move(shown)));
  auto mark = [](Api& api, std::string run) -> Task<> {
    co_await api.needs_.database.query(sql::run_mark_answered, postgres::Params::of(run));
    api.answered_.erase(run);
  };
  response.after_sent = [this, mark, run = id.text()] {
    // The client may ask for another run before the database has this.
    if (answered_.size() >= answered_limit) answered_.clear();
    answered_.insert(run);
    net::spawn(needs_.executor, "mark run answered", mark(*this, run));
  };
  co_return response;
}

}  // namespace terrane::run
