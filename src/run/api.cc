#include "run/api.h"

#include "base/text.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"
#include "run/waits.h"

namespace terrane::run {
namespace {

json::object linkage(std::string_view type, const std::optional<std::string>& id) {
  if (!id || id->empty()) return {{"data", nullptr}};
  return {{"data", json::object{{"id", *id}, {"type", type}}}};
}

json::array id_list(const postgres::Result& rows, std::string_view type) {
  json::array out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(json::object{{"id", rows[i].string("id")}, {"type", type}});
  return out;
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  router.add({Method::post, "/api/v2/runs", api::bind<&Api::create>(this)});
  router.add({Method::get, "/api/v2/runs/:id", api::bind<&Api::show>(this)}, {.query = "include"});
  router.add({Method::get, "/api/v2/workspaces/:id/runs", api::bind<&Api::list>(this)},
             {.query = "filter[status]"});
  router.add({Method::post, "/api/v2/runs/:id/actions/apply", api::bind<&Api::confirm>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/discard", api::bind<&Api::discard>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/cancel", api::bind<&Api::cancel>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/force-cancel", api::bind<&Api::force_cancel>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::get, "/api/v2/runs/:id/run-events", api::bind<&Api::events>(this)},
             {Form::all, "run-events"});
  router.add({Method::get, "/api/v2/run-events/:id", api::bind<&Api::event>(this)});
  router.add({Method::get, "/api/v2/organizations/:organization/runs/queue", api::bind<&Api::queue>(this)},
             {Form::page, "runs"});
  router.add({Method::get, "/api/v2/organizations/:organization/capacity", api::bind<&Api::capacity>(this)},
             {Form::one, "organization-capacity"});
  router.add({Method::get, "/api/v2/plans/:id", api::bind<&Api::show_plan>(this)});
  router.add({Method::get, "/api/v2/plans/:id/json-output", api::bind<&Api::plan_json>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/runs/:id/plan", api::bind<&Api::run_plan>(this)}, {Form::one, "plans"});
  router.add({Method::get, "/api/v2/runs/:id/plan/json-output", api::bind<&Api::run_plan_json>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/applies/:id", api::bind<&Api::show_apply>(this)});
  router.add({Method::get, "/api/v2/runs/:id/apply", api::bind<&Api::run_apply>(this)},
             {Form::one, "applies"});
  router.add({Method::get, "/api/v2/applies/:id/import-list", api::bind<&Api::import_list>(this)},
             {Form::text});
}

Task<Api::Seen> Api::require(postgres::Tx& tx, const http::Request& request, const std::string& id,
                             workspace::RowLock lock) {
  std::optional<Run> run = co_await find(tx, id);
  if (!run) throw Error(Code::not_found, "");
  auto seen = co_await workspace::require(tx, api::principal(request), run->workspace, lock);
  if (lock == workspace::RowLock::yes) run = co_await find_locked(tx, id);
  if (!run) throw Error(Code::not_found, "");
  co_return Seen{*std::move(run), std::move(seen.workspace), seen.access};
}

Task<json::object> Api::document(postgres::Tx& tx, const Seen& seen) {
  const Run& run = seen.run;
  const Status status = run.state();
  json::object out = jsonapi::encode(resource(), &run, run.id.text());
  json::object& attributes = out["attributes"].as_object();
  attributes["plan-only"] = run.plan_only;
  attributes["actions"] = json::object{
      {"is-cancelable", is_cancelable(status)},
      {"is-confirmable", is_confirmable(status)},
      {"is-discardable", is_discardable(status)},
      {"is-force-cancelable", run.force_cancel_available_at.has_value() && is_executing(status) &&
                                  *run.force_cancel_available_at <= now()}};
  attributes["permissions"] = json::object{{"can-apply", seen.access.apply_runs},
                                           {"can-cancel", seen.access.queue_runs},
                                           {"can-comment", seen.access.queue_runs},
                                           {"can-discard", seen.access.apply_runs},
                                           {"can-force-execute", seen.access.apply_runs},
                                           {"can-force-cancel", seen.access.update && seen.access.apply_runs},
                                           {"can-override-policy-check", false}};
  std::optional<std::string> wait;
  if (may_wait(status)) wait = co_await waiting_for(tx, run.id.text());
  attributes["waiting-for"] = wait ? json::value(*wait) : json::value();
  attributes["variables"] = nullptr;
  if (!run.sealed_variables.empty() && seen.access.read_variables) {
    Secret text = co_await needs_.vault.decrypt("terrane", run.sealed_variables, run.id.text());
    attributes["variables"] = parse_json(text.reveal());
  }
  postgres::Result events = co_await tx.run(sql::run_events, postgres::Params::of(run.id));
  postgres::Result comments = co_await tx.run(sql::run_comments, postgres::Params::of(run.id));
  out["relationships"] =
      json::object{{"workspace", linkage("workspaces", run.workspace)},
                   {"configuration-version", linkage("configuration-versions", run.configuration_version)},
                   {"created-by", linkage("users", run.created_by)},
                   {"confirmed-by", linkage("users", run.confirmed_by)},
                   {"plan", linkage("plans", run.plan)},
                   {"apply", linkage("applies", run.apply)},
                   {"cost-estimate", linkage("cost-estimates", std::nullopt)},
                   {"policy-checks", json::object{{"data", json::array()}}},
                   {"task-stages", json::object{{"data", json::array()}}},
                   {"run-events", json::object{{"data", id_list(events, "run-events")}}},
                   {"comments", json::object{{"data", id_list(comments, "comments")}}}};
  out["links"] = json::object{{"self", "/api/v2/runs/" + run.id.text()}};
  co_return out;
}

Task<json::array> Api::included(postgres::Tx& tx, const Seen& seen, const std::set<std::string>& wanted) {
  json::array out;
  if (wanted.contains("workspace")) out.push_back(workspace::document(seen.workspace, seen.access));
  if (wanted.contains("plan")) {
    json::object plan = co_await plan_document(tx, seen.run.plan, seen);
    out.push_back(std::move(plan));
  }
  if (wanted.contains("apply")) {
    json::object apply = co_await apply_document(tx, seen.run.apply, seen);
    out.push_back(std::move(apply));
  }
  if (wanted.contains("created_by") && seen.run.created_by) {
    std::vector<std::string> ids{*seen.run.created_by};
    postgres::Result users = co_await tx.run(sql::run_include_users, postgres::Params::of(ids));
    for (std::size_t i = 0; i < users.size(); ++i) {
      out.push_back(json::object{
          {"id", users[i].string("id")},
          {"type", "users"},
          {"attributes", json::object{{"username", users[i].string("username")},
                                      {"is-service-account", users[i].boolean("is_service_account")}}}});
    }
  }
  co_return out;
}

Task<http::Response> Api::show(http::Request& request) {
  std::set<std::string> wanted =
      api::includes(request, {"workspace", "plan", "apply", "created_by", "task_stages",
                              "configuration_version", "configuration_version.ingress_attributes",
                              "cost_estimate", "policy_checks", "comments", "run_events"});
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  json::object shown = co_await document(tx, seen);
  json::array others = co_await included(tx, seen, wanted);
  co_return api::answer(200, jsonapi::document(std::move(shown), std::move(others)));
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto place = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  std::optional<std::vector<std::string>> statuses;
  if (auto given = request.query.find("filter[status]"); given && !given->empty()) {
    statuses.emplace();
    for (std::string_view part : split(*given, ',')) statuses->emplace_back(part);
  }
  postgres::Result rows = co_await tx.run(
      sql::run_list, postgres::Params::of(place.workspace.id, statuses, page.size, page.offset()));
  postgres::Result count =
      co_await tx.run(sql::run_count, postgres::Params::of(place.workspace.id, statuses));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Seen seen{run_from_row(rows[i]), place.workspace, place.access};
    json::object shown = co_await document(tx, seen);
    data.push_back(std::move(shown));
  }
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, count[0].integer("total"), request.path));
}

Task<> Api::add_comment(postgres::Tx& tx, http::Request& request, const Seen& seen,
                        const json::object& body) {
  std::optional<std::string> comment = find_string(body, "comment");
  if (!comment || comment->empty()) co_return;
  if (comment->size() > 64 * 1024 || !is_clean_utf8(*comment))
    throw Error(Code::unprocessable, "A comment is UTF-8 text of at most 64 KiB.", "/comment");
  co_await tx.run(sql::run_comment_insert, postgres::Params::of("wsc-" + random_id_suffix(), seen.run.id,
                                                                *comment, api::principal(request).id));
}

Task<http::Response> Api::confirm(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.apply_runs) throw Error(Code::not_found, "");
  if (is_confirmable(seen.run.state()) && !seen.workspace.locked_by("runs", seen.run.id.text())) {
    if (seen.workspace.locked())
      throw Error(Code::conflict,
                  "The run cannot be applied now. " + workspace::lock_description(seen.workspace));
    co_await workspace::set_lock(tx, seen.workspace.id, "runs", seen.run.id.text(), std::nullopt);
  }
  Cause cause{principal.id, "confirmed", {}, {}};
  co_await transition(tx, seen.run, Event::confirm, std::move(cause));
  co_await tx.run(sql::run_set_confirmed_by, postgres::Params::of(seen.run.id, principal.id));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  http::Response response;
  response.status = 202;
  co_return response;
}

Task<http::Response> Api::discard(http::Request& request) {
  json::object body = co_await api::read_object(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.apply_runs) throw Error(Code::not_found, "");
  Cause cause{api::principal(request).id, "discarded", {}, {}};
  co_await transition(tx, seen.run, Event::discard, std::move(cause));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  http::Response response;
  response.status = 202;
  co_return response;
}

Task<http::Response> Api::cancel(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.queue_runs) throw Error(Code::not_found, "");
  if (!is_cancelable(seen.run.state()))
    throw Error(Code::conflict, "The run is " + seen.run.status + "; it cannot be canceled.");
  co_await tx.run(sql::run_set_canceled, postgres::Params::of(seen.run.id));
  if (is_executing(seen.run.state())) {
    // The engine is asked to stop; the status will be what it did.
    co_await wish(tx, seen.run, worker_protocol::Wish::cancel);
    json::object detail{{"wish", "cancel"}};
    co_await trace(tx, seen.run.id.text(), principal.id, "cancel wished", detail);
    co_await tx.run(sql::run_wake, postgres::Params::of(seen.run.id));
  } else {
    Cause cause{principal.id, "canceled", {}, {}};
    co_await transition(tx, seen.run, Event::cancel, std::move(cause));
    co_await tx.run(sql::job_cancel_queued, postgres::Params::of(seen.run.id));
  }
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  http::Response response;
  response.status = 202;
  co_return response;
}

Task<http::Response> Api::force_cancel(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.update || !seen.access.apply_runs) throw Error(Code::not_found, "");
  postgres::Result open = co_await tx.run(sql::run_force_cancel_is_open, postgres::Params::of(seen.run.id));
  if (!is_executing(seen.run.state()) || open[0].is_null("open") || !open[0].boolean("open")) {
    throw Error(Code::conflict,
                "A run can be force-canceled when it was canceled and has not ended within a minute.");
  }
  // The lock is freed when the sandbox is confirmed gone, not before.
  co_await tx.run(sql::run_set_force_canceled, postgres::Params::of(seen.run.id));
  co_await wish(tx, seen.run, worker_protocol::Wish::force_cancel);
  json::object detail{{"wish", "force_cancel"}};
  co_await trace(tx, seen.run.id.text(), principal.id, "force-cancel wished", detail);
  co_await tx.run(sql::run_wake, postgres::Params::of(seen.run.id));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  http::Response response;
  response.status = 202;
  co_return response;
}

namespace {

json::object event_document(const postgres::Row& row) {
  // Nodes and the platform itself act too, but are no users.
  std::optional<std::string> actor = row.opt_string("actor_id");
  if (actor && !actor->starts_with("user-")) actor.reset();
  return {{"id", row.string("id")},
          {"type", "run-events"},
          {"attributes",
           json::object{{"action", row.string("action")},
                        {"description",
                         row.is_null("description") ? json::value() : json::value(row.string("description"))},
                        {"created-at", iso8601(row.time("created_at"))}}},
          {"relationships", json::object{{"actor", linkage("users", actor)}}}};
}

}  // namespace

Task<http::Response> Api::events(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  postgres::Result rows = co_await tx.run(sql::run_events, postgres::Params::of(seen.run.id));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(event_document(rows[i]));
  json::object document{{"data", std::move(data)}};
  co_return api::answer(200, document);
}

Task<http::Response> Api::event(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  postgres::Result rows = co_await tx.run(sql::run_event_find, postgres::Params::of(request.parameter("id")));
  if (rows.empty()) throw Error(Code::not_found, "");
  co_await require(tx, request, rows[0].string("run_id"), workspace::RowLock::no);
  co_return api::answer(200, jsonapi::document(event_document(rows[0])));
}

Task<http::Response> Api::queue(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, api::principal(request), organization.id);
  postgres::Result rows = co_await tx.run(
      sql::run_queue, postgres::Params::of(organization.id, page.size, page.offset(), scope.all_workspaces,
                                           scope.projects, scope.workspaces));
  std::vector<std::string> places;
  for (std::size_t i = 0; i < rows.size(); ++i) places.push_back(rows[i].string("workspace_id"));
  const auto accesses = co_await organization::access_to_workspaces(tx, api::principal(request), places);
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Run run = run_from_row(rows[i]);
    auto access = accesses.find(run.workspace);
    std::optional<Workspace> workspace = co_await workspace::find(tx, run.workspace);
    if (!workspace || access == accesses.end()) continue;
    json::object shown = co_await document(tx, Seen{run, *std::move(workspace), access->second});
    shown["attributes"].as_object()["position-in-queue"] = page.offset() + static_cast<std::int64_t>(i);
    data.push_back(std::move(shown));
  }
  // A page past the end has no rows that could tell.
  postgres::Result count = co_await tx.run(
      sql::run_capacity,
      postgres::Params::of(organization.id, scope.all_workspaces, scope.projects, scope.workspaces));
  const std::int64_t total = count[0].integer("pending");
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> Api::capacity(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, api::principal(request), organization.id);
  postgres::Result rows = co_await tx.run(
      sql::run_capacity,
      postgres::Params::of(organization.id, scope.all_workspaces, scope.projects, scope.workspaces));
  json::object document{{"id", organization.name},
                        {"type", "organization-capacity"},
                        {"attributes", json::object{{"pending", rows[0].integer("pending")},
                                                    {"running", rows[0].integer("running")}}}};
  co_return api::answer(200, jsonapi::document(std::move(document)));
}

}  // namespace terrane::run
