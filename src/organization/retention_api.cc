#include "organization/retention_api.h"

#include "organization/organization.h"
#include "organization/retention.h"
#include "postgres/known_commit.h"

namespace terrane::organization {

void RetentionApi::add_routes(http::Router& router) {
  using http::Method;
  const http::Shape shown{http::Shape::Form::one, "data-retention-policies"};
  const http::Shape taken{http::Shape::Form::one, "data-retention-policies",
                          "data-retention-policies.create"};
  using Self = RetentionApi;
  const std::string policy = "/api/v2/organizations/:organization/relationships/data-retention-policy";
  router.add({Method::get, policy, api::bind<&Self::show>(this)}, shown);
  router.add({Method::post, policy, api::bind<&Self::set>(this), 64 * 1024}, taken);
  router.add({Method::patch, policy, api::bind<&Self::set>(this), 64 * 1024}, taken);
  router.add({Method::del, policy, api::bind<&Self::remove>(this)});
}

Task<http::Response> RetentionApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access = co_await require_managed(tx, request);
  std::optional<RetentionPolicy> policy = co_await find_retention_policy(tx, access.id);
  if (!policy) throw Error(Code::not_found, "");
  co_return api::answer(200, jsonapi::document(encode(*policy)));
}

Task<http::Response> RetentionApi::set(http::Request& request) {
  json::object data = co_await api::read_data(request, "", 64 * 1024);
  RetentionPolicy wanted = read_retention_policy(data);
  std::function<Task<RetentionPolicy>(postgres::Tx&)> change =
      [&](postgres::Tx& tx) -> Task<RetentionPolicy> {
    OrganizationAccess access = co_await require_managed(tx, request);
    co_await set_retention_policy(tx, access.id, wanted);
    std::optional<RetentionPolicy> made = co_await find_retention_policy(tx, access.id);
    co_return made.value();
  };
  RetentionPolicy made = co_await postgres::transact_change<RetentionPolicy>(database_, change);
  json::object shown = encode(made);
  // A client that calls the kind by its older name reads it by that name.
  shown["type"] = *find_string(data, "type");
  co_return api::answer(200, jsonapi::document(std::move(shown)));
}

Task<http::Response> RetentionApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    OrganizationAccess access = co_await require_managed(tx, request);
    if (!co_await remove_retention_policy(tx, access.id)) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::organization
