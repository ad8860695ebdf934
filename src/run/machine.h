#pragma once
#include <array>
#include <optional>
#include <string_view>

/// The life of a run as pure functions: which status follows which event, and nothing else. The names are
/// those of API v2.
namespace terrane::run {

enum class Status {
  pending,
  plan_queued,
  planning,
  planned,
  planned_and_saved,
  planned_and_finished,
  confirmed,
  apply_queued,
  applying,
  applied,
  discarded,
  canceled,
  errored,
};

enum class Event {
  queue_plan,       ///< its turn has come: a plan waits for a worker
  claim_plan,       ///< a worker has taken the plan
  redo_plan,        ///< the worker was lost; a plan has no side effects and is run again
  finish_plan,      ///< planned, and something is left to be decided or applied
  finish_no_apply,  ///< planned, and nothing will be applied (plan-only, or no changes)
  finish_saved,     ///< planned for `plan -out`
  confirm,          ///< a person or auto-apply wants it applied
  queue_apply,      ///< the apply waits for a worker
  claim_apply,      ///< a worker has taken the apply
  requeue_apply,    ///< the worker was lost before its first beat, so nothing can have happened
  finish_apply,     ///< applied
  discard,
  cancel,        ///< nothing executes: canceled at once
  end_canceled,  ///< the engine was interrupted and has ended
  fail,          ///< anything that ends it with an error
};

constexpr std::array all_statuses{Status::pending,   Status::plan_queued,       Status::planning,
                                  Status::planned,   Status::planned_and_saved, Status::planned_and_finished,
                                  Status::confirmed, Status::apply_queued,      Status::applying,
                                  Status::applied,   Status::discarded,         Status::canceled,
                                  Status::errored};
constexpr std::array all_events{
    Event::queue_plan,   Event::claim_plan, Event::redo_plan,   Event::finish_plan,  Event::finish_no_apply,
    Event::finish_saved, Event::confirm,    Event::queue_apply, Event::claim_apply,  Event::requeue_apply,
    Event::finish_apply, Event::discard,    Event::cancel,      Event::end_canceled, Event::fail};

std::string_view name(Status status);
std::optional<Status> status_from(std::string_view name);
std::string_view name(Event event);

/// The status after `event`; nothing when it may not happen in `status`.
std::optional<Status> next(Status status, Event event);

/// Nothing follows a final status.
bool is_final(Status status);
/// A phase may be executing somewhere.
bool is_executing(Status status);
/// What API v2 calls is-confirmable, is-discardable, is-cancelable.
bool is_confirmable(Status status);
bool is_discardable(Status status);
bool is_cancelable(Status status);

/// Whether two statuses are both before the end of planning, for deciding what a plan's object shows.
bool has_planned(Status status);

}  // namespace terrane::run
