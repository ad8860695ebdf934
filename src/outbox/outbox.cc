#include "outbox/outbox.h"

#include "base/log.h"
#include "outbox/outbox_sql.h"

namespace terrane::outbox {

Task<> write(postgres::Tx& tx, std::string_view queue, const json::object& body) {
  co_await tx.run(sql::outbox_insert, postgres::Params::of(queue, body));
  co_await tx.run(sql::outbox_wake);
}

Relay::Relay(net::Executor executor, postgres::Database& database, Publish publish,
             std::chrono::milliseconds look_interval)
    : database_(database), publish_(std::move(publish)), look_interval_(look_interval), event_(executor) {}

Task<std::size_t> Relay::relay_once() {
  postgres::Tx tx = co_await database_.begin();
  postgres::Result rows = co_await tx.run(sql::outbox_take);
  if (rows.empty()) co_return 0;
  std::string ids = "{";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    co_await publish_(rows[i].string("queue"), rows[i].string("body"));
    ids += (i ? "," : "") + rows[i].string("id");
  }
  ids += "}";
  co_await tx.run(sql::outbox_mark_sent, postgres::Params::of(ids));
  co_await tx.commit();
  co_return rows.size();
}

Task<> Relay::run(net::Stop& stop) {
  net::Clock::time_point swept{};
  while (!stop.requested()) {
    woken_ = false;
    bool failed = false;
    try {
      while (co_await relay_once() > 0) {
      }
      if (net::Clock::now() - swept > std::chrono::minutes(10)) {
        co_await database_.query(sql::outbox_sweep);
        swept = net::Clock::now();
      }
    } catch (const Error& error) {
      // A broker or a database that is away delays messages and loses none: the rows stay unsent.
      log::warn("outbox relay waits", {{"error", error.what()}});
      failed = true;
    }
    if (failed)
      co_await stop.wait_for(std::chrono::milliseconds(500));
    else if (!woken_)
      co_await event_.wait_for(look_interval_.count() > 0 ? look_interval_ : std::chrono::hours(1));
  }
}

}  // namespace terrane::outbox
