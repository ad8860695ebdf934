#include "run/store.h"

#include "object/object.h"
#include "outbox/outbox.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"
#include "user/tokens.h"
#include "variable/variable.h"

namespace terrane::run {

const jsonapi::Resource& resource() {
  using jsonapi::attr;
  constexpr unsigned given = jsonapi::create;
  static const std::array attributes{
      attr<&Run::status>("status", "status"),
      attr<&Run::status_timestamps>("status-timestamps", "status_timestamps"),
      attr<&Run::source>("source", "source"),
      attr<&Run::trigger_reason>("trigger-reason", "trigger_reason"),
      attr<&Run::message>("message", "message", given),
      attr<&Run::is_destroy>("is-destroy", "is_destroy", given),
      attr<&Run::refresh>("refresh", "refresh", given),
      attr<&Run::refresh_only>("refresh-only", "refresh_only", given),
      attr<&Run::plan_only>("plan-only", "plan_only", given),
      attr<&Run::save_plan>("save-plan", "save_plan", given),
      attr<&Run::auto_apply>("auto-apply", "auto_apply", given),
      attr<&Run::allow_empty_apply>("allow-empty-apply", "allow_empty_apply", given),
      attr<&Run::allow_config_generation>("allow-config-generation", "allow_config_generation", given),
      attr<&Run::target_addrs>("target-addrs", "target_addrs", given),
      attr<&Run::replace_addrs>("replace-addrs", "replace_addrs", given),
      attr<&Run::invoke_action_addrs>("invoke-action-addrs", "invoke_action_addrs", given),
      attr<&Run::policy_paths>("policy-paths", "policy_paths", given),
      attr<&Run::terraform_version>("terraform-version", "terraform_version", given),
      attr<&Run::has_changes>("has-changes", "has_changes"),
      attr<&Run::error_message>("error-message", "error_message"),
      attr<&Run::canceled_at>("canceled-at", "canceled_at"),
      attr<&Run::force_cancel_available_at>("force-cancel-available-at", "force_cancel_available_at"),
      attr<&Run::created_at>("created-at", "created_at"),
      attr<&Run::workspace>("workspace-id", "workspace_id", jsonapi::hidden),
      attr<&Run::configuration_version>("configuration-version-id", "configuration_version_id",
                                        jsonapi::hidden),
      attr<&Run::created_by>("created-by-id", "created_by", jsonapi::hidden),
      attr<&Run::confirmed_by>("confirmed-by-id", "confirmed_by", jsonapi::hidden),
      attr<&Run::position>("position", "position", jsonapi::hidden),
      attr<&Run::epoch>("epoch", "epoch", jsonapi::hidden),
      attr<&Run::force_canceled_at>("force-canceled-at", "force_canceled_at", jsonapi::hidden),
      attr<&Run::plan>("plan-id", "plan_id", jsonapi::hidden),
      attr<&Run::apply>("apply-id", "apply_id", jsonapi::hidden),
  };
  static const jsonapi::Resource table{"runs", attributes, {}};
  return table;
}

std::string plan_id(const Id<Run>& run) { return "plan-" + run.text().substr(run.text().find('-') + 1); }
std::string apply_id(const Id<Run>& run) { return "apply-" + run.text().substr(run.text().find('-') + 1); }

int priority(const Run& run, worker_protocol::Phase phase) {
  if (phase == worker_protocol::Phase::apply) return 0;
  return run.plan_only ? 2 : 1;
}

Run run_from_row(const postgres::Row& row) {
  Run run = jsonapi::from_row<Run>(resource(), row);
  run.id = Id<Run>(row.string("id"));
  run.sealed_variables = row.opt_string("sealed_variables").value_or("");
  return run;
}

Task<std::optional<Run>> find(postgres::Tx& tx, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::run_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return run_from_row(*row);
}

Task<std::vector<Run>> find_runs(postgres::Tx& tx, const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::run_find_many, postgres::Params::of(ids));
  std::vector<Run> runs;
  for (std::size_t i = 0; i < rows.size(); ++i) runs.push_back(run_from_row(rows[i]));
  co_return runs;
}

Task<std::optional<Run>> find_locked(postgres::Tx& tx, const std::string& id) {
  co_await tx.run(sql::run_lock_row, postgres::Params::of(id));
  co_return co_await find(tx, id);
}

namespace {

PhaseRecord phase_from_row(const postgres::Row& row, bool plan) {
  PhaseRecord record;
  record.id = row.string("id");
  record.run = row.string("run_id");
  record.status = row.string("status");
  record.status_timestamps = row.json("status_timestamps");
  record.additions = row.opt_integer("resource_additions");
  record.changes = row.opt_integer("resource_changes");
  record.destructions = row.opt_integer("resource_destructions");
  record.imports = row.opt_integer("resource_imports");
  record.log = row.string("log_id");
  record.log_segments = row.integer("log_segments");
  if (plan) {
    record.has_changes = row.boolean("has_changes");
    record.generated_configuration = row.boolean("generated_configuration");
    record.plan_object = row.opt_string("plan_object_id");
    record.json_object = row.opt_string("json_object_id");
    record.schemas_object = row.opt_string("schemas_object_id");
  } else {
    record.import_list = row.opt_string("import_list");
  }
  return record;
}

/// What an event says about the plan and the apply.
struct PhaseChange {
  std::string_view plan, plan_time, apply, apply_time;
};

PhaseChange phase_change(Event event, Status from) {
  switch (event) {
    case Event::queue_plan: return {"queued", "queued-at", "", ""};
    case Event::claim_plan: return {"running", "started-at", "", ""};
    case Event::redo_plan: return {"queued", "queued-at", "", ""};
    case Event::finish_plan:
    case Event::finish_saved: return {"finished", "finished-at", "", ""};
    case Event::finish_no_apply: return {"finished", "finished-at", "unreachable", "unreachable-at"};
    case Event::confirm: return {"", "", "", ""};
    case Event::queue_apply: return {"", "", "queued", "queued-at"};
    case Event::claim_apply: return {"", "", "running", "started-at"};
    case Event::requeue_apply: return {"", "", "queued", "queued-at"};
    case Event::finish_apply: return {"", "", "finished", "finished-at"};
    case Event::discard: return {"unreachable", "unreachable-at", "unreachable", "unreachable-at"};
    case Event::cancel:
      if (from == Status::apply_queued) return {"", "", "canceled", "canceled-at"};
      return {"canceled", "canceled-at", "unreachable", "unreachable-at"};
    case Event::end_canceled:
      if (from == Status::applying) return {"", "", "canceled", "canceled-at"};
      return {"canceled", "canceled-at", "unreachable", "unreachable-at"};
    case Event::fail:
      if (from == Status::applying || from == Status::apply_queued || from == Status::confirmed)
        return {"", "", "errored", "errored-at"};
      return {"errored", "errored-at", "unreachable", "unreachable-at"};
  }
  return {};
}

}  // namespace

Task<std::vector<PhaseRecord>> find_plans(postgres::Tx& tx, const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::plan_find_many, postgres::Params::of(ids));
  std::vector<PhaseRecord> plans;
  for (std::size_t i = 0; i < rows.size(); ++i) plans.push_back(phase_from_row(rows[i], true));
  co_return plans;
}

Task<std::vector<PhaseRecord>> find_applies(postgres::Tx& tx, const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::apply_find_many, postgres::Params::of(ids));
  std::vector<PhaseRecord> applies;
  for (std::size_t i = 0; i < rows.size(); ++i) applies.push_back(phase_from_row(rows[i], false));
  co_return applies;
}

Task<std::optional<PhaseRecord>> find_plan(postgres::Tx& tx, const std::string& id) {
  std::vector<PhaseRecord> found = co_await find_plans(tx, {id});
  if (found.empty()) co_return std::nullopt;
  co_return std::move(found.front());
}

Task<std::optional<PhaseRecord>> find_apply(postgres::Tx& tx, const std::string& id) {
  std::vector<PhaseRecord> found = co_await find_applies(tx, {id});
  if (found.empty()) co_return std::nullopt;
  co_return std::move(found.front());
}

Task<> trace(postgres::Tx& tx, const std::string& run, std::string_view who, std::string_view what,
             const json::object& detail) {
  co_await tx.run(sql::run_trace_insert, postgres::Params::of(run, who, what, detail));
}

Task<> transition(postgres::Tx& tx, Run& run, Event event, Cause cause) {
  const Status from = run.state();
  std::optional<Status> to = next(from, event);
  if (!to) {
    throw Error(Code::conflict, "The run is " + run.status + "; this is not possible now.")
        .add_context("event " + std::string(name(event)));
  }
  postgres::Result changed =
      co_await tx.run(sql::run_transition, postgres::Params::of(run.id, run.status, name(*to), cause.error));
  if (changed.affected() != 1) throw Error(Code::conflict, "The run has just changed; read it again.");
  run.status = name(*to);

  PhaseChange change = phase_change(event, from);
  if (!change.plan.empty())
    co_await tx.run(sql::plan_set_status, postgres::Params::of(run.id, change.plan, change.plan_time));
  if (!change.apply.empty())
    co_await tx.run(sql::apply_set_status, postgres::Params::of(run.id, change.apply, change.apply_time));
  if (!cause.action.empty()) {
    co_await tx.run(sql::run_event_insert, postgres::Params::of("re-" + random_id_suffix(), run.id,
                                                                cause.action, std::nullopt, cause.who));
  }
  json::object detail = cause.detail;
  detail["from"] = name(from);
  detail["to"] = name(*to);
  if (cause.error) detail["error"] = *cause.error;
  co_await trace(tx, run.id.text(), cause.who, name(event), detail);
  if (*to == Status::applied) co_await after_applied(tx, run);
  if (is_final(*to)) {
    co_await workspace::clear_lock(tx, run.workspace, "runs", run.id.text());
    co_await user::Tokens::revoke_all(tx, "run", run.id.text());
  }
  co_await tx.run(sql::run_wake, postgres::Params::of(run.id));
}

Task<> queue_job(postgres::Tx& tx, const Run& run, worker_protocol::Phase phase) {
  const Statement& next_segment =
      phase == worker_protocol::Phase::plan ? sql::plan_next_segment : sql::apply_next_segment;
  postgres::Result segment = co_await tx.run(next_segment, postgres::Params::of(run.id));
  Id<JobRecord> id = Id<JobRecord>::make();
  co_await tx.run(sql::job_insert, postgres::Params::of(id, run.id, run.workspace,
                                                        worker_protocol::name(phase), priority(run, phase),
                                                        run.position, segment[0].integer("log_segments")));
  json::object message{{"look", "jobs"}, {"job", id.text()}};
  co_await outbox::write(tx, outbox::jobs_queue, message);
}

Task<> wish(postgres::Tx& tx, const Run& run, worker_protocol::Wish wanted) {
  postgres::Result wished =
      co_await tx.run(sql::job_set_wish, postgres::Params::of(run.id, worker_protocol::name(wanted)));
  json::object message{{"look", "wishes"}};
  for (std::size_t i = 0; i < wished.size(); ++i)
    co_await outbox::write(tx, outbox::node_queue(wished[i].string("node_id")), message);
}

Task<> insert(postgres::Tx& tx, const NewRun& wanted) {
  Run run = wanted.run;
  json::object columns;
  for (const jsonapi::Attribute& attribute : resource().attributes) {
    if (attribute.flags & jsonapi::create)
      columns[attribute.column] = attribute.ops->to_json(attribute.address(&run));
  }
  co_await variable::require_fit_for_run(tx, run.workspace);
  co_await tx.run(sql::run_insert, postgres::Params::of(run.id, run.workspace, run.configuration_version,
                                                        columns, wanted.sealed, wanted.created_by,
                                                        wanted.request_key, run.source, run.trigger_reason));
  for (bool plan : {true, false}) {
    Id<Object> log = Id<Object>::make();
    co_await object::insert(tx, log, "log", run.workspace);
    if (plan)
      co_await tx.run(sql::plan_insert, postgres::Params::of(plan_id(run.id), run.id, log));
    else
      co_await tx.run(sql::apply_insert, postgres::Params::of(apply_id(run.id), run.id, log));
  }
  co_await tx.run(sql::run_event_insert, postgres::Params::of("re-" + random_id_suffix(), run.id, "queued",
                                                              std::nullopt, wanted.created_by));
  json::object detail{{"to", "pending"}};
  co_await trace(tx, run.id.text(), wanted.created_by.value_or("web"), "create", detail);
  co_await tx.run(sql::run_wake, postgres::Params::of(run.id));
}

Task<> queue_automatic(postgres::Tx& tx, const std::string& workspace_id,
                       const std::string& configuration_version, bool speculative) {
  std::optional<Workspace> workspace = co_await workspace::find(tx, workspace_id, workspace::RowLock::yes);
  if (!workspace || workspace->execution_mode == "local") co_return;
  NewRun wanted;
  wanted.run.id = Id<Run>::make();
  wanted.run.workspace = workspace_id;
  wanted.run.configuration_version = configuration_version;
  wanted.run.source = "tfe-configuration-version";
  wanted.run.message = "Queued automatically: a configuration was uploaded";
  wanted.run.plan_only = speculative;
  wanted.run.auto_apply = !speculative && workspace->auto_apply;
  wanted.run.terraform_version = workspace->terraform_version;
  co_await insert(tx, wanted);
}

}  // namespace terrane::run
