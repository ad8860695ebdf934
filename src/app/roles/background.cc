#include "amqp/publisher.h"
#include "app/roles.h"
#include "base/log.h"
#include "object/archivist_client.h"
#include "outbox/outbox.h"
#include "postgres/listener.h"
#include "redis/client.h"
#include "run/past.h"
#include "run/scheduler.h"
#include "run/triggers.h"
#include "run/uploads.h"

namespace terrane::app {
namespace {

/// Wakes who waits for work, so that the stop is seen at once.
Task<> wake_at_stop(net::Stop& stop, run::Scheduler& scheduler, run::TriggeredRuns& triggered,
                    outbox::Relay& relay) {
  while (!co_await stop.wait_for(std::chrono::hours(1))) {
  }
  scheduler.wake();
  triggered.wake();
  relay.wake();
}

/// Tells all webs of a revoked token, beside NOTIFY. Without Redis their caches end by themselves within 5
/// seconds.
Task<> tell_webs(redis::Client& redis, std::string token_id) {
  try {
    co_await redis.publish(revoked_tokens_channel, token_id);
  } catch (const Error& error) {
    log::debug("a revoked token was not published", {{"error", error.what()}});
  }
}

Task<int> background(RoleConfig config, net::Executor executor, net::Stop& stop) {
  postgres::Database database(executor, config.database("terrane background"));
  amqp::Publisher publisher(executor, config.amqp());
  const std::chrono::milliseconds look = config.look_interval().value_or(std::chrono::milliseconds(0));
  outbox::Relay relay(
      executor, database,
      [&publisher](std::string queue, std::string body) {
        return publisher.publish(std::move(queue), std::move(body));
      },
      look);
  run::PastGuard past(database, config.text("witness"));
  run::Scheduler scheduler(
      executor, database, config.yes("fallback_engine"), [&past] { return past.check(); }, look);
  run::UploadSweeper uploads(database);
  run::TriggeredRuns triggered(executor, database, [&past] { return past.check(); }, look);
  redis::Client redis(executor, config.redis());
  postgres::Listener listener(executor, config.text("database_url"),
                              {"terrane_runs", "terrane_outbox", "terrane_tokens"},
                              [&](const std::string& channel, const std::string& payload) {
                                if (channel == "terrane_tokens") {
                                  net::spawn(executor, "revoked token", tell_webs(redis, payload));
                                  return;
                                }
                                // After a reconnect everything may have changed.
                                if (channel != "terrane_outbox") {
                                  scheduler.wake();
                                  triggered.wake();
                                }
                                if (channel != "terrane_runs") relay.wake();
                              });
  net::spawn(executor, "outbox relay", relay.run(stop));
  net::spawn(executor, "upload sweeper", uploads.run(stop));
  net::spawn(executor, "triggered runs", triggered.run(stop));
  net::spawn(executor, "past guard", past.run(stop));
  net::spawn(executor, "wake at stop", wake_at_stop(stop, scheduler, triggered, relay));
  log::info("ready");
  co_await scheduler.run(stop);
  co_await past.remember();
  co_return 0;
}

}  // namespace

int background_main(const RoleConfig& config) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return background(config, executor, stop); });
}

}  // namespace terrane::app
