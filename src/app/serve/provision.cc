#include "app/serve/provision.h"

#include <sys/stat.h>

#include "app/serve/vault_roles.h"
#include "base/log.h"
#include "crypto/x509.h"
#include "net/files.h"
#include "net/process.h"
#include "postgres/migrator.h"

namespace terrane::app {
namespace {

constexpr std::chrono::days ca_life{3650};
constexpr std::chrono::days certificate_life{397};
constexpr std::chrono::seconds renew_before = std::chrono::days(30);

/// Reads an identity or makes it; one that ends soon is made anew.
template <class Make>
crypto::Identity keep(const std::filesystem::path& stem, net::FileOwner owner, Make make) {
  std::filesystem::path certificate = stem.string() + ".pem";
  std::filesystem::path key = stem.string() + ".key";
  if (std::filesystem::exists(certificate) && std::filesystem::exists(key)) {
    crypto::Identity known{net::read_file(certificate, 1 << 20), net::read_file(key, 1 << 20)};
    auto ends = std::chrono::sys_seconds(std::chrono::seconds(crypto::expires_at(known.certificate_pem)));
    if (ends - renew_before > now()) return known;
  }
  crypto::Identity fresh = make();
  net::write_file(key, fresh.key_pem, owner);
  owner.mode = 0644;
  net::write_file(certificate, fresh.certificate_pem, owner);
  return fresh;
}

void make_directories(const Installation& installation) {
  const Layout& layout = installation.layout;
  const Accounts& who = installation.accounts;
  auto make = [](const std::filesystem::path& path, const Account& owner, mode_t mode) {
    net::make_directory(path, {mode, owner.uid, owner.gid});
  };
  const Account root{"root", 0, 0};
  make(layout.data, root, 0755);
  make(layout.data / "bin", root, 0755);
  make(layout.tls(), root, 0755);
  make(layout.etc(), root, 0755);
  make(layout.logs(), root, 0700);
  make(layout.postgres(), who.store, 0711);
  make(layout.redis(), Account{"", who.store.uid, who.core.gid}, 0750);
  make(layout.rabbitmq(), who.store, 0700);
  make(layout.keys(), who.vault, 0700);
  make(layout.blobs(), who.core, 0700);
  make(layout.witness(), who.core, 0700);
  make(layout.spool(), who.worker, 0700);
  make(layout.runs(), root, 0711);
  make(layout.sockets(), who.core, 0711);
  make(layout.sockets() / "vault", Account{"", who.vault.uid, who.core.gid}, 0710);
  make(layout.sockets() / "broker", Account{"", 0, who.worker.gid}, 0750);
}

void make_certificates(const Installation& installation) {
  const Layout& layout = installation.layout;
  const Accounts& who = installation.accounts;
  const net::FileOwner root{0600, 0, 0};
  const net::FileOwner core{0600, who.core.uid, who.core.gid};
  const net::FileOwner worker{0600, who.worker.uid, who.worker.gid};
  const std::string hostname = installation.settings.text("TFE_HOSTNAME");
  crypto::Identity ca =
      keep(layout.tls() / "ca", root, [] { return crypto::make_ca("Terrane demo CA", ca_life); });
  keep(layout.tls() / "server", core, [&] {
    return crypto::make_certificate(ca, hostname, {hostname, "localhost", "127.0.0.1"}, crypto::Usage::server,
                                    certificate_life);
  });
  // Nodes have a CA of their own: what the demo's CA signs must never open the job API.
  crypto::Identity nodes =
      keep(layout.tls() / "node-ca", root, [] { return crypto::make_ca("Terrane nodes", ca_life); });
  keep(layout.tls() / "jobs", core, [&] {
    return crypto::make_certificate(nodes, "terrane-jobs", {"terrane-jobs", "127.0.0.1"},
                                    crypto::Usage::server, certificate_life);
  });
  keep(layout.tls() / "background", core, [&] {
    return crypto::make_certificate(nodes, "terrane-background", {"terrane-background"},
                                    crypto::Usage::client, certificate_life);
  });
  for (std::int64_t worker_number = 1; worker_number <= installation.settings.number("TERRANE_WORKERS");
       ++worker_number) {
    std::string name = installation.generated.node + "-" + std::to_string(worker_number);
    keep(layout.tls() / ("worker-" + std::to_string(worker_number)), worker, [&] {
      return crypto::make_certificate(nodes, name, {name}, crypto::Usage::client, certificate_life);
    });
  }
}

/// The running program, copied to a place that every user can reach and that stays when the original is built
/// anew.
void copy_binary(const Installation& installation) {
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  std::filesystem::path target = installation.layout.binary();
  if (std::filesystem::exists(target) && std::filesystem::equivalent(self, target)) return;
  std::filesystem::path fresh = target;
  fresh += ".new";
  std::filesystem::copy_file(self, fresh, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::permissions(fresh, std::filesystem::perms(0755));
  std::filesystem::rename(fresh, target);
}

}  // namespace

std::string Installation::public_host() const {
  std::string host = settings.text("TFE_HOSTNAME");
  std::int64_t port = settings.number("TFE_HTTPS_PORT");
  return port == 443 ? host : host + ":" + std::to_string(port);
}

bool Installation::has_several_nodes() const {
  const std::string mode = settings.text("TFE_OPERATIONAL_MODE");
  return mode == "external" || mode == "active-active";
}

void provision(const Installation& installation) {
  make_directories(installation);
  make_certificates(installation);
  copy_binary(installation);
  net::write_file(installation.layout.settings(), installation.settings.to_file());
}

std::string database_url(const Installation& installation, const std::string& user,
                         const std::string& database) {
  return "host=" + (installation.layout.postgres() / "sock").string() +
         " port=" + std::to_string(installation.generated.postgres_port) + " user=" + user +
         " dbname=" + database;
}

Task<> prepare_database(net::Executor executor, const Installation& installation) {
  const std::string quoted = "'" + installation.generated.scratch_password + "'";  // letters and digits only
  const std::string script =
      "SELECT 'CREATE ROLE terrane LOGIN' WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = "
      "'terrane') \\gexec\n"
      "SELECT 'CREATE ROLE vault LOGIN' WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'vault') "
      "\\gexec\n"
      "SELECT 'CREATE ROLE scratch LOGIN' WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = "
      "'scratch') \\gexec\n"
      "ALTER ROLE scratch PASSWORD " +
      quoted +
      ";\n"
      "SELECT 'CREATE DATABASE terrane OWNER terrane' WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE "
      "datname = 'terrane') \\gexec\n"
      "SELECT 'CREATE DATABASE scratch OWNER scratch' WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE "
      "datname = 'scratch') \\gexec\n"
      "GRANT CREATE ON DATABASE terrane TO vault;\n"
      "REVOKE CONNECT ON DATABASE terrane FROM PUBLIC;\n"
      "GRANT CONNECT ON DATABASE terrane TO vault;\n";
  net::ProcessOptions psql;
  psql.argv = {"/usr/lib/postgresql/15/bin/psql",
               "-X",
               "-q",
               "-v",
               "ON_ERROR_STOP=1",
               "-d",
               database_url(installation, "admin", "postgres")};
  net::Captured result = co_await net::run_captured(psql, script, std::chrono::seconds(60));
  if (!result.status.success())
    throw Error(Code::internal, "The database could not be prepared: " + result.errors);

  postgres::DatabaseOptions options;
  options.url = database_url(installation, "terrane", "terrane");
  options.application = "terrane migrate";
  options.connections = 1;
  options.statement_time = std::chrono::minutes(10);
  postgres::Database database(executor, options);
  int count = co_await postgres::migrate(database);
  if (count > 0) log::info("migrated the database", {{"migrations", count}});
}

namespace {

json::object config_of(const Installation& installation, const std::string& role) {
  const Layout& layout = installation.layout;
  const Generated& made = installation.generated;
  const config::Settings& settings = installation.settings;
  json::object values;
  auto reach_stores = [&] {
    values["database_url"] = database_url(installation, "terrane", "terrane");
    values["redis_socket"] = layout.redis_socket().string();
    values["archivist_socket"] = layout.archivist_socket().string();
    values["vault_socket"] = layout.vault_socket().string();
  };
  auto reach_broker = [&] {
    values["amqp_port"] = made.amqp_port;
    values["amqp_user"] = "terrane";
    values["amqp_password"] = made.amqp_password;
    values["amqp_vhost"] = "/terrane";
    values["look_interval_ms"] = settings.number("TERRANE_LOOK_INTERVAL");
  };
  if (role == "web") {
    reach_stores();
    values["public_host"] = installation.public_host();
    values["rate_limit"] = settings.number("TERRANE_RATE_LIMIT");
    values["certificate"] = (layout.tls() / "server.pem").string();
    values["key"] = (layout.tls() / "server.key").string();
    values["job_certificate"] = (layout.tls() / "jobs.pem").string();
    values["job_key"] = (layout.tls() / "jobs.key").string();
    values["node_ca"] = (layout.tls() / "node-ca.pem").string();
    values["plan_timeout"] = settings.number("TERRANE_PLAN_TIMEOUT");
    values["apply_timeout"] = settings.number("TERRANE_APPLY_TIMEOUT");
    values["grace"] = installation.has_several_nodes() ? settings.number("TERRANE_NODE_GRACE") : 0;
    values["memory_bytes"] = settings.number("TFE_CAPACITY_MEMORY") * 1024 * 1024;
    values["cpus"] = settings.number("TFE_CAPACITY_CPU");
    values["processes"] = settings.number("TERRANE_CAPACITY_PROCESSES");
    values["disk_bytes"] = settings.number("TERRANE_CAPACITY_DISK") * 1024 * 1024;
  } else if (role == "background") {
    values["database_url"] = database_url(installation, "terrane", "terrane");
    values["redis_socket"] = layout.redis_socket().string();
    values["archivist_socket"] = layout.archivist_socket().string();
    values["job_port"] = made.job_port;
    values["node_ca"] = (layout.tls() / "node-ca.pem").string();
    values["certificate"] = (layout.tls() / "background.pem").string();
    values["key"] = (layout.tls() / "background.key").string();
    values["duty_locks"] = settings.yes("TERRANE_DUTY_LOCKS");
    values["witness"] = (layout.witness() / "history.json").string();
    values["fallback_engine"] = settings.yes("TERRANE_FALLBACK_ENGINE");
    reach_broker();
  } else if (role == "services") {
    reach_stores();
    reach_broker();
  } else if (role == "archivist") {
    reach_stores();
    values["blobs"] = layout.blobs().string();
  } else if (role == "vault") {
    values["database_url"] = database_url(installation, "vault", "terrane");
    values["socket"] = layout.vault_socket().string();
    values["key_material"] = layout.keys().string();
  } else if (role == "broker") {
    values["socket"] = layout.broker_socket().string();
    values["root"] = layout.runs().string();
    values["installation"] = made.installation;
    values["worker_uid"] = installation.accounts.worker.uid;
    values["worker_gid"] = installation.accounts.worker.gid;
    values["binary"] = layout.binary().string();
    values["network"] = settings.text("TERRANE_SANDBOX_NETWORK") == "on";
    values["weak_limits"] = settings.text("TERRANE_SANDBOX_LIMITS") == "weak";
    values["restrict_metadata"] = settings.yes("TERRANE_RESTRICT_METADATA");
    values["restrict_private"] = settings.yes("TERRANE_RESTRICT_PRIVATE");
  } else if (role.starts_with("worker-")) {
    reach_broker();
    values["node"] = made.node + "-" + role.substr(7);
    values["job_port"] = made.job_port;
    values["node_ca"] = (layout.tls() / "node-ca.pem").string();
    values["certificate"] = (layout.tls() / (role + ".pem")).string();
    values["key"] = (layout.tls() / (role + ".key")).string();
    values["broker_socket"] = layout.broker_socket().string();
    values["spool"] = (layout.spool() / role).string();
    values["capacity"] = settings.number("TFE_CAPACITY_CONCURRENCY");
    values["engine_store"] = installation.engine_store.string();
    values["provider_store"] = installation.provider_store.string();
    values["platform_ca"] = (layout.tls() / "ca.pem").string();
    values["platform_address"] = settings.text("TERRANE_LISTEN");
    values["platform_port"] = settings.number("TFE_HTTPS_PORT");
  }
  return values;
}

}  // namespace

Task<> write_role_config(net::Executor executor, const Installation& installation, std::string role) {
  json::object values = config_of(installation, role);
  if (values.contains("vault_socket")) {
    Secret token = co_await make_vault_token(executor, installation, role);
    values["vault_token"] = token.reveal();
  }
  Account owner{"root", 0, 0};
  if (role == "vault")
    owner = installation.accounts.vault;
  else if (role.starts_with("worker-"))
    owner = installation.accounts.worker;
  else if (role != "broker")
    owner = installation.accounts.core;
  net::write_file(installation.layout.role_config(role), json::serialize(values),
                  {0600, owner.uid, owner.gid});
}

}  // namespace terrane::app
