#include "organization/organization_api.h"
#include "organization/project.h"
#include "postgres/known_commit.h"

namespace terrane::organization {
namespace {

/// The project of the path with the access to its organization. A run reads no projects.
struct Found {
  Project project;
  OrganizationAccess access;
};

void refuse_runs(const http::Request& request) {
  if (api::principal(request).kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
}

Task<Found> require_project(postgres::Tx& tx, const http::Request& request) {
  refuse_runs(request);
  std::optional<Project> project = co_await find_project(tx, request.parameter("id"));
  if (!project) throw Error(Code::not_found, "");
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), project->organization);
  co_return Found{*project, access};
}

Task<Found> require_managed_project(postgres::Tx& tx, const http::Request& request) {
  Found found = co_await require_project(tx, request);
  if (!found.access.manage) throw Error(Code::not_found, "");
  co_return found;
}

Task<std::vector<json::object>> load_projects(postgres::Tx& tx, const api::Principal& principal,
                                              const std::vector<std::string>& ids) {
  std::vector<json::object> out;
  if (principal.kind == api::Principal::Kind::run) co_return out;
  std::map<std::string, OrganizationAccess> access;
  for (const Project& project : co_await find_projects(tx, ids)) {
    if (!access.contains(project.organization)) {
      OrganizationAccess found = co_await access_to_organization(tx, principal, project.organization);
      access.emplace(project.organization, std::move(found));
    }
    if (access[project.organization].read) out.push_back(encode(project, access[project.organization]));
  }
  co_return out;
}

}  // namespace

void ProjectApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = ProjectApi;
  router.add({Method::get, "/api/v2/organizations/:organization/projects", api::bind<&Self::list>(this)});
  router.add({Method::post, "/api/v2/organizations/:organization/projects", api::bind<&Self::create>(this),
              64 * 1024});
  router.add({Method::get, "/api/v2/projects/:id", api::bind<&Self::show>(this)});
  router.add({Method::patch, "/api/v2/projects/:id", api::bind<&Self::update>(this), 64 * 1024});
  router.add({Method::del, "/api/v2/projects/:id", api::bind<&Self::remove>(this)});
  includes_.add_resource("projects", load_projects);
  includes_.add_relation("projects", "organization", {"organizations"});
}

Task<http::Response> ProjectApi::list(http::Request& request) {
  refuse_runs(request);
  jsonapi::Page page = api::page(request);
  std::vector<std::string> names = api::list_parameter(request, "filter[names]");
  const std::string search = api::text_parameter(request, "q").value_or("");
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), request.parameter("organization"));
  auto [projects, total] = co_await list_projects(tx, access.id, names, search, page);
  json::array data;
  for (const Project& project : projects) data.push_back(encode(project, access));
  co_return co_await includes_.answer_list(request, tx, "projects", std::move(data), page, total);
}

Task<http::Response> ProjectApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, project_resource().type, 64 * 1024);
  Project given;
  given.id = Id<Project>::make();
  jsonapi::decode(project_resource(), data, jsonapi::create, &given);
  if (given.name.empty()) throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");

  OrganizationAccess access;
  std::function<Task<Project>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Project> {
    access = co_await require_organization(tx, api::principal(request), request.parameter("organization"));
    if (!access.manage) throw Error(Code::not_found, "");
    co_await insert(tx, given, access.id);
    std::optional<Project> made = co_await find_project(tx, given.id.text());
    co_return made.value();
  };
  std::function<Task<std::optional<Project>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find_project(tx, given.id.text());
  };
  Project project = co_await postgres::transact_create<Project>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(project, access)));
}

Task<http::Response> ProjectApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Found found = co_await require_project(tx, request);
  co_return co_await includes_.answer(request, tx, 200, encode(found.project, found.access));
}

Task<http::Response> ProjectApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, project_resource().type, 64 * 1024);
  std::function<Task<Found>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Found> {
    Found found = co_await require_managed_project(tx, request);
    json::object columns = jsonapi::decode(project_resource(), data, jsonapi::update, &found.project);
    co_await update_project(tx, found.project.id.text(), columns);
    co_return found;
  };
  Found found = co_await postgres::transact_change<Found>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(found.project, found.access)));
}

Task<http::Response> ProjectApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Found found = co_await require_managed_project(tx, request);
    co_await remove_project(tx, found.project.id.text());
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::organization
