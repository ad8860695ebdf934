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
Event plan_event(const Run& run, const worker_protocol::Outcome& outcome, bool cancel_wished) {
  switch (outcome.ending) {
    case worker_protocol::Ending::canceled: return Event::end_canceled;
    case worker_protocol::Ending::errored: return Event::fail;
    case worker_protocol::Ending::finished: break;
  }
  // A plan has no side effects: whoever canceled it wants nothing to follow from it, least of all an
  // auto-apply.
  if (cancel_wished) return Event::end_canceled;
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

/// Whether the phase of a lost job is queued once more. A plan has no side effects; of an apply the same is
/// sure only when its shim confirmed no beat, since it starts nothing before.
bool may_run_again(const postgres::Row& job, bool started) {
  if (!job.is_null("wish") || job.integer("attempt") >= most_attempts) return false;
  return job.string("phase") == "plan" || (!started && job.integer("beat") == 0);
}

/// A reason that fits into a log's segment, cut between characters.
std::string shortened(std::string text) {
  constexpr std::size_t most = 64 * 1024;
  if (text.size() <= most) return text;
  std::size_t size = most;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  return text;
}

/// The log's last words. The order is: state, log, import list, then status and lock.
Task<> say_goodbye(object::ArchivistClient& archivist, const postgres::Row& job, const std::string& reason,
                   bool has_imports) {
  std::string text = "\n" + reason + "\n";
  if (has_imports)
    text +=
        "Some resources were made and are missing in the saved state. Import blocks for them are in the "
        "run's "
        "import list.\n";
  text += "\x03";
  // The segment's number is fixed, so a repeat says the same once; whoever said it in other words was first.
  try {
    co_await archivist.append_text(Id<Object>(job.string("log_id")), job.string("workspace_id"),
                                   static_cast<int>(job.integer("log_segment")) + 1, text);
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
  }
}

}  // namespace

Task<> JobApi::begin_log(std::string log, std::string workspace) {
  try {
    co_await needs_.archivist.append_text(Id<Object>(log), workspace, 1, "\x02");
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
  }
}

Task<> JobApi::end_phase(postgres::Tx& tx, const Leased& leased, const worker_protocol::Outcome& outcome,
                         const std::string& node) {
  // Rows are locked in the order workspace, run, job.
  co_await workspace::find(tx, leased.job.workspace, workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, leased.job.run);
  if (!run) co_return;
  // A wish is written under the run's row, so this is the last word about it.
  postgres::Result job = co_await tx.run(sql::job_lock_row, postgres::Params::of(leased.job.id));
  const bool cancel_wished = !job.empty() && !job[0].is_null("wish");
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
  Event event = plan ? plan_event(*run, outcome, cancel_wished) : apply_event(outcome);
  Cause cause{"node " + node, action_of(event), {{"job", leased.job.id.text()}}, {}};
  if (outcome.ending != worker_protocol::Ending::finished) cause.error = unless_empty(outcome.error);
  co_await transition(tx, *run, event, std::move(cause));
  co_await user::Tokens::revoke_all(tx, "run", run->id.text());
}

Task<> JobApi::let_the_client_see_the_plan(std::string job_id) {
  postgres::Result rows =
      co_await needs_.database.query(sql::job_soon_after_plan, postgres::Params::of(job_id));
  if (!rows.empty()) co_await net::sleep_for(std::chrono::milliseconds(rows[0].integer("milliseconds")));
}

Task<http::Response> JobApi::result(http::Request& request) {
  json::object body = co_await api::read_object(request, 4 * 1024 * 1024);
  worker_protocol::Outcome outcome = worker_protocol::outcome_from_json(body);
  if (outcome.ending == worker_protocol::Ending::errored)
    co_await let_the_client_see_the_plan(request.parameter("id"));
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
  Loss loss;
  loss.reason = shortened(find_string(body, "error").value_or("The phase's processes ended unexpectedly."));
  loss.import_list = find_string(body, "import_list").value_or("");
  loss.started = find_bool(body, "started").value_or(false);
  co_await lose(request.parameter("id"), lease, std::move(loss), request.client_name);
  co_return api::no_content();
}

Task<> JobApi::lose(const std::string& job_id, const std::string& lease, Loss loss, std::string node) {
  while (!co_await lose_once(job_id, lease, loss, node)) {
    // A beat or a wish came between the judgement and the rows' locks: it is judged again.
  }
}

Task<bool> JobApi::lose_once(const std::string& job_id, const std::string& lease, const Loss& loss,
                             const std::string& node) {
  postgres::Result rows =
      co_await needs_.database.query(sql::job_of_lease, postgres::Params::of(job_id, lease));
  if (rows.empty() || rows[0].string("status") != "claimed") co_return true;
  const postgres::Row row = rows[0];
  const bool plan = row.string("phase") == "plan";
  const bool again = may_run_again(row, loss.started);
  if (!again) {
    co_await begin_log(row.string("log_id"), row.string("workspace_id"));
    co_await say_goodbye(needs_.archivist, row, loss.reason, !loss.import_list.empty());
  }

  postgres::Tx tx = co_await needs_.database.begin();
  co_await workspace::find(tx, row.string("workspace_id"), workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, row.string("run_id"));
  if (!run) co_return true;
  postgres::Result job = co_await tx.run(sql::job_lock_row, postgres::Params::of(job_id));
  if (job.empty()) co_return true;
  if (may_run_again(job[0], loss.started) != again) co_return false;
  const bool canceled = !job[0].is_null("wish");
  json::object outcome{{"lost", loss.reason}};
  postgres::Result closed =
      co_await tx.run(sql::job_finish, postgres::Params::of(job_id, lease, "lost", outcome));
  if (closed.affected() == 0) co_return true;
  Cause cause{"node " + node, "", {{"job", job_id}, {"reason", loss.reason}}, {}};
  if (again) {
    co_await transition(tx, *run, plan ? Event::redo_plan : Event::requeue_apply, std::move(cause));
    co_await queue_job(tx, *run, plan ? worker_protocol::Phase::plan : worker_protocol::Phase::apply);
  } else {
    if (!plan && !loss.import_list.empty()) {
      co_await tx.run(sql::apply_set_outcome,
                      postgres::Params::of(run->id, std::nullopt, std::nullopt, std::nullopt, std::nullopt,
                                           loss.import_list));
    }
    cause.action = canceled ? "canceled" : "errored";
    if (!canceled) cause.error = loss.reason;
    co_await transition(tx, *run, canceled ? Event::end_canceled : Event::fail, std::move(cause));
  }
  co_await user::Tokens::revoke_all(tx, "run", run->id.text());
  co_await tx.commit();
  co_return true;
}

}  // namespace terrane::run
