#include "run/loss.h"

#include "run/jobs_sql.h"
#include "run/run_sql.h"
#include "run/store.h"
#include "user/tokens.h"

namespace terrane::run {
namespace {

/// Whether the phase of a lost job is queued once more. A plan has no side effects; of an apply the same is
/// sure only when its shim confirmed no beat, since it starts nothing before.
bool may_run_again(const postgres::Row& job, bool started) {
  if (!job.is_null("wish") || job.integer("attempt") >= most_attempts) return false;
  return job.string("phase") == "plan" || (!started && job.integer("beat") == 0);
}

/// Appends a segment whose number is fixed, so a repeat says the same once; whoever said it in other words
/// was first.
Task<> append_once(object::ArchivistClient& archivist, std::string log, std::string workspace, int segment,
                   std::string text) {
  try {
    co_await archivist.append_text(Id<Object>(std::move(log)), std::move(workspace), segment,
                                   std::move(text));
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
  }
}

/// The log's last words. The order is: state, log, import list, then status and lock.
Task<> say_goodbye(object::ArchivistClient& archivist, const postgres::Row& job, const std::string& reason,
                   bool has_imports) {
  co_await begin_log(archivist, job.string("log_id"), job.string("workspace_id"));
  std::string text = "\n" + reason + "\n";
  if (has_imports)
    text +=
        "Some resources were made and are missing in the saved state. Import blocks for them are in the "
        "run's "
        "import list.\n";
  text += "\x03";
  co_await append_once(archivist, job.string("log_id"), job.string("workspace_id"),
                       static_cast<int>(job.integer("log_segment")) + 1, std::move(text));
}

}  // namespace

Task<> begin_log(object::ArchivistClient& archivist, std::string log, std::string workspace) {
  co_await append_once(archivist, std::move(log), std::move(workspace), 1, "\x02");
}

Task<> Losses::lose(std::string job_id, std::string lease, Loss loss, std::string who) {
  while (!co_await lose_once(job_id, lease, loss, who)) {
    // A beat or a wish came between the judgement and the rows' locks: it is judged again.
  }
}

Task<bool> Losses::lose_once(const std::string& job_id, const std::string& lease, const Loss& loss,
                             const std::string& who) {
  postgres::Result rows = co_await database_.query(sql::job_of_lease, postgres::Params::of(job_id, lease));
  if (rows.empty() || rows[0].string("status") != "claimed") co_return true;
  const postgres::Row row = rows[0];
  const bool plan = row.string("phase") == "plan";
  const bool again = may_run_again(row, loss.started);
  const auto say_goodbye_to_log = [&] {
    return say_goodbye(archivist_, row, loss.reason, !loss.import_list.empty());
  };
  if (!again && !loss.beat) co_await say_goodbye_to_log();

  postgres::Tx tx = co_await database_.begin();
  co_await workspace::find(tx, row.string("workspace_id"), workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, row.string("run_id"));
  if (!run) co_return true;
  postgres::Result job = co_await tx.run(sql::job_lock_row, postgres::Params::of(job_id));
  if (job.empty()) co_return true;
  if (may_run_again(job[0], loss.started) != again) co_return false;
  if (loss.beat) {
    // The job's row is locked, so that no beat comes between the judgement and the log's end.
    if (job[0].integer("beat") != *loss.beat) co_return true;
    if (!again) co_await say_goodbye_to_log();
  }
  const bool canceled = !job[0].is_null("wish");
  json::object outcome{{"lost", loss.reason}};
  postgres::Result closed =
      co_await tx.run(sql::job_finish, postgres::Params::of(job_id, lease, "lost", outcome));
  if (closed.affected() == 0) co_return true;
  Cause cause{who, "", {{"job", job_id}, {"reason", loss.reason}}, {}};
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
