#include "run/uploads.h"

#include "base/log.h"
#include "configversion/configversion.h"
#include "run/store.h"
#include "run/uploads_sql.h"
#include "state/state.h"

namespace terrane::run {

Task<> on_uploaded(postgres::Database& database, const Id<Object>& object, std::string md5,
                   std::int64_t size) {
  postgres::Tx tx = co_await database.begin();
  std::optional<configversion::Uploaded> configuration = co_await configversion::on_uploaded(tx, object);
  if (configuration) {
    const ConfigurationVersion& version = configuration->version;
    if (configuration->now && version.workspace && version.auto_queue_runs && !version.provisional)
      co_await queue_automatic(tx, *version.workspace, version.id.text(), version.speculative);
    co_await tx.commit();
    co_return;
  }
  state::Upload upload = co_await state::on_uploaded(tx, object, md5, size);
  co_await tx.commit();
  if (upload == state::Upload::discarded) {
    throw Error(Code::conflict,
                "The state version was discarded before its upload ended; create another one.");
  }
  if (upload == state::Upload::wrong_md5) {
    throw Error(Code::unprocessable, "The MD5 of the uploaded state is " + md5 +
                                         ", which is not the announced one. The state version is discarded.");
  }
}

Task<> UploadSweeper::run(net::Stop& stop) {
  while (!co_await stop.wait_for(std::chrono::seconds(5))) {
    try {
      postgres::Result rows = co_await database_.query(sql::uploads_unfinished);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        co_await on_uploaded(database_, Id<Object>(rows[i].string("id")), rows[i].string("md5"),
                             rows[i].integer("size"));
        log::info("finished an upload", {{"object", rows[i].string("id")}});
      }
    } catch (const Error& error) {
      log::warn("uploads were not swept", {{"error", error.what()}});
    }
  }
}

}  // namespace terrane::run
