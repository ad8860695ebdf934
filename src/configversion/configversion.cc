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

json::object linkage(std::string_view type, const std::optional<std::string>& id) {
  if (!id) return {{"data", nullptr}};
  return {{"data", json::object{{"id", *id}, {"type", type}}}};
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
      attr<&ConfigurationVersion::status_timestamps>("status-timestamps", "status_timestamps"),
      attr<&ConfigurationVersion::workspace>("workspace-id", "workspace_id", jsonapi::hidden),
      attr<&ConfigurationVersion::registry_module>("registry-module-id", "registry_module_id",
                                                   jsonapi::hidden),
      attr<&ConfigurationVersion::backing>("backing", "backing", jsonapi::hidden),
      attr<&ConfigurationVersion::object>("object-id", "object_id", jsonapi::hidden),
      attr<&ConfigurationVersion::created_by>("created-by-id", "created_by", jsonapi::hidden),
  };
  static const jsonapi::Resource table{"configuration-versions", attributes, {}};
  return table;
}

json::object document(const ConfigurationVersion& version) {
  json::object out = jsonapi::encode(resource(), &version, version.id.text());
  out["attributes"].as_object()["status"] = version.shown_status();
  json::object relations{{"ingress-attributes", linkage("ingress-attributes", std::nullopt)}};
  if (version.workspace) relations["workspace"] = linkage("workspaces", version.workspace);
  if (version.registry_module)
    relations["registry-module"] = linkage("registry-modules", version.registry_module);
  out["relationships"] = std::move(relations);
  const std::string self = "/api/v2/configuration-versions/" + version.id.text();
  json::object links{{"self", self}};
  if (version.usable()) links["download"] = self + "/download";
  out["links"] = std::move(links);
  return out;
}

Task<std::vector<ConfigurationVersion>> find_all(postgres::Tx& tx, std::vector<std::string> ids) {
  std::vector<ConfigurationVersion> out;
  if (ids.empty()) co_return out;
  postgres::Result rows = co_await tx.run(sql::configuration_version_find_many, postgres::Params::of(ids));
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(from_row(rows[i]));
  co_return out;
}

Task<std::optional<ConfigurationVersion>> find(postgres::Tx& tx, const std::string& id) {
  std::vector<ConfigurationVersion> found = co_await find_all(tx, std::vector<std::string>(1, id));
  if (found.empty()) co_return std::nullopt;
  co_return std::move(found.front());
}

Task<std::optional<ConfigurationVersion>> latest(postgres::Tx& tx, const std::string& workspace_id) {
  co_return co_await one(tx, sql::configuration_version_latest, workspace_id);
}

Task<ConfigurationVersion> insert(postgres::Tx& tx, const ConfigurationVersion& given) {
  Id<ConfigurationVersion> id = Id<ConfigurationVersion>::make();
  Id<Object> object = Id<Object>::make();
  if (given.workspace)
    co_await object::insert(tx, object, "configuration", *given.workspace);
  else
    co_await object::insert_unowned(tx, object, "configuration", given.registry_module.value());
  co_await tx.run(
      sql::configuration_version_insert,
      postgres::Params::of(id, given.workspace, given.speculative, given.provisional, given.auto_queue_runs,
                           object, given.created_by, given.registry_module));
  if (given.workspace && !given.provisional && !given.speculative)
    co_await workspace::set_current_configuration(tx, *given.workspace, id.text());
  std::optional<ConfigurationVersion> made = co_await find(tx, id.text());
  co_return made.value();
}

Task<Id<Object>> upload_target(postgres::Database& database, const Id<Object>& object, std::int64_t expires) {
  postgres::Tx tx = co_await database.begin();
  postgres::Result known =
      co_await tx.run(sql::configuration_version_uploadable_again, postgres::Params::of(object, expires));
  if (known.empty()) co_return object;
  Id<Object> next = Id<Object>::make();
  if (known[0].is_null("workspace_id"))
    co_await object::insert_unowned(tx, next, "configuration", known[0].string("workspace"));
  else
    co_await object::insert(tx, next, "configuration", known[0].string("workspace_id"));
  co_await tx.run(sql::configuration_version_set_next, postgres::Params::of(known[0].string("id"), next));
  co_await tx.commit();
  co_return next;
}

namespace {

/// A repeated upload is durable: it takes the first one's place. Nothing when `object` is none.
Task<std::optional<ConfigurationVersion>> replace_bytes(postgres::Tx& tx, const Id<Object>& object) {
  postgres::Result known = co_await tx.run(sql::configuration_version_of_next, postgres::Params::of(object));
  if (known.empty()) co_return std::nullopt;
  postgres::Result replaced =
      co_await tx.run(sql::configuration_version_replace, postgres::Params::of(known[0].string("id")));
  if (replaced.empty())
    throw Error(Code::conflict, "A run has been made of this configuration; upload another version.");
  co_await object::mark_deleted(tx, Id<Object>(replaced[0].string("replaced")));
  co_return from_row(replaced[0]);
}

}  // namespace

Task<std::optional<Uploaded>> on_uploaded(postgres::Tx& tx, const Id<Object>& object) {
  std::optional<ConfigurationVersion> changed =
      co_await one(tx, sql::configuration_version_mark_uploaded, object.text());
  if (!changed) {
    std::optional<ConfigurationVersion> known =
        co_await one(tx, sql::configuration_version_of_object, object.text());
    if (!known) known = co_await replace_bytes(tx, object);
    if (!known) co_return std::nullopt;
    co_return Uploaded{*std::move(known), false};
  }
  if (changed->workspace && !changed->provisional && !changed->speculative)
    co_await tx.run(sql::configuration_version_make_current,
                    postgres::Params::of(*changed->workspace, changed->id));
  co_return Uploaded{*std::move(changed), true};
}

std::string upload_url(const std::string& origin, const object::UrlSigner& urls,
                       const ConfigurationVersion& version) {
  return origin + urls.path(object::Access::write, Id<Object>(version.object), object::upload_life);
}

}  // namespace terrane::configversion
