#include "transit/postgres_storage.h"

#include "base/text.h"
#include "transit/vault_storage_sql.h"

namespace terrane::transit {
namespace {

// Sent as one simple query, which PostgreSQL runs as one transaction; the advisory lock keeps two first
// starts from colliding. The schema is looked up before it is made, because CREATE SCHEMA IF NOT EXISTS asks
// for the privilege even when it is there.
constexpr std::string_view schema_script = R"sql(
DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(7205759403792794);
  IF to_regclass('vault.storage') IS NOT NULL THEN
    RETURN;
  END IF;
  IF to_regnamespace('vault') IS NULL THEN
    CREATE SCHEMA vault;
  END IF;
  CREATE TABLE vault.storage (
    path text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
  );
END
$$;
)sql";

/// PostgreSQL's text form of a bytea.
std::string bytea(std::string_view bytes) { return "\\x" + hex(bytes); }

}  // namespace

Task<> PostgresStorage::migrate() { co_await database_.run_script(schema_script); }

Task<std::optional<std::string>> PostgresStorage::get(std::string path) {
  postgres::Result result = co_await database_.query(sql::vault_get, postgres::Params::of(path));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return row->bytes("value");
}

Task<std::vector<std::string>> PostgresStorage::list(std::string prefix) {
  postgres::Result result = co_await database_.query(sql::vault_list, postgres::Params::of(prefix));
  std::vector<std::string> paths;
  paths.reserve(result.size());
  for (std::size_t i = 0; i < result.size(); ++i) paths.push_back(result[i].string("path"));
  co_return paths;
}

Task<bool> PostgresStorage::put(std::string path, std::string value, std::optional<std::string> expected) {
  postgres::Params params = postgres::Params::of(path, bytea(value));
  if (expected) params.add(bytea(*expected));
  postgres::Result result =
      co_await database_.query(expected ? sql::vault_update : sql::vault_insert, std::move(params));
  co_return result.affected() == 1;
}

Task<bool> PostgresStorage::erase(std::string path, std::string expected) {
  postgres::Result result =
      co_await database_.query(sql::vault_erase, postgres::Params::of(path, bytea(expected)));
  co_return result.affected() == 1;
}

Task<bool> PostgresStorage::insert_all(std::vector<std::pair<std::string, std::string>> entries) {
  postgres::Tx transaction = co_await database_.begin();
  for (const auto& [path, value] : entries) {
    postgres::Params params = postgres::Params::of(path, bytea(value));
    postgres::Result result = co_await transaction.run(sql::vault_insert, std::move(params));
    if (result.affected() != 1) co_return false;
  }
  co_await transaction.commit();
  co_return true;
}

}  // namespace terrane::transit
