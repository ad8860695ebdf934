#include "installation/secrets.h"

#include "crypto/random.h"
#include "installation/secrets_sql.h"

namespace terrane::installation {
namespace {

constexpr std::string_view transit_key = "terrane";

Task<std::optional<std::string>> find_wrapped(postgres::Database& database, const std::string& name) {
  postgres::Result result = co_await database.query(sql::secret_find, postgres::Params::of(name));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return row->string("wrapped");
}

}  // namespace

Task<Secret> load_or_create(postgres::Database& database, vault_client::Vault& vault, std::string name,
                            std::size_t size) {
  co_await vault.ensure_key(std::string(transit_key));
  std::optional<std::string> wrapped = co_await find_wrapped(database, name);
  if (!wrapped) {
    std::string fresh = co_await vault.encrypt(std::string(transit_key), crypto::random_key(size), name);
    co_await database.query(sql::secret_insert, postgres::Params::of(name, fresh));
    // Another process may have been faster: what is stored counts.
    wrapped = co_await find_wrapped(database, name);
  }
  Secret secret = co_await vault.decrypt(std::string(transit_key), wrapped.value(), name);
  if (secret.reveal().size() != size) {
    Error error(Code::internal, "A secret of the installation has another size than it should.");
    error.add_context("name=" + name);
    throw error;
  }
  co_return secret;
}

}  // namespace terrane::installation
