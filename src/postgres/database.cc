#include "postgres/database.h"

#include "base/text.h"
#include "postgres/pool.h"
#include "postgres/sqlstate.h"

namespace terrane::postgres {
namespace {

constexpr Statement begin_statement{"begin", "BEGIN"};
constexpr Statement commit_statement{"commit", "COMMIT"};
constexpr std::chrono::hours script_limit{1};
constexpr int transaction_attempts = 3;

bool is_read(const Statement& statement) { return lower(trim(statement.text).substr(0, 6)) == "select"; }

UnknownCommit unknown_commit(const Error& cause) {
  UnknownCommit error;
  error.add_context(cause.what());
  return error;
}

}  // namespace

struct Tx::Impl {
  Impl(std::shared_ptr<Pool> owner, Lease taken) : pool(std::move(owner)), lease(std::move(taken)) {}
  Task<Result> run_first(const Statement& statement, Params params);
  std::shared_ptr<Pool> pool;
  std::optional<Lease> lease;  // empty once it is committed
  bool begun = false;
};

struct Database::Impl {
  explicit Impl(std::shared_ptr<Pool> made) : pool(std::move(made)) {}
  ~Impl() { pool->close(); }
  std::shared_ptr<Pool> pool;
};

Tx::Tx(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tx::Tx(Tx&&) noexcept = default;
Tx::~Tx() = default;

/// BEGIN and the first statement in one round trip. Nothing can be committed yet, so that a dead connection
/// is simply replaced.
Task<Result> Tx::Impl::run_first(const Statement& statement, Params params) {
  std::vector<Call> calls;
  calls.push_back({begin_statement, {}, false});
  calls.push_back({statement, std::move(params)});
  if ((*lease)->is_kept()) {
    try {
      begun = true;
      std::vector<Result> results = co_await (*lease)->run(calls);
      co_return std::move(results.back());
    } catch (const ConnectionLost& lost) {
      if (!lost.in_time()) throw;
    }
    lease->drop();
    pool->drop_dead();
    lease.reset();
    lease.emplace(co_await pool->acquire());
  }
  begun = true;
  std::vector<Result> results = co_await (*lease)->run(calls);
  co_return std::move(results.back());
}

Task<Result> Tx::run(const Statement& statement, Params params) {
  if (!impl_->lease)
    throw Error(Code::internal, "A statement came after its transaction's end.").add_context(statement.name);
  if (!impl_->begun) co_return co_await impl_->run_first(statement, std::move(params));
  std::vector<Call> calls;
  calls.push_back({statement, std::move(params)});
  std::vector<Result> results = co_await (*impl_->lease)->run(calls);
  co_return std::move(results.back());
}

namespace {

/// Runs `calls`, of which the last one is COMMIT.
Task<std::vector<Result>> run_with_commit(Connection& connection, std::span<const Call> calls) {
  std::vector<Result> results;
  try {
    results = co_await connection.run(calls);
  } catch (const ConnectionLost& lost) {
    throw unknown_commit(lost);
  }
  // COMMIT of a failed transaction is answered without an error, by a rollback.
  if (connection.is_in_transaction() || results.back().command() == "ROLLBACK") {
    throw Error(Code::internal, "A transaction was committed after one of its statements had failed.");
  }
  co_return results;
}

}  // namespace

Task<> Tx::commit() {
  if (!impl_->lease) throw Error(Code::internal, "A transaction was committed twice.");
  if (impl_->begun) {
    std::vector<Call> calls{Call{commit_statement, {}, false}};
    co_await run_with_commit(**impl_->lease, calls);
  }
  impl_->lease.reset();
}

Task<Result> Tx::run_and_commit(const Statement& statement, Params params) {
  if (!impl_->lease)
    throw Error(Code::internal, "A statement came after its transaction's end.").add_context(statement.name);
  std::vector<Call> calls;
  if (!impl_->begun) calls.push_back({begin_statement, {}, false});
  calls.push_back({statement, std::move(params)});
  calls.push_back({commit_statement, {}, false});
  impl_->begun = true;
  std::vector<Result> results = co_await run_with_commit(**impl_->lease, calls);
  impl_->lease.reset();
  co_return std::move(results[results.size() - 2]);
}

Database::Database(net::Executor executor, DatabaseOptions options)
    : impl_(std::make_shared<Impl>(std::make_shared<Pool>(std::move(executor), std::move(options)))) {}
Database::~Database() = default;

Task<Result> Database::query(const Statement& statement, Params params) {
  std::shared_ptr<Pool> pool = impl_->pool;
  std::vector<Call> calls;
  calls.push_back({statement, std::move(params)});
  for (bool first = true;; first = false) {
    Lease lease = co_await pool->acquire();
    bool try_again = first && lease->is_kept();
    try {
      std::vector<Result> results = co_await lease->run(calls);
      co_return std::move(results.back());
    } catch (const ConnectionLost& lost) {
      if (!is_read(statement)) throw unknown_commit(lost);
      if (!try_again || !lost.in_time()) throw;
      lease.drop();
      pool->drop_dead();
    } catch (const Error& error) {
      if (!first || !is_retryable(error)) throw;
    }
  }
}

Task<Tx> Database::begin() {
  std::shared_ptr<Pool> pool = impl_->pool;
  Lease lease = co_await pool->acquire();
  co_return Tx(std::make_unique<Tx::Impl>(std::move(pool), std::move(lease)));
}

Task<> Database::transact_void(std::function<Task<>(Tx&)> body) {
  for (int attempt = 1;; ++attempt) {
    try {
      Tx tx = co_await begin();
      co_await body(tx);
      co_await tx.commit();
      co_return;
    } catch (const Error& error) {
      if (!is_retryable(error) || attempt == transaction_attempts) throw;
    }
  }
}

Task<> Database::ping() {
  static constexpr Statement alive{"postgres_alive", "SELECT 1 AS alive"};
  co_await query(alive);
}

Task<> Database::run_script(std::string_view sql) {
  std::string text(sql);
  Lease lease = co_await impl_->pool->acquire();
  std::exception_ptr failure;
  try {
    co_await lease->run_script(std::move(text), script_limit);
  } catch (...) {
    failure = std::current_exception();
  }
  lease.drop();  // the text may have changed the session
  if (failure) std::rethrow_exception(failure);
}

}  // namespace terrane::postgres
