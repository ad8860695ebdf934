#pragma once
#include <span>
#include <string>
#include <string_view>

#include "base/task.h"
#include "postgres/database.h"

namespace terrane::postgres {

/// One file of migrations/: `NNNN_verb_noun.sql`, embedded in the binary by tools/embed_migrations.py.
struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};

/// The migrations of the schema `terrane`, ascending. Generated into migrations.cc of this folder's build.
std::span<const Migration> migrations();

/// Brings schema `terrane` to the newest migration, each in a transaction of its own, under an advisory lock,
/// recorded in `terrane.migrations` (number, name, sha256, applied_at). Refuses with Error{conflict} when an
/// applied migration's text has changed. Unknown newer migrations in the database are left alone (a newer
/// release has been here; N-1 runs on N's schema). Returns how many ran.
Task<int> migrate(Database& database);
/// The same with other migrations, ascending by number; they must outlive the call.
Task<int> migrate(Database& database, std::span<const Migration> list);

}  // namespace terrane::postgres
