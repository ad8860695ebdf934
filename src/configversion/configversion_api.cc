#include "configversion/configversion.h"
#include "configversion/configversion_sql.h"

namespace terrane::configversion {

namespace {

Task<std::vector<json::object>> load(postgres::Tx& tx, const api::Principal& principal,
                                     const std::vector<std::string>& ids) {
  std::vector<ConfigurationVersion> versions = co_await find_all(tx, ids);
  std::vector<std::string> workspaces;
  for (const ConfigurationVersion& version : versions) {
    if (version.workspace) workspaces.push_back(*version.workspace);
  }
  auto visible = co_await workspace::find_visible(tx, principal, workspaces);
  std::vector<json::object> out;
  for (const ConfigurationVersion& version : versions) {
    if (version.workspace && visible.contains(*version.workspace)) out.push_back(document(version));
  }
  co_return out;
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  const std::string all = "/api/v2/workspaces/:id/configuration-versions";
  const std::string one = "/api/v2/configuration-versions/:id";
  router.add({Method::get, all, api::bind<&Api::list>(this)}, {.query = "include"});
  router.add({Method::post, all, api::bind<&Api::create>(this)});
  router.add({Method::get, one, api::bind<&Api::show>(this)}, {.query = "include"});
  router.add({Method::get, one + "/download", api::bind<&Api::download>(this)}, {Form::redirect});
  router.add({Method::get, "/api/v2/runs/:id/configuration-version", api::bind<&Api::show_of_run>(this)},
             {Form::one, "configuration-versions", "", "include"});
  router.add({Method::get, "/api/v2/runs/:id/configuration-version/download",
              api::bind<&Api::download_of_run>(this)},
             {Form::redirect});
  router.add({Method::post, one + "/actions/archive", api::bind<&Api::archive>(this)}, {Form::accepted});
  router.add({Method::post, one + "/actions/soft_delete_backing_data", api::bind<&Api::soft_delete>(this)},
             {Form::one, "configuration-versions"});
  router.add({Method::post, one + "/actions/restore_backing_data", api::bind<&Api::restore>(this)},
             {Form::one, "configuration-versions"});
  router.add({Method::post, one + "/actions/permanently_delete_backing_data",
              api::bind<&Api::permanently_delete>(this)},
             {Form::one, "configuration-versions"});
  needs_.includes.add_resource("configuration-versions", load);
  needs_.includes.add_relation("configuration-versions", "workspace", {"workspaces"});
  // Nothing comes from a repository yet, so this relation, which clients ask for, leads nowhere.
  needs_.includes.add_relation("configuration-versions", "ingress_attributes", {});
}

Task<Api::Seen> Api::require(postgres::Tx& tx, const http::Request& request, const std::string& id,
                             workspace::RowLock lock) {
  const api::Principal& principal = api::principal(request);
  std::optional<ConfigurationVersion> version = co_await find(tx, id);
  if (!version) throw Error(Code::not_found, "");
  if (!version->workspace) {
    const bool manages = co_await needs_.module_access(tx, principal, version->registry_module.value());
    co_return Seen{*std::move(version), manages, manages};
  }
  auto place = co_await workspace::require(tx, principal, *version->workspace, lock);
  if (lock == workspace::RowLock::yes) version = co_await find(tx, id);
  if (!version) throw Error(Code::not_found, "");
  co_return Seen{*std::move(version), place.access.queue_runs, place.access.update};
}

Task<Api::Seen> Api::require_of_run(postgres::Tx& tx, const http::Request& request) {
  postgres::Result rows =
      co_await tx.run(sql::configuration_version_id_of_run, postgres::Params::of(request.parameter("id")));
  if (rows.empty()) throw Error(Code::not_found, "");
  co_return co_await require(tx, request, rows[0].string("id"));
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  postgres::Result rows = co_await tx.run(sql::configuration_version_list,
                                          postgres::Params::of(seen.workspace.id, page.size, page.offset()));
  postgres::Result count =
      co_await tx.run(sql::configuration_version_count, postgres::Params::of(seen.workspace.id));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ConfigurationVersion version = jsonapi::from_row<ConfigurationVersion>(resource(), rows[i]);
    version.id = Id<ConfigurationVersion>(rows[i].string("id"));
    data.push_back(document(version));
  }
  co_return co_await needs_.includes.answer_list(request, tx, resource().type, std::move(data), page,
                                                 count[0].integer("total"));
}

Task<http::Response> Api::create(http::Request& request) {
  json::object data = co_await api::read_data(request, "configuration-versions");
  const api::Principal& principal = api::principal(request);
  ConfigurationVersion wanted;
  jsonapi::decode(resource(), data, jsonapi::create, &wanted);
  postgres::Tx tx = co_await needs_.database.begin();
  auto seen = co_await workspace::require(tx, principal, request.parameter("id"));
  if (!seen.access.queue_runs) throw Error(Code::not_found, "");
  wanted.workspace = seen.workspace.id.text();
  wanted.created_by = principal.id;
  ConfigurationVersion made = co_await insert(tx, wanted);
  co_await tx.commit();
  json::object shown = document(made);
  // The URL is the right to upload; it is shown once, here.
  shown["attributes"].as_object()["upload-url"] = upload_url(needs_.origin, needs_.urls, made);
  co_return api::answer(201, jsonapi::document(std::move(shown)));
}

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"));
  co_return co_await needs_.includes.answer(request, tx, 200, document(seen.version));
}

Task<http::Response> Api::show_of_run(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require_of_run(tx, request);
  co_return co_await needs_.includes.answer(request, tx, 200, document(seen.version));
}

http::Response Api::redirect_to_bytes(const Seen& seen) const {
  if (!seen.may_download || !seen.version.usable()) throw Error(Code::not_found, "");
  http::Response response;
  response.status = 302;
  response.headers.set("Location",
                       needs_.origin + needs_.urls.path(object::Access::read, Id<Object>(seen.version.object),
                                                        object::download_life));
  return response;
}

Task<http::Response> Api::download(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"));
  co_return redirect_to_bytes(seen);
}

Task<http::Response> Api::download_of_run(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require_of_run(tx, request);
  co_return redirect_to_bytes(seen);
}

namespace {

/// Refuses to take the bytes away while something needs them: a run that has not ended, or the next one.
Task<> require_unneeded(postgres::Tx& tx, const ConfigurationVersion& version, std::string_view what) {
  if (!version.workspace) co_return;
  std::optional<ConfigurationVersion> current = co_await latest(tx, *version.workspace);
  if (current && current->id == version.id) {
    throw Error(Code::conflict, "transition not allowed: configuration could not be " + std::string(what) +
                                    " because it is current");
  }
  postgres::Result runs =
      co_await tx.run(sql::configuration_version_open_run, postgres::Params::of(version.id));
  if (!runs.empty()) {
    throw Error(Code::conflict, "transition not allowed: configuration could not be " + std::string(what) +
                                    " because " + runs[0].string("id") + " has not ended");
  }
}

}  // namespace

Task<http::Response> Api::archive(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.may_manage) throw Error(Code::not_found, "");
  if (!seen.version.usable()) {
    throw Error(Code::conflict,
                "transition not allowed: only an uploaded configuration can be archived; "
                "this one is " +
                    seen.version.shown_status());
  }
  co_await require_unneeded(tx, seen.version, "archived");
  co_await tx.run(sql::configuration_version_archive, postgres::Params::of(seen.version.id));
  co_await object::mark_deleted(tx, Id<Object>(seen.version.object));
  co_await tx.commit();
  http::Response response;
  response.status = 202;
  co_return response;
}

Task<http::Response> Api::change_backing(http::Request& request, object::Backing action) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.may_manage) throw Error(Code::not_found, "");
  if (action == object::Backing::soft_delete) co_await require_unneeded(tx, seen.version, "deleted");
  const std::vector<std::string> objects{seen.version.object};
  co_await object::change_backing(tx, objects, action);
  Seen changed = co_await require(tx, request, request.parameter("id"));
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(changed.version)));
}

Task<http::Response> Api::soft_delete(http::Request& request) {
  co_return co_await change_backing(request, object::Backing::soft_delete);
}

Task<http::Response> Api::restore(http::Request& request) {
  co_return co_await change_backing(request, object::Backing::restore);
}

Task<http::Response> Api::permanently_delete(http::Request& request) {
  co_return co_await change_backing(request, object::Backing::permanently_delete);
}

}  // namespace terrane::configversion
