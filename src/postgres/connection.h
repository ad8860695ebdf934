#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/io.h"
#include "postgres/database.h"
#include "postgres/result_data.h"

struct pg_conn;

namespace terrane::postgres {

/// How a session is opened and limited. A limit of zero is none.
struct ConnectionSettings {
  std::string url;
  std::string application;
  std::chrono::milliseconds statement_time{10'000};
  std::chrono::milliseconds lock_time{5'000};
};

/// One statement of a round trip. `prepare` is off for BEGIN and the like.
struct Call {
  Statement statement;
  Params params;
  bool prepare = true;
};

/// The session broke or fell silent; whether the server executed what it was sent is not known.
class ConnectionLost : public Error {
 public:
  /// `in_time` is false when the server did not answer within the limit, so that trying again makes no sense.
  ConnectionLost(std::string_view context, bool in_time);
  bool in_time() const noexcept { return in_time_; }

 private:
  bool in_time_;
};

struct Notification {
  std::string channel;
  std::string payload;
};

/// One session of a PostgreSQL server that takes writes, in pipeline mode. One coroutine at a time; when that
/// is cancelled in the middle of an exchange, `is_usable` says so and the owner drops the connection.
class Connection {
 public:
  /// Connects to the first host of the URL that takes writes, at most 5 s for each. Throws
  /// Error{unavailable}.
  static Task<std::unique_ptr<Connection>> open(ConnectionSettings settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Sends all calls and one end mark, which makes one round trip and, outside BEGIN, one transaction. Throws
  /// the first failed call's Error (those behind it are not executed), or ConnectionLost.
  Task<std::vector<Result>> run(std::span<const Call> calls);
  /// Runs SQL text of any number of statements by the simple protocol, at most `limit`.
  Task<> run_script(std::string sql, net::Clock::duration limit);
  /// Takes what NOTIFY has brought; suspends until something has. Throws ConnectionLost.
  Task<std::vector<Notification>> notifications();

  /// Whether the connection may serve again: no exchange was left in the middle and the session is sound.
  bool is_usable() const;
  /// The same, and looks without suspending whether the server has hung up.
  bool is_alive();
  bool is_in_transaction() const;
  /// Whether it has answered before, so that it may have died unnoticed since.
  bool is_kept() const noexcept { return kept_; }
  void mark_kept() noexcept { kept_ = true; }

 private:
  struct Socket;
  class Exchange;
  struct Target;
  struct Expected {
    const Call* call;
    bool is_prepare;
  };
  explicit Connection(net::Executor executor, std::chrono::milliseconds statement_time);

  static std::vector<Target> targets(const std::string& url);
  static Task<std::unique_ptr<Connection>> open_one(const ConnectionSettings& settings, const Target& target);
  Task<> establish(const ConnectionSettings& settings, const Target& target);
  Task<> start_session(const ConnectionSettings& settings);
  void watch_socket();

  std::vector<Expected> send(std::span<const Call> calls);
  void send_prepare(const Call& call, std::vector<Expected>& expected);
  void send_call(const Call& call);
  Task<> flush();
  Task<> wait_readable();
  Task<> wait_writable();
  Task<ResultPointer> next_result();
  Task<ResultPointer> first_result();
  Task<std::vector<Result>> receive(const std::vector<Expected>& expected);
  void read_input();
  [[noreturn]] void lost(std::string_view what);

  std::shared_ptr<Socket> socket_;
  pg_conn* handle_ = nullptr;
  std::chrono::milliseconds statement_time_;
  std::map<std::string, std::size_t, std::less<>> prepared_;  // name → hash of the text
  bool busy_ = false;  // an exchange is under way, or was left in the middle
  bool worn_ = false;  // sound, but not for further transactions
  bool kept_ = false;
};

}  // namespace terrane::postgres
