// Who tells a shim to beat at once, and what then happens.
#include "shim/wake.h"

#include <gtest/gtest.h>

#include "shim/pulse.h"
#include "shim/testing/phase_fixture.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;
using worker_protocol::Wish;

class WakeTest : public PhaseTest {
 protected:
  void SetUp() override { make(); }
  void listen() {
    listen_for_wakes(context_.get_executor(), *spool_, [this] { ++woken_; });
    context_.poll();
  }
  int woken_ = 0;
};

TEST_F(WakeTest, IsHeardEachTime) {
  listen();
  for (int i = 0; i < 3; ++i) {
    const int before = woken_;
    wake_shim(*spool_);
    EXPECT_TRUE(until([&] { return woken_ > before; })) << i;
  }
  // As many as nobody has read are one.
  const int before = woken_;
  for (int i = 0; i < 100'000; ++i) wake_shim(*spool_);
  EXPECT_TRUE(until([&] { return woken_ > before; }));
  EXPECT_LT(woken_, before + 1000);
}

TEST_F(WakeTest, OfNobodyHarmsNothing) {
  wake_shim(*spool_);
  EXPECT_FALSE(std::filesystem::exists(spool_->wake_file())) << "a shim of before has no pipe";
  {
    boost::asio::io_context gone(1);
    listen_for_wakes(gone.get_executor(), *spool_, [] {});
    gone.poll();
  }
  wake_shim(*spool_);  // the pipe of a dead shim
  listen();
  EXPECT_EQ(woken_, 0);
  wake_shim(*spool_);
  EXPECT_TRUE(until([&] { return woken_ == 1; })) << "the next one takes the same pipe";
  spool_->remove();
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  wake_shim(*spool_);
}

TEST_F(WakeTest, LeadsToABeatAtOnceThatCarriesTheWish) {
  Ender ender(context_.get_executor(), 1s, [](std::string_view) {});
  Pulse pulse(context_.get_executor(), *api_, {"job-1", "lease-1"}, 0s, ender);
  listen_for_wakes(context_.get_executor(), *spool_, [&] { pulse.look(); });
  ASSERT_TRUE(until([&] { return fake_.get("job-1").beats == 1; }));
  const auto began = std::chrono::steady_clock::now();
  for (int i = 2; i <= 9; ++i) {
    wake_shim(*spool_);
    ASSERT_TRUE(until([&] { return fake_.get("job-1").beats >= i; }));
  }
  fake_.with("job-1", [](FakeJob& job) { job.wish = Wish::cancel; });
  wake_shim(*spool_);
  EXPECT_TRUE(until([&] { return ender.cause() == Cause::canceled; }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 15s) << "nine beats of their own would take 18 s";
}

}  // namespace
}  // namespace terrane::shim
