#include "run/machine.h"

namespace terrane::run {
namespace {

struct Transition {
  Status from;
  Event event;
  Status to;
};

// The whole life of a run. What is not here cannot happen.
constexpr Transition transitions[] = {
    {Status::pending, Event::queue_plan, Status::plan_queued},
    {Status::pending, Event::discard, Status::discarded},
    {Status::pending, Event::cancel, Status::canceled},
    {Status::pending, Event::fail, Status::errored},

    {Status::plan_queued, Event::claim_plan, Status::planning},
    {Status::plan_queued, Event::cancel, Status::canceled},
    {Status::plan_queued, Event::fail, Status::errored},

    {Status::planning, Event::redo_plan, Status::plan_queued},
    {Status::planning, Event::finish_plan, Status::planned},
    {Status::planning, Event::finish_no_apply, Status::planned_and_finished},
    {Status::planning, Event::finish_saved, Status::planned_and_saved},
    {Status::planning, Event::end_canceled, Status::canceled},
    {Status::planning, Event::fail, Status::errored},

    {Status::planned, Event::confirm, Status::confirmed},
    {Status::planned, Event::discard, Status::discarded},
    {Status::planned, Event::fail, Status::errored},

    {Status::planned_and_saved, Event::confirm, Status::confirmed},
    {Status::planned_and_saved, Event::discard, Status::discarded},
    {Status::planned_and_saved, Event::fail, Status::errored},

    {Status::confirmed, Event::queue_apply, Status::apply_queued},
    {Status::confirmed, Event::cancel, Status::canceled},
    {Status::confirmed, Event::fail, Status::errored},

    {Status::apply_queued, Event::claim_apply, Status::applying},
    {Status::apply_queued, Event::cancel, Status::canceled},
    {Status::apply_queued, Event::fail, Status::errored},

    {Status::applying, Event::requeue_apply, Status::apply_queued},
    {Status::applying, Event::finish_apply, Status::applied},
    {Status::applying, Event::end_canceled, Status::canceled},
    {Status::applying, Event::fail, Status::errored},
};

}  // namespace

std::string_view name(Status status) {
  switch (status) {
    case Status::pending: return "pending";
    case Status::plan_queued: return "plan_queued";
    case Status::planning: return "planning";
    case Status::planned: return "planned";
    case Status::planned_and_saved: return "planned_and_saved";
    case Status::planned_and_finished: return "planned_and_finished";
    case Status::confirmed: return "confirmed";
    case Status::apply_queued: return "apply_queued";
    case Status::applying: return "applying";
    case Status::applied: return "applied";
    case Status::discarded: return "discarded";
    case Status::canceled: return "canceled";
    case Status::errored: return "errored";
  }
  return "errored";
}

std::optional<Status> status_from(std::string_view text) {
  for (Status status : all_statuses) {
    if (name(status) == text) return status;
  }
  return std::nullopt;
}

std::string_view name(Event event) {
  switch (event) {
    case Event::queue_plan: return "queue plan";
    case Event::claim_plan: return "claim plan";
    case Event::redo_plan: return "redo plan";
    case Event::finish_plan: return "finish plan";
    case Event::finish_no_apply: return "finish without apply";
    case Event::finish_saved: return "finish saved plan";
    case Event::confirm: return "confirm";
    case Event::queue_apply: return "queue apply";
    case Event::claim_apply: return "claim apply";
    case Event::requeue_apply: return "requeue apply";
    case Event::finish_apply: return "finish apply";
    case Event::discard: return "discard";
    case Event::cancel: return "cancel";
    case Event::end_canceled: return "end canceled";
    case Event::fail: return "fail";
  }
  return "fail";
}

std::optional<Status> next(Status status, Event event) {
  for (const Transition& transition : transitions) {
    if (transition.from == status && transition.event == event) return transition.to;
  }
  return std::nullopt;
}

bool is_final(Status status) {
  for (const Transition& transition : transitions) {
    if (transition.from == status) return false;
  }
  return true;
}

bool is_executing(Status status) { return status == Status::planning || status == Status::applying; }

bool is_confirmable(Status status) { return next(status, Event::confirm).has_value(); }
bool is_discardable(Status status) { return next(status, Event::discard).has_value(); }
bool is_cancelable(Status status) { return next(status, Event::cancel).has_value() || is_executing(status); }

bool has_planned(Status status) {
  switch (status) {
    case Status::planned:
    case Status::planned_and_saved:
    case Status::planned_and_finished:
    case Status::confirmed:
    case Status::apply_queued:
    case Status::applying:
    case Status::applied: return true;
    default: return false;
  }
}

}  // namespace terrane::run
