#include "registry/module.h"

#include "registry/module_sql.h"

namespace terrane::registry {
namespace {

using jsonapi::attr;

/// Letters, digits, '-' and '_', at most 64, as names and providers of modules are.
std::optional<std::string> part_of_a_source(const json::value& given) {
  if (given.is_string() && given.get_string().size() > 64) return "is too long (maximum is 64 characters)";
  return jsonapi::valid_name(given);
}

std::optional<std::string> known_registry(const json::value& given) {
  if (!given.is_string() || given.get_string() == "private" || given.get_string() == "public")
    return std::nullopt;
  return "must be private or public";
}

Module read(const postgres::Row& row) {
  Module module = jsonapi::from_row<Module>(resource(), row);
  module.id = Id<Module>(row.string("id"));
  return module;
}

std::vector<Module> read_all(const postgres::Result& rows) {
  std::vector<Module> modules;
  for (std::size_t i = 0; i < rows.size(); ++i) modules.push_back(read(rows[i]));
  return modules;
}

}  // namespace

const jsonapi::Resource& resource() {
  static const std::array attributes{
      attr<&Module::name>("name", "name", jsonapi::create, part_of_a_source),
      attr<&Module::provider>("provider", "provider", jsonapi::create, part_of_a_source),
      attr<&Module::registry_name>("registry-name", "registry_name", jsonapi::create, known_registry),
      attr<&Module::namespace_name>("namespace", "namespace", jsonapi::create),
      attr<&Module::status>("status", "status"),
      attr<&Module::created_at>("created-at", "created_at"),
      attr<&Module::updated_at>("updated-at", "updated_at"),
      attr<&Module::organization>("organization-name", "organization", jsonapi::hidden),
  };
  static const jsonapi::Resource table{"registry-modules", attributes, {}};
  return table;
}

json::object encode(const Module& module, const organization::OrganizationAccess& access) {
  json::object out = jsonapi::encode(resource(), &module, module.id.text());
  json::object& attributes = out["attributes"].as_object();
  attributes["no-code"] = false;
  attributes["vcs-repo"] = nullptr;
  attributes["version-statuses"] = json::array();
  attributes["permissions"] = json::object{{"can-delete", access.manage_modules},
                                           {"can-resync", access.manage_modules},
                                           {"can-retry", access.manage_modules}};
  out["relationships"] = json::object{
      {"organization",
       json::object{{"data", json::object{{"id", module.organization}, {"type", "organizations"}}}}}};
  out["links"] = json::object{{"self", "/api/v2/organizations/" + module.organization + "/registry-modules/" +
                                           module.registry_name + "/" + module.namespace_name + "/" +
                                           module.name + "/" + module.provider}};
  return out;
}

Task<std::optional<Module>> find(postgres::Tx& tx, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::module_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::vector<Module>> at(postgres::Tx& tx, const Place& place) {
  postgres::Result rows =
      co_await tx.run(sql::module_at, postgres::Params::of(place.organization_id, place.registry_name,
                                                           place.namespace_name, place.name, place.provider));
  co_return read_all(rows);
}

Task<std::pair<std::vector<Module>, std::int64_t>> list(postgres::Tx& tx, const std::string& organization_id,
                                                        const Filter& filter, const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(
      sql::module_count,
      postgres::Params::of(organization_id, filter.search, filter.provider, filter.registry_name));
  postgres::Result rows =
      co_await tx.run(sql::module_list, postgres::Params::of(organization_id, filter.search, filter.provider,
                                                             filter.registry_name, page.size, page.offset()));
  co_return std::pair(read_all(rows), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const Module& module, const std::string& organization_id) {
  try {
    co_await tx.run(sql::module_insert,
                    postgres::Params::of(module.id, organization_id, module.registry_name,
                                         module.namespace_name, module.name, module.provider));
  } catch (const Error& error) {
    if (!postgres::violated_constraint(error).starts_with("registry_modules_organization_id")) throw;
    throw Error(Code::unprocessable, "The organization has this module already.", "/data/attributes/name");
  }
}

Task<> remove(postgres::Tx& tx, const Id<Module>& id) {
  co_await tx.run(sql::module_delete_objects, postgres::Params::of(id));
  co_await tx.run(sql::module_delete, postgres::Params::of(id));
}

Task<bool> module_access(postgres::Tx& tx, const api::Principal& principal, std::string module) {
  std::optional<Module> found = co_await find(tx, module);
  if (!found || principal.kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
  organization::OrganizationAccess access =
      co_await organization::require_organization(tx, principal, found->organization);
  co_return access.manage_modules;
}

}  // namespace terrane::registry
