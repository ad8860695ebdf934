#include "run/past.h"

#include "base/log.h"
#include "run/past_sql.h"
#include "run/store.h"

namespace terrane::run {

using installation::History;
using installation::Position;

PastGuard::PastGuard(postgres::Database& database, std::filesystem::path witness)
    : database_(database), witness_(std::move(witness)) {}

Task<> PastGuard::check() {
  if (!seen_) seen_ = installation::read_witness(witness_);
  Position now = co_await installation::position(database_);
  History history = seen_ ? installation::compare(*seen_, now) : History::goes_on;
  if (history != History::goes_on)
    co_await begin_epoch(now, history);
  else
    seen_ = now;
  if (!settled_) {
    co_await settle_runs();
    settled_ = true;
  }
}

Task<> PastGuard::begin_epoch(const Position& now, History why) {
  settled_ = false;
  postgres::Tx tx = co_await database_.begin();
  std::int64_t epoch = co_await installation::raise_epoch(tx, *seen_, now, why);
  co_await tx.commit();
  log::error("the database's history did not go on: a new epoch begins",
             {{"why", installation::name(why)}, {"epoch", epoch}});
  Position after = co_await installation::advance(database_);
  installation::write_witness(witness_, after);
  seen_ = after;
}

Task<> PastGuard::settle_runs() {
  while (true) {
    postgres::Tx tx = co_await database_.begin();
    std::optional<installation::Raised> raised = co_await installation::newest_epoch(tx);
    postgres::Result runs = co_await tx.run(sql::past_runs);
    co_await tx.commit();
    if (!raised || runs.empty()) co_return;
    std::string moment =
        raised->went_back_to ? iso8601(*raised->went_back_to) : std::string("an earlier moment");
    std::string told =
        "The database went back to " + moment + "; this apply may have happened. Check before the next one.";
    for (std::size_t i = 0; i < runs.size(); ++i) {
      co_await settle(runs[i].string("id"), runs[i].string("workspace_id"), raised->number, told);
    }
  }
}

Task<> PastGuard::settle(std::string run_id, std::string workspace_id, std::int64_t epoch, std::string told) {
  postgres::Tx tx = co_await database_.begin();
  co_await workspace::find(tx, workspace_id, workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, run_id);
  if (!run || run->epoch >= epoch) co_return;
  co_await tx.run(sql::past_run_enters, postgres::Params::of(run_id, epoch));
  co_await tx.run(sql::past_close_jobs, postgres::Params::of(run_id));
  Cause cause{"background", "", {{"epoch", epoch}}, {}};
  switch (run->state()) {
    case Status::confirmed:
    case Status::apply_queued:
    case Status::applying:
      cause.action = "errored";
      cause.error = told;
      co_await transition(tx, *run, Event::fail, std::move(cause));
      break;
    case Status::planning:
      // A plan has no side effects; what the lost worker may still send carries a closed lease.
      co_await transition(tx, *run, Event::redo_plan, std::move(cause));
      co_await queue_job(tx, *run, worker_protocol::Phase::plan);
      break;
    case Status::plan_queued: co_await queue_job(tx, *run, worker_protocol::Phase::plan); break;
    default: break;
  }
  co_await tx.commit();
}

Task<> PastGuard::remember() {
  try {
    co_await check();
    seen_ = co_await installation::advance(database_);
    installation::write_witness(witness_, *seen_);
  } catch (const Error& error) {
    log::warn("the witness of the database's history waits", {{"error", error.what()}});
  }
}

Task<> PastGuard::run(net::Stop& stop) {
  while (!co_await stop.wait_for(std::chrono::seconds(2))) co_await remember();
}

}  // namespace terrane::run
