#include "shim/apply.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "shim/apply_events.h"
#include "shim/engine_files.h"
#include "shim/layout.h"
#include "shim/prepare.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;
using worker_protocol::Ending;
using worker_protocol::Outcome;

/// Follows the event file as it grows: copies it into the log when the events are what is shown, and gives
/// back the memory of what nobody asks for later, or a run that says much would fill its directory with it.
struct Tail {
  Tail(Context& context, bool show)
      : shown(show),
        interval(show ? 10ms : 100ms),
        chatter([files = context.files](std::uint64_t begin, std::uint64_t end) {
          // The line's end stays, so that nothing is taken for a part of the next line.
          files->give_back(events_file, begin, end - begin - 1);
        }),
        changed(context.executor) {}
  bool shown;
  std::chrono::milliseconds interval;
  ChatterFinder chatter;
  std::uint64_t position = 0;
  bool ending = false;
  bool ended = false;
  net::Event changed;
};

Task<> follow(Context& context, std::shared_ptr<Tail> tail) {
  while (true) {
    bool last = tail->ending;
    if (std::optional<sandbox::Descriptor> file = context.files->open(events_file, Holes::allowed)) {
      while (std::optional<std::uint64_t> data = next_data(file->get(), tail->position)) {
        std::string piece = read_at(file->get(), *data, 64 * 1024, "the apply's events");
        if (piece.empty()) break;
        tail->position = *data + piece.size();
        if (tail->shown) context.log.write(piece);
        tail->chatter.feed(piece);
      }
    }
    if (last) break;
    co_await tail->changed.wait_for(tail->interval);
  }
  tail->ended = true;
  tail->changed.notify();
}

Task<sandbox::Exit> run_followed(Context& context, bool shown, OnOutput on_output) {
  auto tail = std::make_shared<Tail>(context, shown);
  net::spawn(context.executor, "event tail", follow(context, tail));
  std::exception_ptr failure;
  sandbox::Exit exit;
  try {
    exit = co_await run_engine(context, apply_arguments(context.job, inside(events_file), inside(plan_file)),
                               std::move(on_output));
  } catch (...) {
    failure = std::current_exception();
  }
  tail->ending = true;
  tail->changed.notify();
  while (!tail->ended) co_await tail->changed.wait_for(1s);
  if (failure) std::rethrow_exception(failure);
  co_return exit;
}

// An engine that writes no events beside its output: the shim writes them, from structured output as it is,
// else from what people read.
Task<sandbox::Exit> run_older(Context& context) {
  sandbox::Descriptor events = context.files->create(events_file);
  TextEvents from_text;
  OnOutput on_log = to_log(context);
  OnOutput on_output = [&](sandbox::Stream stream, std::string_view text) -> Task<> {
    co_await on_log(stream, text);
    if (stream != sandbox::Stream::output || !events) co_return;
    try {
      write_fully(events.get(), context.job.structured_output ? std::string(text) : from_text.feed(text),
                  "the apply's events");
    } catch (const Error&) {
      events.reset();  // the run directory is full; the log goes on
    }
  };
  co_return co_await run_engine(context, apply_arguments(context.job, "", inside(plan_file)), on_output);
}

Task<sandbox::Exit> run_command(Context& context) {
  if (!writes_events(context.job)) co_return co_await run_older(context);
  if (!context.job.structured_output) co_return co_await run_followed(context, false, to_log(context));
  std::string errors;
  OnOutput on_output = [&errors](sandbox::Stream stream, std::string_view text) -> Task<> {
    if (stream == sandbox::Stream::errors && errors.size() < 64 * 1024) errors += text;
    co_return;
  };
  sandbox::Exit exit = co_await run_followed(context, true, on_output);
  // What ends an engine without an event (a crash) stands only in its errors; after an event it would stand
  // there twice.
  std::optional<sandbox::Descriptor> file = context.files->open(events_file, Holes::allowed);
  bool shown = file && read_apply_events(file->get()).error_shown;
  if (!exit.success() && !shown) context.log.write(errors);
  co_return exit;
}

// Made by us, because the engine would make its events for its own user alone, and because room is kept for
// our own files only.
void make_files(Context& context) {
  const std::string& state = context.spool.meta().state_file;
  context.files->create(events_file);
  if (!context.files->look(state)) context.files->create(state);
  reserve_room(*context.files, state, static_cast<std::uint64_t>(context.job.disk_bytes));
}

// What the engine did according to its events, and what of it the state lacks.
void take_events(Context& context, Outcome& outcome, const Instances& saved) {
  std::optional<sandbox::Descriptor> file = context.files->open(events_file, Holes::allowed);
  if (!file) return;
  ApplyEvents events = read_apply_events(file->get());
  outcome.additions = events.additions;
  outcome.changes = events.changes;
  outcome.destructions = events.destructions;
  outcome.imports = events.imports;
  if (outcome.ending == Ending::finished) return;
  outcome.import_list = import_list(events.made, saved);
}

}  // namespace

Task<Outcome> run_apply(Context& context, std::optional<StateKeeper>& keeper) {
  Prepared prepared = co_await prepare(context);
  make_files(context);
  keeper.emplace(context.executor, context.api, context.slots, context.spool, context.files, prepared.state,
                 static_cast<std::uint64_t>(context.job.disk_bytes));
  keeper->watch();
  Outcome outcome;
  try {
    sandbox::Exit exit = co_await run_command(context);
    if (exit.success()) context.sandbox->kill_all();  // it ends while the state is being kept
    if (exit.success()) outcome.ending = Ending::finished;
    outcome.error = exit.success() ? "" : "The apply failed. The log has the engine's message.";
    if (exit.signal != 0)
      outcome.error = "The engine was ended by signal " + std::to_string(exit.signal) + ".";
    if (exit.lost) outcome.error = "The sandbox ended before the engine.";
  } catch (const Error& failure) {
    // Even then the engine may have begun; its state counts.
    outcome.error = failure.detail();
  }
  std::function<Task<>()> take_last = [&] { return keeper->take_last(); };
  co_await insist(context, "the last state", take_last);
  co_await net::blocking([&] { take_events(context, outcome, keeper->saved()); });
  co_return outcome;
}

}  // namespace terrane::shim
