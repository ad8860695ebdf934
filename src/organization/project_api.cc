#include "base/text.h"
#include "organization/organization_api.h"
#include "organization/project.h"
#include "postgres/known_commit.h"

namespace terrane::organization {
namespace {

constexpr std::size_t most_names = 100;

/// The project of the path with what the caller may do with it.
struct Found {
  Project project;
  ProjectAccess access;
};

Task<Found> require_project(postgres::Tx& tx, const http::Request& request) {
  std::optional<Project> project = co_await find_project(tx, request.parameter("id"));
  if (!project) throw Error(Code::not_found, "");
  ProjectAccess access = co_await access_to_project(tx, api::principal(request), project->id.text());
  if (!access.read) throw Error(Code::not_found, "");
  co_return Found{*project, access};
}

std::vector<std::string> names_of(const http::Request& request) {
  std::vector<std::string> names;
  for (std::string_view name : split(request.query.find("filter[names]").value_or(""), ',')) {
    if (!name.empty()) names.emplace_back(name);
  }
  if (names.size() > most_names) {
    throw Error(Code::invalid, "filter[names] may hold at most " + std::to_string(most_names) + " names.");
  }
  return names;
}

}  // namespace

void ProjectApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = ProjectApi;
  router.add({Method::get, "/api/v2/organizations/:organization/projects", api::bind<&Self::list>(this)},
             {.query = "q filter[names]"});
  router.add({Method::post, "/api/v2/organizations/:organization/projects", api::bind<&Self::create>(this),
              64 * 1024});
  router.add({Method::get, "/api/v2/projects/:id", api::bind<&Self::show>(this)});
  router.add({Method::patch, "/api/v2/projects/:id", api::bind<&Self::update>(this), 64 * 1024});
  router.add({Method::del, "/api/v2/projects/:id", api::bind<&Self::remove>(this)});
}

Task<http::Response> ProjectApi::list(http::Request& request) {
  if (api::principal(request).kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
  jsonapi::Page page = api::page(request);
  std::vector<std::string> names = names_of(request);
  std::string_view search = request.query.find("q").value_or("");
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), request.parameter("organization"));
  const ReadableScope scope = co_await readable_scope(tx, api::principal(request), access.id);
  auto [projects, total] = co_await list_projects(tx, access.id, scope, names, search, page);
  std::vector<std::string> ids;
  for (const Project& project : projects) ids.push_back(project.id.text());
  const auto accesses = co_await access_to_projects(tx, api::principal(request), ids);
  json::array data;
  for (const Project& project : projects) {
    auto seen = accesses.find(project.id.text());
    if (seen != accesses.end()) data.push_back(encode(project, seen->second));
  }
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> ProjectApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, project_resource().type, 64 * 1024);
  Project given;
  given.id = Id<Project>::make();
  jsonapi::decode(project_resource(), data, jsonapi::create, &given);
  if (given.name.empty()) throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");

  ProjectAccess access;
  std::function<Task<Project>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Project> {
    OrganizationAccess organization =
        co_await require_organization(tx, api::principal(request), request.parameter("organization"));
    if (!organization.manage_projects) throw Error(Code::not_found, "");
    co_await insert(tx, given, organization.id);
    access = co_await access_to_project(tx, api::principal(request), given.id.text());
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
  co_return api::answer(200, jsonapi::document(encode(found.project, found.access)));
}

Task<http::Response> ProjectApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, project_resource().type, 64 * 1024);
  std::function<Task<Found>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Found> {
    Found found = co_await require_project(tx, request);
    if (!found.access.update) throw Error(Code::not_found, "");
    json::object columns = jsonapi::decode(project_resource(), data, jsonapi::update, &found.project);
    co_await update_project(tx, found.project.id.text(), columns);
    co_return found;
  };
  Found found = co_await postgres::transact_change<Found>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(found.project, found.access)));
}

Task<http::Response> ProjectApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Found found = co_await require_project(tx, request);
    if (!found.access.destroy) throw Error(Code::not_found, "");
    co_await remove_project(tx, found.project.id.text());
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::organization
