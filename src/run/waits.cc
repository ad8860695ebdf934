#include "run/waits.h"

#include "run/waits_sql.h"

namespace terrane::run {
namespace {

std::string counted(std::int64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string words(const Wait::Silence& silence) {
  return "the node " + silence.node + ", which executes it and is silent since " + iso8601(silence.since) +
         ". Nothing else is applied in the workspace meanwhile; `terrane node forget` declares the node "
         "dead.";
}

std::string turn(const Wait& wait) {
  if (wait.before && wait.runs_before > 0) {
    std::string text =
        "Waits for its turn in the workspace: " + counted(wait.runs_before, "run is", "runs are") +
        " before it, first " + *wait.before + ".";
    if (wait.silence) text += " The run " + wait.silence->run + " waits for " + words(*wait.silence);
    return text;
  }
  if (wait.lock_kind && !(wait.lock_kind == "runs" && wait.lock_owner == wait.run)) {
    std::string text =
        "Waits for the workspace's lock, which " + wait.lock_owner.value_or("somebody") + " holds";
    if (wait.lock_reason && !wait.lock_reason->empty()) text += ": " + *wait.lock_reason;
    return text + ".";
  }
  return "Waits for background, which looks each 2 seconds.";
}

std::string worker(const Wait& wait) {
  if (wait.nodes == 0) return "Waits for a worker: none that takes phases has been heard of lately.";
  std::string text = "Waits for a worker: " + std::to_string(wait.executing) + " of " +
                     std::to_string(wait.capacity) + " places are taken";
  if (wait.jobs_before > 0)
    text += ", and " + counted(wait.jobs_before, "phase comes", "phases come") + " first";
  return text + ".";
}

}  // namespace

bool may_wait(Status status) {
  switch (status) {
    case Status::pending:
    case Status::plan_queued:
    case Status::planning:
    case Status::confirmed:
    case Status::apply_queued:
    case Status::applying: return true;
    default: return false;
  }
}

std::optional<std::string> describe(const Wait& wait) {
  switch (wait.status) {
    case Status::pending:
      if (wait.goes_past) return "Waits for background, which looks each 2 seconds.";
      return turn(wait);
    case Status::confirmed: return turn(wait);
    case Status::plan_queued:
    case Status::apply_queued: return worker(wait);
    case Status::planning:
    case Status::applying:
      if (wait.silence && wait.silence->run == wait.run) return "Waits for " + words(*wait.silence);
      return std::nullopt;
    default: return std::nullopt;
  }
}

namespace {

Wait read_wait(const postgres::Row& row) {
  const std::string run = row.string("id");
  Wait wait;
  wait.status = status_from(row.string("status")).value_or(Status::errored);
  wait.goes_past = row.boolean("goes_past");
  wait.run = run;
  wait.lock_kind = row.opt_string("lock_kind");
  wait.lock_owner = row.opt_string("lock_owner");
  wait.lock_reason = row.opt_string("lock_reason");
  wait.before = row.opt_string("before_id");
  wait.runs_before = row.integer("before_count");
  wait.jobs_before = row.integer("jobs_before");
  wait.nodes = row.integer("nodes");
  wait.capacity = row.integer("capacity");
  wait.executing = row.integer("executing");
  if (auto since = row.opt_time("silent_since"))
    wait.silence = Wait::Silence{run, row.opt_string("node_id").value_or(""), *since};
  else if (auto of_holder = row.opt_time("silent_run_since"))
    wait.silence = Wait::Silence{row.string("silent_run"), row.string("silent_node"), *of_holder};
  return wait;
}

}  // namespace

Task<std::map<std::string, std::string>> waiting_for(postgres::Tx& tx, const std::vector<std::string>& runs) {
  std::map<std::string, std::string> out;
  if (runs.empty()) co_return out;
  postgres::Result rows = co_await tx.run(sql::run_waits, postgres::Params::of(runs));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Wait wait = read_wait(rows[i]);
    if (std::optional<std::string> text = describe(wait)) out.emplace(wait.run, *std::move(text));
  }
  co_return out;
}

}  // namespace terrane::run
