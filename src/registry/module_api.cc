#include "postgres/known_commit.h"
#include "registry/module.h"

namespace terrane::registry {
namespace {

void refuse_runs(const http::Request& request) {
  if (api::principal(request).kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
}

/// The value of a route's parameter; empty when the route lacks it.
std::string parameter_or_empty(const http::Request& request, std::string_view name) {
  for (const auto& [known, value] : request.parameters) {
    if (known == name) return value;
  }
  return {};
}

/// The place that a route names.
Place place_of(const http::Request& request, const organization::OrganizationAccess& access) {
  return {access.id, parameter_or_empty(request, "registry"), parameter_or_empty(request, "namespace"),
          request.parameter("name"), parameter_or_empty(request, "provider")};
}

/// Completes and checks what a client wants to register.
void complete(Module& module, const organization::OrganizationAccess& access) {
  std::vector<Problem> problems;
  if (module.name.empty()) problems.push_back({"Name can't be blank", "/data/attributes/name"});
  if (module.provider.empty()) problems.push_back({"Provider can't be blank", "/data/attributes/provider"});
  const bool own = module.registry_name == "private";
  if (own && module.namespace_name.empty()) module.namespace_name = access.name;
  if (own && module.namespace_name != access.name) {
    problems.push_back(
        {"A private module's namespace is its organization's name.", "/data/attributes/namespace"});
  }
  if (!own && jsonapi::valid_name(json::value(module.namespace_name))) {
    problems.push_back(
        {"A public module needs the namespace in which it is published.", "/data/attributes/namespace"});
  }
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  const std::string all = "/api/v2/organizations/:organization/registry-modules";
  const std::string named = all + "/:registry/:namespace/:name";
  router.add({Method::get, all, api::bind<&Api::list>(this)},
             {.query = "q filter[provider] filter[registry_name] filter[organization_name]"});
  router.add({Method::post, all, api::bind<&Api::create>(this), 64 * 1024});
  router.add({Method::get, "/api/v2/registry-modules/:id", api::bind<&Api::show_by_id>(this)});
  router.add({Method::get, named + "/:provider", api::bind<&Api::show>(this)});
  router.add({Method::del, named + "/:provider", api::bind<&Api::remove>(this)});
  router.add({Method::del, named, api::bind<&Api::remove>(this)});
  const std::string deletion = "/api/v2/registry-modules/actions/delete/:organization/:name";
  router.add({Method::post, deletion, api::bind<&Api::remove>(this)}, {Form::nothing});
  router.add({Method::post, deletion + "/:provider", api::bind<&Api::remove>(this)}, {Form::nothing});
  router.add(
      {Method::post,
       "/api/v2/organizations/:organization/tests/registry-modules/:registry/:namespace/:name/:provider/"
       "test-runs/configuration-versions",
       api::bind<&Api::create_configuration>(this)},
      {Form::made, "configuration-versions"});
}

Task<http::Response> Api::list(http::Request& request) {
  refuse_runs(request);
  jsonapi::Page page = api::page(request);
  Filter filter{std::string(request.query.find("q").value_or("")),
                std::string(request.query.find("filter[provider]").value_or("")),
                std::string(request.query.find("filter[registry_name]").value_or(""))};
  postgres::Tx tx = co_await database_.begin();
  auto access = co_await organization::require_organization(tx, api::principal(request),
                                                            request.parameter("organization"));
  // The organization is in the path; another one in the filter has nothing here.
  auto only = request.query.find("filter[organization_name]");
  if (only && !only->empty() && *only != access.name)
    co_return api::answer(200, jsonapi::list_document({}, page, 0, request.path));
  auto [modules, total] = co_await registry::list(tx, access.id, filter, page);
  json::array data;
  for (const Module& module : modules) data.push_back(encode(module, access));
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> Api::create(http::Request& request) {
  refuse_runs(request);
  json::object data = co_await api::read_data(request, resource().type, 64 * 1024);
  Module given;
  jsonapi::decode(resource(), data, jsonapi::create, &given);
  given.id = Id<Module>::make();
  organization::OrganizationAccess access;
  std::function<Task<Module>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Module> {
    access = co_await organization::require_organization(tx, api::principal(request),
                                                         request.parameter("organization"));
    if (!access.manage_modules) throw Error(Code::not_found, "");
    Module module = given;
    complete(module, access);
    co_await insert(tx, module, access.id);
    std::optional<Module> made = co_await find(tx, module.id.text());
    co_return made.value();
  };
  std::function<Task<std::optional<Module>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find(tx, given.id.text());
  };
  Module module = co_await postgres::transact_create<Module>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(module, access)));
}

Task<http::Response> Api::show_by_id(http::Request& request) {
  refuse_runs(request);
  postgres::Tx tx = co_await database_.begin();
  std::optional<Module> module = co_await find(tx, request.parameter("id"));
  if (!module) throw Error(Code::not_found, "");
  auto access =
      co_await organization::require_organization(tx, api::principal(request), module->organization);
  co_return api::answer(200, jsonapi::document(encode(*module, access)));
}

Task<http::Response> Api::show(http::Request& request) {
  refuse_runs(request);
  postgres::Tx tx = co_await database_.begin();
  auto access = co_await organization::require_organization(tx, api::principal(request),
                                                            request.parameter("organization"));
  std::vector<Module> found = co_await at(tx, place_of(request, access));
  if (found.empty()) throw Error(Code::not_found, "");
  co_return api::answer(200, jsonapi::document(encode(found.front(), access)));
}

Task<http::Response> Api::remove(http::Request& request) {
  refuse_runs(request);
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    auto access = co_await organization::require_organization(tx, api::principal(request),
                                                              request.parameter("organization"));
    if (!access.manage_modules) throw Error(Code::not_found, "");
    Place place = place_of(request, access);
    // The old form of the path knows private modules only.
    if (place.registry_name.empty()) place.registry_name = "private";
    std::vector<Module> found = co_await at(tx, place);
    if (found.empty()) throw Error(Code::not_found, "");
    for (const Module& module : found) co_await registry::remove(tx, module.id);
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

Task<http::Response> Api::create_configuration(http::Request& request) {
  refuse_runs(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  auto access = co_await organization::require_organization(tx, principal, request.parameter("organization"));
  std::vector<Module> found = co_await at(tx, place_of(request, access));
  if (found.empty() || !access.manage_modules) throw Error(Code::not_found, "");
  ConfigurationVersion wanted;
  wanted.registry_module = found.front().id.text();
  wanted.auto_queue_runs = false;
  wanted.created_by = principal.id;
  ConfigurationVersion made = co_await configversion::insert(tx, wanted);
  co_await tx.commit();
  json::object shown = configversion::document(made);
  shown["attributes"].as_object()["upload-url"] = configversion::upload_url(origin_, urls_, made);
  co_return api::answer(201, jsonapi::document(std::move(shown)));
}

}  // namespace terrane::registry
