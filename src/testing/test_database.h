#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "postgres/database.h"
#include "testing/child.h"

namespace terrane::testing {

struct ServerOptions {
  bool fsync = false;         ///< durable as in production; off it is several times faster
  std::string configuration;  ///< further lines of postgresql.conf
};

/// A real PostgreSQL that listens on a unix socket in a temporary directory only, with a superuser `postgres`
/// and a role `terrane` that owns the databases. It ends, and its directory goes, with the object or the
/// test's process. All calls block.
class TestServer {
 public:
  /// The process's common server, started on first use. A test that stops or kills servers takes one of its
  /// own.
  static TestServer& shared();
  explicit TestServer(ServerOptions options = {});
  ~TestServer();

  /// A connection string of the role `terrane`, or of the superuser.
  std::string url(const std::string& database) const;
  std::string admin_url(const std::string& database = "postgres") const;
  const std::filesystem::path& directory() const noexcept { return directory_.path(); }

  /// Starts the stopped or killed server and waits until it takes connections.
  void start();
  /// Ends all sessions and stops (pg_ctl's mode fast).
  void stop();
  /// SIGKILL to the server, as a crash of the machine.
  void kill();

 private:
  void initialise(const ServerOptions& options);
  bool try_start();
  TestDirectory directory_;
  std::optional<Child> server_;
};

/// A fresh database on a test server, owned by the role `terrane`. It lives as long as the server.
class TestDatabase {
 public:
  enum class Content { empty, migrated };
  explicit TestDatabase(Content content = Content::empty, TestServer& server = TestServer::shared());

  const std::string& name() const noexcept { return name_; }
  /// The connection string of the role `terrane`; with the schema `terrane` first in its search_path when it
  /// is migrated.
  const std::string& url() const noexcept { return url_; }
  std::string admin_url() const { return server_->admin_url(name_); }
  /// Options for postgres::Database with this url and `connections` connections.
  postgres::DatabaseOptions options(std::size_t connections = 4) const;
  /// Runs SQL text as the role `terrane` on a connection of its own; blocks.
  void run(const std::string& sql) const;

 private:
  TestServer* server_;
  std::string name_;
  std::string url_;
};

}  // namespace terrane::testing
