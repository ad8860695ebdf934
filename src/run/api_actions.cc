// What people do to runs.
#include "run/api.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"

namespace terrane::run {
namespace {

http::Response accepted() {
  http::Response response;
  response.status = 202;
  return response;
}

}  // namespace

Task<http::Response> Api::confirm(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.apply_runs) throw Error(Code::not_found, "");
  if (is_confirmable(seen.run.state()) && !seen.workspace.locked_by("runs", seen.run.id.text())) {
    if (seen.workspace.locked())
      throw Error(Code::conflict,
                  "The run cannot be applied now. " + workspace::lock_description(seen.workspace));
    co_await workspace::set_lock(tx, seen.workspace.id, "runs", seen.run.id.text(), std::nullopt);
  }
  Cause cause{principal.id, "confirmed", {}, {}};
  co_await transition(tx, seen.run, Event::confirm, std::move(cause));
  co_await tx.run(sql::run_set_confirmed_by, postgres::Params::of(seen.run.id, principal.id));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  co_return accepted();
}

Task<http::Response> Api::discard(http::Request& request) {
  json::object body = co_await api::read_object(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.apply_runs) throw Error(Code::not_found, "");
  Cause cause{api::principal(request).id, "discarded", {}, {}};
  co_await transition(tx, seen.run, Event::discard, std::move(cause));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  co_return accepted();
}

Task<http::Response> Api::cancel(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.queue_runs) throw Error(Code::not_found, "");
  if (!is_cancelable(seen.run.state()))
    throw Error(Code::conflict, "The run is " + seen.run.status + "; it cannot be canceled.");
  co_await tx.run(sql::run_set_canceled, postgres::Params::of(seen.run.id));
  if (is_executing(seen.run.state())) {
    // The engine is asked to stop; the status will be what it did.
    co_await wish(tx, seen.run, worker_protocol::Wish::cancel);
    json::object detail{{"wish", "cancel"}};
    co_await trace(tx, seen.run.id.text(), principal.id, "cancel wished", detail);
    co_await tx.run(sql::run_wake, postgres::Params::of(seen.run.id));
  } else {
    Cause cause{principal.id, "canceled", {}, {}};
    co_await transition(tx, seen.run, Event::cancel, std::move(cause));
    co_await tx.run(sql::job_cancel_queued, postgres::Params::of(seen.run.id));
  }
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  co_return accepted();
}

Task<http::Response> Api::force_cancel(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.update || !seen.access.apply_runs) throw Error(Code::not_found, "");
  postgres::Result open = co_await tx.run(sql::run_force_cancel_is_open, postgres::Params::of(seen.run.id));
  if (!is_executing(seen.run.state()) || open[0].is_null("open") || !open[0].boolean("open")) {
    throw Error(Code::conflict,
                "A run can be force-canceled when it was canceled and has not ended within a minute.");
  }
  // The lock is freed when the sandbox is confirmed gone, not before.
  co_await tx.run(sql::run_set_force_canceled, postgres::Params::of(seen.run.id));
  co_await wish(tx, seen.run, worker_protocol::Wish::force_cancel);
  json::object detail{{"wish", "force_cancel"}};
  co_await trace(tx, seen.run.id.text(), principal.id, "force-cancel wished", detail);
  co_await tx.run(sql::run_wake, postgres::Params::of(seen.run.id));
  co_await add_comment(tx, request, seen, body);
  co_await tx.commit();
  co_return accepted();
}

Task<http::Response> Api::force_execute(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::yes);
  if (!seen.access.apply_runs) throw Error(Code::not_found, "");
  if (seen.run.state() != Status::pending || !seen.run.takes_place() || !seen.workspace.locked()) {
    throw Error(Code::forbidden,
                "A run can be force-executed while it is pending and its workspace is locked; the run is " +
                    seen.run.status + ".");
  }
  if (seen.workspace.lock_kind != "runs")
    throw Error(Code::conflict,
                "The run cannot be executed now. " + workspace::lock_description(seen.workspace));
  // All that stand before it make way: each must be one that can be discarded.
  postgres::Result earlier =
      co_await tx.run(sql::run_open_before, postgres::Params::of(seen.workspace.id, seen.run.position));
  std::vector<Run> in_the_way;
  for (std::size_t i = 0; i < earlier.size(); ++i) {
    std::optional<Run> other = co_await find_locked(tx, earlier[i].string("id"));
    if (!other || is_final(other->state())) continue;
    if (!is_discardable(other->state())) {
      throw Error(Code::conflict, "The run " + other->id.text() + " is " + other->status +
                                      " and cannot be discarded; cancel it or wait for its end.");
    }
    in_the_way.push_back(*std::move(other));
  }
  for (Run& other : in_the_way) {
    Cause cause{principal.id, "discarded", {{"for", seen.run.id.text()}}, {}};
    co_await transition(tx, other, Event::discard, std::move(cause));
  }
  json::object detail{{"discarded", in_the_way.size()}};
  co_await trace(tx, seen.run.id.text(), principal.id, "force-execute", detail);
  co_await tx.run(sql::run_wake, postgres::Params::of(seen.run.id));
  co_await tx.commit();
  co_return accepted();
}

}  // namespace terrane::run
