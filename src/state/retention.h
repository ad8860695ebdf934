#pragma once
#include "net/io.h"
#include "postgres/database.h"

namespace terrane::state {

/// Deletes the bytes of states and configurations that data retention policies no longer keep: a state as
/// many days after another one took its place, a configuration after its last run. Never a workspace's
/// current one, nor what a run that has not ended uses. Returns how many objects were marked deleted, at most
/// `most`.
Task<std::size_t> delete_expired(postgres::Database& database, std::size_t most);

/// Does so from time to time. Two of a kind are harmless.
class RetentionSweeper {
 public:
  explicit RetentionSweeper(postgres::Database& database) : database_(database) {}
  /// Looks every 10 minutes until `stop`.
  Task<> run(net::Stop& stop);

 private:
  postgres::Database& database_;
};

}  // namespace terrane::state
