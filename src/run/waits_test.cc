// Nothing waits silently.
#include "run/waits.h"

#include <gmock/gmock.h>

#include "run/testing_stage.h"

namespace terrane::run {
namespace {

using test::run;
using test::Stage;
using test::TestAnswer;
using ::testing::HasSubstr;
using worker_protocol::Job;

TEST(Waits, AreToldInASentence) {
  const Time since = *parse_time("2021-05-06T07:08:09Z");
  Wait none{.run = "run-2"};
  Wait behind = none, locked = none, own = none, free = none, silent = none, blocked = none;
  behind.before = "run-1";
  behind.runs_before = 3;
  locked.lock_kind = "users";
  locked.lock_owner = "user-ann";
  locked.lock_reason = "moving house";
  own.lock_kind = "runs";
  own.lock_owner = "run-2";
  free.nodes = 2;
  free.capacity = 20;
  free.executing = 20;
  free.jobs_before = 1;
  silent.silence = {"run-2", "n1", since};
  blocked = behind;
  blocked.silence = {"run-1", "n1", since};
  struct Case {
    Status status;
    const Wait& wait;
    std::string says;  ///< empty: nothing
  };
  const std::vector<Case> cases{
      {Status::pending, behind, "3 runs are before it, first run-1."},
      {Status::pending, locked, "lock, which user-ann holds: moving house."},
      {Status::pending, none, "Waits for background"},
      {Status::pending, blocked, "The run run-1 waits for the node n1"},
      {Status::confirmed, locked, "user-ann holds"},
      {Status::confirmed, own, "Waits for background"},
      {Status::plan_queued, none, "Waits for a worker: none"},
      {Status::apply_queued, free, "20 of 20 places are taken, and 1 phase comes first."},
      {Status::planning, none, ""},
      {Status::applying, blocked, ""},
      {Status::applying, silent,
       "Waits for the node n1, which executes it and is silent since 2021-05-06T07:08:09"},
      {Status::planned, own, ""},
      {Status::applied, none, ""},
      {Status::errored, silent, ""}};
  for (const Case& one : cases) {
    Wait wait = one.wait;
    wait.status = one.status;
    std::optional<std::string> said = describe(wait);
    EXPECT_EQ(said.has_value(), !one.says.empty()) << name(one.status) << said.value_or("");
    if (said) EXPECT_THAT(*said, HasSubstr(one.says));
    if (said) EXPECT_TRUE(may_wait(one.status)) << name(one.status);
  }
  Wait past = behind;
  past.goes_past = true;
  EXPECT_THAT(describe(past).value_or(""), HasSubstr("background")) << "a saved plan has no place";
}

TEST(Waits, AreShownWithTheRun) {
  run([](Stage& stage) -> Task<> {
    auto shown = [&stage](const std::string& id) -> Task<std::string> {
      TestAnswer answer = co_await stage.get("/api/v2/runs/" + id);
      json::value said = answer.at("/data/attributes/waiting-for");
      co_return said.is_string() ? std::string(said.get_string()) : "";
    };
    std::string first = co_await stage.make_run();
    co_await stage.until(first, "plan_queued");
    std::string second = co_await stage.make_run();
    EXPECT_THAT(co_await shown(first), HasSubstr("0 of 8 places are taken."));
    EXPECT_THAT(co_await shown(second), HasSubstr("1 run is before it, first " + first));
    co_await stage.sql("UPDATE terrane.nodes SET draining = true");
    EXPECT_THAT(co_await shown(first), HasSubstr("none that takes phases"));
    co_await stage.sql("UPDATE terrane.nodes SET draining = false");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(co_await shown(first), "");
    co_await stage.finish(job, Stage::planned());
    EXPECT_EQ(co_await shown(first), "") << "it waits for a person, as its status says";
    co_await stage.sql("UPDATE terrane.runs SET status = 'canceled' WHERE id = '" + first + "'");
    EXPECT_THAT(co_await shown(second), HasSubstr("which " + first + " holds")) << "whatever went wrong";
  });
}

}  // namespace
}  // namespace terrane::run
