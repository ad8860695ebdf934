#pragma once
#include <string>

#include "app/serve/layout.h"
#include "config/settings.h"
#include "net/io.h"

namespace terrane::app {

/// Everything about this installation that its parts are started from.
struct Installation {
  Layout layout;
  config::Settings settings;
  Accounts accounts;
  Generated generated;
  std::filesystem::path engine_store, provider_store;

  /// The public address as configurations and clients name it: host, or host:port when the port is not 443.
  std::string public_host() const;
  /// Whether workers run on other machines, too. Where PostgreSQL is internal they do not, and this node's
  /// worker is the witness of what is gone.
  bool has_several_nodes() const;
};

/// Makes directories, the demo's CA and certificates, the node's certificate and a copy of this program;
/// takes what is there as it is.
void provision(const Installation& installation);

/// Makes the database's roles and databases, and brings the schema to this program's version.
Task<> prepare_database(net::Executor executor, const Installation& installation);

/// The connection string of a database user on the internal server.
std::string database_url(const Installation& installation, const std::string& user,
                         const std::string& database);

/// Writes a role's configuration file with what it needs to reach, and a fresh vault token where it needs
/// one.
Task<> write_role_config(net::Executor executor, const Installation& installation, std::string role);

}  // namespace terrane::app
