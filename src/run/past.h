#pragma once
#include <filesystem>

#include "installation/epoch.h"
#include "net/io.h"
#include "postgres/database.h"

namespace terrane::run {

/// Sees to it that the past is never run again. It compares the database with the witness of its history and,
/// when history did not go on, raises the epoch: runs that may have been applied end errored and say so,
/// planned ones lose auto-apply, pending ones keep their order. Several may do this at once.
class PastGuard {
 public:
  PastGuard(postgres::Database& database, std::filesystem::path witness);

  /// To be awaited before anything is decided. Suspends for one question to the database; throws
  /// Error{unavailable} when it is away.
  Task<> check();
  /// Checks, and moves the witness on. To be awaited once more at the end, so that nothing is lost to it.
  /// What goes wrong is logged.
  Task<> remember();
  /// Remembers every 2 seconds until `stop`.
  Task<> run(net::Stop& stop);

 private:
  Task<> begin_epoch(const installation::Position& now, installation::History why);
  Task<> settle_runs();
  Task<> settle(std::string run_id, std::string workspace_id, std::int64_t epoch, std::string told);

  postgres::Database& database_;
  std::filesystem::path witness_;
  std::optional<installation::Position> seen_;
  bool settled_ = false;  // runs of older epochs have been looked for since the start
};

}  // namespace terrane::run
