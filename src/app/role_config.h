#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "amqp/options.h"
#include "base/json.h"
#include "http/client.h"
#include "postgres/database.h"
#include "redis/client.h"

namespace terrane::app {

/// What one role needs to reach, as `serve` wrote it into a file that only the role's user can read. A role
/// is given nothing that it does not need: the worker knows no database and no vault.
class RoleConfig {
 public:
  /// Reads the file. Throws Error{invalid} that names it.
  static RoleConfig read(const std::filesystem::path& path);
  explicit RoleConfig(json::object values) : values_(std::move(values)) {}

  /// A member that must be there. Throws Error{invalid} that names it.
  std::string text(std::string_view name) const { return require_string(values_, name); }
  std::int64_t number(std::string_view name) const { return require_int(values_, name); }
  bool yes(std::string_view name) const { return find_bool(values_, name).value_or(false); }

  /// How often a waiter looks by itself; nothing when messages alone wake it.
  std::optional<std::chrono::milliseconds> look_interval() const;

  postgres::DatabaseOptions database(std::string application) const;
  amqp::Options amqp() const;
  redis::Options redis() const;
  /// The vault's endpoint and this role's token.
  http::Endpoint vault() const;
  Secret vault_token() const { return Secret(text("vault_token")); }

 private:
  json::object values_;
};

}  // namespace terrane::app
