#include "organization/subscription_api.h"

#include "api/parameters.h"
#include "organization/admin.h"
#include "organization/subscription.h"
#include "postgres/known_commit.h"

namespace terrane::organization {
namespace {

constexpr std::size_t body_limit = 64 * 1024;

json::object list_of(const std::vector<FeatureSet>& sets, std::int64_t total, const http::Request& request) {
  json::array data;
  for (const FeatureSet& set : sets) data.push_back(encode(set));
  return jsonapi::list_document(std::move(data), api::page(request), total, request.path);
}

Task<std::vector<json::object>> load_feature_sets(postgres::Tx& tx, const api::Principal&,
                                                  const std::vector<std::string>& ids) {
  std::vector<json::object> out;
  for (const FeatureSet& set : co_await find_feature_sets(tx, ids)) out.push_back(encode(set));
  co_return out;
}

}  // namespace

void SubscriptionApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = SubscriptionApi;
  const std::string one = "/api/v2/organizations/:organization";
  const std::string admin = "/api/v2/admin/organizations/:organization/subscription";
  router.add({Method::get, one + "/entitlement-set", api::bind<&Self::show_entitlements>(this)},
             {Form::one, "entitlement-sets"});
  router.add({Method::get, one + "/feature-sets", api::bind<&Self::list_for_organization>(this)});
  router.add({Method::get, one + "/subscription", api::bind<&Self::show_of_organization>(this)},
             {Form::one, "subscriptions", "", "include"});
  router.add({Method::get, "/api/v2/feature-sets", api::bind<&Self::list_offered>(this)});
  router.add({Method::get, "/api/v2/subscriptions/:id", api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::get, "/api/v2/admin/feature-sets", api::bind<&Self::list_all>(this)}, {.query = "q"});
  router.add({Method::get, admin, api::bind<&Self::show_as_admin>(this)},
             {Form::one, "subscriptions", "", "include"});
  router.add({Method::post, admin, api::bind<&Self::subscribe_as_admin>(this), body_limit},
             {Form::made, "subscriptions", "subscriptions.create"});
  includes_.add_resource("feature-sets", load_feature_sets);
  includes_.add_relation("subscriptions", "feature_set", {"feature-sets"});
  includes_.add_relation("subscriptions", "organization", {"organizations"});
}

Task<http::Response> SubscriptionApi::show_entitlements(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), request.parameter("organization"));
  json::object set = co_await entitlement_set(tx, access);
  co_return api::answer(200, jsonapi::document(std::move(set)));
}

Task<http::Response> SubscriptionApi::list_offered(http::Request& request) {
  if (api::principal(request).kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  auto [sets, total] = co_await list_feature_sets(tx, FeatureSets::offered, "", page);
  co_return api::answer(200, list_of(sets, total, request));
}

Task<http::Response> SubscriptionApi::list_for_organization(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  co_await require_managed(tx, request);
  auto [sets, total] = co_await list_feature_sets(tx, FeatureSets::all, "", page);
  co_return api::answer(200, list_of(sets, total, request));
}

Task<http::Response> SubscriptionApi::list_all(http::Request& request) {
  api::require_site_admin(request);
  jsonapi::Page page = api::page(request);
  const std::string search = api::text_parameter(request, "q").value_or("");
  postgres::Tx tx = co_await database_.begin();
  auto [sets, total] = co_await list_feature_sets(tx, FeatureSets::all, search, page);
  co_return api::answer(200, list_of(sets, total, request));
}

Task<http::Response> SubscriptionApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<Subscription> found = co_await find_subscription(tx, request.parameter("id"));
  if (!found) throw Error(Code::not_found, "");
  OrganizationAccess access = co_await require_organization(tx, api::principal(request), found->organization);
  if (!access.manage) throw Error(Code::not_found, "");
  co_return co_await includes_.answer(request, tx, 200, encode(*found));
}

Task<http::Response> SubscriptionApi::show_of_organization(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access = co_await require_managed(tx, request);
  std::optional<Subscription> found = co_await subscription_of(tx, access.id);
  if (!found) throw Error(Code::not_found, "");
  co_return co_await includes_.answer(request, tx, 200, encode(*found));
}

Task<http::Response> SubscriptionApi::show_as_admin(http::Request& request) {
  api::require_site_admin(request);
  postgres::Tx tx = co_await database_.begin();
  std::optional<AdminOrganization> found = co_await find_admin(tx, request.parameter("organization"));
  std::optional<Subscription> subscription;
  if (found) subscription = co_await subscription_of(tx, found->id.text());
  if (!subscription) throw Error(Code::not_found, "");
  co_return co_await includes_.answer(request, tx, 200, encode(*subscription));
}

Task<http::Response> SubscriptionApi::subscribe_as_admin(http::Request& request) {
  api::require_site_admin(request);
  // Clients name the type in the singular here.
  json::object data = co_await api::read_data(request, "", body_limit);
  Subscription subscription;
  subscription.id = "sub-" + random_id_suffix();
  jsonapi::decode(subscription_resource(), data, jsonapi::create, &subscription);
  std::optional<std::string> set = jsonapi::related_id(data, "feature-set");
  if (!set)
    throw Error(Code::unprocessable, "A subscription needs a feature set", "/data/relationships/feature-set");
  subscription.feature_set_id = *set;
  std::function<Task<Subscription>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Subscription> {
    std::optional<AdminOrganization> found = co_await find_admin(tx, request.parameter("organization"));
    if (!found) throw Error(Code::not_found, "");
    co_await subscribe(tx, found->id.text(), subscription);
    std::optional<Subscription> made = co_await subscription_of(tx, found->id.text());
    co_return made.value();
  };
  Subscription made = co_await postgres::transact_change<Subscription>(database_, change);
  co_return api::answer(201, jsonapi::document(encode(made)));
}

}  // namespace terrane::organization
