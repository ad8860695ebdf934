#include "organization/organization_api.h"
#include "organization/project.h"
#include "organization/tag_bindings.h"
#include "postgres/known_commit.h"

namespace terrane::organization {
namespace {

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
  co_return Found{*std::move(project), access};
}

Task<Found> require_changeable(postgres::Tx& tx, const http::Request& request) {
  Found found = co_await require_project(tx, request);
  if (!found.access.update) throw Error(Code::not_found, "");
  co_return found;
}

Task<std::vector<json::object>> load_projects(postgres::Tx& tx, const api::Principal& principal,
                                              const std::vector<std::string>& ids) {
  const auto visible = co_await access_to_projects(tx, principal, ids);
  std::vector<json::object> out;
  for (const Project& project : co_await find_projects(tx, ids)) {
    auto access = visible.find(project.id.text());
    if (access != visible.end()) out.push_back(encode(project, access->second));
  }
  co_return out;
}

/// A project has what it was given: nothing stands above it.
Task<std::vector<json::object>> link_tag_bindings(postgres::Tx& tx, const api::Principal&,
                                                  std::span<json::object* const> projects) {
  std::vector<std::string> ids;
  for (const json::object* project : projects) ids.push_back(find_string(*project, "id").value_or(""));
  std::vector<TagBinding> bindings = co_await find_tag_bindings(tx, ids);
  co_return link_effective(projects, bindings);
}

http::Response binding_list(const std::vector<TagBinding>& bindings,
                            json::object (*encode_one)(const TagBinding&)) {
  json::array data;
  for (const TagBinding& binding : bindings) data.push_back(encode_one(binding));
  json::object document{{"data", std::move(data)}};
  return api::answer(200, document);
}

}  // namespace

void ProjectApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = ProjectApi;
  router.add({Method::get, "/api/v2/organizations/:organization/projects", api::bind<&Self::list>(this)},
             {.query = "q filter[names] filter[tagged][0][key] filter[tagged][0][value] sort include"});
  router.add({Method::post, "/api/v2/organizations/:organization/projects", api::bind<&Self::create>(this),
              64 * 1024});
  router.add({Method::get, "/api/v2/projects/:id", api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::patch, "/api/v2/projects/:id", api::bind<&Self::update>(this), 64 * 1024});
  router.add({Method::del, "/api/v2/projects/:id", api::bind<&Self::remove>(this)});
  router.add({Method::get, "/api/v2/projects/:id/tag-bindings", api::bind<&Self::tag_bindings>(this)},
             {Form::all, "tag-bindings"});
  router.add({Method::patch, "/api/v2/projects/:id/tag-bindings", api::bind<&Self::add_tag_bindings>(this),
              64 * 1024},
             {Form::all, "tag-bindings", "tag-bindings.list"});
  router.add({Method::get, "/api/v2/projects/:id/effective-tag-bindings",
              api::bind<&Self::effective_tag_bindings>(this)},
             {Form::all, "effective-tag-bindings"});
  includes_.add_resource("projects", load_projects);
  includes_.add_relation("projects", "organization", {"organizations"});
  includes_.add_relation("projects", "effective_tag_bindings", {}, link_tag_bindings);
}

Task<http::Response> ProjectApi::list(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  if (principal.kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
  jsonapi::Page page = api::page(request);
  ProjectFilter filter;
  filter.names = api::list_parameter(request, "filter[names]");
  filter.search = api::text_parameter(request, "q").value_or("");
  filter.tags = api::tag_filters(request);
  filter.descending = api::sort(request, {"name"}, {"name"}).descending;
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess organization =
      co_await require_organization(tx, principal, request.parameter("organization"));
  const ReadableScope scope = co_await readable_scope(tx, principal, organization.id);
  auto [projects, total] = co_await list_projects(tx, organization.id, scope, filter, page);
  std::vector<std::string> ids;
  for (const Project& project : projects) ids.push_back(project.id.text());
  const auto visible = co_await access_to_projects(tx, principal, ids);
  json::array data;
  for (const Project& project : projects) {
    auto access = visible.find(project.id.text());
    if (access != visible.end()) data.push_back(encode(project, access->second));
  }
  co_return co_await includes_.answer_list(request, tx, "projects", std::move(data), page, total);
}

Task<http::Response> ProjectApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, project_resource().type, 64 * 1024);
  Project given;
  given.id = Id<Project>::make();
  jsonapi::decode(project_resource(), data, jsonapi::create, &given);
  if (given.name.empty()) throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");
  const std::optional<std::vector<TagBinding>> bindings = related_tag_bindings(data);

  ProjectAccess access;
  std::function<Task<Project>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Project> {
    OrganizationAccess organization =
        co_await require_organization(tx, api::principal(request), request.parameter("organization"));
    if (!organization.manage_projects) throw Error(Code::not_found, "");
    Project project = given;
    project.organization_id = organization.id;
    json::object columns;
    co_await settle_project_execution(tx, data, project, columns);
    co_await insert(tx, project, organization.id);
    if (bindings) co_await organization::add_tag_bindings(tx, project.id.text(), *bindings);
    access = co_await access_to_project(tx, api::principal(request), project.id.text());
    std::optional<Project> made = co_await find_project(tx, project.id.text());
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
  const std::optional<std::vector<TagBinding>> bindings = related_tag_bindings(data);
  std::function<Task<Found>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Found> {
    Found found = co_await require_changeable(tx, request);
    const std::string id = found.project.id.text();
    json::object columns = jsonapi::decode(project_resource(), data, jsonapi::update, &found.project);
    co_await settle_project_execution(tx, data, found.project, columns);
    co_await update_project(tx, id, columns);
    if (bindings) co_await replace_tag_bindings(tx, id, *bindings);
    std::optional<Project> changed = co_await find_project(tx, id);
    found.project = changed.value();
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

Task<http::Response> ProjectApi::tag_bindings(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Found found = co_await require_project(tx, request);
  std::vector<TagBinding> bindings = co_await find_tag_bindings(tx, {found.project.id.text()});
  co_return binding_list(bindings, organization::encode);
}

Task<http::Response> ProjectApi::effective_tag_bindings(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Found found = co_await require_project(tx, request);
  std::vector<TagBinding> bindings = co_await find_tag_bindings(tx, {found.project.id.text()});
  co_return binding_list(bindings, encode_effective);
}

Task<http::Response> ProjectApi::add_tag_bindings(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const json::value* list = body.if_contains("data");
  const std::vector<TagBinding> bindings = read_tag_bindings(list ? *list : json::value(), "/data");
  std::function<Task<std::vector<TagBinding>>(postgres::Tx&)> change =
      [&](postgres::Tx& tx) -> Task<std::vector<TagBinding>> {
    Found found = co_await require_changeable(tx, request);
    const std::string id = found.project.id.text();
    co_await update_project(tx, id,
                            {});  // holds the row, so that two at once are counted one after the other
    co_await organization::add_tag_bindings(tx, id, bindings);
    co_return co_await find_tag_bindings(tx, {id});
  };
  std::vector<TagBinding> all =
      co_await postgres::transact_change<std::vector<TagBinding>>(database_, change);
  co_return binding_list(all, organization::encode);
}

}  // namespace terrane::organization
