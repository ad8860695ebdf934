#include "postgres/known_commit.h"
#include "run/triggers.h"
#include "run/triggers_sql.h"

namespace terrane::run {
namespace {

json::object linkage(const std::string& workspace) {
  return {{"data", json::object{{"id", workspace}, {"type", "workspaces"}}},
          {"links", json::object{{"related", "/api/v2/workspaces/" + workspace}}}};
}

RunTrigger from_row(const postgres::Row& row) {
  return {Id<RunTrigger>(row.string("id")), row.string("workspace_id"),    row.string("workspace_name"),
          row.string("sourceable_id"),      row.string("sourceable_name"), row.time("created_at")};
}

json::object document(const RunTrigger& trigger) {
  return {{"id", trigger.id.text()},
          {"type", "run-triggers"},
          {"attributes", json::object{{"workspace-name", trigger.workspace_name},
                                      {"sourceable-name", trigger.sourceable_name},
                                      {"created-at", iso8601(trigger.created_at)}}},
          {"relationships", json::object{{"workspace", linkage(trigger.workspace)},
                                         {"sourceable", linkage(trigger.sourceable)}}},
          {"links", json::object{{"self", "/api/v2/run-triggers/" + trigger.id.text()}}}};
}

Task<std::optional<RunTrigger>> find_trigger(postgres::Tx& tx, std::string id) {
  postgres::Result rows = co_await tx.run(sql::trigger_find, postgres::Params::of(id));
  if (rows.empty()) co_return std::nullopt;
  co_return from_row(rows[0]);
}

/// A trigger that the caller may read: who may read either of its workspaces.
Task<RunTrigger> require_trigger(postgres::Tx& tx, const http::Request& request) {
  std::optional<RunTrigger> trigger = co_await find_trigger(tx, request.parameter("id"));
  if (!trigger) throw Error(Code::not_found, "");
  const std::vector<std::string> ends{trigger->workspace, trigger->sourceable};
  const auto visible = co_await organization::access_to_workspaces(tx, api::principal(request), ends);
  if (visible.empty()) throw Error(Code::not_found, "");
  co_return *std::move(trigger);
}

/// A trigger that the caller may take away: who may change the workspace in which it queues runs.
Task<RunTrigger> require_changeable_trigger(postgres::Tx& tx, const http::Request& request) {
  RunTrigger trigger = co_await require_trigger(tx, request);
  auto access = co_await organization::access_to_workspace(tx, api::principal(request), trigger.workspace);
  if (!access.update) throw Error(Code::not_found, "");
  co_return trigger;
}

/// Whether a list is of what comes into the workspace, or of what goes out.
bool wants_inbound(const http::Request& request) {
  std::string_view given = request.query.find("filter[run-trigger][type]").value_or("");
  if (given != "inbound" && given != "outbound")
    throw Error(Code::invalid, "filter[run-trigger][type] is required and must be inbound or outbound.");
  return given == "inbound";
}

}  // namespace

void TriggerApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = TriggerApi;
  const std::string all = "/api/v2/workspaces/:id/run-triggers";
  router.add({Method::get, all, api::bind<&Self::list>(this)},
             {.query = "filter[run-trigger][type] include"});
  router.add({Method::post, all, api::bind<&Self::create>(this), 64 * 1024});
  router.add({Method::get, "/api/v2/run-triggers/:id", api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::del, "/api/v2/run-triggers/:id", api::bind<&Self::remove>(this)});
  includes_.add_relation("run-triggers", "workspace", {"workspaces"});
  includes_.add_relation("run-triggers", "sourceable", {"workspaces"});
}

Task<http::Response> TriggerApi::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  const bool inbound = wants_inbound(request);
  postgres::Tx tx = co_await database_.begin();
  auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  postgres::Result count =
      co_await tx.run(sql::trigger_count, postgres::Params::of(seen.workspace.id, inbound));
  postgres::Result rows = co_await tx.run(
      sql::trigger_list, postgres::Params::of(seen.workspace.id, inbound, page.size, page.offset()));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(document(from_row(rows[i])));
  co_return co_await includes_.answer_list(request, tx, "run-triggers", std::move(data), page,
                                           count[0].integer("total"));
}

Task<http::Response> TriggerApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, "run-triggers", 64 * 1024);
  const std::string pointer = "/data/relationships/sourceable";
  std::optional<std::string> source = jsonapi::related_id(data, "sourceable");
  if (!source) throw Error(Code::unprocessable, "A run trigger needs a source workspace.", pointer);
  const Id<RunTrigger> id = Id<RunTrigger>::make();
  std::function<Task<RunTrigger>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<RunTrigger> {
    auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"),
                                            workspace::RowLock::yes);
    if (!seen.access.update) throw Error(Code::not_found, "");
    std::optional<Workspace> other = co_await workspace::find(tx, *source);
    auto access = co_await organization::access_to_workspace(tx, api::principal(request), *source);
    if (!other || !access.read || other->organization_id != seen.workspace.organization_id)
      throw Error(Code::not_found, "There is no such workspace in this organization.", pointer);
    if (other->id == seen.workspace.id)
      throw Error(Code::unprocessable, "A workspace cannot trigger its own runs.", pointer);
    postgres::Result count =
        co_await tx.run(sql::trigger_count, postgres::Params::of(seen.workspace.id, true));
    if (count[0].integer("total") >= most_sources) {
      throw Error(Code::unprocessable,
                  "A workspace has at most " + std::to_string(most_sources) + " source workspaces.", pointer);
    }
    try {
      co_await tx.run(sql::trigger_insert, postgres::Params::of(id, seen.workspace.id, other->id));
    } catch (const Error& error) {
      if (postgres::violated_constraint(error) != "run_triggers_workspace_id_sourceable_id_key") throw;
      throw Error(Code::unprocessable, "The workspace has this source already.", pointer);
    }
    std::optional<RunTrigger> made = co_await find_trigger(tx, id.text());
    co_return made.value();
  };
  std::function<Task<std::optional<RunTrigger>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find_trigger(tx, id.text());
  };
  RunTrigger made = co_await postgres::transact_create<RunTrigger>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(document(made)));
}

Task<http::Response> TriggerApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  RunTrigger trigger = co_await require_trigger(tx, request);
  co_return co_await includes_.answer(request, tx, 200, document(trigger));
}

Task<http::Response> TriggerApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    RunTrigger trigger = co_await require_changeable_trigger(tx, request);
    co_await tx.run(sql::trigger_delete, postgres::Params::of(trigger.id));
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::run
