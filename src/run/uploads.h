#pragma once
#include <string>

#include "net/io.h"
#include "object/object.h"
#include "postgres/database.h"

namespace terrane::run {

/// What follows from an object's bytes being durable: a configuration version is uploaded (and queues a run
/// if it wants to), a state version is current. Repeating it changes nothing. Throws Error{unprocessable}
/// when a state's md5 is not the announced one.
Task<> on_uploaded(postgres::Database& database, const Id<Object>& object, std::string md5,
                   std::int64_t size);

/// Finishes uploads whose web died between the durable bytes and `on_uploaded`.
class UploadSweeper {
 public:
  explicit UploadSweeper(postgres::Database& database) : database_(database) {}
  /// Looks every 5 seconds until `stop`.
  Task<> run(net::Stop& stop);

 private:
  postgres::Database& database_;
};

}  // namespace terrane::run
