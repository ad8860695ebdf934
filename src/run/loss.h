#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "object/archivist_client.h"
#include "postgres/database.h"

namespace terrane::run {

/// A plan that lost its worker this often is given up.
constexpr int most_attempts = 5;

/// How a phase was lost with its worker or its shim.
struct Loss {
  std::string reason, import_list;
  bool started = false;  ///< the engine ran, or may have
  /// Nothing is lost when the job's counter is another one by now: its owner was heard after all.
  std::optional<std::int64_t> beat{};
};

/// Gives a log its first byte (STX) if it has none: the shim of the first segment was lost before it could.
Task<> begin_log(object::ArchivistClient& archivist, std::string log, std::string workspace);

/// Ends phases whose executor is gone: a plan is queued once more, and so is an apply that cannot have begun;
/// any other apply ends errored, or canceled when that was wished. The lease is closed with it.
class Losses {
 public:
  Losses(postgres::Database& database, object::ArchivistClient& archivist)
      : database_(database), archivist_(archivist) {}

  /// Nothing happens when the lease is closed already. `who` says so, for events and trace. Suspends; repeat
  /// it after Error{unavailable}.
  Task<> lose(std::string job_id, std::string lease, Loss loss, std::string who);

 private:
  Task<bool> lose_once(const std::string& job_id, const std::string& lease, const Loss& loss,
                       const std::string& who);
  postgres::Database& database_;
  object::ArchivistClient& archivist_;
};

}  // namespace terrane::run
