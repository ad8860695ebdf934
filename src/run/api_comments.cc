// What people say about runs, and what happened to them.
#include "base/text.h"
#include "run/api.h"
#include "run/run_sql.h"

namespace terrane::run {
namespace {

constexpr std::size_t comment_limit = 64 * 1024;

json::value text_or_null(const std::optional<std::string>& text) {
  return text ? json::value(*text) : json::value();
}

void check_comment(const std::string& text, std::string_view pointer) {
  if (text.size() > comment_limit || !is_clean_utf8(text))
    throw Error(Code::unprocessable, "A comment is UTF-8 text of at most 64 KiB.", std::string(pointer));
}

/// The user behind an event. Nodes and the platform itself act too, but are no users.
std::optional<std::string> actor_of(const postgres::Row& row) {
  std::optional<std::string> actor = row.opt_string("actor_id");
  if (actor && !actor->starts_with("user-")) actor.reset();
  return actor;
}

}  // namespace

json::object comment_document(const postgres::Row& row) {
  const std::string id = row.string("id");
  return {{"id", id},
          {"type", "comments"},
          {"attributes",
           json::object{{"body", row.string("body")}, {"created-at", iso8601(row.time("created_at"))}}},
          {"relationships", json::object{{"run", linkage("runs", row.string("run_id"))},
                                         {"run-event", linkage("run-events", row.opt_string("event_id"))},
                                         {"created-by", linkage("users", row.opt_string("created_by"))}}},
          {"links", json::object{{"self", "/api/v2/comments/" + id}}}};
}

json::object event_document(const postgres::Row& row) {
  const std::string id = row.string("id");
  return {{"id", id},
          {"type", "run-events"},
          {"attributes", json::object{{"action", row.string("action")},
                                      {"description", text_or_null(row.opt_string("description"))},
                                      {"created-at", iso8601(row.time("created_at"))}}},
          {"relationships", json::object{{"actor", linkage("users", actor_of(row))},
                                         {"comment", linkage("comments", row.opt_string("comment_id"))}}},
          {"links", json::object{{"self", "/api/v2/run-events/" + id}}}};
}

Task<std::string> Api::insert_comment(postgres::Tx& tx, const http::Request& request, const std::string& run,
                                      const std::string& body) {
  const api::Principal& principal = api::principal(request);
  std::string id = "wsc-" + random_id_suffix();
  co_await tx.run(sql::run_comment_insert, postgres::Params::of(id, run, body, principal.id));
  co_await tx.run(sql::run_comment_event_insert,
                  postgres::Params::of("re-" + random_id_suffix(), run, principal.id, id));
  co_return id;
}

Task<> Api::add_comment(postgres::Tx& tx, http::Request& request, const Seen& seen,
                        const json::object& body) {
  std::optional<std::string> comment = find_string(body, "comment");
  if (!comment || comment->empty()) co_return;
  check_comment(*comment, "/comment");
  co_await insert_comment(tx, request, seen.run.id.text(), *comment);
}

Task<http::Response> Api::comments(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  postgres::Result rows = co_await tx.run(sql::run_comment_list, postgres::Params::of(seen.run.id));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(comment_document(rows[i]));
  const std::int64_t total = static_cast<std::int64_t>(data.size());
  json::array shown = jsonapi::slice(std::move(data), page);
  co_return co_await needs_.includes.answer_list(request, tx, "comments", std::move(shown), page, total);
}

Task<http::Response> Api::comment(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Ids one(1, request.parameter("id"));
  std::vector<json::object> found = co_await load_comments(tx, api::principal(request), one);
  if (found.empty()) throw Error(Code::not_found, "");
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(found.front()));
}

Task<http::Response> Api::create_comment(http::Request& request) {
  json::object data = co_await api::read_data(request, "comments", 256 * 1024);
  const json::object* attributes = find_object(data, "attributes");
  std::optional<std::string> body = attributes ? find_string(*attributes, "body") : std::nullopt;
  if (!body || trim(*body).empty())
    throw Error(Code::unprocessable, "Body can't be blank", "/data/attributes/body");
  check_comment(*body, "/data/attributes/body");
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  if (!seen.access.queue_runs) throw Error(Code::not_found, "");
  std::string id = co_await insert_comment(tx, request, seen.run.id.text(), *body);
  Ids one(1, id);
  postgres::Result rows = co_await tx.run(sql::run_comment_find_many, postgres::Params::of(one));
  co_await tx.commit();
  co_return api::answer(201, jsonapi::document(comment_document(rows[0])));
}

Task<http::Response> Api::events(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  postgres::Result rows = co_await tx.run(sql::run_events, postgres::Params::of(seen.run.id));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(event_document(rows[i]));
  // Clients read them all at once: one page holds them.
  const std::int64_t total = static_cast<std::int64_t>(data.size());
  const jsonapi::Page whole{1, std::max<std::int64_t>(total, 1)};
  co_return co_await needs_.includes.answer_list(request, tx, "run-events", std::move(data), whole, total);
}

Task<http::Response> Api::event(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Ids one(1, request.parameter("id"));
  std::vector<json::object> found = co_await load_events(tx, api::principal(request), one);
  if (found.empty()) throw Error(Code::not_found, "");
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(found.front()));
}

}  // namespace terrane::run
