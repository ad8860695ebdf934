#include "shim/plan.h"

#include "base/error.h"
#include "shim/engine_files.h"
#include "shim/layout.h"
#include "shim/plan_json.h"
#include "shim/prepare.h"

namespace terrane::shim {
namespace {

using worker_protocol::Ending;
using worker_protocol::Outcome;

Task<> keep_plan(Context& context, Parallel& uploads, Outcome& outcome) {
  SpooledObject spooled = co_await seal_file(context, plan_file, "plan");
  outcome.plan_object = spooled.object;
  uploads.add(upload(context, spooled));
}

Task<> keep_json(Context& context, Parallel& uploads, Outcome& outcome, std::function<void()> executed) {
  PlanCounter counter;
  SpooledObject spooled = co_await seal_output(
      context, {"show", "-json", "-no-color", inside(plan_file)}, "plan-json",
      [&counter](std::string_view text) { counter.feed(text); }, executed);
  if (!counter.finish()) throw Error(Code::invalid, "The engine's JSON of the plan is not complete.");
  outcome.json_object = spooled.object;
  outcome.additions = counter.counts().additions;
  outcome.changes = counter.counts().changes;
  outcome.destructions = counter.counts().destructions;
  outcome.imports = counter.counts().imports;
  uploads.add(upload(context, spooled));
}

Task<> keep_schemas(Context& context, Parallel& uploads, Outcome& outcome, std::function<void()> executed) {
  SpooledObject spooled =
      co_await seal_output(context, {"providers", "schema", "-json"}, "schemas", {}, executed);
  outcome.schemas_object = spooled.object;
  uploads.add(upload(context, spooled));
}

}  // namespace

Task<Outcome> run_plan(Context& context, Parallel& uploads) {
  co_await prepare(context);
  sandbox::Exit exit =
      co_await run_engine(context, plan_arguments(context.job, inside(plan_file)), to_log(context));
  context.check();
  check_killed(exit);
  Outcome outcome;
  if (exit.code != 0 && exit.code != 2) {
    outcome.error = "The plan failed. The log has the engine's message.";
    co_return outcome;
  }
  outcome.has_changes = exit.code == 2;
  Parallel results(context.executor);
  // The sandbox ends with the last command, while what it printed is still being kept.
  int running = context.job.structured_output ? 2 : 1;
  std::function<void()> executed = [&] {
    if (--running == 0) context.sandbox->kill_all();
  };
  results.add(keep_plan(context, uploads, outcome));
  results.add(keep_json(context, uploads, outcome, executed));
  if (context.job.structured_output) results.add(keep_schemas(context, uploads, outcome, executed));
  co_await results.wait();
  outcome.ending = Ending::finished;
  co_return outcome;
}

}  // namespace terrane::shim
