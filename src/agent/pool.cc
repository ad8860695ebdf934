#include "agent/pool.h"

#include "agent/pool_sql.h"
#include "organization/subscription.h"

namespace terrane::agent {
namespace {

std::optional<std::string> pool_name(const json::value& given) {
  if (std::optional<std::string> wrong = jsonapi::valid_name(given)) return "Name " + *wrong;
  return std::nullopt;
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
const std::array attributes{
    jsonapi::attr<&Pool::name>("name", "name", writable, pool_name),
    jsonapi::attr<&Pool::organization_scoped>("organization-scoped", "organization_scoped", writable),
    jsonapi::attr<&Pool::created_at>("created-at", "created_at"),
    jsonapi::attr<&Pool::workspaces>("workspaces", "workspaces", jsonapi::hidden),
    jsonapi::attr<&Pool::allowed_workspaces>("allowed-workspaces", "allowed_workspaces", jsonapi::hidden),
    jsonapi::attr<&Pool::allowed_projects>("allowed-projects", "allowed_projects", jsonapi::hidden),
    jsonapi::attr<&Pool::excluded_workspaces>("excluded-workspaces", "excluded_workspaces", jsonapi::hidden),
};

std::optional<std::string> organization_of(const void* pool) {
  return static_cast<const Pool*>(pool)->organization;
}
void read_organization(const postgres::Row& row, std::string_view column, void* pool) {
  static_cast<Pool*>(pool)->organization = row.string(column);
}
const std::array relations{
    jsonapi::Relation{"organization", "organizations", organization_of, "organization", read_organization}};

Pool read(const postgres::Row& row) {
  Pool pool = jsonapi::from_row<Pool>(resource(), row);
  pool.id = Id<Pool>(row.string("id"));
  return pool;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "agent_pools_organization_id_name_key") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

/// One of a pool's lists: what is in it and the statements that write it.
struct List {
  std::string_view name;
  std::vector<std::string> Pool::* ids;
  const Statement& clear;
  const Statement& add;
};
const std::array lists{
    List{"allowed-workspaces", &Pool::allowed_workspaces, sql::agent_pool_clear_allowed_workspaces,
         sql::agent_pool_add_allowed_workspaces},
    List{"allowed-projects", &Pool::allowed_projects, sql::agent_pool_clear_allowed_projects,
         sql::agent_pool_add_allowed_projects},
    List{"excluded-workspaces", &Pool::excluded_workspaces, sql::agent_pool_clear_excluded_workspaces,
         sql::agent_pool_add_excluded_workspaces},
};

Task<> write_lists(postgres::Tx& tx, const Pool& pool) {
  for (const List& list : lists) {
    const std::vector<std::string>& ids = pool.*list.ids;
    co_await tx.run(list.clear, postgres::Params::of(pool.id));
    if (ids.empty()) continue;
    postgres::Result added = co_await tx.run(list.add, postgres::Params::of(pool.id, ids));
    if (added.affected() == ids.size()) continue;
    throw Error(Code::unprocessable, "The list names something that is not in this organization",
                "/data/relationships/" + std::string(list.name));
  }
}

/// Nothing unless the principal manages the organization's pools.
Task<std::optional<organization::OrganizationAccess>> manager(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const std::string& organization) {
  organization::OrganizationAccess access =
      co_await organization::access_to_organization(tx, principal, organization);
  if (!access.manage_agent_pools || !co_await organization::is_entitled(tx, access.id, "agents"))
    co_return std::nullopt;
  co_return access;
}

Task<bool> is_manager(postgres::Tx& tx, const api::Principal& principal, const std::string& organization) {
  co_return (co_await manager(tx, principal, organization)).has_value();
}

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"agent-pools", attributes, relations};
  return table;
}

json::object encode(const Pool& pool) {
  json::object out = jsonapi::encode(resource(), &pool, pool.id.text());
  // Agents of one's own are not there yet, so no pool has any.
  out["attributes"].as_object()["agent-count"] = 0;
  json::object& shown = out["relationships"].as_object();
  const std::string self = "/api/v2/agent-pools/" + pool.id.text();
  shown["workspaces"] = jsonapi::linkage("workspaces", pool.workspaces);
  shown["allowed-workspaces"] = jsonapi::linkage("workspaces", pool.allowed_workspaces);
  shown["allowed-projects"] = jsonapi::linkage("projects", pool.allowed_projects);
  shown["excluded-workspaces"] = jsonapi::linkage("workspaces", pool.excluded_workspaces);
  shown["agents"] = json::object{{"links", json::object{{"related", self + "/agents"}}}};
  shown["authentication-tokens"] =
      json::object{{"links", json::object{{"related", self + "/authentication-tokens"}}}};
  out["links"] = json::object{{"self", self}};
  return out;
}

Task<std::pair<std::vector<Pool>, std::int64_t>> list(postgres::Tx& tx, const std::string& organization_id,
                                                      const Filter& filter, const jsonapi::Page& page) {
  const Filter& f = filter;
  postgres::Result total = co_await tx.run(
      sql::agent_pool_count,
      postgres::Params::of(organization_id, f.name_part, f.usable_by_workspace, f.usable_by_project));
  postgres::Result rows = co_await tx.run(
      sql::agent_pool_list, postgres::Params::of(organization_id, f.name_part, f.usable_by_workspace,
                                                 f.usable_by_project, f.sort, page.size, page.offset()));
  std::vector<Pool> pools;
  for (std::size_t i = 0; i < rows.size(); ++i) pools.push_back(read(rows[i]));
  co_return std::pair(std::move(pools), total[0].integer("total"));
}

Task<std::optional<Pool>> find(postgres::Tx& tx, const std::string& id) {
  const std::vector<std::string> one{id};
  postgres::Result result = co_await tx.run(sql::agent_pool_find, postgres::Params::of(one));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::vector<Pool>> find_manageable(postgres::Tx& tx, const api::Principal& principal,
                                        const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::agent_pool_find, postgres::Params::of(ids));
  std::map<std::string, bool>
      manages;  // by organization: all that one document shows is of one, or nearly so
  std::vector<Pool> pools;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Pool pool = read(rows[i]);
    if (!manages.contains(pool.organization))
      manages[pool.organization] = co_await is_manager(tx, principal, pool.organization);
    if (manages[pool.organization]) pools.push_back(std::move(pool));
  }
  co_return pools;
}

Task<> insert(postgres::Tx& tx, const Pool& pool, const std::string& organization_id) {
  try {
    co_await tx.run(sql::agent_pool_insert,
                    postgres::Params::of(pool.id, organization_id, pool.name, pool.organization_scoped));
  } catch (const Error& error) {
    throw taken(error);
  }
  co_await write_lists(tx, pool);
}

Task<> update(postgres::Tx& tx, const Pool& pool) {
  try {
    co_await tx.run(sql::agent_pool_update,
                    postgres::Params::of(pool.id, pool.name, pool.organization_scoped));
  } catch (const Error& error) {
    throw taken(error);
  }
  co_await write_lists(tx, pool);
}

Task<> remove(postgres::Tx& tx, const std::string& id) {
  co_await user::Tokens::revoke_all(tx, "agent", id);
  std::size_t gone = 0;
  try {
    postgres::Result result = co_await tx.run(sql::agent_pool_delete, postgres::Params::of(id));
    gone = result.affected();
  } catch (const Error& error) {
    const std::string_view violated = postgres::violated_constraint(error);
    if (violated == "workspaces_agent_pool_id_fkey")
      throw Error(Code::conflict, "The agent pool cannot be deleted while workspaces use it.");
    if (violated == "organizations_default_agent_pool_id_fkey")
      throw Error(Code::conflict, "The agent pool cannot be deleted while it is the organization's default.");
    throw;
  }
  if (gone == 0) throw Error(Code::not_found, "");
}

Task<Pool> require(postgres::Tx& tx, const api::Principal& principal, const std::string& id) {
  std::optional<Pool> pool = co_await find(tx, id);
  if (!pool || !co_await is_manager(tx, principal, pool->organization)) throw Error(Code::not_found, "");
  co_return *std::move(pool);
}

Task<organization::OrganizationAccess> require_organization(postgres::Tx& tx, const http::Request& request) {
  auto access = co_await manager(tx, api::principal(request), request.parameter("organization"));
  if (!access) throw Error(Code::not_found, "");
  co_return *access;
}

Task<bool> may_manage_token(postgres::Tx& tx, const api::Principal& principal, const user::Token& token) {
  std::optional<Pool> pool = co_await find(tx, token.owner_id);
  co_return pool&& co_await is_manager(tx, principal, pool->organization);
}

}  // namespace terrane::agent
