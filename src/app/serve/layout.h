#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/types.h>

#include "base/error.h"
#include "base/json.h"
#include "base/task.h"

namespace terrane::app {

/// A system user that a part runs as.
struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The unprivileged users: a process can read what it needs and nothing of the others.
struct Accounts {
  Account store;   ///< PostgreSQL, Redis, RabbitMQ
  Account vault;   ///< vault, with the key material
  Account core;    ///< web, background, archivist, services
  Account worker;  ///< worker and shims
};

/// Makes the accounts that are missing. Throws Error{internal} with useradd's message. Needs root.
Task<Accounts> ensure_accounts();

/// Where everything lies below the data directory.
struct Layout {
  std::filesystem::path data;

  std::filesystem::path settings() const { return data / "terrane.env"; }
  std::filesystem::path generated() const { return data / "generated.json"; }
  std::filesystem::path binary() const { return data / "bin" / "terrane"; }
  std::filesystem::path tls() const { return data / "tls"; }
  std::filesystem::path etc() const { return data / "etc"; }
  std::filesystem::path sockets() const { return data / "sock"; }
  std::filesystem::path logs() const { return data / "log"; }
  std::filesystem::path postgres() const { return data / "postgres"; }
  std::filesystem::path redis() const { return data / "redis"; }
  std::filesystem::path rabbitmq() const { return data / "rabbitmq"; }
  std::filesystem::path keys() const { return data / "vault-keys"; }
  std::filesystem::path blobs() const { return data / "blobs"; }
  std::filesystem::path witness() const { return data / "witness"; }
  std::filesystem::path spool() const { return data / "spool"; }
  std::filesystem::path runs() const { return data / "sandbox"; }
  std::filesystem::path role_config(const std::string& role) const { return etc() / (role + ".json"); }
  std::filesystem::path vault_socket() const { return sockets() / "vault" / "vault.sock"; }
  std::filesystem::path archivist_socket() const { return sockets() / "archivist.sock"; }
  std::filesystem::path broker_socket() const { return sockets() / "broker" / "broker.sock"; }
  std::filesystem::path redis_socket() const { return redis() / "redis.sock"; }
};

/// What was made at the first start and is kept: names, passwords of internal stores, ports. It reaches
/// things; no data depend on it.
struct Generated {
  std::string installation;  ///< short name of this installation on the machine, for cgroups
  std::string node;          ///< this node's id
  std::string amqp_password, scratch_password, erlang_cookie;
  std::uint16_t postgres_port = 0, amqp_port = 0, dist_port = 0, epmd_port = 0, job_port = 0;

  /// Reads the file, or makes what is missing; picks other ports when the kept ones are taken. A wanted port
  /// of 0 means any; `public_port` is web's, and nobody else's.
  static Generated load_or_make(const Layout& layout, std::uint16_t wanted_job_port,
                                std::uint16_t public_port);
};

}  // namespace terrane::app
