#include "state/retention.h"

#include "base/log.h"
#include "state/retention_sql.h"

namespace terrane::state {
namespace {

constexpr std::size_t batch = 1000;

}  // namespace

Task<std::size_t> delete_expired(postgres::Database& database, std::size_t most) {
  postgres::Result states = co_await database.query(sql::retention_delete_states, postgres::Params::of(most));
  postgres::Result configurations =
      co_await database.query(sql::retention_delete_configurations, postgres::Params::of(most));
  co_return states.affected() + configurations.affected();
}

Task<> RetentionSweeper::run(net::Stop& stop) {
  do {
    try {
      std::size_t deleted = 0;
      do {
        deleted = co_await delete_expired(database_, batch);
        if (deleted > 0) log::info("data retention", {{"deleted", deleted}});
      } while (deleted >= batch);
    } catch (const Error& error) {
      log::warn("data retention did not work", {{"error", error.what()}});
    }
  } while (!co_await stop.wait_for(std::chrono::minutes(10)));
}

}  // namespace terrane::state
