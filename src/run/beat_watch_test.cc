// Whose shim is silent: each case a table of looks on a clock of its own.
#include "run/beat_watch.h"

#include <gtest/gtest.h>

namespace terrane::run {
namespace {

using namespace std::chrono_literals;

/// Looks once a second; says at which second something was found.
class Watching {
 public:
  using Change = std::function<void(int second, Beats& seen)>;

  /// The jobs a and b: applies that have begun, with 10 min of grace, and without other changes silent.
  Watching() {
    seen.server = "one";
    seen.jobs = {{"a", {5, 600s, true}}, {"b", {5, 600s, true}}};
  }
  void seconds(int count, const Change& change) {
    for (int i = 0; i < count; ++i, ++now) {
      change(now, seen);
      BeatWatch::Verdict verdict = watch.look(BeatWatch::Moment(std::chrono::seconds(now)), seen);
      note(verdict.silent, silent);
      note(verdict.over, over);
      note(verdict.heard, heard);
    }
  }

  BeatWatch watch;
  Beats seen;
  int now = 1000;
  std::map<std::string, int> silent, over, heard;  // job to the first second

 private:
  void note(const std::vector<std::string>& jobs, std::map<std::string, int>& into) const {
    for (const std::string& job : jobs) into.try_emplace(job, now);
  }
};

/// A beat of `job` each other second.
void beat(int second, Beats& seen, const std::string& job) {
  if (second % 2 == 0) ++seen.jobs.at(job).beat;
}

TEST(BeatWatch, WhoStandsStillForSixSecondsIsSilent) {
  Watching on;
  on.seconds(30, [](int second, Beats& seen) { beat(second, seen, "a"); });
  EXPECT_EQ(on.silent, (std::map<std::string, int>{{"b", 1008}}))
      << "the first sign of life comes at 1002, and 6 s are watched from then on";
  EXPECT_TRUE(on.over.empty());
}

TEST(BeatWatch, WhoBeatsIsHeardAgain) {
  Watching on;
  on.seconds(20, [](int second, Beats& seen) { beat(second, seen, "a"); });
  EXPECT_TRUE(on.heard.empty());
  ++on.seen.jobs.at("b").beat;
  on.seconds(5, [](int second, Beats& seen) { beat(second, seen, "a"); });
  EXPECT_EQ(on.heard, (std::map<std::string, int>{{"b", 1020}}));
  on.silent.clear();
  on.seconds(10, [](int second, Beats& seen) { beat(second, seen, "a"); });
  EXPECT_EQ(on.silent, (std::map<std::string, int>{{"b", 1026}})) << "the next silence is one of its own";
}

TEST(BeatWatch, NobodyIsSilentWhileNoSignOfLifeArrives) {
  Watching on;
  on.seconds(10, [](int second, Beats& seen) { beat(second, seen, "a"), beat(second, seen, "b"); });
  on.seconds(120, [](int, Beats&) {});
  EXPECT_TRUE(on.silent.empty()) << "it may be us who do not hear";
  // The first one comes back at once, the second only after some seconds.
  on.seconds(5, [](int second, Beats& seen) { beat(second, seen, "a"); });
  EXPECT_TRUE(on.silent.empty()) << "the watch begins anew";
  on.seconds(20, [](int second, Beats& seen) { beat(second, seen, "a"), beat(second, seen, "b"); });
  EXPECT_TRUE(on.silent.empty());
}

TEST(BeatWatch, NodesThatReportAreSignsOfLife) {
  Watching on;
  on.seen.jobs.erase("a");
  on.seconds(20, [](int second, Beats& seen) { seen.reports += second % 2; });
  EXPECT_EQ(on.silent.size(), 1U) << "else the only job of a dead node would never be found";
  on.silent.clear();
  on.seconds(40, [](int, Beats&) {});
  on.silent.clear();
  on.seconds(40, [](int second, Beats& seen) { seen.reports += second % 10 == 0 ? 1 : 0; });
  EXPECT_TRUE(on.silent.empty()) << "signs that come too seldom show no more than an outage would";
}

TEST(BeatWatch, NobodyIsSilentWhileTheJobApiDoesNotAnswer) {
  Watching on;
  auto change = [](int second, Beats& seen) { beat(second, seen, "a"); };
  on.seen.job_api_answers = false;
  on.seconds(60, change);
  EXPECT_TRUE(on.silent.empty());
  on.seen.job_api_answers = true;
  on.seconds(6, change);
  EXPECT_TRUE(on.silent.empty());
  on.seconds(1, change);
  EXPECT_EQ(on.silent, (std::map<std::string, int>{{"b", 1066}}));
  on.seen.job_api_answers = false;
  on.silent.clear();
  on.seconds(10, change);
  EXPECT_TRUE(on.silent.empty()) << "nor is anything judged again";
}

TEST(BeatWatch, BeginsAnewOnAnotherServerAndAfterALostConnection) {
  for (bool other_server : {true, false}) {
    Watching on;
    auto change = [](int second, Beats& seen) { beat(second, seen, "a"); };
    on.seconds(7, change);
    EXPECT_TRUE(on.silent.empty());
    if (other_server)
      on.seen.server = "two";
    else
      on.watch.begin_anew();
    on.seconds(6, change);
    EXPECT_TRUE(on.silent.empty()) << other_server;
    on.seconds(4, change);
    EXPECT_EQ(on.silent.size(), 1U) << other_server;
    // Nor does the grace go on from before.
    if (other_server)
      on.seen.server = "three";
    else
      on.watch.begin_anew();
    on.seconds(600, change);
    EXPECT_TRUE(on.over.empty()) << other_server;
  }
}

TEST(BeatWatch, AJobBeforeItsFirstBeatHasMoreTime) {
  Watching on;
  on.seen.jobs["b"] = {0, 600s, false};
  on.seconds(60, [](int second, Beats& seen) { beat(second, seen, "a"); });
  EXPECT_EQ(on.silent, (std::map<std::string, int>{{"b", 1026}}));
}

TEST(BeatWatch, WhatMayBeTakenFromASilentNode) {
  struct Case {
    const char* name;
    Beats::Job job;
    int over;  // seconds after the first look, 0: never
  };
  const std::vector<Case> cases{{"an apply, after grace and a minute", {5, 600s, true}, 661},
                                {"with a short grace", {5, 60s, true}, 121},
                                {"a plan, at once", {5, 600s, false}, 8},
                                {"an apply that never began", {0, 600s, false}, 26},
                                {"an apply where there is no grace", {5, 0s, true}, 0},
                                {"a plan where there is no grace", {5, 0s, false}, 0}};
  for (const Case& one : cases) {
    Watching on;
    on.seen.jobs["b"] = one.job;
    on.seconds(1500, [](int second, Beats& seen) { beat(second, seen, "a"); });
    EXPECT_TRUE(on.silent.contains("b")) << one.name;
    EXPECT_FALSE(on.over.contains("a")) << one.name;
    if (one.over == 0)
      EXPECT_FALSE(on.over.contains("b")) << one.name;
    else
      EXPECT_NEAR(on.over["b"], 1000 + one.over, 1) << one.name;
  }
}

TEST(BeatWatch, TheGraceRunsThroughAnOutageButEndsWithABeat) {
  Watching on;
  auto change = [](int second, Beats& seen) { beat(second, seen, "a"); };
  on.seconds(300, change);
  on.seen.job_api_answers = false;
  on.seconds(400, change);
  EXPECT_TRUE(on.over.empty()) << "nothing is judged meanwhile";
  on.seen.job_api_answers = true;
  on.seconds(5, change);
  EXPECT_TRUE(on.over.empty());
  on.seconds(5, change);
  EXPECT_TRUE(on.over.contains("b")) << "its counter stood still for more than eleven minutes";

  Watching beating;
  beating.seconds(655, change);
  ++beating.seen.jobs.at("b").beat;
  beating.seconds(655, change);
  EXPECT_TRUE(beating.over.empty());
}

TEST(BeatWatch, ForgetsJobsThatAreOver) {
  Watching on;
  auto change = [](int second, Beats& seen) { beat(second, seen, "a"); };
  on.seconds(20, change);
  on.seen.jobs.erase("b");
  on.silent.clear();
  on.seconds(20, change);
  EXPECT_TRUE(on.silent.empty());
  on.seen.jobs["b"] = {5, 600s, true};
  on.seconds(5, change);
  EXPECT_TRUE(on.silent.empty()) << "the same name is another job";
}

}  // namespace
}  // namespace terrane::run
