#include "api/api.h"
#include "workspace/workspace.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

constexpr std::string_view taken = "Name has already been taken";

/// The columns of a request: its attributes, what `operations` says in its older way, and the project of its
/// relation.
Task<json::object> columns_of(postgres::Tx& tx, const json::object& data, jsonapi::Flag when,
                              const std::string& organization_id, Workspace& workspace) {
  json::object columns = jsonapi::decode(resource(), data, when, &workspace);
  const json::object* attributes = find_object(data, "attributes");
  if (attributes && !attributes->contains("execution-mode")) {
    if (std::optional<bool> operations = find_bool(*attributes, "operations"))
      columns["execution_mode"] = *operations ? "remote" : "local";
  }
  if (std::optional<std::string> project = jsonapi::related_id(data, "project")) {
    postgres::Result found =
        co_await tx.run(sql::workspace_project_exists, postgres::Params::of(*project, organization_id));
    if (found.empty())
      throw Error(Code::not_found, "There is no such project.", "/data/relationships/project");
    columns["project_id"] = *project;
  }
  co_return columns;
}

/// The reason of a lock: a JSON:API document's attribute (what go-tfe sends) or a plain object's member (what
/// the documents show).
std::optional<std::string> reason_of(const json::object& body) {
  if (const json::object* data = find_object(body, "data")) {
    const json::object* attributes = find_object(*data, "attributes");
    return attributes ? find_string(*attributes, "reason") : std::nullopt;
  }
  return find_string(body, "reason");
}

std::vector<std::string> consumer_ids(const json::object& body) {
  const json::array* list = find_array(body, "data");
  if (!list) throw Error(Code::unprocessable, "The member must be a list of workspaces.", "/data");
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::object* item = (*list)[i].if_object();
    std::optional<std::string> id = item ? find_string(*item, "id") : std::nullopt;
    if (!id)
      throw Error(Code::unprocessable, "Each item must name a workspace by its id.",
                  "/data/" + std::to_string(i) + "/id");
    ids.push_back(*id);
  }
  return ids;
}

std::string lock_kind(const api::Principal& principal) {
  switch (principal.kind) {
    case api::Principal::Kind::user: return "users";
    case api::Principal::Kind::team: return "teams";
    case api::Principal::Kind::run: return "runs";
    case api::Principal::Kind::organization:
    case api::Principal::Kind::audit_trails: throw Error(Code::not_found, "");
  }
  throw Error(Code::not_found, "");
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  router.add({Method::get, "/api/v2/organizations/:organization/workspaces", api::bind<&Api::list>(this)},
             {.query = "search[name] filter[project][id]"});
  router.add({Method::post, "/api/v2/organizations/:organization/workspaces", api::bind<&Api::create>(this)});
  router.add({Method::get, "/api/v2/organizations/:organization/workspaces/:name",
              api::bind<&Api::show_by_name>(this)});
  router.add({Method::patch, "/api/v2/organizations/:organization/workspaces/:name",
              api::bind<&Api::update_by_name>(this)});
  router.add({Method::del, "/api/v2/organizations/:organization/workspaces/:name",
              api::bind<&Api::remove_by_name>(this)});
  router.add({Method::post, "/api/v2/organizations/:organization/workspaces/:name/actions/safe-delete",
              api::bind<&Api::safe_delete_by_name>(this)},
             {Form::nothing});
  router.add({Method::post, "/api/v2/workspaces/:id/actions/safe-delete", api::bind<&Api::safe_delete>(this)},
             {Form::nothing});
  router.add({Method::get, "/api/v2/workspaces/:id", api::bind<&Api::show>(this)});
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
             {Form::page, "workspaces"});
  router.add({Method::post, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::add_consumers>(this)},
             {Form::nothing, "", "identifiers"});
  router.add({Method::patch, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::replace_consumers>(this)},
             {Form::nothing, "", "identifiers"});
  router.add({Method::del, "/api/v2/workspaces/:id/relationships/remote-state-consumers",
              api::bind<&Api::remove_consumers>(this)},
             {Form::nothing, "", "identifiers"});
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  std::optional<std::string> name;
  if (auto given = request.query.find("search[name]")) name = std::string(*given);
  std::optional<std::string> project;
  if (auto given = request.query.find("filter[project][id]")) project = std::string(*given);
  const api::Principal& principal = api::principal(request);
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, principal, organization.id);
  postgres::Result rows = co_await tx.run(
      sql::workspace_list, postgres::Params::of(organization.id, name, project, page.size, page.offset(),
                                                scope.all_workspaces, scope.projects, scope.workspaces));
  std::int64_t total = 0;
  if (!rows.empty()) {
    total = rows[0].integer("total");
  } else {
    postgres::Result count = co_await tx.run(
        sql::workspace_count, postgres::Params::of(organization.id, name, project, scope.all_workspaces,
                                                   scope.projects, scope.workspaces));
    total = count[0].integer("total");
  }
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < rows.size(); ++i) ids.push_back(rows[i].string("id"));
  const auto accesses = co_await organization::access_to_workspaces(tx, principal, ids);
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Workspace workspace = jsonapi::from_row<Workspace>(resource(), rows[i]);
    workspace.id = Id<Workspace>(rows[i].string("id"));
    auto access = accesses.find(workspace.id.text());
    if (access != accesses.end()) data.push_back(document(workspace, access->second));
  }
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> Api::create(http::Request& request) {
  json::object data = co_await api::read_data(request, "workspaces");
  postgres::Tx tx = co_await database_.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  Workspace workspace;
  json::object columns = co_await columns_of(tx, data, jsonapi::create, organization.id, workspace);
  const std::string into = find_string(columns, "project_id").value_or(organization.default_project);
  organization::ProjectAccess there =
      co_await organization::access_to_project(tx, api::principal(request), into);
  if (!there.create_workspaces) throw Error(Code::not_found, "");
  if (workspace.name.empty())
    throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");
  // The struct's defaults are the resource's defaults; the given columns stand over them.
  json::object all;
  for (const jsonapi::Attribute& attribute : resource().attributes) {
    if (attribute.flags & jsonapi::create || attribute.column == "source")
      all[attribute.column] = attribute.ops->to_json(attribute.address(&workspace));
  }
  for (auto& [key, value] : columns) all[key] = value;
  std::optional<std::string> project = find_string(columns, "project_id");
  workspace.id = Id<Workspace>::make();
  try {
    co_await tx.run(sql::workspace_insert, postgres::Params::of(workspace.id, organization.id, project, all));
  } catch (const Error& error) {
    if (postgres::violated_constraint(error) != "workspaces_name") throw;
    throw Error(Code::unprocessable, std::string(taken), "/data/attributes/name");
  }
  Visible made = co_await require(tx, api::principal(request), workspace.id.text());
  co_await tx.commit();
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
  co_return api::answer(200, jsonapi::document(document(seen.workspace, seen.access)));
}

Task<http::Response> Api::show_by_name(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::string id = co_await id_by_name(tx, request);
  Visible seen = co_await require(tx, api::principal(request), id);
  co_return api::answer(200, jsonapi::document(document(seen.workspace, seen.access)));
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
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), id, RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  const std::string from = seen.workspace.project;
  json::object columns =
      co_await columns_of(tx, data, jsonapi::update, seen.workspace.organization_id, seen.workspace);
  std::optional<std::string> into = find_string(columns, "project_id");
  if (into && *into != from) {
    organization::ProjectAccess there =
        co_await organization::access_to_project(tx, api::principal(request), *into);
    if (!seen.access.move || !there.move_workspaces) throw Error(Code::not_found, "");
  }
  try {
    co_await tx.run(sql::workspace_update, postgres::Params::of(id, columns));
  } catch (const Error& error) {
    if (postgres::violated_constraint(error) != "workspaces_name") throw;
    throw Error(Code::unprocessable, std::string(taken), "/data/attributes/name");
  }
  Visible made = co_await require(tx, api::principal(request), id);
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
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

/// Throws Error{conflict}, in the words that clients look for, while a workspace may manage resources.
Task<> require_nothing_managed(postgres::Tx& tx, const Workspace& workspace) {
  if (workspace.locked())
    throw Error(Code::conflict, "Unable to delete workspace. " + lock_description(workspace));
  postgres::Result state = co_await tx.run(sql::workspace_current_state, postgres::Params::of(workspace.id));
  if (state.empty()) co_return;
  if (!state[0].boolean("resources_processed"))
    throw Error(Code::conflict, "The workspace's current state is still being processed. Try again.");
  if (!state[0].is_null("parse_error"))
    throw Error(Code::conflict,
                "The workspace's current state could not be read, so it may manage resources.");
  if (workspace.resource_count > 0) {
    throw Error(Code::conflict, "The workspace manages " + std::to_string(workspace.resource_count) +
                                    " resources. Destroy them first, or delete it by force.");
  }
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
  if (deletion == Deletion::nothing_managed) co_await require_nothing_managed(tx, seen.workspace);
  co_await tx.run(sql::workspace_delete_objects, postgres::Params::of(id));
  co_await tx.run(sql::workspace_delete, postgres::Params::of(id));
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> Api::lock(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"), RowLock::yes);
  if (!seen.access.lock) throw Error(Code::not_found, "");
  if (seen.workspace.locked())
    throw Error(Code::conflict, "Unable to lock workspace. " + lock_description(seen.workspace));
  co_await set_lock(tx, seen.workspace.id, lock_kind(principal), principal.id, reason_of(body));
  Visible made = co_await require(tx, principal, seen.workspace.id.text());
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

Task<http::Response> Api::unlock(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"), RowLock::yes);
  if (!seen.access.lock) throw Error(Code::not_found, "");
  if (!seen.workspace.locked()) throw Error(Code::conflict, "Unable to unlock workspace. It is not locked.");
  if (!seen.workspace.locked_by(lock_kind(principal), principal.id)) {
    throw Error(Code::conflict, "Unable to unlock workspace. " + lock_description(seen.workspace));
  }
  postgres::Result pending =
      co_await tx.run(sql::workspace_pending_upload, postgres::Params::of(seen.workspace.id));
  if (!pending.empty()) {
    throw Error(Code::conflict,
                "Unable to unlock workspace while a state version upload is still pending. Finish the upload "
                "or force-unlock.");
  }
  // An older upload counts as discarded; it must not become current under the next owner's lock.
  co_await tx.run(sql::workspace_discard_pending_uploads, postgres::Params::of(seen.workspace.id));
  co_await clear_lock(tx, seen.workspace.id.text(), lock_kind(principal), principal.id);
  Visible made = co_await require(tx, principal, seen.workspace.id.text());
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

Task<http::Response> Api::force_unlock(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"), RowLock::yes);
  if (!seen.access.force_unlock) throw Error(Code::not_found, "");
  if (!seen.workspace.locked()) throw Error(Code::conflict, "Unable to unlock workspace. It is not locked.");
  if (seen.workspace.lock_kind == "runs") {
    postgres::Result executing =
        co_await tx.run(sql::workspace_executing_owner, postgres::Params::of(seen.workspace.id));
    if (!executing.empty()) {
      throw Error(Code::conflict,
                  "Run " + executing[0].string("run_id") + " executes its " + executing[0].string("phase") +
                      " right now. Cancel the run; the lock is freed when its phase has ended.");
    }
  }
  co_await tx.run(sql::workspace_discard_pending_uploads, postgres::Params::of(seen.workspace.id));
  co_await clear_lock(tx, seen.workspace.id.text(), *seen.workspace.lock_kind, *seen.workspace.lock_owner);
  Visible made = co_await require(tx, principal, seen.workspace.id.text());
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

Task<http::Response> Api::list_consumers(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  postgres::Result rows = co_await tx.run(sql::workspace_consumers, postgres::Params::of(seen.workspace.id));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::optional<Workspace> consumer = co_await find(tx, rows[i].string("id"));
    organization::WorkspaceAccess access =
        co_await organization::access_to_workspace(tx, api::principal(request), rows[i].string("id"));
    if (consumer && access.read) data.push_back(document(*consumer, access));
  }
  const std::int64_t total = static_cast<std::int64_t>(data.size());
  json::array shown = jsonapi::slice(std::move(data), page);
  co_return api::answer(200, jsonapi::list_document(std::move(shown), page, total, request.path));
}

Task<http::Response> Api::add_consumers(http::Request& request) {
  std::vector<std::string> ids = consumer_ids(co_await api::read_object(request));
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"), RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  for (const std::string& id : ids) {
    postgres::Result found = co_await tx.run(sql::workspace_consumer_exists,
                                             postgres::Params::of(id, seen.workspace.organization_id));
    if (found.empty()) throw Error(Code::not_found, "There is no workspace " + id + " in this organization.");
    co_await tx.run(sql::workspace_consumer_add,
                    postgres::Params::of(seen.workspace.id, id, seen.workspace.organization_id));
  }
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> Api::remove_consumers(http::Request& request) {
  std::vector<std::string> ids = consumer_ids(co_await api::read_object(request));
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"), RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  for (const std::string& id : ids)
    co_await tx.run(sql::workspace_consumer_remove, postgres::Params::of(seen.workspace.id, id));
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> Api::replace_consumers(http::Request& request) {
  std::vector<std::string> ids = consumer_ids(co_await api::read_object(request));
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"), RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  co_await tx.run(sql::workspace_consumers_clear, postgres::Params::of(seen.workspace.id));
  for (const std::string& id : ids) {
    postgres::Result found = co_await tx.run(sql::workspace_consumer_exists,
                                             postgres::Params::of(id, seen.workspace.organization_id));
    if (found.empty()) throw Error(Code::not_found, "There is no workspace " + id + " in this organization.");
    co_await tx.run(sql::workspace_consumer_add,
                    postgres::Params::of(seen.workspace.id, id, seen.workspace.organization_id));
  }
  co_await tx.commit();
  co_return api::no_content();
}

}  // namespace terrane::workspace
