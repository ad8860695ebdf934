#include "app/serve/stores.h"

#include <sys/stat.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "base/text.h"
#include "net/files.h"
#include "postgres/database.h"
#include "redis/client.h"

namespace terrane::app {
namespace {

using supervisor::ServiceSpec;

constexpr const char* postgres_bin = "/usr/lib/postgresql/15/bin/";

net::ProcessOptions as(const Account& account, std::vector<std::string> argv,
                       const std::filesystem::path& directory) {
  net::ProcessOptions options;
  options.argv = std::move(argv);
  options.environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                         {"LANG", "C.UTF-8"},
                         {"HOME", directory.string()}};
  options.directory = directory;
  options.uid = account.uid;
  options.gid = account.gid;
  return options;
}

Task<bool> accepts_tcp(std::uint16_t port) {
  namespace asio = boost::asio;
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  try {
    co_await socket.async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
    co_return true;
  } catch (const boost::system::system_error&) {
    co_return false;
  }
}

/// Whether a process is one that still executes and not a zombie that nobody has reaped.
bool executes(pid_t pid) {
  std::filesystem::path stat = "/proc/" + std::to_string(pid) + "/stat";
  if (!std::filesystem::exists(stat)) return false;
  std::string text = net::read_file(stat, 4096);
  std::size_t state = text.rfind(") ");
  return state != std::string::npos && text[state + 2] != 'Z' && text[state + 2] != 'X';
}

/// A postmaster that was killed leaves its pid in a file, and PostgreSQL takes any process of that number for
/// it, also a zombie that pid 1 is slow to reap and a stranger. The number is replaced by one that cannot
/// exist; the shared memory's id in the same file stays, by which PostgreSQL recognises backends that live
/// on.
Task<> forget_dead_postmaster(std::filesystem::path data) {
  const std::filesystem::path file = data / "postmaster.pid";
  if (!std::filesystem::exists(file)) co_return;
  std::string text = net::read_file(file, 64 * 1024);
  std::size_t end = text.find('\n');
  std::optional<std::int64_t> pid = parse_int(trim(std::string_view(text).substr(0, end)));
  if (!pid || *pid <= 0 || end == std::string::npos) co_return;
  const auto deadline = net::Clock::now() + std::chrono::seconds(30);
  auto ours_lives = [&] {
    std::error_code ignored;
    auto directory = std::filesystem::read_symlink("/proc/" + std::to_string(*pid) + "/cwd", ignored);
    return executes(static_cast<pid_t>(*pid)) && directory == data;
  };
  while (ours_lives() && net::Clock::now() < deadline) co_await net::sleep_for(std::chrono::milliseconds(50));
  if (ours_lives()) co_return;  // PostgreSQL says what is wrong
  // The socket's lock file says the same number, and guards nothing that the data directory's does not.
  for (const auto& entry : std::filesystem::directory_iterator(data.parent_path() / "sock"))
    std::filesystem::remove(entry.path());
  struct stat owner{};
  ::stat(file.c_str(), &owner);
  net::write_file(file, "2147483647" + text.substr(end), {0600, owner.st_uid, owner.st_gid});
}

Task<> prepare_postgres(Installation installation) {
  const std::filesystem::path home = installation.layout.postgres();
  const std::filesystem::path data = home / "data";
  const Account& store = installation.accounts.store;
  net::make_directory(home / "sock", {0755, store.uid, store.gid});
  if (!std::filesystem::exists(data / "PG_VERSION")) {
    std::filesystem::remove_all(data);  // what a broken-off initdb left
    std::filesystem::remove_all(home / "data.new");
    net::ProcessOptions initdb =
        as(store,
           {std::string(postgres_bin) + "initdb", "-D", (home / "data.new").string(), "-U", "admin",
            "--auth=peer", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"},
           home);
    net::Captured result = co_await net::run_captured(initdb, "", std::chrono::seconds(120));
    if (!result.status.success()) throw Error(Code::internal, "initdb: " + result.errors);
    std::filesystem::rename(home / "data.new", data);
  }
  co_await forget_dead_postmaster(data);
  const net::FileOwner owner{0600, store.uid, store.gid};
  net::write_file(data / "postgresql.conf",
                  "# Written by terrane at each start.\n"
                  "listen_addresses = '127.0.0.1'\n"
                  "port = " +
                      std::to_string(installation.generated.postgres_port) +
                      "\n"
                      "unix_socket_directories = '" +
                      (home / "sock").string() +
                      "'\n"
                      "max_connections = 100\n"
                      "shared_buffers = 64MB\n"
                      "wal_level = replica\n"
                      "max_wal_size = 256MB\n"
                      "timezone = 'UTC'\n"
                      "log_timezone = 'UTC'\n"
                      "password_encryption = scram-sha-256\n"
                      "datestyle = 'iso, mdy'\n",
                  owner);
  net::write_file(data / "pg_hba.conf",
                  "local all admin peer map=terrane\n"
                  "local terrane terrane peer map=terrane\n"
                  "local terrane vault peer map=terrane\n"
                  "host scratch scratch 127.0.0.1/32 scram-sha-256\n",
                  owner);
  net::write_file(data / "pg_ident.conf",
                  "terrane root admin\n"
                  "terrane root terrane\n"
                  "terrane " +
                      store.name +
                      " admin\n"
                      "terrane " +
                      installation.accounts.core.name +
                      " terrane\n"
                      "terrane " +
                      installation.accounts.vault.name + " vault\n",
                  owner);
}

Task<> prepare_redis(Installation installation) {
  const std::filesystem::path home = installation.layout.redis();
  // Redis may lose everything at any moment, so it persists nothing.
  net::write_file(home / "redis.conf",
                  "port 0\n"
                  "unixsocket " +
                      installation.layout.redis_socket().string() +
                      "\n"
                      "unixsocketperm 770\n"
                      "save \"\"\n"
                      "appendonly no\n"
                      "dir " +
                      home.string() +
                      "\n"
                      "maxmemory 256mb\n"
                      "maxmemory-policy allkeys-lru\n",
                  {0600, installation.accounts.store.uid, installation.accounts.store.gid});
  co_return;
}

std::map<std::string, std::string> rabbit_environment(const Installation& installation) {
  const std::string home = installation.layout.rabbitmq().string();
  const Generated& made = installation.generated;
  return {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
          {"LANG", "C.UTF-8"},
          {"HOME", home},
          {"RABBITMQ_NODENAME", "terrane@localhost"},
          {"RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"},
          {"RABBITMQ_NODE_PORT", std::to_string(made.amqp_port)},
          {"RABBITMQ_DIST_PORT", std::to_string(made.dist_port)},
          {"RABBITMQ_MNESIA_BASE", home + "/mnesia"},
          {"RABBITMQ_LOG_BASE", home + "/log"},
          {"RABBITMQ_CONFIG_FILE", home + "/rabbitmq"},
          {"RABBITMQ_ENABLED_PLUGINS_FILE", home + "/enabled_plugins"},
          {"RABBITMQ_CONF_ENV_FILE", "/dev/null"},
          {"ERL_EPMD_ADDRESS", "127.0.0.1"},
          {"ERL_EPMD_PORT", std::to_string(made.epmd_port)},
          {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
           "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"}};
}

Task<> prepare_rabbit(Installation installation) {
  const std::filesystem::path home = installation.layout.rabbitmq();
  const Account& store = installation.accounts.store;
  const net::FileOwner owner{0600, store.uid, store.gid};
  net::make_directory(home / "mnesia", {0700, store.uid, store.gid});
  net::make_directory(home / "log", {0700, store.uid, store.gid});
  net::write_file(home / "rabbitmq.conf",
                  "listeners.tcp.1 = 127.0.0.1:" + std::to_string(installation.generated.amqp_port) +
                      "\n"
                      "default_user = terrane\n"
                      "default_pass = " +
                      installation.generated.amqp_password +
                      "\n"
                      "default_vhost = /terrane\n"
                      "loopback_users = none\n"
                      "log.console = true\n"
                      "log.console.level = warning\n"
                      "log.file = false\n"
                      "disk_free_limit.absolute = 50MB\n"
                      "vm_memory_high_watermark.absolute = 512MB\n",
                  owner);
  net::write_file(home / "enabled_plugins", "[].\n", owner);
  net::write_file(home / ".erlang.cookie", installation.generated.erlang_cookie,
                  {0400, store.uid, store.gid});
  co_return;
}

Task<bool> postgres_answers(net::Executor executor, std::string url) {
  postgres::DatabaseOptions options;
  options.url = std::move(url);
  options.application = "terrane serve";
  options.connections = 1;
  options.acquire_time = std::chrono::milliseconds(500);
  postgres::Database database(executor, options);
  try {
    co_await database.ping();
    co_return true;
  } catch (const Error&) {
    co_return false;
  }
}

Task<bool> redis_answers(net::Executor executor, std::string socket) {
  redis::Options options;
  options.unix_path = std::move(socket);
  redis::Client client(executor, options);
  try {
    co_await client.command({"PING"});
    co_return true;
  } catch (const Error&) {
    co_return false;
  }
}

}  // namespace

std::vector<ServiceSpec> store_specs(net::Executor executor, const Installation& installation) {
  const Layout& layout = installation.layout;
  const Account& store = installation.accounts.store;
  std::vector<ServiceSpec> specs;

  ServiceSpec postgres;
  postgres.name = "postgres";
  postgres.process =
      as(store, {std::string(postgres_bin) + "postgres", "-D", (layout.postgres() / "data").string()},
         layout.postgres());
  postgres.before_start = [installation] { return prepare_postgres(installation); };
  postgres.ready = [executor, url = database_url(installation, "admin", "postgres")] {
    return postgres_answers(executor, url);
  };
  postgres.ready_limit = std::chrono::seconds(120);
  postgres.stop_signal = SIGINT;  // fast shutdown: sessions are cut, a checkpoint is written
  postgres.stop_limit = std::chrono::seconds(60);
  specs.push_back(std::move(postgres));

  ServiceSpec redis;
  redis.name = "redis";
  redis.process =
      as(store, {"/usr/bin/redis-server", (layout.redis() / "redis.conf").string()}, layout.redis());
  redis.process.gid = installation.accounts.core.gid;  // its socket is for the core's group
  redis.before_start = [installation] { return prepare_redis(installation); };
  redis.ready = [executor, socket = layout.redis_socket().string()] {
    return redis_answers(executor, socket);
  };
  redis.ready_limit = std::chrono::seconds(30);
  redis.stop_limit = std::chrono::seconds(10);
  specs.push_back(std::move(redis));

  // Without an epmd of ours the broker would start one that outlives it.
  ServiceSpec epmd;
  epmd.name = "epmd";
  epmd.process = as(
      store,
      {"/usr/bin/epmd", "-address", "127.0.0.1", "-port", std::to_string(installation.generated.epmd_port)},
      layout.rabbitmq());
  epmd.ready = [port = installation.generated.epmd_port] { return accepts_tcp(port); };
  epmd.ready_limit = std::chrono::seconds(20);
  epmd.stop_limit = std::chrono::seconds(5);
  specs.push_back(std::move(epmd));

  ServiceSpec rabbit;
  rabbit.name = "rabbitmq";
  rabbit.process = as(store, {"/usr/lib/rabbitmq/bin/rabbitmq-server"}, layout.rabbitmq());
  rabbit.process.environment = rabbit_environment(installation);
  rabbit.before_start = [installation] { return prepare_rabbit(installation); };
  rabbit.ready = [port = installation.generated.amqp_port] { return accepts_tcp(port); };
  rabbit.ready_limit = std::chrono::seconds(120);
  rabbit.stop_limit = std::chrono::seconds(30);
  rabbit.after = {"epmd"};
  rabbit.group_kill = true;
  specs.push_back(std::move(rabbit));
  return specs;
}

}  // namespace terrane::app
