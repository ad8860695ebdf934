#pragma once
#include "postgres/database.h"
#include "transit/storage.h"

namespace terrane::transit {

/// The storage in PostgreSQL: table `vault.storage`, one row a path. The database outlives it.
class PostgresStorage : public Storage {
 public:
  explicit PostgresStorage(postgres::Database& database) : database_(database) {}

  /// Makes the schema `vault` and its table when they are missing; safe to run by several processes at once.
  /// Needs CREATE on the database the first time. Suspends.
  Task<> migrate();

  Task<std::optional<std::string>> get(std::string path) override;
  Task<std::vector<std::string>> list(std::string prefix) override;
  Task<bool> put(std::string path, std::string value, std::optional<std::string> expected) override;
  Task<bool> erase(std::string path, std::string expected) override;
  Task<bool> insert_all(std::vector<std::pair<std::string, std::string>> entries) override;

 private:
  postgres::Database& database_;
};

}  // namespace terrane::transit
