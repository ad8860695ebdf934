#include "sandbox/broker.h"

#include "app/roles.h"
#include "base/log.h"

namespace terrane::app {
namespace {

Task<int> broker(RoleConfig config, net::Executor executor, net::Stop& stop) {
  sandbox::BrokerOptions options;
  options.socket = config.text("socket");
  options.root = config.text("root");
  options.installation = config.text("installation");
  options.worker_uid = static_cast<uid_t>(config.number("worker_uid"));
  options.worker_gid = static_cast<gid_t>(config.number("worker_gid"));
  options.binary = config.text("binary");
  options.shim_environment = {{"LANG", "C.UTF-8"}};
  if (!config.yes("network")) options.slirp.clear();
  options.weak_limits = config.yes("weak_limits");
  if (config.yes("restrict_metadata")) options.unreachable = {"169.254.0.0/16", "fe80::/10"};
  if (config.yes("restrict_private")) {
    for (const char* range : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"})
      options.unreachable.emplace_back(range);
  }
  sandbox::Broker broker(executor, options);
  log::info("ready");
  co_await broker.run(stop);
  co_return 0;
}

}  // namespace

int broker_main(const RoleConfig& config) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return broker(config, executor, stop); });
}

}  // namespace terrane::app
