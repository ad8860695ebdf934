#include "worker/worker.h"

#include "app/roles.h"
#include "base/log.h"
#include "net/files.h"
#include "outbox/outbox.h"

namespace terrane::app {
namespace {

worker::WorkerOptions options_of(const RoleConfig& config) {
  worker::WorkerOptions options;
  options.node = config.text("node");
  options.name = config.text("node");
  options.api.host = "127.0.0.1";
  options.api.port = static_cast<std::uint16_t>(config.number("job_port"));
  options.api.tls = true;
  options.api.ca_pem = net::read_file(config.text("node_ca"), 1 << 20);
  options.api.certificate_pem = net::read_file(config.text("certificate"), 1 << 20);
  options.api.key_pem = net::read_file(config.text("key"), 1 << 20);
  options.platform.ca_pem = net::read_file(config.text("platform_ca"), 1 << 20);
  options.platform.host = config.text("platform_address");
  options.platform.port = static_cast<std::uint16_t>(config.number("platform_port"));
  options.data = config.text("spool");
  options.broker_socket = config.text("broker_socket");
  options.engine_store = config.text("engine_store");
  options.provider_store = config.text("provider_store");
  options.capacity = static_cast<std::size_t>(config.number("capacity"));
  options.queue = config.amqp();
  options.queue_name = outbox::jobs_queue;
  options.own_queue_name = outbox::node_queue(options.node);
  options.look_interval = config.look_interval().value_or(std::chrono::milliseconds(0));
  return options;
}

}  // namespace

int worker_main(const RoleConfig& config) {
  return net::run_role([&](net::Executor executor, net::Stop& stop) -> Task<int> {
    worker::Worker worker(executor, options_of(config));
    log::info("ready");
    co_await worker.run(stop);
    co_return 0;
  });
}

}  // namespace terrane::app
