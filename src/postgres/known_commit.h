#pragma once
#include <functional>
#include <optional>
#include <utility>

#include "postgres/database.h"

namespace terrane::postgres {

/// Runs `create` in a transaction, as Database::transact. When the connection broke off while committing,
/// `lookup` says whether the rows are there; if not, `create` runs again. Ids must be made before, so that
/// both speak of the same rows. Thus 5xx means that nothing was made.
template <class T>
Task<T> transact_create(Database& database, std::function<Task<T>(Tx&)> create,
                        std::function<Task<std::optional<T>>(Tx&)> lookup) {
  try {
    co_return co_await database.transact<T>(create);
  } catch (const UnknownCommit&) {
    // The outcome is looked up below: a handler cannot suspend.
  }
  std::optional<Error> conflict;
  for (int attempt = 1; attempt <= 2; ++attempt) {
    {
      Tx tx = co_await database.begin();
      std::optional<T> found = co_await lookup(tx);
      if (found) co_return std::move(*found);
    }
    // The old server process may still be committing: then the second attempt waits for it at the unique
    // index and the rows are looked up once more.
    if (conflict) throw *conflict;
    try {
      co_return co_await database.transact<T>(create);
    } catch (const Error& error) {
      if (error.code() != Code::conflict) throw;
      conflict = error;
    }
  }
  throw *conflict;
}

/// Runs `change` in a transaction and once more when the connection broke off while committing; so `change`
/// must lead to the same rows when it runs twice.
template <class T>
Task<T> transact_change(Database& database, std::function<Task<T>(Tx&)> change) {
  try {
    co_return co_await database.transact<T>(change);
  } catch (const UnknownCommit&) {
    // Run again below: a handler cannot suspend.
  }
  co_return co_await database.transact<T>(change);
}

/// Runs `remove` in a transaction; it throws Error{not_found} when there is nothing to remove. When the
/// connection broke off while committing it runs again, and finding nothing then means that it had been done.
inline Task<> transact_remove(Database& database, std::function<Task<>(Tx&)> remove) {
  try {
    co_await database.transact_void(remove);
    co_return;
  } catch (const UnknownCommit&) {
    // Run again below: a handler cannot suspend.
  }
  try {
    co_await database.transact_void(remove);
  } catch (const Error& error) {
    if (error.code() != Code::not_found) throw;
  }
}

}  // namespace terrane::postgres
