#include "run/triggers.h"

#include "base/log.h"
#include "configversion/configversion.h"
#include "run/triggers_sql.h"

namespace terrane::run {

Task<> TriggeredRuns::run(net::Stop& stop) {
  while (!stop.requested()) {
    woken_ = false;
    bool failed = false;
    try {
      if (before_look_) co_await before_look_();
      while (co_await look() > 0) continue;
    } catch (const Error& error) {
      log::warn("triggered runs wait", {{"error", error.what()}});
      failed = true;
    }
    if (failed)
      co_await stop.wait_for(std::chrono::milliseconds(500));
    else if (!woken_)
      co_await event_.wait_for(look_interval_.count() > 0 ? look_interval_ : std::chrono::hours(1));
  }
}

Task<std::size_t> TriggeredRuns::look() {
  postgres::Result open = co_await database_.query(sql::triggered_open);
  for (std::size_t i = 0; i < open.size(); ++i)
    co_await queue(open[i].string("source_run_id"), open[i].string("workspace_id"));
  co_return open.size();
}

Task<> TriggeredRuns::queue(std::string source_run, std::string workspace_id) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<Workspace> workspace = co_await workspace::find(tx, workspace_id, workspace::RowLock::yes);
  postgres::Result taken =
      co_await tx.run(sql::triggered_take, postgres::Params::of(source_run, workspace_id));
  if (taken.affected() == 0) co_return;
  std::optional<ConfigurationVersion> configuration;
  if (workspace && workspace->execution_mode != "local")
    configuration = co_await configversion::latest(tx, workspace_id);
  if (configuration) {
    postgres::Result source = co_await tx.run(sql::triggered_source, postgres::Params::of(source_run));
    postgres::Result settings =
        co_await tx.run(sql::triggered_auto_apply, postgres::Params::of(workspace_id));
    NewRun wanted;
    wanted.run.id = Id<Run>::make();
    wanted.run.workspace = workspace_id;
    wanted.run.configuration_version = configuration->id.text();
    wanted.run.source = "tfe-run-trigger";
    wanted.run.trigger_reason = "run_trigger";
    wanted.run.message = "Triggered by the applied run " + source_run + " of workspace " +
                         (source.empty() ? std::string("unknown") : source[0].string("name"));
    // What was set off before the database went back may have been done already: a person decides.
    const bool past = source.empty() || source[0].boolean("past");
    wanted.run.auto_apply = !past && settings[0].boolean("auto_apply_run_trigger");
    wanted.run.terraform_version = workspace->terraform_version;
    co_await insert(tx, wanted);
  }
  co_await tx.commit();
}

Task<> after_applied(postgres::Tx& tx, const Run& run) {
  co_await tx.run(sql::triggered_adopt_configuration, postgres::Params::of(run.configuration_version));
  co_await tx.run(sql::triggered_fire, postgres::Params::of(run.id, run.workspace));
}

}  // namespace terrane::run
