#include "variable/variable_set_api.h"

#include "api/parameters.h"
#include "base/text.h"
#include "organization/project.h"
#include "postgres/known_commit.h"
#include "variable/variable.h"
#include "workspace/workspace.h"

namespace terrane::variable {
namespace {

constexpr std::size_t body_limit = 8 * 1024 * 1024;
constexpr std::size_t identifiers_limit = 256 * 1024;

/// The set as the principal sees it. Who may not read it itself, but sees that it applies somewhere, does not
/// see what else it applies to.
Task<json::object> shown_to(postgres::Tx& tx, const api::Principal& principal, VariableSet set) {
  if (!co_await may(tx, principal, set, Want::read)) {
    set.workspaces.clear();
    set.projects.clear();
  }
  const bool may_write = co_await may(tx, principal, set, Want::write);
  co_return encode(set, may_write ? Want::write : Want::read);
}

/// Who owns a new set: nothing is the organization, else the project's id.
std::optional<std::string> parent_of(const json::object& data, const std::string& organization) {
  const std::string pointer = "/data/relationships/parent";
  std::optional<std::string> id = jsonapi::related_id(data, "parent");
  if (!id) return std::nullopt;
  // related_id has seen that these are objects.
  const json::object& parent = data.at("relationships").at("parent").at("data").as_object();
  const std::string type = find_string(parent, "type").value_or("");
  if (type == "projects") return id;
  if (type != "organizations" || lower(*id) != lower(organization))
    throw Error(Code::unprocessable, "The parent must be the organization or one of its projects", pointer);
  return std::nullopt;
}

/// The lists that a request gives; the others stay.
void read_targets(const json::object& data, VariableSet& set) {
  if (auto given = jsonapi::related_ids(data, "workspaces", most_applied)) set.workspaces = *std::move(given);
  if (auto given = jsonapi::related_ids(data, "projects", most_applied)) set.projects = *std::move(given);
}

/// The variables that a new set brings along as whole resource objects.
std::vector<Variable> new_variables(const json::object& data, const std::string& set_id) {
  std::vector<Variable> variables;
  const json::object* relationships = find_object(data, "relationships");
  const json::object* vars = relationships ? find_object(*relationships, "vars") : nullptr;
  const json::array* list = vars ? find_array(*vars, "data") : nullptr;
  if (!list) return variables;
  const std::string pointer = "/data/relationships/vars/data";
  if (list->size() > most_variables) {
    throw Error(Code::unprocessable,
                "A variable set may have at most " + std::to_string(most_variables) + " variables.", pointer);
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::object* item = (*list)[i].if_object();
    try {
      Variable variable;
      variable.id = Id<Variable>::make();
      variable.owner_id = set_id;
      variable.version_id = new_version_id();
      jsonapi::decode(resource(), item ? *item : json::object(), jsonapi::create, &variable);
      complete_new(variable);
      variables.push_back(std::move(variable));
    } catch (const Error& error) {
      throw Error(error.code(), error.detail(), pointer + "/" + std::to_string(i));
    }
  }
  return variables;
}

}  // namespace

void VariableSetApi::add_routes(http::Router& router) {
  using http::Method;
  const http::Shape targets{http::Shape::Form::nothing, "", "identifiers"};
  using Self = VariableSetApi;
  const std::string all = "/api/v2/organizations/:organization/varsets";
  const std::string one = "/api/v2/varsets/:id";
  const std::string workspaces = one + "/relationships/workspaces";
  const std::string projects = one + "/relationships/projects";
  router.add({Method::get, all, api::bind<&Self::list>(this)}, {.query = "q include"});
  router.add({Method::post, all, api::bind<&Self::create>(this), body_limit});
  router.add({Method::get, one, api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::patch, one, api::bind<&Self::update>(this), identifiers_limit}, {.query = "include"});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  router.add({Method::post, workspaces, api::bind<&Self::apply_to_workspaces>(this), identifiers_limit},
             targets);
  router.add({Method::del, workspaces, api::bind<&Self::unapply_from_workspaces>(this), identifiers_limit},
             targets);
  router.add({Method::post, projects, api::bind<&Self::apply_to_projects>(this), identifiers_limit}, targets);
  router.add({Method::del, projects, api::bind<&Self::unapply_from_projects>(this), identifiers_limit},
             targets);
  router.add({Method::get, "/api/v2/workspaces/:id/varsets", api::bind<&Self::list_of_workspace>(this)},
             {.query = "q include"});
  router.add({Method::get, "/api/v2/projects/:id/varsets", api::bind<&Self::list_of_project>(this)},
             {.query = "q include"});
  includes_.add_relation("varsets", "organization", {"organizations"});
  includes_.add_relation("varsets", "workspaces", {"workspaces"});
  includes_.add_relation("varsets", "projects", {"projects"});
  includes_.add_relation("varsets", "vars", {"vars"});
}

Task<http::Response> VariableSetApi::answer_with_list(postgres::Tx& tx, const http::Request& request,
                                                      Sets which, const std::string& of_id) {
  jsonapi::Page page = api::page(request);
  const std::string search = api::text_parameter(request, "q").value_or("");
  auto [sets, total] = co_await list_sets(tx, which, of_id, search, page);
  json::array data;
  for (VariableSet& set : sets) {
    json::object shown = co_await shown_to(tx, api::principal(request), std::move(set));
    data.push_back(std::move(shown));
  }
  co_return co_await includes_.answer_list(request, tx, set_resource().type, std::move(data), page, total);
}

Task<http::Response> VariableSetApi::list(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  organization::OrganizationAccess access = co_await organization::require_organization(
      tx, api::principal(request), request.parameter("organization"));
  if (!may_list(access)) throw Error(Code::not_found, "");
  co_return co_await answer_with_list(tx, request, Sets::of_organization, access.id);
}

Task<http::Response> VariableSetApi::list_of_workspace(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  if (!seen.access.read_variables) throw Error(Code::not_found, "");
  co_return co_await answer_with_list(tx, request, Sets::of_workspace, seen.workspace.id.text());
}

Task<http::Response> VariableSetApi::list_of_project(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<organization::Project> project =
      co_await organization::find_project(tx, request.parameter("id"));
  if (!project) throw Error(Code::not_found, "");
  organization::OrganizationAccess access =
      co_await organization::require_organization(tx, api::principal(request), project->organization);
  if (!may_list(access)) throw Error(Code::not_found, "");
  co_return co_await answer_with_list(tx, request, Sets::of_project, project->id.text());
}

Task<http::Response> VariableSetApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, set_resource().type, body_limit);
  VariableSet given;
  given.id = std::string(VariableSet::id_prefix) + "-" + random_id_suffix();
  jsonapi::decode(set_resource(), data, jsonapi::create, &given);
  if (given.name.empty()) throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");
  read_targets(data, given);
  given.project_id = parent_of(data, request.parameter("organization"));
  std::vector<Variable> variables = new_variables(data, given.id);
  std::function<Task<VariableSet>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<VariableSet> {
    organization::OrganizationAccess access = co_await organization::require_organization(
        tx, api::principal(request), request.parameter("organization"));
    given.organization = access.name;
    if (!co_await may(tx, api::principal(request), given, Want::write)) throw Error(Code::not_found, "");
    co_await insert(tx, given, access.id);
    for (const Variable& variable : variables) co_await variable::insert(tx, vault_, variable);
    std::optional<VariableSet> made = co_await find_set(tx, given.id);
    co_return made.value();
  };
  std::function<Task<std::optional<VariableSet>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find_set(tx, given.id);
  };
  VariableSet made = co_await postgres::transact_create<VariableSet>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(made, Want::write)));
}

Task<http::Response> VariableSetApi::show(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  VariableSet set = co_await require_set(tx, principal, request.parameter("id"), Want::read);
  json::object shown = co_await shown_to(tx, principal, std::move(set));
  co_return co_await includes_.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> VariableSetApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, set_resource().type, identifiers_limit);
  std::function<Task<http::Response>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<http::Response> {
    VariableSet set = co_await require_set(tx, api::principal(request), request.parameter("id"), Want::write);
    jsonapi::decode(set_resource(), data, jsonapi::update, &set);
    read_targets(data, set);
    co_await variable::update(tx, set);
    std::optional<VariableSet> changed = co_await find_set(tx, set.id);
    co_return co_await includes_.answer(request, tx, 200, encode(changed.value(), Want::write));
  };
  co_return co_await postgres::transact_change<http::Response>(database_, change);
}

Task<http::Response> VariableSetApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    VariableSet set = co_await require_set(tx, api::principal(request), request.parameter("id"), Want::write);
    co_await remove_set(tx, set.id);
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

Task<http::Response> VariableSetApi::change_targets(http::Request& request, Target target, Change change) {
  json::object body = co_await api::read_object(request, identifiers_limit);
  const json::value* list = body.if_contains("data");
  std::vector<std::string> ids = jsonapi::identifiers(list ? *list : json::value(), "/data", most_applied);
  std::function<Task<bool>(postgres::Tx&)> run = [&](postgres::Tx& tx) -> Task<bool> {
    VariableSet set = co_await require_set(tx, api::principal(request), request.parameter("id"), Want::write);
    if (change == Change::apply)
      co_await apply(tx, set, target, ids);
    else
      co_await unapply(tx, set, target, ids);
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, run);
  co_return api::no_content();
}

Task<http::Response> VariableSetApi::apply_to_workspaces(http::Request& request) {
  return change_targets(request, Target::workspaces, Change::apply);
}
Task<http::Response> VariableSetApi::apply_to_projects(http::Request& request) {
  return change_targets(request, Target::projects, Change::apply);
}
Task<http::Response> VariableSetApi::unapply_from_workspaces(http::Request& request) {
  return change_targets(request, Target::workspaces, Change::unapply);
}
Task<http::Response> VariableSetApi::unapply_from_projects(http::Request& request) {
  return change_targets(request, Target::projects, Change::unapply);
}

}  // namespace terrane::variable
