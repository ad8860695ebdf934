#pragma once
#include "net/io.h"
#include "object/archivist_client.h"
#include "postgres/database.h"

namespace terrane::state {

/// Finds what the database forgot when it went back: after a new epoch has begun, the blob store's states are
/// looked through page by page, and those without a version become recovered ones: kept and shown, never
/// current by themselves. How far it came is remembered, and a page that is looked through twice changes
/// nothing, so it may be killed anywhere and run several times at once.
class Recovery {
 public:
  Recovery(postgres::Database& database, object::ArchivistClient& archivist)
      : database_(database), archivist_(archivist) {}

  /// Looks through one page, if there is one. Returns whether there was. Throws Error{unavailable}; then it
  /// is to be called again.
  Task<bool> step();
  /// Does what there is to do, every 5 seconds until `stop`.
  Task<> run(net::Stop& stop);

 private:
  Task<> recover(const Id<Object>& object);
  Task<> adopt(const Id<Object>& object, const object::ArchivistClient::StoredObject& found,
               std::int64_t serial);

  postgres::Database& database_;
  object::ArchivistClient& archivist_;
  std::size_t recovered_ = 0;
};

}  // namespace terrane::state
