#include "net/io.h"

#include <gtest/gtest.h>
#include <stdexcept>
#include <thread>

#include <boost/asio/io_context.hpp>

#include "base/error.h"

namespace terrane::net {
namespace {

using namespace std::chrono_literals;

/// Runs `task` to its end; whatever else it spawned too. Rethrows what it threw.
void run(boost::asio::io_context& context, Task<> task) {
  std::exception_ptr failure;
  spawn(context.get_executor(), std::move(task), [&](std::exception_ptr e) { failure = e; });
  context.run();
  context.restart();
  if (failure) std::rethrow_exception(failure);
}

Task<> throw_at_once() {
  throw std::runtime_error("broken");
  co_return;
}

TEST(WithDeadline, PassesTheFailureOnAtOnce) {
  boost::asio::io_context context;
  auto before = Clock::now();
  EXPECT_THROW(run(context, with_deadline(60s, "x", throw_at_once())), std::runtime_error);
  EXPECT_LT(Clock::now() - before, 10s);
}

TEST(WithDeadline, EndsWhatTakesTooLong) {
  boost::asio::io_context context;
  auto before = Clock::now();
  try {
    run(context, with_deadline(20ms, "The peer", sleep_for(60s)));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    EXPECT_EQ(error.detail(), "The peer did not answer in time.");
  }
  EXPECT_LT(Clock::now() - before, 10s);
}

TEST(WithDeadline, LetsWhatIsInTimePass) {
  boost::asio::io_context context;
  EXPECT_NO_THROW(run(context, with_deadline(60s, "x", sleep_for(1ms))));
}

Task<> note(Event& event, Clock::duration limit, std::vector<bool>& results) {
  results.push_back(co_await event.wait_for(limit));
}

TEST(Event, WakesAllWhoWait) {
  boost::asio::io_context context;
  Event event(context.get_executor());
  std::vector<bool> results;
  spawn(context.get_executor(), "a", note(event, 60s, results));
  spawn(context.get_executor(), "b", note(event, 60s, results));
  context.poll();
  EXPECT_TRUE(results.empty());
  event.notify();
  context.run();
  EXPECT_EQ(results, (std::vector<bool>{true, true}));
}

TEST(Event, TellsThatTheLimitPassedAndRemembersNothing) {
  boost::asio::io_context context;
  Event event(context.get_executor());
  std::vector<bool> results;
  event.notify();
  run(context, note(event, 1ms, results));
  EXPECT_EQ(results, std::vector<bool>{false});
}

TEST(Event, MayGoBeforeItsWaiters) {
  boost::asio::io_context context;
  auto event = std::make_unique<Event>(context.get_executor());
  std::vector<bool> results;
  spawn(context.get_executor(), "a", note(*event, 5ms, results));
  context.poll();
  event.reset();
  context.run();
  EXPECT_EQ(results, std::vector<bool>{false});
}

TEST(Stop, IsRemembered) {
  boost::asio::io_context context;
  Stop stop(context.get_executor());
  stop.request();
  bool result = false;
  auto ask = [](Stop& asked, bool& into) -> Task<> { into = co_await asked.wait_for(60s); };
  run(context, ask(stop, result));
  EXPECT_TRUE(result);
}

Task<> block(std::function<void()> work) { co_await blocking(std::move(work)); }

TEST(Blocking, RunsElsewhereAndPassesFailuresOn) {
  boost::asio::io_context context;
  std::thread::id there;
  run(context, block([&there] { there = std::this_thread::get_id(); }));
  EXPECT_TRUE(there != std::thread::id() && there != std::this_thread::get_id());
  EXPECT_THROW(run(context, block([] { throw Error(Code::conflict, "no"); })), Error);
}

}  // namespace
}  // namespace terrane::net
