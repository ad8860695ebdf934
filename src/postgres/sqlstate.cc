#include "postgres/sqlstate.h"

#include <libpq-fe.h>

#include "postgres/database.h"

namespace terrane::postgres {
namespace {

constexpr std::string_view retry_mark = "retry";

std::string_view field(const pg_result& result, int code) {
  const char* value = PQresultErrorField(&result, code);
  return value ? value : "";
}

/// "cached plan must not change result type": a migration changed a table under a prepared statement.
bool is_stale_plan(const pg_result& result) {
  return field(result, PG_DIAG_SQLSTATE) == "0A000" &&
         field(result, PG_DIAG_SOURCE_FUNCTION) == "RevalidateCachedQuery";
}

bool is_retryable_state(std::string_view state) { return state == "40001" || state == "40P01"; }

Error by_state(std::string_view state) {
  if (state == "23505" || state == "23P01")
    return Error(Code::conflict, "It conflicts with something that already exists.");
  if (state == "23503")
    return Error(Code::unprocessable, "It refers to something that does not exist, or is still referred to.");
  if (state == "23514") return Error(Code::unprocessable, "A value is not allowed.");
  if (state == "22021" || state == "22P05")
    return Error(Code::unprocessable, "A text is not valid UTF-8 or holds a NUL character.");
  if (is_retryable_state(state))
    return Error(Code::conflict, "Something else was changing it at the same time; try again.");
  if (state == "57014" || state == "55P03")
    return Error(Code::unavailable, "The database was too slow; try again.");
  bool is_away = state.starts_with("08") || state.starts_with("53") || state.starts_with("57P") ||
                 state == "25006" || state == "25P03";
  if (is_away) return Error(Code::unavailable, "The database is not available; try again.");
  return Error(Code::internal, "The database refused a statement.");
}

/// The server's message; class 22 (data exceptions) quotes the value behind a colon, which may be a secret.
std::string_view safe_message(const pg_result& result, std::string_view state) {
  std::string_view message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  return state.starts_with("22") ? message.substr(0, message.find(':')) : message;
}

/// The value of `key=value` in a context, up to the next semicolon.
std::string_view context_value(std::string_view context, std::string_view key) {
  std::size_t start = context.find(key);
  if (start == std::string_view::npos) return {};
  std::string_view value = context.substr(start + key.size());
  return value.substr(0, value.find(';'));
}

}  // namespace

Error to_error(const pg_result& result, std::string_view statement) {
  std::string_view state = field(result, PG_DIAG_SQLSTATE);
  bool retry = is_retryable_state(state) || is_stale_plan(result);
  Error error = is_stale_plan(result) ? by_state("40001") : by_state(state);
  if (retry) error.add_context(retry_mark);
  error.add_context("statement=" + std::string(statement));
  error.add_context("sqlstate=" + std::string(state));
  std::string_view constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  if (!constraint.empty()) error.add_context("constraint=" + std::string(constraint));
  error.add_context(safe_message(result, state));
  return error;
}

bool ends_session(const pg_result& result) {
  std::string_view severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == "FATAL" || severity == "PANIC";
}

bool wears_out_session(const pg_result& result) {
  std::string_view state = field(result, PG_DIAG_SQLSTATE);
  return state == "25006" || state == "26000" || is_stale_plan(result);
}

std::string_view sqlstate(const Error& error) { return context_value(error.context(), "sqlstate="); }

std::string_view violated_constraint(const Error& error) {
  return context_value(error.context(), "constraint=");
}

bool is_retryable(const Error& error) {
  return error.code() == Code::conflict && std::string_view(error.context()).starts_with(retry_mark);
}

}  // namespace terrane::postgres
