#include "workspace/workspace_api.h"

#include "organization/admin.h"
#include "organization/tag_bindings.h"
#include "postgres/known_commit.h"
#include "workspace/tags.h"
#include "workspace/workspace_settings.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

Task<std::vector<json::object>> load_workspaces(postgres::Tx& tx, const api::Principal& principal,
                                                const std::vector<std::string>& ids) {
  std::map<std::string, Visible> found = co_await find_visible(tx, principal, ids);
  std::vector<json::object> out;
  for (const auto& [id, seen] : found) out.push_back(document(seen.workspace, seen.access));
  co_return out;
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  router.add(
      {Method::get, "/api/v2/organizations/:organization/workspaces", api::bind<&Api::list>(this)},
      {.query = "search[name] search[wildcard-name] search[tags] search[exclude-tags] filter[project][id] "
                "filter[current-run][status] filter[tagged][0][key] filter[tagged][0][value] sort include"});
  router.add({Method::post, "/api/v2/organizations/:organization/workspaces", api::bind<&Api::create>(this)});
  router.add({Method::get, "/api/v2/organizations/:organization/workspaces/:name",
              api::bind<&Api::show_by_name>(this)},
             {.query = "include"});
  router.add({Method::patch, "/api/v2/organizations/:organization/workspaces/:name",
              api::bind<&Api::update_by_name>(this)});
  router.add({Method::del, "/api/v2/organizations/:organization/workspaces/:name",
              api::bind<&Api::remove_by_name>(this)});
  router.add({Method::post, "/api/v2/organizations/:organization/workspaces/:name/actions/safe-delete",
              api::bind<&Api::safe_delete_by_name>(this)},
             {Form::nothing});
  router.add({Method::post, "/api/v2/workspaces/:id/actions/safe-delete", api::bind<&Api::safe_delete>(this)},
             {Form::nothing});
  router.add({Method::get, "/api/v2/workspaces/:id", api::bind<&Api::show>(this)}, {.query = "include"});
  router.add({Method::patch, "/api/v2/workspaces/:id", api::bind<&Api::update>(this)});
  router.add({Method::del, "/api/v2/workspaces/:id", api::bind<&Api::remove>(this)});
  router.add({Method::post, "/api/v2/workspaces/:id/actions/lock", api::bind<&Api::lock>(this)},
             {Form::one, "workspaces", "reason"});
  router.add({Method::post, "/api/v2/workspaces/:id/actions/unlock", api::bind<&Api::unlock>(this)},
             {Form::one, "workspaces"});
  router.add(
      {Method::post, "/api/v2/workspaces/:id/actions/force-unlock", api::bind<&Api::force_unlock>(this)},
      {Form::one, "workspaces"});
  router.add({Method::get, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::list_consumers>(this)},
             {Form::page, "workspaces", "", "include"});
  router.add({Method::post, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::add_consumers>(this)},
             {Form::nothing, "", "identifiers"});
  router.add({Method::patch, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::replace_consumers>(this)},
             {Form::nothing, "", "identifiers"});
  router.add({Method::del, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::remove_consumers>(this)},
             {Form::nothing, "", "identifiers"});
  router.add({Method::get, "/api/v2/workspaces/:id/resources", api::bind<&Api::resources>(this)});
  router.add({Method::post, "/api/v2/projects/:id/relationships/workspaces",
              api::bind<&Api::move_into_project>(this)},
             {Form::nothing, "", "identifiers"});
  add_includes();
}

void Api::add_includes() {
  includes_.add_resource("workspaces", load_workspaces);
  includes_.add_relation("workspaces", "organization", {"organizations"});
  includes_.add_relation("workspaces", "project", {"projects"});
  includes_.add_relation("workspaces", "current_run", {"runs"});
  includes_.add_relation("workspaces", "current_configuration_version", {"configuration-versions"});
  includes_.add_relation("workspaces", "current_state_version", {"state-versions"});
  includes_.add_relation("workspaces", "locked_by", {"users", "runs"});
  includes_.add_relation("workspaces", "effective_tag_bindings", {}, link_effective_tags);
  // Read from repositories, of which there are none yet.
  includes_.add_relation("workspaces", "readme", {});
}

namespace {

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "workspaces_name") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

/// What a request gives a workspace besides its own columns.
struct Given {
  std::optional<std::vector<organization::TagBinding>> bindings;
  std::optional<std::vector<TagName>> tags;
};

Given given_with(const json::object& data) {
  Given given{organization::related_tag_bindings(data), std::nullopt};
  const json::object* relationships = find_object(data, "relationships");
  const json::object* tags = relationships ? find_object(*relationships, "tags") : nullptr;
  const json::value* list = tags ? tags->if_contains("data") : nullptr;
  if (list) given.tags = read_tags(*list, "/data/relationships/tags/data");
  return given;
}

}  // namespace

Task<http::Response> Api::create(http::Request& request) {
  json::object data = co_await api::read_data(request, "workspaces");
  const api::Principal& principal = api::principal(request);
  const Given given = given_with(data);
  const Id<Workspace> id = Id<Workspace>::make();
  std::function<Task<Visible>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Visible> {
    auto organization =
        co_await organization::require_organization(tx, principal, request.parameter("organization"));
    Workspace workspace;
    workspace.organization_id = organization.id;
    workspace.project = organization.default_project;
    const std::string into = jsonapi::related_id(data, "project").value_or(organization.default_project);
    auto there = co_await organization::access_to_project(tx, principal, into);
    if (!there.create_workspaces) throw Error(Code::not_found, "There is no such project.");
    json::object columns = co_await settle(tx, data, jsonapi::create, workspace);
    co_await organization::require_room_for_workspace(tx, organization.id);
    if (workspace.name.empty())
      throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");
    // The struct's defaults are the resource's defaults; the given columns stand over them.
    json::object all{{"overwrites_execution_mode", false}, {"execution_mode", workspace.execution_mode}};
    for (const jsonapi::Attribute& attribute : resource().attributes) {
      if (attribute.flags & jsonapi::create || attribute.column == "source")
        all[attribute.column] = attribute.ops->to_json(attribute.address(&workspace));
    }
    for (auto& [key, value] : columns) all[key] = value;
    try {
      co_await tx.run(sql::workspace_insert,
                      postgres::Params::of(id, organization.id, workspace.project, all));
    } catch (const Error& error) {
      throw taken(error);
    }
    if (given.bindings) co_await organization::add_tag_bindings(tx, id.text(), *given.bindings);
    if (given.tags) co_await add_tags(tx, organization.id, {id.text()}, *given.tags);
    co_return co_await require(tx, principal, id.text());
  };
  std::function<Task<std::optional<Visible>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<Visible>> {
    if (!co_await find(tx, id.text())) co_return std::nullopt;
    co_return co_await require(tx, principal, id.text());
  };
  Visible made = co_await postgres::transact_create<Visible>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(document(made.workspace, made.access)));
}

Task<std::string> Api::id_by_name(postgres::Tx& tx, const http::Request& request) {
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  std::optional<Workspace> found = co_await find_by_name(tx, organization.id, request.parameter("name"));
  if (!found) throw Error(Code::not_found, "");
  co_return found->id.text();
}

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  co_return co_await includes_.answer(request, tx, 200, document(seen.workspace, seen.access));
}

Task<http::Response> Api::show_by_name(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::string id = co_await id_by_name(tx, request);
  Visible seen = co_await require(tx, api::principal(request), id);
  co_return co_await includes_.answer(request, tx, 200, document(seen.workspace, seen.access));
}

Task<http::Response> Api::update(http::Request& request) {
  co_return co_await update_one(request, request.parameter("id"));
}

Task<http::Response> Api::update_by_name(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::string id = co_await id_by_name(tx, request);
  co_await tx.commit();
  co_return co_await update_one(request, id);
}

Task<http::Response> Api::update_one(http::Request& request, std::string id) {
  json::object data = co_await api::read_data(request, "workspaces");
  const api::Principal& principal = api::principal(request);
  const Given given = given_with(data);
  std::function<Task<Visible>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Visible> {
    Visible seen = co_await require_changeable(tx, principal, id, RowLock::yes);
    const std::string from = seen.workspace.project;
    json::object columns = co_await settle(tx, data, jsonapi::update, seen.workspace);
    if (seen.workspace.project != from) {
      auto there = co_await organization::access_to_project(tx, principal, seen.workspace.project);
      if (!seen.access.move || !there.move_workspaces) throw Error(Code::not_found, "");
    }
    try {
      co_await tx.run(sql::workspace_update, postgres::Params::of(id, columns));
    } catch (const Error& error) {
      throw taken(error);
    }
    if (given.bindings) co_await organization::replace_tag_bindings(tx, id, *given.bindings);
    co_return co_await require(tx, principal, id);
  };
  Visible made = co_await postgres::transact_change<Visible>(database_, change);
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

Task<http::Response> Api::move_into_project(http::Request& request) {
  constexpr std::size_t most = 100;
  json::object body = co_await api::read_object(request);
  const json::value* list = body.if_contains("data");
  const std::vector<std::string> ids = jsonapi::identifiers(list ? *list : json::value(), "/data", most);
  const api::Principal& principal = api::principal(request);
  const std::string project = request.parameter("id");
  std::function<Task<bool>(postgres::Tx&)> move = [&](postgres::Tx& tx) -> Task<bool> {
    auto there = co_await organization::access_to_project(tx, principal, project);
    if (!there.move_workspaces) throw Error(Code::not_found, "");
    co_await tx.run(sql::workspace_lock_rows, postgres::Params::of(ids));
    auto visible = co_await find_visible(tx, principal, ids);
    for (const std::string& id : ids) {
      auto seen = visible.find(id);
      if (seen == visible.end() || !seen->second.access.move)
        throw Error(Code::not_found, "There is no workspace " + id + ".");
      postgres::Result near =
          co_await tx.run(sql::workspace_project_exists,
                          postgres::Params::of(project, seen->second.workspace.organization_id));
      if (near.empty())
        throw Error(Code::not_found, "There is no workspace " + id + " in this organization.");
    }
    co_await tx.run(sql::workspace_move, postgres::Params::of(ids, project));
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, move);
  co_return api::no_content();
}

Task<http::Response> Api::remove(http::Request& request) {
  co_return co_await remove_one(request, request.parameter("id"), Deletion::whatever_it_manages);
}

Task<http::Response> Api::remove_by_name(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::string id = co_await id_by_name(tx, request);
  co_await tx.commit();
  co_return co_await remove_one(request, id, Deletion::whatever_it_manages);
}

Task<http::Response> Api::safe_delete(http::Request& request) {
  co_return co_await remove_one(request, request.parameter("id"), Deletion::nothing_managed);
}

Task<http::Response> Api::safe_delete_by_name(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::string id = co_await id_by_name(tx, request);
  co_await tx.commit();
  co_return co_await remove_one(request, id, Deletion::nothing_managed);
}

namespace {

/// Why the workspace may manage resources; nothing when it manages none.
Task<std::optional<std::string>> managed(postgres::Tx& tx, const Workspace& workspace) {
  postgres::Result state = co_await tx.run(sql::workspace_current_state, postgres::Params::of(workspace.id));
  if (state.empty()) co_return std::nullopt;
  if (!state[0].boolean("resources_processed"))
    co_return "The workspace's current state is still being processed. Try again.";
  if (!state[0].is_null("parse_error"))
    co_return "The workspace's current state could not be read, so it may manage resources.";
  if (workspace.resource_count == 0) co_return std::nullopt;
  co_return "The workspace manages " + std::to_string(workspace.resource_count) +
      " resources. Destroy them first, or delete it by force.";
}

Task<bool> manages_anything(postgres::Tx& tx, const Workspace& workspace) {
  std::optional<std::string> why = co_await managed(tx, workspace);
  co_return why.has_value();
}

/// Throws Error{conflict}, in the words that clients look for, while a workspace may manage resources.
Task<> require_nothing_managed(postgres::Tx& tx, const Workspace& workspace) {
  if (workspace.locked())
    throw Error(Code::conflict, "Unable to delete workspace. " + lock_description(workspace));
  if (std::optional<std::string> why = co_await managed(tx, workspace)) throw Error(Code::conflict, *why);
}

}  // namespace

Task<http::Response> Api::remove_one(http::Request& request, std::string id, Deletion deletion) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), id, RowLock::yes);
  if (!seen.access.destroy) throw Error(Code::not_found, "");
  postgres::Result executing = co_await tx.run(sql::workspace_executing_run, postgres::Params::of(id));
  if (!executing.empty()) {
    throw Error(Code::conflict, "Run " + executing[0].string("run_id") + " executes its " +
                                    executing[0].string("phase") +
                                    " in this workspace. Cancel it before you delete the workspace.");
  }
  if (deletion == Deletion::nothing_managed) {
    co_await require_nothing_managed(tx, seen.workspace);
  } else if (!may_force_delete(seen.workspace, seen.access) &&
             co_await manages_anything(tx, seen.workspace)) {
    throw Error(Code::forbidden,
                "The organization lets only its owners delete a workspace that may manage resources. Destroy "
                "them first, or ask an owner.");
  }
  co_await tx.run(sql::workspace_delete_objects, postgres::Params::of(id));
  co_await tx.run(sql::workspace_delete, postgres::Params::of(id));
  co_await tx.commit();
  co_return api::no_content();
}

}  // namespace terrane::workspace
