#include "testing/test_redis.h"

namespace terrane::testing {
namespace {

constexpr const char* account = "redis";

}  // namespace

TestRedis::TestRedis(std::string password) : directory_("redis", account), password_(std::move(password)) {
  start();
}

TestRedis::~TestRedis() {
  if (server_ && server_->running()) kill();
}

void TestRedis::start() {
  std::filesystem::path log = directory_.path() / "log";
  std::string configuration = "port 0\nunixsocket " + socket() +
                              "\nunixsocketperm 777\nsave \"\"\nappendonly no\ndir " +
                              directory_.path().string() + "\n";
  if (!password_.empty()) configuration += "requirepass " + password_ + "\n";
  directory_.write("redis.conf", configuration);
  std::filesystem::remove(socket());
  server_.reset();
  server_.emplace(ChildOptions{.argv = {"/usr/bin/redis-server", (directory_.path() / "redis.conf").string()},
                               .environment = {{"PATH", "/usr/bin:/bin"}},
                               .user = account,
                               .directory = directory_.path(),
                               .log = log});
  directory_.adopt_group(server_->pid());
  wait_ready(*server_, log, 20, [this] { return accepts_unix(socket()); });
}

void TestRedis::kill() {
  server_->signal(SIGKILL);
  server_->wait(5);
}

}  // namespace terrane::testing
