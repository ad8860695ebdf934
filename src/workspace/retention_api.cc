#include "workspace/retention_api.h"

#include "organization/retention.h"
#include "postgres/known_commit.h"
#include "workspace/retention_sql.h"
#include "workspace/workspace.h"

namespace terrane::workspace {
namespace {

using organization::RetentionPolicy;

Task<std::optional<RetentionPolicy>> find_policy(postgres::Tx& tx, const std::string& workspace) {
  postgres::Result result = co_await tx.run(sql::workspace_retention_find, postgres::Params::of(workspace));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  RetentionPolicy policy;
  policy.id = row->string("id");
  policy.delete_older_than_days = row->opt_integer("delete_older_than_n_days");
  co_return policy;
}

}  // namespace

void RetentionApi::add_routes(http::Router& router) {
  using http::Method;
  const http::Shape shown{http::Shape::Form::one, "data-retention-policies"};
  const http::Shape taken{http::Shape::Form::one, "data-retention-policies",
                          "data-retention-policies.create"};
  using Self = RetentionApi;
  const std::string policy = "/api/v2/workspaces/:id/relationships/data-retention-policy";
  router.add({Method::get, policy, api::bind<&Self::show>(this)}, shown);
  router.add({Method::post, policy, api::bind<&Self::set>(this), 64 * 1024}, taken);
  router.add({Method::patch, policy, api::bind<&Self::set>(this), 64 * 1024}, taken);
  router.add({Method::del, policy, api::bind<&Self::remove>(this)});
}

Task<http::Response> RetentionApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  std::optional<RetentionPolicy> policy = co_await find_policy(tx, seen.workspace.id.text());
  if (!policy) throw Error(Code::not_found, "");
  co_return api::answer(200, jsonapi::document(organization::encode(*policy)));
}

Task<http::Response> RetentionApi::set(http::Request& request) {
  json::object data = co_await api::read_data(request, "", 64 * 1024);
  const RetentionPolicy wanted = organization::read_retention_policy(data);
  std::function<Task<RetentionPolicy>(postgres::Tx&)> change =
      [&](postgres::Tx& tx) -> Task<RetentionPolicy> {
    Visible seen = co_await require_changeable(tx, api::principal(request), request.parameter("id"));
    co_await tx.run(sql::workspace_retention_set,
                    postgres::Params::of(wanted.id, seen.workspace.id, wanted.delete_older_than_days));
    std::optional<RetentionPolicy> made = co_await find_policy(tx, seen.workspace.id.text());
    co_return made.value();
  };
  RetentionPolicy made = co_await postgres::transact_change<RetentionPolicy>(database_, change);
  json::object shown = organization::encode(made);
  // A client that calls the kind by its older name reads it by that name.
  shown["type"] = *find_string(data, "type");
  co_return api::answer(200, jsonapi::document(std::move(shown)));
}

Task<http::Response> RetentionApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Visible seen = co_await require_changeable(tx, api::principal(request), request.parameter("id"));
    postgres::Result gone =
        co_await tx.run(sql::workspace_retention_delete, postgres::Params::of(seen.workspace.id));
    if (gone.affected() == 0) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::workspace
