#include "installation/terraform_version_api.h"

#include "installation/terraform_version.h"
#include "postgres/known_commit.h"

namespace terrane::installation {
namespace {

const json::object& attributes_of(const json::object& data) {
  static const json::object none;
  const json::object* given = find_object(data, "attributes");
  return given ? *given : none;
}

Task<TerraformVersion> require_version(postgres::Tx& tx, std::string id) {
  std::optional<TerraformVersion> version = co_await find_terraform_version(tx, id);
  if (!version) throw Error(Code::not_found, "");
  co_return *version;
}

}  // namespace

void TerraformVersionApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = TerraformVersionApi;
  const std::string all = "/api/v2/admin/terraform-versions";
  router.add({Method::get, all, api::bind<&Self::list>(this)}, {.query = "filter[version] search[version]"});
  router.add({Method::post, all, api::bind<&Self::create>(this), 64 * 1024});
  router.add({Method::get, all + "/:id", api::bind<&Self::show>(this)});
  router.add({Method::patch, all + "/:id", api::bind<&Self::update>(this), 64 * 1024});
  router.add({Method::del, all + "/:id", api::bind<&Self::remove>(this)});
}

Task<http::Response> TerraformVersionApi::list(http::Request& request) {
  api::require_site_admin(request);
  jsonapi::Page page = api::page(request);
  std::string_view exact = request.query.find("filter[version]").value_or("");
  std::string_view part = request.query.find("search[version]").value_or("");
  postgres::Tx tx = co_await database_.begin();
  auto [versions, total] = co_await list_terraform_versions(tx, exact, part, page);
  json::array data;
  for (const TerraformVersion& version : versions) data.push_back(encode(version));
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> TerraformVersionApi::create(http::Request& request) {
  api::require_site_admin(request);
  json::object data = co_await api::read_data(request, terraform_version_resource().type, 64 * 1024);
  TerraformVersion version;
  version.id = Id<TerraformVersion>::make();
  jsonapi::decode(terraform_version_resource(), data, jsonapi::create, &version);
  settle(version, attributes_of(data));
  std::function<Task<TerraformVersion>(postgres::Tx&)> create =
      [&](postgres::Tx& tx) -> Task<TerraformVersion> {
    co_await insert(tx, version);
    co_return co_await require_version(tx, version.id.text());
  };
  std::function<Task<std::optional<TerraformVersion>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find_terraform_version(tx, version.id.text());
  };
  TerraformVersion made = co_await postgres::transact_create<TerraformVersion>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(made)));
}

Task<http::Response> TerraformVersionApi::show(http::Request& request) {
  api::require_site_admin(request);
  postgres::Tx tx = co_await database_.begin();
  TerraformVersion version = co_await require_version(tx, request.parameter("id"));
  co_return api::answer(200, jsonapi::document(encode(version)));
}

Task<http::Response> TerraformVersionApi::update(http::Request& request) {
  api::require_site_admin(request);
  json::object data = co_await api::read_data(request, terraform_version_resource().type, 64 * 1024);
  std::function<Task<TerraformVersion>(postgres::Tx&)> change =
      [&](postgres::Tx& tx) -> Task<TerraformVersion> {
    TerraformVersion version = co_await require_version(tx, request.parameter("id"));
    jsonapi::decode(terraform_version_resource(), data, jsonapi::update, &version);
    settle(version, attributes_of(data));
    co_await installation::update(tx, version);
    co_return version;
  };
  TerraformVersion version = co_await postgres::transact_change<TerraformVersion>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(version)));
}

Task<http::Response> TerraformVersionApi::remove(http::Request& request) {
  api::require_site_admin(request);
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) {
    return remove_terraform_version(tx, request.parameter("id"));
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::installation
