#include "shim/phase.h"

#include "base/error.h"
#include "base/log.h"
#include "shim/apply.h"
#include "shim/context.h"
#include "shim/durable.h"
#include "shim/engine_files.h"
#include "shim/layout.h"
#include "shim/plan.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;
using worker_protocol::Ending;
using worker_protocol::Outcome;
using worker_protocol::Phase;

std::string in_words(std::chrono::seconds time) {
  std::int64_t seconds = time.count();
  if (seconds > 0 && seconds % 3600 == 0) return std::to_string(seconds / 3600) + " h";
  if (seconds > 0 && seconds % 60 == 0) return std::to_string(seconds / 60) + " min";
  return std::to_string(seconds) + " s";
}

sandbox::LimitsHit limits_of(Context& context) {
  sandbox::LimitsHit hit;
  if (context.sandbox) hit = context.sandbox->limits();
  hit.storage_full = hit.storage_full || context.storage_full;
  return hit;
}

Task<> limit_time(Ender ender, std::chrono::seconds limit) {
  co_await net::sleep_for(limit);
  ender.interrupt(Cause::time_limit);
}

// `killed`: something ended the engine that neither we nor a limit wanted to end.
Task<Outcome> execute(Context& context, Parallel& uploads, std::optional<StateKeeper>& keeper, bool& killed) {
  Outcome outcome;
  try {
    // No conditional expression: awaiting in one is where compilers differ.
    if (context.job.phase == Phase::plan) {
      outcome = co_await run_plan(context, uploads);
    } else {
      outcome = co_await run_apply(context, keeper);
    }
  } catch (const EndedEarly&) {
    outcome.error.clear();
  } catch (const EngineKilled& failure) {
    outcome.error = failure.detail();
    killed = context.ender.cause() == Cause::none && !limits_of(context).any();
  } catch (const Error& failure) {
    if (context.ender.cause() == Cause::lease_closed) co_return outcome;
    bool ours = failure.code() == Code::internal;
    log::write(ours ? log::Level::error : log::Level::info, "a phase failed",
               {{"job", context.job.id}, {"error", failure.what()}});
    outcome.error = ours ? "The run failed inside the platform: " + failure.detail() : failure.detail();
    context.log.say("Error: " + outcome.error);
  }
  co_return outcome;
}

// The engine's own end counts; what ended it early decides only when it has not finished.
void name_cause(Context& context, Outcome& outcome) {
  if (outcome.ending == Ending::finished) return;
  std::string phase(worker_protocol::name(context.job.phase));
  switch (context.ender.cause()) {
    case Cause::canceled:
    case Cause::forced:
      outcome.ending = Ending::canceled;
      outcome.error.clear();
      return;
    case Cause::time_limit:
      outcome.error =
          "The " + phase + " exceeded its time limit of " + in_words(context.job.time_limit) + ".";
      break;
    case Cause::silence:
      outcome.error = "The " + phase +
                      " was ended because the platform did not answer its node for most of " +
                      in_words(context.job.grace) + ".";
      break;
    case Cause::none:
    case Cause::lease_closed: break;
  }
  if (context.ender.ending()) context.log.say("Error: " + outcome.error);
  std::string limits = limits_of(context).describe();
  if (limits.empty()) return;
  context.log.say("Error: " + limits);
  outcome.error = outcome.error.empty() ? limits : limits + " " + outcome.error;
}

// Nothing may touch the run directory any more when the phase is reported: the next one may come at once.
Task<> end_sandbox(Context& context) {
  if (!context.sandbox) co_return;
  context.sandbox->kill_all();
  co_await context.sandbox->ended();
}

Task<> send_everything(Context& context, Parallel& uploads, std::optional<StateKeeper>& keeper,
                       Outcome& outcome) {
  std::string refusal;
  try {
    co_await uploads.wait();
    if (keeper) co_await keeper->sent();
  } catch (const Error& failure) {
    if (failure.code() == Code::conflict) throw;
    refusal = failure.detail();
  }
  if (!refusal.empty()) {
    outcome.ending = Ending::errored;
    outcome.error = "The platform did not take what the engine made: " + refusal;
    context.spool.write_result(outcome);
  }
  co_await context.log.finish();
  std::function<Task<>()> attempt = [&] { return context.api.post_result(context.lease, outcome); };
  co_await persistently(attempt);
}

// A plan has no side effects, so one that was killed is run again. Its log goes on in the next attempt,
// without an end here.
Task<> report_killed(Context& context, const Outcome& outcome) {
  context.log.say("Error: " + outcome.error);
  while (!co_await context.log.caught_up(10s)) context.log.check();
  std::function<Task<>()> attempt = [&] {
    return context.api.post_lost(context.lease, outcome.error, "", true);
  };
  co_await persistently(attempt);
}

Task<> remember_directory(Context& context, const Outcome& outcome) {
  bool to_apply = outcome.has_changes || context.job.allow_empty_apply;
  bool worth = context.job.phase == Phase::plan && outcome.ending == Ending::finished && to_apply &&
               !context.order.kept.empty();
  if (!worth) co_return;
  std::string hash = co_await hash_of(context, plan_file);
  // The directory does not outlive the machine's power either.
  write_whole(kept_record(context.order.kept, context.job.run),
              json::serialize(json::object{{"plan_sha256", hash}}));
}

Task<> close_log(Context& context) {
  std::function<Task<>()> close = [&]() -> Task<> {
    context.log.close();
    co_return;
  };
  co_await insist(context, "the log", close);
}

Task<> report(Context& context, Parallel& uploads, std::optional<StateKeeper>& keeper, Outcome& outcome) {
  co_await remember_directory(context, outcome);
  std::function<Task<>()> write_result = [&] {
    return net::blocking([&] { context.spool.write_result(outcome); });
  };
  co_await insist(context, "the result", write_result);
  co_await send_everything(context, uploads, keeper, outcome);
}

}  // namespace

Task<PhaseEnd> run_phase(Context& context) {
  // A plan before may have ended inside a line; of an apply that comes again nothing had begun.
  if (context.job.attempt > 1 && context.job.phase == Phase::plan) context.log.say("");
  context.log.write(log_header(context.job));
  start_relay(context.executor, context.inheritance.relays, context.order.platform);
  net::spawn(context.executor, "time limit", limit_time(context.ender, context.job.time_limit));

  Parallel uploads(context.executor);
  std::optional<StateKeeper> keeper;
  bool killed = false;
  Outcome outcome = co_await execute(context, uploads, keeper, killed);
  bool again = killed && context.job.phase == Phase::plan;
  if (!again) name_cause(context, outcome);
  co_await end_sandbox(context);
  try {
    if (again) {
      co_await report_killed(context, outcome);
    } else {
      co_await close_log(context);
      if (context.ender.cause() == Cause::lease_closed) co_return PhaseEnd::closed;
      co_await report(context, uploads, keeper, outcome);
    }
  } catch (const Error& failure) {
    if (failure.code() != Code::conflict) throw;
    log::warn("the lease was closed before the phase was reported", {{"job", context.job.id}});
    co_return PhaseEnd::closed;
  }
  context.spool.remove();
  co_return PhaseEnd::reported;
}

}  // namespace terrane::shim
