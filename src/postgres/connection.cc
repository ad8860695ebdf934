#include "postgres/connection.h"

#include <poll.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <libpq-fe.h>

#include "base/error.h"
#include "base/text.h"
#include "postgres/socket.h"
#include "postgres/sqlstate.h"

namespace terrane::postgres {

namespace asio = boost::asio;

namespace {

/// What the server may add to statement_timeout before it is taken for dead.
constexpr std::chrono::seconds answer_slack{3};

void refuse_nul(std::span<const Call> calls) {
  for (const Call& call : calls) {
    for (const std::optional<std::string>& value : call.params.values()) {
      if (value && value->find('\0') != std::string::npos)
        throw Error(Code::unprocessable, "A text holds a NUL character.");
    }
  }
}

}  // namespace

ConnectionLost::ConnectionLost(std::string_view context, bool in_time)
    : Error(Code::unavailable, "The database is not available; try again."), in_time_(in_time) {
  add_context(trim(context));
}

Connection::Connection(net::Executor executor, std::chrono::milliseconds statement_time)
    : socket_(std::make_shared<Socket>(executor)), statement_time_(statement_time) {}

Connection::~Connection() {
  boost::system::error_code ignored;
  socket_->descriptor.close(ignored);
  if (handle_) PQfinish(handle_);
}

Connection::Exchange::Exchange(Connection& connection, net::Clock::duration limit) : connection_(connection) {
  if (connection_.busy_) throw Error(Code::internal, "A database connection was used by two at once.");
  connection_.busy_ = true;
  Socket& socket = *connection_.socket_;
  socket.expired = false;
  std::uint64_t number = ++socket.exchange;
  socket.timer.expires_after(limit);
  socket.timer.async_wait([shared = connection_.socket_, number](boost::system::error_code cancelled) {
    if (cancelled || shared->exchange != number) return;
    shared->expired = true;
    boost::system::error_code ignored;
    shared->descriptor.cancel(ignored);
  });
}

Connection::Exchange::~Exchange() {
  ++connection_.socket_->exchange;
  connection_.socket_->timer.cancel();
}

void Connection::lost(std::string_view what) {
  throw ConnectionLost(what.empty() ? "connection lost" : what, !socket_->expired);
}

Task<> Connection::wait_readable() {
  if (socket_->expired) lost("no answer in time");
  boost::system::error_code failed;
  co_await socket_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                          asio::redirect_error(asio::use_awaitable, failed));
  if (socket_->expired) lost("no answer in time");
  if (failed) throw boost::system::system_error(failed);
}

Task<> Connection::wait_writable() {
  if (socket_->expired) lost("no answer in time");
  boost::system::error_code failed;
  co_await socket_->descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                                          asio::redirect_error(asio::use_awaitable, failed));
  if (socket_->expired) lost("no answer in time");
  if (failed) throw boost::system::system_error(failed);
}

void Connection::read_input() {
  // Behind TLS, libpq may leave a part of a record unread that the socket does not announce again.
  int rounds = PQsslInUse(handle_) ? 3 : 1;
  for (int round = 0; round < rounds; ++round) {
    if (!PQconsumeInput(handle_)) lost(PQerrorMessage(handle_));
  }
}

Task<> Connection::flush() {
  for (;;) {
    int rest = PQflush(handle_);
    if (rest == 0) co_return;
    // A server that hung up may have said why: the reader finds it.
    if (rest < 0) co_return;
    co_await wait_writable();
    read_input();
  }
}

Task<ResultPointer> Connection::next_result() {
  while (PQisBusy(handle_)) {
    co_await wait_readable();
    read_input();
  }
  ResultPointer result(PQgetResult(handle_));
  if (result && PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
    if (ends_session(*result)) throw ConnectionLost(to_error(*result, "").context(), true);
    if (PQstatus(handle_) == CONNECTION_BAD) lost(PQerrorMessage(handle_));
  }
  co_return result;
}

Task<ResultPointer> Connection::first_result() {
  ResultPointer first = co_await next_result();
  if (!first) lost("an answer is missing");
  while (ResultPointer more = co_await next_result()) first = std::move(more);
  co_return first;
}

void Connection::send_prepare(const Call& call, std::vector<Expected>& expected) {
  std::size_t text = std::hash<std::string_view>{}(call.statement.text);
  auto known = prepared_.find(call.statement.name);
  if (known != prepared_.end()) {
    if (known->second == text) return;
    throw Error(Code::internal, "Two statements have one name.").add_context(call.statement.name);
  }
  std::string name(call.statement.name);
  std::string sql(call.statement.text);
  if (!PQsendPrepare(handle_, name.c_str(), sql.c_str(), 0, nullptr)) lost(PQerrorMessage(handle_));
  expected.push_back({&call, true});
}

void Connection::send_call(const Call& call) {
  std::vector<const char*> values;
  values.reserve(call.params.values().size());
  for (const std::optional<std::string>& value : call.params.values())
    values.push_back(value ? value->c_str() : nullptr);
  int count = static_cast<int>(values.size());
  int sent = call.prepare ? PQsendQueryPrepared(handle_, std::string(call.statement.name).c_str(), count,
                                                values.data(), nullptr, nullptr, 0)
                          : PQsendQueryParams(handle_, std::string(call.statement.text).c_str(), count,
                                              nullptr, values.data(), nullptr, nullptr, 0);
  if (!sent) lost(PQerrorMessage(handle_));
}

std::vector<Connection::Expected> Connection::send(std::span<const Call> calls) {
  std::vector<Expected> expected;
  for (const Call& call : calls) {
    if (call.prepare) send_prepare(call, expected);
    send_call(call);
    expected.push_back({&call, false});
  }
  if (!PQpipelineSync(handle_)) lost(PQerrorMessage(handle_));
  return expected;
}

Task<std::vector<Result>> Connection::receive(const std::vector<Expected>& expected) {
  std::vector<Result> results;
  std::optional<Error> failure;
  for (const Expected& item : expected) {
    ResultPointer result = co_await first_result();
    ExecStatusType status = PQresultStatus(result.get());
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (good && item.is_prepare) {
      prepared_.emplace(item.call->statement.name, std::hash<std::string_view>{}(item.call->statement.text));
    } else if (good) {
      ResultData data{std::move(result), std::string(item.call->statement.name)};
      results.emplace_back(std::make_shared<const ResultData>(std::move(data)));
    } else if (!failure) {
      failure = to_error(*result, item.call->statement.name);
      if (wears_out_session(*result)) worn_ = true;
    }
  }
  ResultPointer mark = co_await next_result();
  if (!mark || PQresultStatus(mark.get()) != PGRES_PIPELINE_SYNC) lost("the end of an answer is missing");
  if (failure) {
    busy_ = false;  // in step again, in spite of the failure
    throw *failure;
  }
  co_return results;
}

Task<std::vector<Result>> Connection::run(std::span<const Call> calls) {
  refuse_nul(calls);
  net::Clock::duration limit = std::chrono::hours(24 * 365);
  if (statement_time_.count() > 0) limit = statement_time_ + answer_slack;
  Exchange exchange(*this, limit);
  std::vector<Expected> expected = send(calls);
  co_await flush();
  std::vector<Result> results = co_await receive(expected);
  exchange.finish();
  co_return results;
}

Task<> Connection::run_script(std::string sql, net::Clock::duration limit) {
  Exchange exchange(*this, limit);
  if (!PQexitPipelineMode(handle_)) lost(PQerrorMessage(handle_));
  if (!PQsendQuery(handle_, sql.c_str())) lost(PQerrorMessage(handle_));
  co_await flush();
  std::optional<Error> failure;
  while (ResultPointer result = co_await next_result()) {
    bool good = PQresultStatus(result.get()) == PGRES_COMMAND_OK ||
                PQresultStatus(result.get()) == PGRES_TUPLES_OK ||
                PQresultStatus(result.get()) == PGRES_EMPTY_QUERY;
    if (!good && !failure) failure = to_error(*result, "script");
  }
  if (!PQenterPipelineMode(handle_)) lost(PQerrorMessage(handle_));
  exchange.finish();
  if (failure) throw *failure;
}

Task<std::vector<Notification>> Connection::notifications() {
  std::vector<Notification> found;
  for (;;) {
    while (PGnotify* notify = PQnotifies(handle_)) {
      found.push_back({notify->relname, notify->extra});
      PQfreemem(notify);
    }
    if (!found.empty()) co_return found;
    if (PQstatus(handle_) == CONNECTION_BAD) lost(PQerrorMessage(handle_));
    co_await wait_readable();
    read_input();
  }
}

bool Connection::is_usable() const { return !busy_ && !worn_ && PQstatus(handle_) == CONNECTION_OK; }

bool Connection::is_alive() {
  if (!is_usable()) return false;
  pollfd watched{PQsocket(handle_), POLLIN, 0};
  if (poll(&watched, 1, 0) <= 0) return true;
  // Something came without being asked for: a notice is read at once, the end of the stream only by the
  // second read.
  return PQconsumeInput(handle_) && PQconsumeInput(handle_) && PQstatus(handle_) == CONNECTION_OK;
}

bool Connection::is_in_transaction() const { return PQtransactionStatus(handle_) != PQTRANS_IDLE; }

}  // namespace terrane::postgres
