#include "ssh_key/ssh_key.h"

#include "base/text.h"
#include "ssh_key/ssh_key_sql.h"

namespace terrane::ssh_key {
namespace {

constexpr const char* transit_key = "terrane";
constexpr std::size_t most_keys = 1000;  ///< of one organization
constexpr std::size_t most_name_bytes = 255;

std::optional<std::string> key_name(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  if (trim(given.get_string()).empty()) return "Name can't be blank";
  if (given.get_string().size() > most_name_bytes)
    return "Name is too long (maximum is " + std::to_string(most_name_bytes) + " bytes)";
  return std::nullopt;
}

std::optional<std::string> key_value(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  if (trim(given.get_string()).empty()) return "Value can't be blank";
  if (given.get_string().size() > most_value_bytes)
    return "Value is too long (maximum is " + std::to_string(most_value_bytes) + " bytes)";
  return std::nullopt;
}

const std::array attributes{
    jsonapi::attr<&SshKey::name>("name", "name", jsonapi::create | jsonapi::update, key_name),
    jsonapi::attr<&SshKey::value>("value", "sealed_value", jsonapi::create | jsonapi::hidden, key_value),
    jsonapi::attr<&SshKey::sealed_value>("sealed-value", "sealed_value", jsonapi::hidden),
    jsonapi::attr<&SshKey::organization>("organization", "organization", jsonapi::hidden),
};

SshKey read(const postgres::Row& row) {
  SshKey key = jsonapi::from_row<SshKey>(resource(), row);
  key.id = Id<SshKey>(row.string("id"));
  key.value.clear();
  return key;
}

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"ssh-keys", attributes, {}};
  return table;
}

json::object encode(const SshKey& key) {
  json::object out = jsonapi::encode(resource(), &key, key.id.text());
  out["links"] = json::object{{"self", "/api/v2/ssh-keys/" + key.id.text()}};
  return out;
}

Task<std::pair<std::vector<SshKey>, std::int64_t>> list(postgres::Tx& tx, const std::string& organization_id,
                                                        const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(sql::ssh_key_count, postgres::Params::of(organization_id));
  postgres::Result rows =
      co_await tx.run(sql::ssh_key_list, postgres::Params::of(organization_id, page.size, page.offset()));
  std::vector<SshKey> keys;
  for (std::size_t i = 0; i < rows.size(); ++i) keys.push_back(read(rows[i]));
  co_return std::pair(std::move(keys), total[0].integer("total"));
}

Task<std::optional<SshKey>> find(postgres::Tx& tx, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::ssh_key_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<> insert(postgres::Tx& tx, vault_client::Vault& vault, const SshKey& key,
              const std::string& organization_id) {
  std::string sealed = co_await vault.encrypt(transit_key, Secret(key.value), key.id.text());
  postgres::Result made = co_await tx.run(
      sql::ssh_key_insert, postgres::Params::of(key.id, organization_id, key.name, sealed, most_keys));
  if (made.affected() == 0) {
    throw Error(Code::unprocessable,
                "An organization may have at most " + std::to_string(most_keys) + " SSH keys.");
  }
}

Task<> rename(postgres::Tx& tx, const SshKey& key) {
  co_await tx.run(sql::ssh_key_rename, postgres::Params::of(key.id, key.name));
}

Task<> remove(postgres::Tx& tx, const std::string& id) {
  co_await tx.run(sql::ssh_key_delete, postgres::Params::of(id));
}

Task<> assign(postgres::Tx& tx, const std::string& workspace_id, const std::optional<std::string>& key_id) {
  if (!key_id) {
    co_await tx.run(sql::ssh_key_unassign, postgres::Params::of(workspace_id));
    co_return;
  }
  postgres::Result result = co_await tx.run(sql::ssh_key_assign, postgres::Params::of(workspace_id, *key_id));
  if (result.affected() == 0)
    throw Error(Code::not_found, "There is no such SSH key in this organization.", "/data/attributes/id");
}

Task<std::optional<Secret>> of_workspace(postgres::Tx& tx, vault_client::Vault& vault,
                                         const std::string& workspace_id) {
  postgres::Result result = co_await tx.run(sql::ssh_key_of_workspace, postgres::Params::of(workspace_id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return co_await vault.decrypt(transit_key, row->string("sealed_value"), row->string("id"));
}

}  // namespace terrane::ssh_key
