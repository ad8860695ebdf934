#pragma once
#include <filesystem>
#include <memory>

#include "app/serve/layout.h"
#include "postgres/database.h"
#include "user/tokens.h"
#include "vault_client/vault_client.h"

namespace terrane::app {

/// The installation of this host, as its root reaches it: straight to the internal database and vault, past
/// the API.
class Local {
 public:
  /// Throws Error{unavailable} when there is no installation in `data`.
  Local(net::Executor executor, std::filesystem::path data);

  const Layout& layout() const noexcept { return layout_; }
  const json::object& generated() const noexcept { return generated_; }
  postgres::Database& database() { return *database_; }
  /// Needs the vault: the key of token hashes is wrapped by it.
  Task<user::Tokens> tokens();

 private:
  net::Executor executor_;
  Layout layout_;
  json::object generated_;
  std::unique_ptr<postgres::Database> database_;
};

}  // namespace terrane::app
