#include "run/scheduler.h"

#include "base/log.h"
#include "installation/terraform_version.h"
#include "installation/version.h"
#include "outbox/outbox.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"

namespace terrane::run {

Scheduler::Scheduler(net::Executor executor, postgres::Database& database, bool fallback_engine,
                     std::function<Task<>()> before_look, std::chrono::milliseconds look_interval)
    : database_(database),
      fallback_engine_(fallback_engine),
      before_look_(std::move(before_look)),
      look_interval_(look_interval),
      event_(executor) {}

Task<> Scheduler::run(net::Stop& stop) {
  while (!stop.requested()) {
    woken_ = false;
    bool failed = false;
    try {
      if (before_look_) co_await before_look_();
      while (co_await look() > 0) {
      }
      co_await republish();
    } catch (const Error& error) {
      log::warn("the scheduler waits", {{"error", error.what()}});
      failed = true;
    }
    if (failed)
      co_await stop.wait_for(std::chrono::milliseconds(500));
    else if (!woken_)
      co_await event_.wait_for(look_interval_.count() > 0 ? look_interval_ : std::chrono::hours(1));
  }
}

Task<std::size_t> Scheduler::look() {
  postgres::Result candidates = co_await database_.query(sql::run_candidates);
  std::size_t moved = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    try {
      if (co_await advance(candidates[i].string("id"), candidates[i].string("workspace_id"))) ++moved;
    } catch (const std::exception& error) {
      // One run that cannot be advanced does not hold up the others; it is looked at again.
      log::warn("a run was not advanced", {{"run", candidates[i].string("id")}, {"error", error.what()}});
    }
  }
  co_return moved;
}

Task<bool> Scheduler::advance(std::string run_id, std::string workspace_id) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<Workspace> workspace = co_await workspace::find(tx, workspace_id, workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, run_id);
  if (!workspace || !run) co_return false;
  switch (run->state()) {
    case Status::pending:
      if (!co_await start(tx, *workspace, *run)) co_return false;
      break;
    case Status::planned: {
      if (!run->auto_apply || !workspace->locked_by("runs", run->id.text())) co_return false;
      Cause cause{"background", "confirmed", {{"why", "auto-apply"}}, {}};
      co_await transition(tx, *run, Event::confirm, std::move(cause));
      [[fallthrough]];
    }
    case Status::confirmed: {
      if (!workspace->locked_by("runs", run->id.text())) {
        if (workspace->locked()) co_return false;
        co_await workspace::set_lock(tx, workspace->id, "runs", run->id.text(), std::nullopt);
      }
      Cause cause{"background", "apply_queued", {}, {}};
      co_await transition(tx, *run, Event::queue_apply, std::move(cause));
      co_await queue_job(tx, *run, worker_protocol::Phase::apply);
      break;
    }
    default: co_return false;
  }
  co_await tx.commit();
  co_return true;
}

Task<bool> Scheduler::start(postgres::Tx& tx, const Workspace& workspace, Run& run) {
  if (run.takes_place()) {
    postgres::Result first =
        co_await tx.run(sql::run_is_first, postgres::Params::of(workspace.id, run.position));
    if (!first[0].boolean("first")) co_return false;
    if (workspace.locked() && !workspace.locked_by("runs", run.id.text())) co_return false;
  }
  std::vector<installation::Candidate> registered = co_await installation::candidates(tx);
  std::optional<std::string> version = installation::resolve_version(registered, run.terraform_version);
  std::string note;
  if (!version && fallback_engine_) {
    version = installation::resolve_version(registered, "latest");
    if (version)
      note = "Version " + run.terraform_version + " is not registered here; OpenTofu " + *version +
             " runs instead.";
  }
  if (!version) {
    std::string list;
    for (const installation::Candidate& known : registered)
      list += (list.empty() ? "" : ", ") + known.version;
    Cause cause{"background",
                "errored",
                {},
                "No engine serves version " + run.terraform_version +
                    ". Registered: " + (list.empty() ? "none" : list) + "."};
    co_await transition(tx, run, Event::fail, std::move(cause));
    co_return true;
  }
  postgres::Result engine = co_await tx.run(sql::run_engine_of, postgres::Params::of(*version));
  co_await tx.run(sql::run_set_engine,
                  postgres::Params::of(run.id, engine[0].string("engine"), *version, note));
  if (run.takes_place()) {
    co_await workspace::set_lock(tx, workspace.id, "runs", run.id.text(), std::nullopt);
    co_await workspace::set_current_run(tx, workspace.id.text(), run.id.text());
  }
  Cause cause{"background", "plan_queued", {{"engine", *version}}, {}};
  co_await transition(tx, run, Event::queue_plan, std::move(cause));
  co_await queue_job(tx, run, worker_protocol::Phase::plan);
  co_return true;
}

Task<> Scheduler::republish() {
  // RabbitMQ may have lost everything: a job that has waited for long is announced again. Workers look by
  // themselves, too.
  postgres::Tx tx = co_await database_.begin();
  postgres::Result waiting = co_await tx.run(sql::job_unsent_again);
  if (waiting.empty()) co_return;
  json::object message{{"look", "jobs"}};
  co_await outbox::write(tx, outbox::jobs_queue, message);
  co_await tx.commit();
}

}  // namespace terrane::run
