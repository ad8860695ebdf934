#include "testing/test_database.h"

#include <csignal>
#include <fstream>
#include <stdexcept>

#include "postgres/migrator.h"
#include "testing/run.h"

namespace terrane::testing {
namespace {

constexpr const char* account = "postgres";

/// The newest PostgreSQL of the machine.
std::filesystem::path programs() {
  std::filesystem::path newest;
  int newest_version = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql")) {
    int version = std::atoi(entry.path().filename().c_str());
    if (version <= newest_version || !std::filesystem::exists(entry.path() / "bin/initdb")) continue;
    newest_version = version;
    newest = entry.path() / "bin";
  }
  if (newest.empty()) throw std::runtime_error("no PostgreSQL under /usr/lib/postgresql");
  return newest;
}

void run_script(const std::string& url, const std::string& sql) {
  run_task([&](net::Executor executor) -> Task<> {
    postgres::DatabaseOptions options{.url = url, .application = "test set-up", .connections = 1};
    postgres::Database database(executor, std::move(options));
    co_await database.run_script(sql);
  });
}

void migrate(const std::string& url) {
  run_task([&](net::Executor executor) -> Task<> {
    postgres::DatabaseOptions options{.url = url, .application = "test set-up", .connections = 1};
    postgres::Database database(executor, std::move(options));
    co_await postgres::migrate(database);
  });
}

std::string next_name() {
  static int number = 0;
  return "test_" + std::to_string(++number);
}

}  // namespace

TestServer& TestServer::shared() {
  static TestServer server;
  return server;
}

TestServer::TestServer(ServerOptions options) : directory_("pg", account) {
  initialise(options);
  start();
  run_script(admin_url(), "CREATE ROLE terrane LOGIN");
}

TestServer::~TestServer() {
  if (!server_) return;
  server_->signal(SIGQUIT);
  server_->wait(5);
}

void TestServer::initialise(const ServerOptions& options) {
  std::string data = (directory() / "data").string();
  run_program({.argv = {programs() / "initdb", "-D", data, "-U", "postgres", "--auth=trust",
                        "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"},
               .environment = {{"PATH", "/usr/bin:/bin"}},
               .user = account,
               .directory = directory(),
               .log = directory() / "initdb.log"});
  std::ofstream file(directory() / "data/postgresql.conf", std::ios::app);
  file
      << "\nlisten_addresses = ''\nunix_socket_directories = '" << directory().string()
      << "'\nmax_connections = 100\n"
      << "shared_buffers = 16MB\ndeadlock_timeout = 200ms\ntimezone = 'Pacific/Auckland'\nautovacuum = off\n";
  if (!options.fsync) file << "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n";
  file << options.configuration << "\n";
}

std::string TestServer::url(const std::string& database) const {
  return "postgresql:///" + database + "?user=terrane&host=" + directory().string();
}

std::string TestServer::admin_url(const std::string& database) const {
  return "postgresql:///" + database + "?user=postgres&host=" + directory().string();
}

bool TestServer::try_start() {
  std::filesystem::path log = directory() / "server.log";
  server_.reset();
  server_.emplace(ChildOptions{.argv = {programs() / "postgres", "-D", (directory() / "data").string()},
                               .environment = {{"PATH", "/usr/bin:/bin"}},
                               .user = account,
                               .directory = directory(),
                               .log = log});
  directory_.adopt_group(server_->pid());
  // The last line of the pid file says `ready`; after a crash the file of the server before may still lie
  // there.
  std::function<bool()> ready = [this] {
    std::ifstream file(directory() / "data/postmaster.pid");
    std::string line;
    if (!std::getline(file, line) || line != std::to_string(server_->pid())) return false;
    while (std::getline(file, line)) {
      if (line.starts_with("ready")) return true;
    }
    return false;
  };
  try {
    wait_ready(*server_, log, 20, ready);
    return true;
  } catch (const std::runtime_error&) {
    if (server_->running()) throw;
    return false;
  }
}

void TestServer::start() {
  // After a kill, sessions of the old server may hold its shared memory for a moment.
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!try_start()) {
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("the test's PostgreSQL does not start: see " + directory().string());
  }
}

void TestServer::stop() {
  server_->signal(SIGINT);
  server_->wait(20);
}

void TestServer::kill() {
  server_->signal(SIGKILL);
  server_->wait(5);
}

TestDatabase::TestDatabase(Content content, TestServer& server)
    : server_(&server), name_(next_name()), url_(server.url(name_)) {
  run_script(server.admin_url(),
             "CREATE DATABASE " + name_ + " OWNER terrane TEMPLATE template0 STRATEGY file_copy");
  if (content == Content::empty) return;
  migrate(url_);
  url_ += "&options=-csearch_path%3Dterrane";
}

postgres::DatabaseOptions TestDatabase::options(std::size_t connections) const {
  return {.url = url_, .application = "test", .connections = connections};
}

void TestDatabase::run(const std::string& sql) const { run_script(url_, sql); }

}  // namespace terrane::testing
