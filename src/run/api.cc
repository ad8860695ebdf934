#include "run/api.h"

namespace terrane::run {
void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  router.add({Method::post, "/api/v2/runs", api::bind<&Api::create>(this)});
  router.add({Method::get, "/api/v2/runs/:id", api::bind<&Api::show>(this)}, {.query = "include"});
  router.add(
      {Method::get, "/api/v2/workspaces/:id/runs", api::bind<&Api::list>(this)},
      {.query = "filter[status] filter[status_group] filter[source] filter[operation] filter[timeframe] "
                "search[user] search[commit] search[basic] include"});
  router.add(
      {Method::get, "/api/v2/organizations/:organization/runs", api::bind<&Api::list_of_organization>(this)},
      {Form::uncounted, "runs", "",
       "filter[status] filter[status_group] filter[source] filter[operation] filter[timeframe] "
       "filter[workspace_names] search[user] search[commit] search[basic] include"});
  router.add({Method::post, "/api/v2/runs/:id/actions/apply", api::bind<&Api::confirm>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/discard", api::bind<&Api::discard>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/cancel", api::bind<&Api::cancel>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/force-cancel", api::bind<&Api::force_cancel>(this)},
             {Form::accepted, "", "comment"});
  router.add({Method::post, "/api/v2/runs/:id/actions/force-execute", api::bind<&Api::force_execute>(this)},
             {Form::accepted});
  router.add({Method::get, "/api/v2/runs/:id/comments", api::bind<&Api::comments>(this)},
             {.query = "include"});
  router.add({Method::post, "/api/v2/runs/:id/comments", api::bind<&Api::create_comment>(this)});
  router.add({Method::get, "/api/v2/comments/:id", api::bind<&Api::comment>(this)}, {.query = "include"});
  router.add({Method::get, "/api/v2/runs/:id/run-events", api::bind<&Api::events>(this)},
             {Form::page, "run-events", "", "include"});
  router.add({Method::get, "/api/v2/run-events/:id", api::bind<&Api::event>(this)}, {.query = "include"});
  router.add({Method::get, "/api/v2/organizations/:organization/runs/queue", api::bind<&Api::queue>(this)},
             {Form::page, "runs", "", "include"});
  router.add({Method::get, "/api/v2/organizations/:organization/capacity", api::bind<&Api::capacity>(this)},
             {Form::one, "organization-capacity"});
  router.add({Method::get, "/api/v2/plans/:id", api::bind<&Api::show_plan>(this)});
  router.add({Method::get, "/api/v2/plans/:id/json-output", api::bind<&Api::plan_json>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/runs/:id/plan", api::bind<&Api::run_plan>(this)}, {Form::one, "plans"});
  router.add({Method::get, "/api/v2/runs/:id/plan/json-output", api::bind<&Api::run_plan_json>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/applies/:id", api::bind<&Api::show_apply>(this)}, {.query = "include"});
  router.add({Method::get, "/api/v2/runs/:id/apply", api::bind<&Api::run_apply>(this)},
             {Form::one, "applies", "", "include"});
  router.add({Method::get, "/api/v2/plans/:id/json-schema", api::bind<&Api::plan_schemas>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/runs/:id/plan/json-schema", api::bind<&Api::run_plan_schemas>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/applies/:id/errored-state", api::bind<&Api::errored_state>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/applies/:id/import-list", api::bind<&Api::import_list>(this)},
             {Form::text});
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

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  json::object shown = co_await document(tx, seen);
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

}  // namespace terrane::run
