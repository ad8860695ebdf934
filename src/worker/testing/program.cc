// The program of the worker's tests: broker, worker and shim in one file, as in the real one.
#include <cstdio>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "net/io.h"
#include "sandbox/broker.h"
#include "shim/shim.h"
#include "worker/worker.h"

using namespace terrane;

namespace {

Task<int> broker_main(std::string text, net::Executor executor, net::Stop& stop) {
  json::value document = parse_json(text);
  const json::object& object = document.as_object();
  sandbox::BrokerOptions options;
  options.socket = require_string(object, "socket");
  options.root = require_string(object, "root");
  options.installation = require_string(object, "installation");
  options.worker_uid = static_cast<uid_t>(require_int(object, "worker_uid"));
  options.worker_gid = options.worker_uid;
  options.binary = require_string(object, "binary");
  options.shim_environment = {{"PATH", "/usr/bin"}};
  options.first_uid = static_cast<uid_t>(require_int(object, "first_uid"));
  options.uid_count = 20;
  options.network_pool = static_cast<std::size_t>(require_int(object, "network_pool"));
  options.after_grace = std::chrono::seconds(require_int(object, "after_grace"));
  sandbox::Broker broker(executor, options);
  co_await broker.run(stop);
  co_return 0;
}

Task<int> worker_main(std::string text, net::Executor executor, net::Stop& stop) {
  json::value document = parse_json(text);
  const json::object& object = document.as_object();
  worker::WorkerOptions options;
  options.node = require_string(object, "node");
  options.name = options.node;
  options.api.host = "127.0.0.1";
  options.api.port = static_cast<std::uint16_t>(require_int(object, "api_port"));
  options.data = require_string(object, "data");
  options.broker_socket = require_string(object, "broker");
  options.engine_store = require_string(object, "engines");
  options.provider_store = require_string(object, "providers");
  options.capacity = static_cast<std::size_t>(require_int(object, "capacity"));
  options.look_interval = std::chrono::milliseconds(require_int(object, "look_ms"));
  options.report_interval = std::chrono::milliseconds(500);
  options.grace = std::chrono::seconds(require_int(object, "grace"));
  options.keep_count = static_cast<std::size_t>(require_int(object, "keep_count"));
  if (const json::object* queue = find_object(object, "queue")) {
    amqp::Options rabbit;
    rabbit.port = static_cast<std::uint16_t>(require_int(*queue, "port"));
    rabbit.user = require_string(*queue, "user");
    rabbit.password = Secret(require_string(*queue, "password"));
    rabbit.vhost = require_string(*queue, "vhost");
    options.queue = rabbit;
  }
  worker::Worker worker(executor, options);
  co_await worker.run(stop);
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view role = argc > 1 ? argv[1] : "";
  log::init(role, log::Level::info);
  if (role == "shim") return shim::shim_main();
  std::string options = argc > 2 ? argv[2] : "";
  if (role == "broker")
    return net::run_role(
        [options](net::Executor executor, net::Stop& stop) { return broker_main(options, executor, stop); });
  if (role == "worker")
    return net::run_role(
        [options](net::Executor executor, net::Stop& stop) { return worker_main(options, executor, stop); });
  std::fprintf(stderr, "usage: %s broker OPTIONS | worker OPTIONS | shim\n", argv[0]);
  return 2;
}
