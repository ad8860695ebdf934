#include "postgres/migrator.h"

#include "base/log.h"
#include "postgres/sqlstate.h"

namespace terrane::postgres {
namespace {

constexpr Statement has_migrations{"migrator_has_table",
                                   "SELECT to_regclass('terrane.migrations') IS NOT NULL AS present"};
constexpr Statement applied_migrations{"migrator_applied", "SELECT number, sha256 FROM terrane.migrations"};
constexpr Statement text_hashes{"migrator_hashes", R"sql(
SELECT encode(sha256(convert_to(given.sql, 'UTF8')), 'hex') AS sha256
FROM unnest($1::text[]) WITH ORDINALITY AS given(sql, place) ORDER BY place)sql"};

/// Raised by the script when another migrator was faster.
constexpr std::string_view applied_meanwhile = "TR001";

constexpr std::string_view preamble = R"sql(
BEGIN;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0;
SELECT pg_advisory_xact_lock(7310577281465114721);
SET LOCAL lock_timeout = '30s';
CREATE SCHEMA IF NOT EXISTS terrane;
CREATE TABLE IF NOT EXISTS terrane.migrations (
  number int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
)sql";

std::string script(const Migration& migration, const std::string& hash) {
  std::string number = std::to_string(migration.number);
  std::string text(preamble);
  text += "DO $check$ BEGIN IF EXISTS (SELECT FROM terrane.migrations WHERE number = " + number +
          ") THEN RAISE EXCEPTION USING ERRCODE = '";
  text += applied_meanwhile;
  text += "', MESSAGE = 'applied meanwhile'; END IF; END $check$;\nSET LOCAL search_path = terrane;\n";
  text += migration.sql;
  text += "\n;\nINSERT INTO terrane.migrations (number, name, sha256) VALUES (" + number + ", '" +
          std::string(migration.name) + "', '" + hash + "');\nCOMMIT;";
  return text;
}

Task<std::map<int, std::string>> read_applied(Database& database) {
  std::map<int, std::string> applied;
  Result present = co_await database.query(has_migrations);
  if (!present[0].boolean("present")) co_return applied;
  Result rows = co_await database.query(applied_migrations);
  for (std::size_t i = 0; i < rows.size(); ++i)
    applied.emplace(static_cast<int>(rows[i].integer("number")), rows[i].string("sha256"));
  co_return applied;
}

Task<std::vector<std::string>> hashes(Database& database, std::span<const Migration> list) {
  std::vector<std::string> texts;
  for (const Migration& migration : list) texts.emplace_back(migration.sql);
  Result rows = co_await database.query(text_hashes, Params::of(texts));
  std::vector<std::string> found;
  for (std::size_t i = 0; i < rows.size(); ++i) found.push_back(rows[i].string("sha256"));
  co_return found;
}

void refuse_changed(const Migration& migration, const std::string& applied, const std::string& hash) {
  if (applied == hash) return;
  throw Error(Code::conflict, "Migration " + std::string(migration.name) +
                                  " was applied with another text than this program has.");
}

/// Returns whether it ran; false when another migrator was faster.
Task<bool> apply(Database& database, const Migration& migration, const std::string& hash) {
  try {
    co_await database.run_script(script(migration, hash));
  } catch (Error& error) {
    if (sqlstate(error) == applied_meanwhile) co_return false;
    error.add_context("migration=" + std::string(migration.name));
    throw;
  }
  log::info("migration applied", {{"migration", migration.name}});
  co_return true;
}

}  // namespace

Task<int> migrate(Database& database) { co_return co_await migrate(database, migrations()); }

Task<int> migrate(Database& database, std::span<const Migration> list) {
  std::map<int, std::string> applied = co_await read_applied(database);
  std::vector<std::string> hash = co_await hashes(database, list);
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto found = applied.find(list[i].number);
    if (found != applied.end()) refuse_changed(list[i], found->second, hash[i]);
  }
  int ran = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (applied.contains(list[i].number)) continue;
    if (co_await apply(database, list[i], hash[i])) {
      ++ran;
      continue;
    }
    applied = co_await read_applied(database);
    refuse_changed(list[i], applied.at(list[i].number), hash[i]);
  }
  co_return ran;
}

}  // namespace terrane::postgres
