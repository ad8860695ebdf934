#include "configversion/configversion.h"

#include "configversion/configversion_sql.h"

namespace terrane::configversion {
namespace {

ConfigurationVersion from_row(const postgres::Row& row) {
  ConfigurationVersion version = jsonapi::from_row<ConfigurationVersion>(resource(), row);
  version.id = Id<ConfigurationVersion>(row.string("id"));
  return version;
}

Task<std::optional<ConfigurationVersion>> one(postgres::Tx& tx, const Statement& statement, std::string key) {
  postgres::Result result = co_await tx.run(statement, postgres::Params::of(key));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return from_row(*row);
}

}  // namespace

const jsonapi::Resource& resource() {
  using jsonapi::attr;
  static const std::array attributes{
      attr<&ConfigurationVersion::status>("status", "status"),
      attr<&ConfigurationVersion::source>("source", "source"),
      attr<&ConfigurationVersion::speculative>("speculative", "speculative", jsonapi::create),
      attr<&ConfigurationVersion::provisional>("provisional", "provisional", jsonapi::create),
      attr<&ConfigurationVersion::auto_queue_runs>("auto-queue-runs", "auto_queue_runs", jsonapi::create),
      attr<&ConfigurationVersion::error>("error", "error"),
      attr<&ConfigurationVersion::error_message>("error-message", "error_message"),
      attr<&ConfigurationVersion::changed_files>("changed-files", "changed_files"),
      attr<&ConfigurationVersion::object>("object-id", "object_id", jsonapi::hidden),
      attr<&ConfigurationVersion::status_timestamps>("status-timestamps", "status_timestamps"),
  };
  static const std::array relations{
      jsonapi::rel<&ConfigurationVersion::workspace>("workspace", "workspaces", "workspace_id"),
  };
  static const jsonapi::Resource table{"configuration-versions", attributes, relations};
  return table;
}

Task<std::optional<ConfigurationVersion>> find(postgres::Tx& tx, const std::string& id) {
  co_return co_await one(tx, sql::configuration_version_find, id);
}

Task<std::optional<ConfigurationVersion>> latest(postgres::Tx& tx, const std::string& workspace_id) {
  co_return co_await one(tx, sql::configuration_version_latest, workspace_id);
}

Task<std::optional<Uploaded>> on_uploaded(postgres::Tx& tx, const Id<Object>& object) {
  std::optional<ConfigurationVersion> changed =
      co_await one(tx, sql::configuration_version_mark_uploaded, object.text());
  if (!changed) {
    std::optional<ConfigurationVersion> known =
        co_await one(tx, sql::configuration_version_of_object, object.text());
    if (!known) co_return std::nullopt;
    co_return Uploaded{*std::move(known), false};
  }
  if (!changed->provisional && !changed->speculative) {
    co_await workspace::set_current_configuration(tx, changed->workspace.text(), changed->id.text());
  }
  co_return Uploaded{*std::move(changed), true};
}

void Api::add_routes(http::Router& router) {
  using http::Method;
  router.add({Method::get, "/api/v2/workspaces/:id/configuration-versions", api::bind<&Api::list>(this)});
  router.add({Method::post, "/api/v2/workspaces/:id/configuration-versions", api::bind<&Api::create>(this)});
  router.add({Method::get, "/api/v2/configuration-versions/:id", api::bind<&Api::show>(this)});
  router.add({Method::get, "/api/v2/configuration-versions/:id/download", api::bind<&Api::download>(this)},
             {http::Shape::Form::redirect});
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  postgres::Result rows = co_await tx.run(sql::configuration_version_list,
                                          postgres::Params::of(seen.workspace.id, page.size, page.offset()));
  postgres::Result count =
      co_await tx.run(sql::configuration_version_count, postgres::Params::of(seen.workspace.id));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ConfigurationVersion version = from_row(rows[i]);
    data.push_back(jsonapi::encode(resource(), &version, version.id.text()));
  }
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, count[0].integer("total"), request.path));
}

Task<http::Response> Api::create(http::Request& request) {
  json::object data = co_await api::read_data(request, "configuration-versions");
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  auto seen = co_await workspace::require(tx, principal, request.parameter("id"));
  if (!seen.access.queue_runs) throw Error(Code::not_found, "");
  ConfigurationVersion version;
  jsonapi::decode(resource(), data, jsonapi::create, &version);
  version.id = Id<ConfigurationVersion>::make();
  Id<Object> object = Id<Object>::make();
  co_await object::insert(tx, object, "configuration", seen.workspace.id.text());
  co_await tx.run(sql::configuration_version_insert,
                  postgres::Params::of(version.id, seen.workspace.id, version.speculative,
                                       version.provisional, version.auto_queue_runs, object, principal.id));
  std::optional<ConfigurationVersion> made = co_await find(tx, version.id.text());
  co_await tx.commit();
  json::object document = jsonapi::encode(resource(), &*made, made->id.text());
  // The URL is the right to upload; it is shown once, here.
  document["attributes"].as_object()["upload-url"] =
      origin_ + urls_.path(object::Access::write, object, object::upload_life);
  co_return api::answer(201, jsonapi::document(std::move(document)));
}

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<ConfigurationVersion> version = co_await find(tx, request.parameter("id"));
  if (!version) throw Error(Code::not_found, "");
  co_await workspace::require(tx, api::principal(request), version->workspace.text());
  co_return api::answer(200, jsonapi::document(jsonapi::encode(resource(), &*version, version->id.text())));
}

Task<http::Response> Api::download(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<ConfigurationVersion> version = co_await find(tx, request.parameter("id"));
  if (!version) throw Error(Code::not_found, "");
  auto seen = co_await workspace::require(tx, api::principal(request), version->workspace.text());
  if (!seen.access.queue_runs || version->status != "uploaded") throw Error(Code::not_found, "");
  http::Response response;
  response.status = 302;
  response.headers.set("Location", origin_ + urls_.path(object::Access::read, Id<Object>(version->object),
                                                        object::download_life));
  co_return response;
}

}  // namespace terrane::configversion
