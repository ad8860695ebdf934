#include "run/machine.h"

#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>

namespace terrane::run {
namespace {

/// Every pair of status and event, written a second time by hand from the API's documents: a row lists what
/// may happen.
const std::map<std::string, std::map<std::string, std::string>> expected{
    {"pending",
     {{"queue plan", "plan_queued"}, {"discard", "discarded"}, {"cancel", "canceled"}, {"fail", "errored"}}},
    {"plan_queued", {{"claim plan", "planning"}, {"cancel", "canceled"}, {"fail", "errored"}}},
    {"planning",
     {{"redo plan", "plan_queued"},
      {"finish plan", "planned"},
      {"finish without apply", "planned_and_finished"},
      {"finish saved plan", "planned_and_saved"},
      {"end canceled", "canceled"},
      {"fail", "errored"}}},
    {"planned", {{"confirm", "confirmed"}, {"discard", "discarded"}, {"fail", "errored"}}},
    {"planned_and_saved", {{"confirm", "confirmed"}, {"discard", "discarded"}, {"fail", "errored"}}},
    {"planned_and_finished", {}},
    {"confirmed", {{"queue apply", "apply_queued"}, {"cancel", "canceled"}, {"fail", "errored"}}},
    {"apply_queued", {{"claim apply", "applying"}, {"cancel", "canceled"}, {"fail", "errored"}}},
    {"applying",
     {{"requeue apply", "apply_queued"},
      {"finish apply", "applied"},
      {"end canceled", "canceled"},
      {"fail", "errored"}}},
    {"applied", {}},
    {"discarded", {}},
    {"canceled", {}},
    {"errored", {}},
};

TEST(Machine, EveryPairOfStatusAndEvent) {
  ASSERT_EQ(expected.size(), all_statuses.size());
  for (Status status : all_statuses) {
    const auto& row = expected.at(std::string(name(status)));
    for (Event event : all_events) {
      std::optional<Status> to = next(status, event);
      auto wanted = row.find(std::string(name(event)));
      EXPECT_EQ(to ? std::string(name(*to)) : "", wanted == row.end() ? "" : wanted->second)
          << name(status) << " + " << name(event);
    }
    EXPECT_EQ(is_final(status), row.empty()) << name(status);
    EXPECT_EQ(status_from(name(status)), status);
  }
}

TEST(Machine, EveryStatusIsReachedAndEveryRunCanEnd) {
  std::set<Status> reached{Status::pending};
  bool grew = true;
  while (grew) {
    grew = false;
    for (Status status : std::set<Status>(reached)) {
      for (Event event : all_events) {
        if (std::optional<Status> to = next(status, event)) grew |= reached.insert(*to).second;
      }
    }
  }
  EXPECT_EQ(reached.size(), all_statuses.size());
  for (Status status : all_statuses) {
    if (!is_final(status)) EXPECT_EQ(next(status, Event::fail), Status::errored) << name(status);
  }
}

TEST(Machine, ActionsThatTheApiAnnounces) {
  for (Status status : all_statuses) {
    EXPECT_EQ(is_confirmable(status), status == Status::planned || status == Status::planned_and_saved)
        << name(status);
    EXPECT_EQ(is_discardable(status),
              status == Status::pending || status == Status::planned || status == Status::planned_and_saved)
        << name(status);
    bool cancelable = status == Status::pending || status == Status::plan_queued ||
                      status == Status::planning || status == Status::confirmed ||
                      status == Status::apply_queued || status == Status::applying;
    EXPECT_EQ(is_cancelable(status), cancelable) << name(status);
  }
}

}  // namespace
}  // namespace terrane::run
