// How phases end: reported by their shim, or lost with it.
#include "api/api.h"
#include "run/job_api.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"

namespace terrane::run {
namespace {

std::optional<std::string> unless_empty(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

/// What a plan's end means for its run.
Event plan_event(const Run& run, const worker_protocol::Outcome& outcome) {
  switch (outcome.ending) {
    case worker_protocol::Ending::canceled: return Event::end_canceled;
    case worker_protocol::Ending::errored: return Event::fail;
    case worker_protocol::Ending::finished: break;
  }
  if (run.plan_only || (!outcome.has_changes && !run.allow_empty_apply)) return Event::finish_no_apply;
  return run.save_plan ? Event::finish_saved : Event::finish_plan;
}

Event apply_event(const worker_protocol::Outcome& outcome) {
  switch (outcome.ending) {
    case worker_protocol::Ending::canceled: return Event::end_canceled;
    case worker_protocol::Ending::errored: return Event::fail;
    case worker_protocol::Ending::finished: return Event::finish_apply;
  }
  return Event::fail;
}

/// The run event's action for what happened.
std::string action_of(Event event) {
  switch (event) {
    case Event::finish_plan: return "planned";
    case Event::finish_no_apply: return "planned_and_finished";
    case Event::finish_saved: return "planned_and_saved";
    case Event::finish_apply: return "applied";
    case Event::end_canceled: return "canceled";
    case Event::fail: return "errored";
    default: return "";
  }
}

}  // namespace

Task<> JobApi::end_phase(postgres::Tx& tx, const Leased& leased, const worker_protocol::Outcome& outcome,
                         const std::string& node) {
  // Rows are locked in the order workspace, run, job.
  co_await workspace::find(tx, leased.job.workspace, workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, leased.job.run);
  if (!run) co_return;
  json::object kept = worker_protocol::to_json(outcome);
  postgres::Result finished = co_await tx.run(
      sql::job_finish, postgres::Params::of(leased.job.id, *leased.job.lease, "finished", kept));
  if (finished.affected() == 0) co_return;  // a repeated report
  const bool plan = leased.job.phase == "plan";
  if (plan) {
    co_await tx.run(
        sql::plan_set_outcome,
        postgres::Params::of(run->id, outcome.has_changes, outcome.generated_configuration, outcome.additions,
                             outcome.changes, outcome.destructions, outcome.imports,
                             unless_empty(outcome.plan_object), unless_empty(outcome.json_object),
                             unless_empty(outcome.schemas_object)));
    co_await tx.run(sql::run_set_has_changes, postgres::Params::of(run->id, outcome.has_changes));
  } else {
    co_await tx.run(sql::apply_set_outcome,
                    postgres::Params::of(run->id, outcome.additions, outcome.changes, outcome.destructions,
                                         outcome.imports, unless_empty(outcome.import_list)));
  }
  Event event = plan ? plan_event(*run, outcome) : apply_event(outcome);
  Cause cause{"node " + node, action_of(event), {{"job", leased.job.id.text()}}, {}};
  if (outcome.ending != worker_protocol::Ending::finished) cause.error = unless_empty(outcome.error);
  co_await transition(tx, *run, event, std::move(cause));
}

Task<http::Response> JobApi::result(http::Request& request) {
  json::object body = co_await api::read_object(request, 4 * 1024 * 1024);
  worker_protocol::Outcome outcome = worker_protocol::outcome_from_json(body);
  postgres::Tx tx = co_await needs_.database.begin();
  Leased leased = co_await require_lease(tx, request);
  if (!leased.open && leased.job.status != "finished")
    throw Error(Code::conflict, "The lease of this job is closed.");
  co_await end_phase(tx, leased, outcome, request.client_name);
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> JobApi::lost(http::Request& request) {
  json::object body = co_await api::read_object(request, 4 * 1024 * 1024);
  std::string lease;
  {
    postgres::Tx tx = co_await needs_.database.begin();
    Leased leased = co_await require_lease(tx, request);
    if (!leased.open) co_return api::no_content();
    lease = *leased.job.lease;
  }
  std::string reason = find_string(body, "error").value_or("The phase's processes ended unexpectedly.");
  co_await lose(request.parameter("id"), lease, std::move(reason),
                find_string(body, "import_list").value_or(""), request.client_name);
  co_return api::no_content();
}

Task<> JobApi::lose(const std::string& job_id, const std::string& lease, std::string reason,
                    std::string import_list, std::string node) {
  postgres::Result rows =
      co_await needs_.database.query(sql::job_of_lease, postgres::Params::of(job_id, lease));
  if (rows.empty() || rows[0].string("status") != "claimed") co_return;
  const postgres::Row row = rows[0];
  const bool plan = row.string("phase") == "plan";
  const bool canceled = row.opt_string("wish").has_value();
  const bool again = plan ? !canceled && row.integer("attempt") < most_attempts
                          // Without a confirmed beat the shim executed nothing: no side effect is possible.
                          : !canceled && row.integer("beat") == 0;
  if (!again) {
    // The order is: state, log, import list, then status and lock. The segment's number is fixed, so a repeat
    // says the same once.
    std::string text = "\n" + reason + "\n";
    if (!import_list.empty())
      text +=
          "Some resources were made and are missing in the saved state. Import blocks for them are in the "
          "run's import list.\n";
    text += "\x03";
    co_await needs_.archivist.append_text(Id<Object>(row.string("log_id")), row.string("workspace_id"),
                                          static_cast<int>(row.integer("log_segment")) + 1, text);
  }
  postgres::Tx tx = co_await needs_.database.begin();
  co_await workspace::find(tx, row.string("workspace_id"), workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, row.string("run_id"));
  if (!run) co_return;
  json::object outcome{{"lost", reason}};
  postgres::Result closed =
      co_await tx.run(sql::job_finish, postgres::Params::of(job_id, lease, "lost", outcome));
  if (closed.affected() == 0) co_return;
  Cause cause{"node " + node, "", {{"job", job_id}, {"reason", reason}}, {}};
  if (again) {
    co_await transition(tx, *run, plan ? Event::redo_plan : Event::requeue_apply, std::move(cause));
    co_await queue_job(tx, *run, plan ? worker_protocol::Phase::plan : worker_protocol::Phase::apply);
  } else {
    if (!plan && !import_list.empty()) {
      co_await tx.run(sql::apply_set_outcome, postgres::Params::of(run->id, std::nullopt, std::nullopt,
                                                                   std::nullopt, std::nullopt, import_list));
    }
    cause.action = canceled ? "canceled" : "errored";
    if (!canceled) cause.error = reason;
    co_await transition(tx, *run, canceled ? Event::end_canceled : Event::fail, std::move(cause));
  }
  co_await tx.commit();
}

}  // namespace terrane::run
