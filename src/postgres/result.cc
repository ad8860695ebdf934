#include <libpq-fe.h>

#include "base/text.h"
#include "postgres/database.h"
#include "postgres/result_data.h"

namespace terrane::postgres {
namespace {

[[noreturn]] void defect(const ResultData& data, std::string_view column, std::string_view what) {
  Error error(Code::internal, "The database answered in an unexpected form.");
  error.add_context("statement=" + data.statement);
  if (!column.empty()) error.add_context("column=" + std::string(column));
  error.add_context(what);
  throw error;
}

int column_index(const ResultData& data, std::string_view name) {
  int count = PQnfields(data.result.get());
  for (int index = 0; index < count; ++index) {
    if (name == PQfname(data.result.get(), index)) return index;
  }
  defect(data, name, "there is no such column");
}

/// One element of a text[] literal from `at` on, which moves behind it.
std::optional<std::string> array_element(std::string_view literal, std::size_t& at) {
  std::string element;
  bool quoted = at < literal.size() && literal[at] == '"';
  if (quoted) ++at;
  for (; at < literal.size(); ++at) {
    char c = literal[at];
    if (quoted ? c == '"' : (c == ',' || c == '}')) break;
    if (c == '\\') ++at;
    if (at < literal.size()) element += literal[at];
  }
  if (quoted) ++at;
  if (!quoted && element == "NULL") return std::nullopt;
  return element;
}

/// A one-dimensional text[] literal; nothing when it has another form or holds NULL.
std::optional<std::vector<std::string>> parse_array(std::string_view literal) {
  std::vector<std::string> elements;
  if (literal == "{}") return elements;
  if (literal.size() < 2 || literal.front() != '{' || literal[1] == '{') return std::nullopt;
  for (std::size_t at = 1; at < literal.size(); ++at) {
    std::optional<std::string> element = array_element(literal, at);
    if (!element || at >= literal.size()) return std::nullopt;
    elements.push_back(std::move(*element));
    if (literal[at] == '}') return elements;
  }
  return std::nullopt;
}

}  // namespace

void ClearResult::operator()(pg_result* result) const noexcept { PQclear(result); }

bool Row::is_null(std::string_view column) const {
  return PQgetisnull(data_->result.get(), index_, column_index(*data_, column)) != 0;
}

std::string_view Row::text(std::string_view column) const {
  int index = column_index(*data_, column);
  if (PQgetisnull(data_->result.get(), index_, index)) defect(*data_, column, "the value is NULL");
  return {PQgetvalue(data_->result.get(), index_, index),
          static_cast<std::size_t>(PQgetlength(data_->result.get(), index_, index))};
}

std::int64_t Row::integer(std::string_view column) const {
  std::optional<std::int64_t> value = parse_int(text(column));
  if (!value) defect(*data_, column, "the value is not a whole number");
  return *value;
}

bool Row::boolean(std::string_view column) const {
  std::string_view value = text(column);
  if (value != "t" && value != "f") defect(*data_, column, "the value is not a truth value");
  return value == "t";
}

Time Row::time(std::string_view column) const {
  std::optional<Time> value = parse_time(text(column));
  if (!value) defect(*data_, column, "the value is not a time");
  return *value;
}

json::value Row::json(std::string_view column) const { return parse_json(text(column)); }

std::string Row::bytes(std::string_view column) const {
  std::string_view value = text(column);
  std::optional<std::string> decoded;
  if (value.starts_with("\\x")) decoded = from_hex(value.substr(2));
  if (!decoded) defect(*data_, column, "the value is not a bytea");
  return std::move(*decoded);
}

std::vector<std::string> Row::strings(std::string_view column) const {
  std::optional<std::vector<std::string>> values = parse_array(text(column));
  if (!values) defect(*data_, column, "the value is not an array of texts");
  return std::move(*values);
}

std::optional<std::string> Row::opt_string(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return string(column);
}

std::optional<std::int64_t> Row::opt_integer(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

std::optional<bool> Row::opt_boolean(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return boolean(column);
}

std::optional<Time> Row::opt_time(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return time(column);
}

Result::Result(std::shared_ptr<const ResultData> data) : data_(std::move(data)) {}

std::size_t Result::size() const noexcept { return static_cast<std::size_t>(PQntuples(data_->result.get())); }

std::size_t Result::affected() const noexcept {
  return static_cast<std::size_t>(parse_int(PQcmdTuples(data_->result.get())).value_or(0));
}

std::string_view Result::command() const noexcept { return PQcmdStatus(data_->result.get()); }

Row Result::operator[](std::size_t index) const {
  if (index >= size()) defect(*data_, "", "there is no such row");
  return Row(data_, static_cast<int>(index));
}

std::optional<Row> Result::one() const {
  if (empty()) return std::nullopt;
  if (size() > 1) defect(*data_, "", "more than one row came");
  return Row(data_, 0);
}

}  // namespace terrane::postgres
