// How a Connection comes to be: the hosts of the URL one after another, each with a limit of its own, then
// the session's settings.
#include <arpa/inet.h>
#include <fcntl.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <libpq-fe.h>

#include "base/log.h"
#include "base/text.h"
#include "postgres/connection.h"
#include "postgres/socket.h"

namespace terrane::postgres {
namespace {

constexpr std::chrono::seconds connect_limit{5};

/// The last three let the server notice a client that is gone, whose locks others wait for;
/// client_connection_check_interval is new in 14.
constexpr Statement session_settings{"session_settings", R"sql(
SELECT set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO, MDY', false),
       set_config('bytea_output', 'hex', false),
       set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
       set_config('idle_in_transaction_session_timeout', '30s', false),
       set_config('tcp_keepalives_idle', '4', false), set_config('tcp_keepalives_interval', '2', false),
       set_config('tcp_keepalives_count', '3', false),
       CASE WHEN current_setting('client_connection_check_interval', true) IS NOT NULL
            THEN set_config('client_connection_check_interval', '2s', false) END)sql"};

using ParsedOptions = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

ParsedOptions parse_url(const std::string& url) {
  char* problem = nullptr;
  ParsedOptions options(PQconninfoParse(url.c_str(), &problem), &PQconninfoFree);
  if (options) return options;
  Error error(Code::unavailable, "The database's connection string is not valid.");
  PQfreemem(problem);  // it may quote the password
  throw error;
}

std::string option(const ParsedOptions& options, std::string_view keyword) {
  for (const PQconninfoOption* each = options.get(); each->keyword; ++each) {
    if (keyword == each->keyword && each->val) return each->val;
  }
  return {};
}

std::string element(const std::vector<std::string_view>& list, std::size_t index) {
  if (list.size() == 1) return std::string(list.front());
  return index < list.size() ? std::string(list[index]) : std::string();
}

/// Whether reaching the host needs a name server, which libpq asks in a blocking way.
bool needs_lookup(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  bool is_path = host.empty() || host.front() == '/' || host.front() == '@';
  return !is_path && inet_pton(AF_INET, host.c_str(), address) != 1 &&
         inet_pton(AF_INET6, host.c_str(), address) != 1;
}

void log_notice(void*, const char* text) { log::debug("notice of the database", {{"text", trim(text)}}); }

/// Keywords and values for libpq. What stands before `dbname`, the URL, is a default; what stands behind it
/// wins.
struct ConnectParameters {
  std::vector<std::pair<std::string, std::string>> pairs;

  PGconn* start() const {
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : pairs) {
      keywords.push_back(keyword.c_str());
      values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    return PQconnectStartParams(keywords.data(), values.data(), 1);
  }
};

}  // namespace

/// One host of the URL; empty members leave what the URL says.
struct Connection::Target {
  std::string host;
  std::string address;
  std::string port;
};

std::vector<Connection::Target> Connection::targets(const std::string& url) {
  ParsedOptions options = parse_url(url);
  std::string hosts = option(options, "host");
  std::string addresses = option(options, "hostaddr");
  std::string ports = option(options, "port");
  std::vector<std::string_view> host_list = split(hosts, ',');
  std::vector<std::string_view> address_list = split(addresses, ',');
  std::vector<std::string_view> port_list = split(ports, ',');
  std::size_t count = std::max({host_list.size(), address_list.size(), std::size_t{1}});
  std::vector<Target> found;
  for (std::size_t index = 0; index < count; ++index) {
    found.push_back({element(host_list, index), element(address_list, index), element(port_list, index)});
  }
  return found;
}

Task<std::unique_ptr<Connection>> Connection::open(ConnectionSettings settings) {
  std::vector<Target> candidates = targets(settings.url);
  std::optional<Error> last;
  for (const Target& target : candidates) {
    try {
      co_return co_await open_one(settings, target);
    } catch (const Error& error) {
      last = error;
    }
  }
  throw *last;
}

Task<std::unique_ptr<Connection>> Connection::open_one(const ConnectionSettings& settings,
                                                       const Target& target) {
  net::Executor executor = co_await boost::asio::this_coro::executor;
  std::unique_ptr<Connection> connection(new Connection(executor, settings.statement_time));
  {
    Exchange exchange(*connection, connect_limit);
    co_await connection->establish(settings, target);
    exchange.finish();
  }
  co_await connection->start_session(settings);
  co_return connection;
}

Task<> Connection::establish(const ConnectionSettings& settings, const Target& target) {
  ConnectParameters parameters{{{"target_session_attrs", "read-write"},
                                {"gssencmode", "disable"},
                                {"keepalives", "1"},
                                {"keepalives_idle", "4"},
                                {"keepalives_interval", "2"},
                                {"keepalives_count", "3"},
                                {"tcp_user_timeout", "10000"},
                                {"dbname", settings.url},
                                {"client_encoding", "UTF8"},
                                {"application_name", settings.application},
                                {"host", target.host},
                                {"hostaddr", target.address},
                                {"port", target.port}}};
  if (target.address.empty() && needs_lookup(target.host)) {
    std::function<PGconn*()> start = [&parameters] { return parameters.start(); };
    handle_ = co_await net::blocking_result<PGconn*>(std::move(start));
  } else {
    handle_ = parameters.start();
  }
  if (!handle_) throw std::bad_alloc();
  PQsetNoticeProcessor(handle_, log_notice, nullptr);
  PostgresPollingStatusType step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    if (step == PGRES_POLLING_FAILED || PQstatus(handle_) == CONNECTION_BAD) lost(PQerrorMessage(handle_));
    watch_socket();  // libpq may have changed the socket since the last step
    if (step == PGRES_POLLING_READING)
      co_await wait_readable();
    else
      co_await wait_writable();
    step = PQconnectPoll(handle_);
  }
  watch_socket();
}

void Connection::watch_socket() {
  boost::system::error_code ignored;
  socket_->descriptor.close(ignored);
  int copy = fcntl(PQsocket(handle_), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) lost("the socket cannot be duplicated");
  socket_->descriptor.assign(copy);
}

Task<> Connection::start_session(const ConnectionSettings& settings) {
  if (PQsetnonblocking(handle_, 1) != 0 || !PQenterPipelineMode(handle_)) lost(PQerrorMessage(handle_));
  Params params = Params::of(settings.statement_time.count(), settings.lock_time.count());
  std::vector<Call> calls{Call{session_settings, params, false}};
  co_await run(calls);
}

}  // namespace terrane::postgres
