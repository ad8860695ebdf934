#include "testing/test_rabbit.h"

#include <fstream>

namespace terrane::testing {
namespace {

constexpr const char* account = "rabbitmq";

}  // namespace

TestRabbit& TestRabbit::shared() {
  static TestRabbit broker;
  return broker;
}

TestRabbit::TestRabbit()
    : directory_("rabbit", account),
      port_(static_cast<std::uint16_t>(free_port())),
      mapper_port_(free_port()),
      peer_port_(free_port()) {
  directory_.write(
      "rabbitmq.conf",
      "listeners.tcp.1 = 127.0.0.1:" + std::to_string(port_) + "\ndefault_user = " + user() +
          "\ndefault_pass = " + password() + "\ndefault_vhost = " + vhost() +
          "\nloopback_users = none\nlog.console = true\nlog.console.level = warning\nlog.file = false\n"
          "disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 512MB\n");
  directory_.write("enabled_plugins", "[].\n");
  directory_.write(".erlang.cookie", "A-cookie-of-a-test", 0400);
  // Without one of ours, the broker would leave a daemon behind.
  mapper_.emplace(
      ChildOptions{.argv = {"/usr/bin/epmd", "-address", "127.0.0.1", "-port", std::to_string(mapper_port_)},
                   .environment = {{"PATH", "/usr/bin:/bin"}},
                   .user = account,
                   .directory = directory_.path(),
                   .log = directory_.path() / "epmd.log"});
  directory_.adopt_group(mapper_->pid());
  wait_ready(*mapper_, directory_.path() / "epmd.log", 10, [this] { return accepts_tcp(mapper_port_); });
  start();
}

TestRabbit::~TestRabbit() {
  if (broker_ && broker_->running()) kill();
}

void TestRabbit::start() {
  std::string home = directory_.path().string();
  std::filesystem::path log = directory_.path() / "log.txt";
  broker_.reset();
  broker_.emplace(ChildOptions{
      .argv = {"/usr/lib/rabbitmq/bin/rabbitmq-server"},
      .environment =
          {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
           {"HOME", home},
           {"LANG", "C.UTF-8"},
           {"RABBITMQ_NODENAME", "terrane@localhost"},
           {"RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"},
           {"RABBITMQ_NODE_PORT", std::to_string(port_)},
           {"RABBITMQ_DIST_PORT", std::to_string(peer_port_)},
           {"RABBITMQ_MNESIA_BASE", home + "/mnesia"},
           {"RABBITMQ_LOG_BASE", home + "/log"},
           {"RABBITMQ_CONFIG_FILE", home + "/rabbitmq"},
           {"RABBITMQ_ENABLED_PLUGINS_FILE", home + "/enabled_plugins"},
           {"RABBITMQ_PID_FILE", home + "/pid"},
           {"RABBITMQ_CONF_ENV_FILE", "/dev/null"},
           {"ERL_EPMD_ADDRESS", "127.0.0.1"},
           {"ERL_EPMD_PORT", std::to_string(mapper_port_)},
           {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"}},
      .user = account,
      .directory = directory_.path(),
      .log = log});
  directory_.adopt_group(broker_->pid());
  wait_ready(*broker_, log, 90, [this] { return accepts_tcp(port_); });
}

bool TestRabbit::has_written(const std::string& queue) const {
  std::ifstream file(directory_.path() / "mnesia/terrane@localhost/quorum/terrane@localhost/names.dets",
                     std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  return bytes.find("_" + queue) != std::string::npos;  // behind the virtual host's name
}

void TestRabbit::kill() {
  broker_->signal(SIGKILL, true);
  broker_->wait(10);
}

}  // namespace terrane::testing
