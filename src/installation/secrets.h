#pragma once
#include <string>

#include "base/secret.h"
#include "base/task.h"
#include "postgres/database.h"
#include "vault_client/vault.h"

namespace terrane::installation {

/// The secret of that name that data depend on (`token-hmac`, `url-signing`, `session`). The first call makes
/// `size` random bytes and stores them wrapped by the transit key `terrane`, bound to the name; all processes
/// get the same. Throws Error{unavailable} when the vault cannot be asked, Error{internal} when the stored
/// secret does not open or has another size: it is never replaced.
Task<Secret> load_or_create(postgres::Database& database, vault_client::Vault& vault, std::string name,
                            std::size_t size);

}  // namespace terrane::installation
