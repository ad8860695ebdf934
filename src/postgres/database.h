#pragma once
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/task.h"
#include "base/time.h"
#include "net/io.h"
#include "postgres/statement.h"

namespace terrane::postgres {

/// Raw bytes as a parameter for a bytea. Does not own them.
struct Bytes {
  std::string_view bytes;
};

/// Values for a statement's `$1, $2, …` in PostgreSQL's text format; nothing stands for NULL. PostgreSQL
/// infers the types. A text with a NUL byte, which PostgreSQL cannot hold, is refused by `run` with
/// Error{unprocessable}.
class Params {
 public:
  Params() = default;
  template <class... Values>
  static Params of(const Values&... values) {
    Params params;
    (params.add(values), ...);
    return params;
  }
  void add(std::string_view value);
  void add(const char* value) { add(std::string_view(value)); }
  void add(const std::string& value) { add(std::string_view(value)); }
  void add(bool value);
  void add(Time value);
  void add(const json::value& value);  ///< for json and jsonb
  void add(const json::object& value);
  void add(Bytes value);
  void add(std::nullopt_t) { values_.emplace_back(); }
  /// A text[] literal.
  void add(const std::vector<std::string>& values);
  template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  void add(Integer value) {
    add(std::string_view(std::to_string(value)));
  }
  template <class Value>
  void add(const std::optional<Value>& value) {
    if (value)
      add(*value);
    else
      values_.emplace_back();
  }
  /// An Id or another type with a `text()`.
  template <class Named>
    requires requires(const Named& named) {
      { named.text() } -> std::convertible_to<std::string_view>;
    }
  void add(const Named& value) {
    add(std::string_view(value.text()));
  }

  const std::vector<std::optional<std::string>>& values() const noexcept { return values_; }

 private:
  std::vector<std::optional<std::string>> values_;
};

struct ResultData;

/// One row of a result, which it keeps alive; a `text` view lives as long as the row. Asking for a column
/// that is not there, or for a value of NULL without `opt`, is a defect and throws Error{internal} that names
/// statement and column.
class Row {
 public:
  bool is_null(std::string_view column) const;
  std::string_view text(std::string_view column) const;
  std::string string(std::string_view column) const { return std::string(text(column)); }
  std::int64_t integer(std::string_view column) const;
  bool boolean(std::string_view column) const;
  Time time(std::string_view column) const;
  json::value json(std::string_view column) const;
  std::string bytes(std::string_view column) const;                 ///< bytea
  std::vector<std::string> strings(std::string_view column) const;  ///< text[]
  std::optional<std::string> opt_string(std::string_view column) const;
  std::optional<std::int64_t> opt_integer(std::string_view column) const;
  std::optional<bool> opt_boolean(std::string_view column) const;
  std::optional<Time> opt_time(std::string_view column) const;

 private:
  friend class Result;
  Row(std::shared_ptr<const ResultData> data, int index) : data_(std::move(data)), index_(index) {}
  std::shared_ptr<const ResultData> data_;
  int index_;
};

/// The rows of one statement. Owns them.
class Result {
 public:
  explicit Result(std::shared_ptr<const ResultData> data);
  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }
  /// Rows changed by INSERT, UPDATE or DELETE.
  std::size_t affected() const noexcept;
  /// The server's name of what it did, as in `UPDATE 1` or `COMMIT`.
  std::string_view command() const noexcept;
  Row operator[](std::size_t index) const;
  /// The only row; nothing when there is none; more than one is a defect and throws Error{internal}.
  std::optional<Row> one() const;

 private:
  std::shared_ptr<const ResultData> data_;
};

/// A transaction on one connection. Destroyed without `commit` it rolls back. Not to be used by two
/// coroutines at once.
class Tx {
 public:
  /// Runs a statement, prepared on first use of its connection. Suspends. SQLSTATE becomes Error: unique and
  /// exclusion violations `conflict` (the constraint's name is in the context as `constraint=NAME`), foreign
  /// key and check violations `unprocessable` (same), serialization failures and deadlocks `conflict` with
  /// context `retry`, statement time-outs and lost connections `unavailable`, text that is not UTF-8
  /// `unprocessable`, everything else `internal`. BEGIN travels with the first statement, so that one costs
  /// one round trip; when the kept connection turns out to have died, the first statement is tried once more
  /// on another.
  Task<Result> run(const Statement& statement, Params params = {});
  /// Commits. Throws UnknownCommit when the connection broke before the answer.
  Task<> commit();
  /// `run` and `commit` in one round trip, for a last statement whose result decides nothing. Throws what
  /// both throw.
  Task<Result> run_and_commit(const Statement& statement, Params params = {});

  Tx(Tx&&) noexcept;
  ~Tx();

 private:
  friend class Database;
  struct Impl;
  explicit Tx(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The connection broke between COMMIT and its answer: the caller must look up whether its rows are there
/// before it answers.
class UnknownCommit : public Error {
 public:
  UnknownCommit() : Error(Code::unavailable, "The database broke off while committing.") {}
};

/// The name of the violated constraint in an Error of `run`, empty when it is about something else.
std::string_view violated_constraint(const Error& error);

struct DatabaseOptions {
  std::string url;          ///< libpq connection string; may name several hosts
  std::string application;  ///< application_name
  std::size_t connections = 8;
  std::chrono::milliseconds acquire_time{
      5'000};  ///< waiting for a free connection or a server that is away, then Error{unavailable}
  std::chrono::milliseconds statement_time{10'000};  ///< statement_timeout
  std::chrono::milliseconds lock_time{5'000};        ///< lock_timeout
};

/// A pool of connections to the one source of truth. It connects by itself, leaves read-only standbys
/// (target_session_attrs=read-write) and replaces broken connections. One executor, not thread-safe.
class Database {
 public:
  Database(net::Executor executor, DatabaseOptions options);
  ~Database();

  /// Runs one statement in a transaction of its own, in one round trip; fails as Tx::run. A SELECT that fails
  /// because its kept connection had died is tried once more; anything else whose answer was lost throws
  /// UnknownCommit.
  Task<Result> query(const Statement& statement, Params params = {});
  /// Starts a transaction (READ COMMITTED).
  Task<Tx> begin();
  /// Runs `body` in a transaction and commits; anything thrown rolls back. Serialization failures and
  /// deadlocks repeat it, at most 3 times.
  template <class T>
  Task<T> transact(std::function<Task<T>(Tx&)> body);
  Task<> transact_void(std::function<Task<>(Tx&)> body);

  /// Suspends until the server has answered an empty question. Throws Error{unavailable} when it does not.
  Task<> ping();

  /// Runs SQL text of any number of statements, at most an hour, and drops the connection afterwards:
  /// migrations and test set-up only.
  Task<> run_script(std::string_view sql);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Whether an Error of `run` says that the transaction may succeed when it is run again.
bool is_retryable(const Error& error);

template <class T>
Task<T> Database::transact(std::function<Task<T>(Tx&)> body) {
  for (int attempt = 1;; ++attempt) {
    try {
      Tx tx = co_await begin();
      T result = co_await body(tx);
      co_await tx.commit();
      co_return result;
    } catch (const Error& error) {
      if (!is_retryable(error) || attempt == 3) throw;
    }
  }
}

}  // namespace terrane::postgres
