#include "organization/admin_api.h"

#include "api/parameters.h"
#include "organization/admin.h"
#include "postgres/known_commit.h"

namespace terrane::organization {
namespace {

constexpr std::size_t body_limit = 64 * 1024;
constexpr std::size_t most_consumers = 1000;

/// Every handler below begins with this.
Task<AdminOrganization> require_admin_organization(postgres::Tx& tx, const http::Request& request) {
  api::require_site_admin(request);
  std::optional<AdminOrganization> found = co_await find_admin(tx, request.parameter("organization"));
  if (!found) throw Error(Code::not_found, "");
  co_return *std::move(found);
}

json::array encode_all(const std::vector<AdminOrganization>& organizations) {
  json::array data;
  for (const AdminOrganization& organization : organizations) data.push_back(encode(organization));
  return data;
}

}  // namespace

void AdminApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = AdminApi;
  const std::string one = "/api/v2/admin/organizations/:organization";
  const std::string consumers = one + "/relationships/module-consumers";
  router.add({Method::get, "/api/v2/admin/organizations", api::bind<&Self::list>(this)},
             {Form::page, "admin-organizations", "", "q include"});
  router.add({Method::get, one, api::bind<&Self::show>(this)},
             {Form::one, "admin-organizations", "", "include"});
  router.add({Method::patch, one, api::bind<&Self::update>(this), body_limit},
             {Form::one, "admin-organizations", "admin-organizations.update"});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  router.add({Method::get, consumers, api::bind<&Self::list_module_consumers>(this)},
             {Form::page, "admin-organizations", "", "include"});
  router.add({Method::patch, consumers, api::bind<&Self::replace_module_consumers>(this), body_limit},
             {Form::nothing, "", "identifiers"});
  includes_.add_relation("organizations", "owners", {"users"});
}

Task<http::Response> AdminApi::list(http::Request& request) {
  api::require_site_admin(request);
  jsonapi::Page page = api::page(request);
  const std::string search = api::text_parameter(request, "q").value_or("");
  postgres::Tx tx = co_await database_.begin();
  auto [organizations, total] = co_await list_admin(tx, search, page);
  co_return co_await includes_.answer_list(request, tx, admin_resource().type, encode_all(organizations),
                                           page, total);
}

Task<http::Response> AdminApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  AdminOrganization found = co_await require_admin_organization(tx, request);
  co_return co_await includes_.answer(request, tx, 200, encode(found));
}

Task<http::Response> AdminApi::update(http::Request& request) {
  api::require_site_admin(request);
  json::object data = co_await api::read_data(request, admin_resource().type, body_limit);
  std::function<Task<AdminOrganization>(postgres::Tx&)> change =
      [&](postgres::Tx& tx) -> Task<AdminOrganization> {
    AdminOrganization organization = co_await require_admin_organization(tx, request);
    json::object columns = jsonapi::decode(admin_resource(), data, jsonapi::update, &organization);
    co_await update_admin(tx, organization.id, columns);
    co_return organization;
  };
  AdminOrganization organization = co_await postgres::transact_change<AdminOrganization>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(organization)));
}

Task<http::Response> AdminApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    AdminOrganization found = co_await require_admin_organization(tx, request);
    co_await organization::remove(tx, found.id);
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

Task<http::Response> AdminApi::list_module_consumers(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  AdminOrganization found = co_await require_admin_organization(tx, request);
  auto [consumers, total] = co_await module_consumers(tx, found.id, page);
  co_return co_await includes_.answer_list(request, tx, admin_resource().type, encode_all(consumers), page,
                                           total);
}

Task<http::Response> AdminApi::replace_module_consumers(http::Request& request) {
  api::require_site_admin(request);
  json::object body = co_await api::read_object(request, body_limit);
  const json::value* list = body.if_contains("data");
  std::vector<std::string> names =
      jsonapi::identifiers(list ? *list : json::value(), "/data", most_consumers);
  std::function<Task<bool>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<bool> {
    AdminOrganization found = co_await require_admin_organization(tx, request);
    co_await set_module_consumers(tx, found.id, names);
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, change);
  co_return api::no_content();
}

}  // namespace terrane::organization
