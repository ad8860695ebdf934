#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "base/id.h"
#include "base/secret.h"
#include "jsonapi/resource.h"
#include "postgres/database.h"
#include "vault_client/vault.h"

namespace terrane {

/// A private key of an organization with which runs fetch modules. The key itself is stored sealed by
/// transit, bound to the row's id, and is never shown.
struct SshKey {
  static constexpr std::string_view id_prefix = "sshkey";
  Id<SshKey> id;
  std::string organization;  ///< its name
  std::string name;
  std::string value;         ///< in clear, only while it is being made
  std::string sealed_value;  ///< `vault:vN:…`
};

namespace ssh_key {

constexpr std::size_t most_value_bytes = 64 * 1024;

/// The fields of `ssh-keys` on the wire and in the table.
const jsonapi::Resource& resource();
json::object encode(const SshKey& key);

/// An organization's keys by name, and how many there are.
Task<std::pair<std::vector<SshKey>, std::int64_t>> list(postgres::Tx& tx, const std::string& organization_id,
                                                        const jsonapi::Page& page);
Task<std::optional<SshKey>> find(postgres::Tx& tx, const std::string& id);
/// Seals the value and inserts the row. Suspends for the vault.
Task<> insert(postgres::Tx& tx, vault_client::Vault& vault, const SshKey& key,
              const std::string& organization_id);
Task<> rename(postgres::Tx& tx, const SshKey& key);
/// Removes the key; workspaces that use it have none afterwards.
Task<> remove(postgres::Tx& tx, const std::string& id);

/// Makes a workspace use a key of its own organization, or none. Throws Error{not_found} when there is no
/// such key there.
Task<> assign(postgres::Tx& tx, const std::string& workspace_id, const std::optional<std::string>& key_id);

/// The key with which a workspace's runs fetch modules; nothing when it uses none. Suspends for the vault.
Task<std::optional<Secret>> of_workspace(postgres::Tx& tx, vault_client::Vault& vault,
                                         const std::string& workspace_id);

}  // namespace ssh_key
}  // namespace terrane
