// Log and states on their way to the control plane.
#include <fstream>
#include <gmock/gmock.h>

#include "base/error.h"
#include "sealed/header.h"
#include "shim/durable.h"
#include "shim/log_shipper.h"
#include "shim/slots.h"
#include "shim/state_keeper.h"
#include "shim/testing/phase_fixture.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class ShippingTest : public PhaseTest {
 protected:
  LogShipper shipper(std::uint64_t limit = LogShipper::default_limit) {
    return LogShipper(context_.get_executor(), *api_, *spool_, {job_.log.key, job_.log.wrapped}, limit);
  }
  /// Bytes of records in the spooled log.
  std::size_t spooled_records() {
    std::string bytes = *read_file(spool_->log_file(), 1 << 24);
    std::optional<sealed::Header> header = sealed::parse_header(bytes);
    return header ? bytes.size() - header->size() : 0;
  }
};

TEST_F(ShippingTest, ALogHasItsMarksAtItsEnds) {
  make();
  LogShipper log = shipper();
  log.write("one\ntwo");
  log.say("three");
  log.write(std::string("a\x02z\x03\n"));
  ASSERT_TRUE(until([&] { return fake_.log_text("job-1") == "\x02one\ntwo\nthree\na z \n"; }))
      << fake_.log_text("job-1");
  log.close();
  EXPECT_EQ(fake_.log_text("job-1").back(), '\n') << "the end is not shown before it is asked for";
  EXPECT_TRUE(read_file(spool_->log_end_file(), 1000));
  run(log.finish());
  EXPECT_EQ(fake_.log_text("job-1"), "\x02one\ntwo\nthree\na z \n\x03");
  log.write("late");
  EXPECT_EQ(fake_.get("job-1").log, *read_file(spool_->log_file(), 100000))
      << "spool and upload are the same bytes";
}

TEST_F(ShippingTest, ALaterSegmentHasNoBeginning) {
  make(2);
  LogShipper log = shipper();
  log.write("again");
  log.close();
  run(log.finish());
  EXPECT_EQ(fake_.log_text("job-1"), "again\x03");
}

TEST_F(ShippingTest, AnEndlessLogIsCutAndSaysSo) {
  make();
  LogShipper log = shipper(3 << 20);
  std::string line(100, 'x');
  line.back() = '\n';
  for (int i = 0; i < 60'000; ++i) log.write(line);
  log.say("a line of ours");
  log.close();
  run(log.finish());
  std::string text = fake_.log_text("job-1");
  EXPECT_LT(text.size(), (3u << 20) + 500);
  EXPECT_GE(text.size(), 3u << 20);
  EXPECT_THAT(text.substr(3 << 20), testing::AllOf(HasSubstr("The log exceeds its limit of 3 MiB."),
                                                   HasSubstr("a line of ours\n\x03")));
}

TEST_F(ShippingTest, WhatTheOtherSideLostIsSentAgain) {
  make();
  LogShipper log = shipper();
  log.write("first");
  ASSERT_TRUE(until([&] {
    return fake_.log_text("job-1") ==
           "\x02"
           "first";
  }));
  fake_.with("job-1", [](FakeJob& job) { job.log.resize(job.log.size() / 2); });
  log.write(" second");
  ASSERT_TRUE(until([&] {
    return fake_.log_text("job-1") ==
           "\x02"
           "first second";
  }));
}

TEST_F(ShippingTest, AnOutageDelaysTheLog) {
  make();
  LogShipper log = shipper();
  fake_.set_outage(true);
  log.write("written while nobody answers");
  EXPECT_TRUE(until([&] { return spooled_records() > 0; }));
  EXPECT_EQ(fake_.get("job-1").log, "");
  fake_.set_outage(false);
  EXPECT_TRUE(until([&] { return fake_.log_text("job-1") == "\x02written while nobody answers"; }));
}

TEST_F(ShippingTest, AClosedLeaseEndsTheLog) {
  make();
  LogShipper log = shipper();
  fake_.with("job-1", [](FakeJob& job) { job.closed = true; });
  log.write("unwanted");
  log.close();
  try {
    run(log.finish());
    ADD_FAILURE() << "a closed lease took the log";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code(), Code::conflict);
  }
  EXPECT_GT(spooled_records(), 0u) << "the spool has it";
}

TEST_F(ShippingTest, ASegmentIsShippedFromWhereItStopped) {
  make();
  std::string sealed;
  {
    LogShipper log = shipper();
    log.write(std::string(2'500'000, 'x'));
    log.close();
    run(log.finish());
    sealed = fake_.get("job-1").log;
  }
  for (std::size_t size : {std::size_t{0}, sealed.size() / 2, sealed.size()}) {
    fake_.with("job-1", [&](FakeJob& job) { job.log.resize(size); });
    run(ship_segment(*api_, {"job-1", "lease-1"}, 1, spool_->log_file(), sealed.size()));
    EXPECT_EQ(fake_.get("job-1").log, sealed);
  }
}

class StateShippingTest : public ShippingTest {
 protected:
  void begin(std::optional<StateFacts> known = {}) {
    make();
    state_ = directory_.path() / "run" / spool_->meta().state_file;
    std::filesystem::create_directories(state_.parent_path());
    slots_.emplace(context_.get_executor(), *api_, Lease{"job-1", "lease-1"}, job_.slots);
    keeper_.emplace(context_.get_executor(), *api_, *slots_, *spool_,
                    std::make_shared<RunFiles>(directory_.path() / "run"), known, 64 << 20);
  }
  static std::string text(int serial, const std::string& more = "") {
    return R"({"version":4,"serial":)" + std::to_string(serial) + R"(,"lineage":"l")" + more + "}";
  }
  void write(const std::string& content) { std::ofstream(state_) << content; }
  std::size_t taken() { return fake_.get("job-1").states.size(); }

  std::filesystem::path state_;
  std::optional<Slots> slots_;
  std::optional<StateKeeper> keeper_;
};

TEST_F(StateShippingTest, EachCompleteStateIsSentAtOnceAndTheLastOneAtTheEnd) {
  begin();
  keeper_->watch();
  write(text(1).substr(0, 20));  // in the middle of being written
  write(text(1));
  ASSERT_TRUE(until([&] { return taken() == 1; }));
  EXPECT_TRUE(fake_.get("job-1").states[0].intermediate);
  EXPECT_EQ(fake_.plaintext("job-1", fake_.get("job-1").states[0].object), text(1));
  write(text(2));
  run(keeper_->take_last());
  run(keeper_->sent());
  std::vector<worker_protocol::State> states = fake_.get("job-1").states;
  EXPECT_EQ(states.back().serial, 2);
  EXPECT_FALSE(states.back().intermediate);
  EXPECT_TRUE(spool_->states().empty());
  EXPECT_EQ(spool_->acknowledged()->serial, 2);
}

TEST_F(StateShippingTest, AnIntermediateStateThatWasTheLastIsSettled) {
  begin();
  keeper_->watch();
  write(text(1));
  ASSERT_TRUE(until([&] { return taken() == 1; }));
  run(keeper_->take_last());
  run(keeper_->sent());
  std::vector<worker_protocol::State> states = fake_.get("job-1").states;
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[0].object, states[1].object);
  EXPECT_FALSE(states[1].intermediate);
}

TEST_F(StateShippingTest, TheStateThatThePhaseBeganWithIsNotSentAgain) {
  begin(StateFacts{"l", "", 5, 0});
  write(text(5));
  std::optional<StateFacts> facts =
      read_state(RunFiles(directory_.path() / "run").open(spool_->meta().state_file)->get());
  keeper_.emplace(context_.get_executor(), *api_, *slots_, *spool_,
                  std::make_shared<RunFiles>(directory_.path() / "run"), facts, 64 << 20);
  run(keeper_->take_last());
  run(keeper_->sent());
  EXPECT_EQ(taken(), 0u);
}

TEST_F(StateShippingTest, AForeignOrOlderOrHalfStateIsNotTaken) {
  begin(StateFacts{"l", "", 5, 0});
  for (const std::string& content : {text(4), std::string(R"({"version":4,"serial":6,"lineage":"other"})"),
                                     text(6).substr(0, 30), std::string()}) {
    write(content);
    run(keeper_->take_last());
  }
  run(keeper_->sent());
  EXPECT_EQ(taken(), 0u);
  EXPECT_TRUE(spool_->states().empty());
}

TEST_F(StateShippingTest, InAnOutageTheNewestWinsAndOnlyTwoWait) {
  begin();
  fake_.set_outage(true);
  keeper_->watch();
  for (int serial = 1; serial <= 4; ++serial) {
    write(text(serial));
    ASSERT_TRUE(until([&] {
      std::vector<SpooledState> states = spool_->states();
      return !states.empty() && (states.back().state.serial == serial || serial > 4);
    })) << serial;
    EXPECT_TRUE(until([&] { return spool_->states().size() <= 2; }));
  }
  fake_.set_outage(false);
  run(keeper_->take_last());
  run(keeper_->sent());
  std::vector<worker_protocol::State> states = fake_.get("job-1").states;
  EXPECT_EQ(states.back().serial, 4);
  EXPECT_FALSE(states.back().intermediate);
  EXPECT_LE(states.size(), 3u);
}

TEST_F(StateShippingTest, ALinkInPlaceOfTheStateIsNotFollowed) {
  begin();
  std::ofstream(directory_.path() / "secret") << text(9, R"(,"secret":true)");
  std::filesystem::create_symlink(directory_.path() / "secret", state_);
  run(keeper_->take_last());
  run(keeper_->sent());
  EXPECT_EQ(taken(), 0u);
}

TEST_F(StateShippingTest, SlotsAreAskedForWhenTheyRunShort) {
  begin();
  std::set<std::string> objects;
  std::function<Task<>()> take = [&]() -> Task<> {
    for (int i = 0; i < 20; ++i) objects.insert((co_await slots_->wait()).object);
  };
  run(take());
  EXPECT_EQ(objects.size(), 20u) << "no object is given twice";
  EXPECT_FALSE(slots_->take(1000));
}

}  // namespace
}  // namespace terrane::shim
