#include "amqp/publisher.h"
#include "app/roles.h"
#include "base/log.h"
#include "http/client.h"
#include "net/files.h"
#include "object/archivist_client.h"
#include "outbox/outbox.h"
#include "postgres/duty.h"
#include "postgres/listener.h"
#include "redis/client.h"
#include "run/past.h"
#include "run/scheduler.h"
#include "run/silence.h"
#include "run/triggers.h"
#include "run/uploads.h"
#include "state/recovery.h"
#include "state/retention.h"

namespace terrane::app {
namespace {

/// The advisory locks of duties, apart from others in the same database.
enum class DutyKey : std::int64_t {
  scheduler = 7'300'000'001,
  relay,
  uploads,
  recovery,
  silence,
  retention,
  triggered
};

/// Tells all webs of a revoked token, beside NOTIFY. Without Redis their caches end by themselves within 5
/// seconds.
Task<> tell_webs(redis::Client& redis, std::string token_id) {
  try {
    co_await redis.publish(revoked_tokens_channel, token_id);
  } catch (const Error& error) {
    log::debug("a revoked token was not published", {{"error", error.what()}});
  }
}

http::Endpoint job_api(const RoleConfig& config) {
  http::Endpoint endpoint;
  endpoint.host = "127.0.0.1";
  endpoint.port = static_cast<std::uint16_t>(config.number("job_port"));
  endpoint.tls = true;
  endpoint.ca_pem = net::read_file(config.text("node_ca"), 1 << 20);
  endpoint.certificate_pem = net::read_file(config.text("certificate"), 1 << 20);
  endpoint.key_pem = net::read_file(config.text("key"), 1 << 20);
  return endpoint;
}

Task<bool> answers(http::Client& job_api) {
  http::ClientRequest request;
  request.target = "/job/v1/ping";
  request.header_time = std::chrono::seconds(1);
  try {
    http::ClientResponse response = co_await job_api.send(std::move(request));
    co_await response.text(1024);
    co_return response.status == 204;
  } catch (const Error& error) {
    log::debug("the job API does not answer", {{"error", error.what()}});
    co_return false;
  }
}

Task<int> background(RoleConfig config, net::Executor executor, net::Stop& stop) {
  postgres::Database database(executor, config.database("terrane background"));
  amqp::Publisher publisher(executor, config.amqp());
  object::ArchivistClient archivist(executor, config.text("archivist_socket"));
  http::Client jobs(executor, job_api(config), {.connect_time = std::chrono::seconds(1), .connections = 1});
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
  run::SilenceSweeper silence(database, archivist, [&jobs] { return answers(jobs); });
  state::Recovery recovery(database, archivist);
  state::RetentionSweeper retention(database);
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
  // The witness of the database's history lies on this machine: each background keeps its own.
  net::spawn(executor, "past guard", past.run(stop));
  auto duty = [&](DutyKey key, postgres::Duty::Work work, std::function<void()> wake = {}) {
    return postgres::Duty(executor, config.text("database_url"), static_cast<std::int64_t>(key),
                          config.yes("duty_locks"), std::move(work), std::move(wake));
  };
  postgres::Duty scheduling = duty(
      DutyKey::scheduler, [&](net::Stop& until) { return scheduler.run(until); }, [&] { scheduler.wake(); });
  postgres::Duty relaying =
      duty(DutyKey::relay, [&](net::Stop& until) { return relay.run(until); }, [&] { relay.wake(); });
  postgres::Duty sweeping = duty(DutyKey::uploads, [&](net::Stop& until) { return uploads.run(until); });
  postgres::Duty recovering = duty(DutyKey::recovery, [&](net::Stop& until) { return recovery.run(until); });
  postgres::Duty retaining = duty(DutyKey::retention, [&](net::Stop& until) { return retention.run(until); });
  postgres::Duty triggering = duty(
      DutyKey::triggered, [&](net::Stop& until) { return triggered.run(until); }, [&] { triggered.wake(); });
  postgres::Duty watching = duty(DutyKey::silence, [&](net::Stop& until) { return silence.run(until); });
  net::spawn(executor, "outbox relay", relaying.run(stop));
  net::spawn(executor, "upload sweeper", sweeping.run(stop));
  net::spawn(executor, "recovery of states", recovering.run(stop));
  net::spawn(executor, "data retention", retaining.run(stop));
  net::spawn(executor, "triggered runs", triggering.run(stop));
  net::spawn(executor, "watch over silent nodes", watching.run(stop));
  log::info("ready");
  co_await scheduling.run(stop);
  co_await past.remember();
  co_return 0;
}

}  // namespace

int background_main(const RoleConfig& config) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return background(config, executor, stop); });
}

}  // namespace terrane::app
