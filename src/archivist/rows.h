#pragma once
#include <map>
#include <optional>
#include <string>

#include "net/io.h"
#include "object/object.h"
#include "postgres/database.h"

namespace terrane::archivist {

/// An object's row and PostgreSQL's clock when it was read.
struct Row {
  Object object;
  std::int64_t now = 0;  ///< seconds of the epoch
  bool hidden = false;   ///< soft deleted: only the platform itself may read it
};

/// The rows of objects. Readers of logs may use a row of up to a second ago.
class Rows {
 public:
  explicit Rows(postgres::Database& database) : database_(database) {}

  /// The row as it is now; nothing when there is none. Suspends. Throws Error{unavailable}.
  Task<std::optional<Row>> fresh(Id<Object> id);
  /// The same, at most a second old when the object was readable then.
  Task<std::optional<Row>> recent(Id<Object> id);

 private:
  struct Known {
    Row row;
    net::Clock::time_point at;
  };
  postgres::Database& database_;
  std::map<std::string, Known> known_;
};

}  // namespace terrane::archivist
