#include "run/api.h"

#include "base/text.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"

namespace terrane::run {
void Api::add_routes(http::Router& router) {
  using http::Method;
  router.add({Method::post, "/api/v2/runs", api::bind<&Api::create>(this)});
  router.add({Method::get, "/api/v2/runs/:id", api::bind<&Api::show>(this)});
  router.add({Method::get, "/api/v2/workspaces/:id/runs", api::bind<&Api::list>(this)});
  router.add({Method::post, "/api/v2/runs/:id/actions/apply", api::bind<&Api::confirm>(this)});
  router.add({Method::post, "/api/v2/runs/:id/actions/discard", api::bind<&Api::discard>(this)});
  router.add({Method::post, "/api/v2/runs/:id/actions/cancel", api::bind<&Api::cancel>(this)});
  router.add({Method::post, "/api/v2/runs/:id/actions/force-cancel", api::bind<&Api::force_cancel>(this)});
  router.add({Method::get, "/api/v2/runs/:id/run-events", api::bind<&Api::events>(this)});
  router.add({Method::get, "/api/v2/run-events/:id", api::bind<&Api::event>(this)});
  router.add({Method::get, "/api/v2/organizations/:organization/runs/queue", api::bind<&Api::queue>(this)});
  router.add({Method::get, "/api/v2/organizations/:organization/capacity", api::bind<&Api::capacity>(this)});
  router.add({Method::get, "/api/v2/plans/:id", api::bind<&Api::show_plan>(this)});
  router.add({Method::get, "/api/v2/plans/:id/json-output", api::bind<&Api::plan_json>(this)});
  router.add({Method::get, "/api/v2/runs/:id/plan", api::bind<&Api::run_plan>(this)});
  router.add({Method::get, "/api/v2/runs/:id/plan/json-output", api::bind<&Api::run_plan_json>(this)});
  router.add({Method::get, "/api/v2/applies/:id", api::bind<&Api::show_apply>(this)});
  router.add({Method::get, "/api/v2/runs/:id/apply", api::bind<&Api::run_apply>(this)});
  router.add({Method::get, "/api/v2/applies/:id/import-list", api::bind<&Api::import_list>(this)});
  add_includes();
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
  std::vector<Seen> one{seen};
  std::vector<json::object> out = co_await documents(tx, one);
  co_return std::move(out.front());
}

namespace {

json::object actions(const Run& run) {
  const Status status = run.state();
  return {{"is-cancelable", is_cancelable(status)},
          {"is-confirmable", is_confirmable(status)},
          {"is-discardable", is_discardable(status)},
          {"is-force-cancelable", run.force_cancel_available_at.has_value() && is_executing(status) &&
                                      *run.force_cancel_available_at <= now()}};
}

json::object permissions(const organization::WorkspaceAccess& access) {
  return {{"can-apply", access.apply_runs},         {"can-cancel", access.queue_runs},
          {"can-comment", access.queue_runs},       {"can-discard", access.apply_runs},
          {"can-force-execute", access.apply_runs}, {"can-force-cancel", access.update},
          {"can-override-policy-check", false}};
}

/// What a run has many of, as resource identifiers.
struct Links {
  json::array events, comments;
};

json::object relationships(const Run& run, Links links) {
  return {{"workspace", linkage("workspaces", run.workspace)},
          {"configuration-version", linkage("configuration-versions", run.configuration_version)},
          {"created-by", linkage("users", run.created_by)},
          {"confirmed-by", linkage("users", run.confirmed_by)},
          {"plan", linkage("plans", run.plan)},
          {"apply", linkage("applies", run.apply)},
          {"cost-estimate", linkage("cost-estimates", std::nullopt)},
          {"policy-checks", json::object{{"data", json::array()}}},
          {"task-stages", json::object{{"data", json::array()}}},
          {"run-events", json::object{{"data", std::move(links.events)}}},
          {"comments", json::object{{"data", std::move(links.comments)}}}};
}

}  // namespace

Task<std::vector<json::object>> Api::documents(postgres::Tx& tx, const std::vector<Seen>& runs) {
  Ids ids;
  for (const Seen& seen : runs) ids.push_back(seen.run.id.text());
  postgres::Result rows = co_await tx.run(sql::run_links, postgres::Params::of(ids));
  std::map<std::string, Links> links;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string type = rows[i].string("type");
    Links& own = links[rows[i].string("run_id")];
    json::array& list = type == "comments" ? own.comments : own.events;
    list.push_back(json::object{{"id", rows[i].string("id")}, {"type", type}});
  }
  std::vector<json::object> out;
  for (const Seen& seen : runs) {
    const Run& run = seen.run;
    json::object shown = jsonapi::encode(resource(), &run, run.id.text());
    json::object& attributes = shown["attributes"].as_object();
    attributes["plan-only"] = run.plan_only;
    attributes["actions"] = actions(run);
    attributes["permissions"] = permissions(seen.access);
    attributes["variables"] = nullptr;
    if (!run.sealed_variables.empty() && seen.access.read_variables) {
      Secret text = co_await needs_.vault.decrypt("terrane", run.sealed_variables, run.id.text());
      attributes["variables"] = parse_json(text.reveal());
    }
    shown["relationships"] = relationships(run, std::move(links[run.id.text()]));
    shown["links"] = json::object{{"self", "/api/v2/runs/" + run.id.text()}};
    out.push_back(std::move(shown));
  }
  co_return out;
}

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  json::object shown = co_await document(tx, seen);
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto place = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  std::optional<std::vector<std::string>> statuses = api::opt_list_parameter(request, "filter[status]");
  postgres::Result rows = co_await tx.run(
      sql::run_list, postgres::Params::of(place.workspace.id, statuses, page.size, page.offset()));
  postgres::Result count =
      co_await tx.run(sql::run_count, postgres::Params::of(place.workspace.id, statuses));
  std::vector<Seen> runs;
  for (std::size_t i = 0; i < rows.size(); ++i)
    runs.push_back({run_from_row(rows[i]), place.workspace, place.access});
  json::array data;
  for (json::object& shown : co_await documents(tx, runs)) data.push_back(std::move(shown));
  co_return co_await needs_.includes.answer_list(request, tx, resource().type, std::move(data), page,
                                                 count[0].integer("total"));
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
    co_await tx.run(sql::job_set_wish, postgres::Params::of(seen.run.id, "cancel"));
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
  if (!seen.access.update) throw Error(Code::not_found, "");
  postgres::Result open = co_await tx.run(sql::run_force_cancel_is_open, postgres::Params::of(seen.run.id));
  if (!is_executing(seen.run.state()) || open[0].is_null("open") || !open[0].boolean("open")) {
    throw Error(Code::conflict,
                "A run can be force-canceled when it was canceled and has not ended within a minute.");
  }
  // The lock is freed when the sandbox is confirmed gone, not before.
  co_await tx.run(sql::run_set_force_canceled, postgres::Params::of(seen.run.id));
  co_await tx.run(sql::job_set_wish, postgres::Params::of(seen.run.id, "force_cancel"));
  json::object detail{{"wish", "force_cancel"}};
  co_await trace(tx, seen.run.id.text(), principal.id, "force-cancel wished", detail);
  co_await tx.run(sql::run_wake, postgres::Params::of(seen.run.id));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  http::Response response;
  response.status = 202;
  co_return response;
}

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
  postgres::Result rows =
      co_await tx.run(sql::run_queue, postgres::Params::of(organization.id, page.size, page.offset()));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Run run = run_from_row(rows[i]);
    auto access = co_await organization::access_to_workspace(tx, api::principal(request), run.workspace);
    std::optional<Workspace> workspace = co_await workspace::find(tx, run.workspace);
    if (!workspace || !access.read) continue;
    json::object shown = co_await document(tx, Seen{run, *std::move(workspace), access});
    shown["attributes"].as_object()["position-in-queue"] = page.offset() + static_cast<std::int64_t>(i);
    data.push_back(std::move(shown));
  }
  // A page past the end has no rows that could tell.
  postgres::Result count = co_await tx.run(sql::run_capacity, postgres::Params::of(organization.id));
  const std::int64_t total = count[0].integer("pending");
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> Api::capacity(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  postgres::Result rows = co_await tx.run(sql::run_capacity, postgres::Params::of(organization.id));
  json::object document{{"id", organization.name},
                        {"type", "organization-capacity"},
                        {"attributes", json::object{{"pending", rows[0].integer("pending")},
                                                    {"running", rows[0].integer("running")}}}};
  co_return api::answer(200, jsonapi::document(std::move(document)));
}

}  // namespace terrane::run
