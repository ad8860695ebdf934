#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/time.h"
#include "postgres/database.h"

namespace terrane::installation {

/// Where the database's history stands. A witness of it lies outside the database: from a database alone
/// nobody can see that it was put back.
struct Position {
  std::string system_identifier;
  std::int64_t timeline = 1;
  std::int64_t wal = 0;    ///< durable bytes of the write-ahead log since its beginning
  std::int64_t epoch = 1;  ///< the installation's
  /// Moved on by `advance` alone. A start writes so much log that an older copy soon is past the old
  /// position; its pulse stays behind.
  std::int64_t pulse = 0;
};

enum class History {
  goes_on,
  another_cluster,
  another_timeline,  ///< a promotion or a restore, which may have lost commits
  went_back,         ///< commits are gone: an older copy was put in place
};
std::string_view name(History history);

/// What `now` is beside what was seen before; pure.
History compare(const Position& before, const Position& now);

/// The position of the server that answers now.
Task<Position> position(postgres::Database& database);

/// Moves the pulse on, durably, and returns the position after it: what a witness may be told. In an unbroken
/// history the database is never behind its witness.
Task<Position> advance(postgres::Database& database);

/// Reads the witness; nothing when there is none yet. Throws Error{invalid} when the file is not one.
std::optional<Position> read_witness(const std::filesystem::path& file);
void write_witness(const std::filesystem::path& file, const Position& position);

/// The epoch that begins because history did not go on, in the caller's transaction: above every one that was
/// seen. Returns its number.
Task<std::int64_t> raise_epoch(postgres::Tx& tx, const Position& before, const Position& now, History why);

/// The newest epoch that was raised: its number and what the database last knew of; nothing when none was.
struct Raised {
  std::int64_t number = 1;
  std::optional<Time> went_back_to;
};
Task<std::optional<Raised>> newest_epoch(postgres::Tx& tx);

/// How far the blob store has been looked through for states that the newest epoch's database does not know.
struct StateSearch {
  std::int64_t epoch = 1;
  std::string after;  ///< a name in the store
};
/// Nothing when none was raised, or when it has been looked through.
Task<std::optional<StateSearch>> open_state_search(postgres::Database& database);
Task<> advance_state_search(postgres::Database& database, const StateSearch& search);
Task<> end_state_search(postgres::Database& database, std::int64_t epoch);

}  // namespace terrane::installation
