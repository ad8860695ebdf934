#include "app/serve/layout.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/random.h"
#include "net/files.h"
#include "net/process.h"

namespace terrane::app {
namespace {

Task<Account> ensure_account(std::string name) {
  for (int attempt = 0;; ++attempt) {
    if (const passwd* entry = ::getpwnam(name.c_str())) co_return Account{name, entry->pw_uid, entry->pw_gid};
    if (attempt == 1) throw Error(Code::internal, "The system user " + name + " could not be made.");
    net::ProcessOptions useradd;
    useradd.argv = {"/usr/sbin/useradd", "--system", "--no-create-home", "--user-group", "--shell",
                    "/usr/sbin/nologin", name};
    net::Captured result = co_await net::run_captured(useradd, "", std::chrono::seconds(30));
    // Another installation may make the same user at the same moment; then it is there.
    if (!result.status.success() && !::getpwnam(name.c_str()))
      throw Error(Code::internal, "useradd " + name + ": " + result.errors);
  }
}

/// Whether a port of the loopback address can be bound now.
bool is_free(std::uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

std::uint16_t any_free_port() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw Error(Code::internal, "No free port on the loopback address.");
  }
  ::close(fd);
  return ntohs(address.sin_port);
}

std::uint16_t free_port(const std::set<std::int64_t>& taken) {
  std::uint16_t port = any_free_port();
  while (taken.contains(port)) port = any_free_port();
  return port;
}

}  // namespace

Task<Accounts> ensure_accounts() {
  if (::geteuid() != 0)
    throw Error(Code::forbidden,
                "serve must run as root: it starts each part as an unprivileged user of its own.");
  Accounts accounts;
  accounts.store = co_await ensure_account("terrane-store");
  accounts.vault = co_await ensure_account("terrane-vault");
  accounts.core = co_await ensure_account("terrane");
  accounts.worker = co_await ensure_account("terrane-worker");
  co_return accounts;
}

Generated Generated::load_or_make(const Layout& layout, std::uint16_t wanted_job_port,
                                  std::uint16_t public_port) {
  json::object kept;
  if (std::filesystem::exists(layout.generated()))
    kept = parse_json(net::read_file(layout.generated(), 1 << 20)).as_object();
  auto text = [&](std::string_view name, std::size_t size) {
    if (!find_string(kept, name)) kept[name] = crypto::random_text(size);
    return require_string(kept, name);
  };
  // A port that was free a moment ago may be picked again, and the public one is bound only later.
  std::set<std::int64_t> taken = {public_port, wanted_job_port};
  auto port = [&](std::string_view name, std::uint16_t wanted) {
    std::int64_t before = find_int(kept, name).value_or(0);
    if (wanted != 0)
      kept[name] = wanted;
    else if (before == 0 || taken.contains(before) || !is_free(static_cast<std::uint16_t>(before)))
      kept[name] = free_port(taken);
    taken.insert(require_int(kept, name));
    return static_cast<std::uint16_t>(require_int(kept, name));
  };
  Generated out;
  out.installation = text("installation", 12);
  out.node = "node-" + text("node", 12);
  out.amqp_password = text("amqp_password", 32);
  out.scratch_password = text("scratch_password", 32);
  out.erlang_cookie = text("erlang_cookie", 32);
  out.postgres_port = port("postgres_port", 0);
  out.amqp_port = port("amqp_port", 0);
  out.dist_port = port("dist_port", 0);
  out.epmd_port = port("epmd_port", 0);
  out.job_port = port("job_port", wanted_job_port);
  net::write_file(layout.generated(), json::serialize(kept));
  return out;
}

}  // namespace terrane::app
