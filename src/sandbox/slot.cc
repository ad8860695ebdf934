#include "sandbox/slot.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "sandbox/seccomp.h"

namespace terrane::sandbox {

using namespace std::chrono_literals;

namespace {

// Making a slot takes some 40 ms of a processor, which the run for which one was taken would miss. So it is
// done when no slot has been taken for a moment, and at once only when few are left.
constexpr auto rest = 1s;
constexpr std::size_t few = 1;

}  // namespace

SlotPool::SlotPool(net::Executor executor, const Cgroups& cgroups, HoldPlan plan, NetworkMaker networks,
                   std::size_t size)
    : cgroups_(cgroups),
      plan_(std::move(plan)),
      networks_(std::move(networks)),
      size_(size),
      filter_(seccomp_program()),
      taken_(std::move(executor)) {}

Task<Slot> SlotPool::make(bool network) {
  Slot slot;
  if (network) {
    slot.network = co_await networks_.make();
  } else {
    slot.network = make_loopback_network();
  }
  slot.name = "s" + random_id_suffix();
  try {
    slot.cgroups = cgroups_.create(slot.name);
    HoldPlan plan = plan_;
    plan.filter = filter_.get();
    plan.shim_cgroups = slot.cgroups.shim;
    plan.run_cgroups = slot.cgroups.run;
    plan.network = slot.network.space.get();
    plan.keep = slot.network.keep.get();
    slot.shim = hold_shim(plan);
  } catch (...) {
    cgroups_.remove(cgroups_.of(slot.name));
    throw;
  }
  // From now on only the sandbox keeps its network alive.
  slot.network.keep.reset();
  co_return slot;
}

Task<> SlotPool::run(net::Stop& stop) {
  std::chrono::milliseconds pause = 1s;
  while (!stop.requested()) {
    bool failed = false;
    try {
      while (ready_.size() < size_ && !stop.requested()) {
        Slot slot = co_await make(true);
        ready_.push_back(std::move(slot));
      }
    } catch (const Error& error) {
      log::error("a slot for phases could not be made", {{"error", error.what()}});
      failed = true;
    }
    sweep();
    if (failed) {
      co_await stop.wait_for(pause);
      pause = std::min<std::chrono::milliseconds>(pause * 2, 60s);
      continue;
    }
    pause = 1s;
    bool taken = co_await taken_.wait_for(discarded_.empty() ? 5s : 1s);
    while (taken && ready_.size() > few && !stop.requested()) taken = co_await taken_.wait_for(rest);
    // First let the phase start for which a slot was taken.
    if (taken) co_await stop.wait_for(200ms);
  }
}

Task<Slot> SlotPool::take(bool network) {
  while (network && !ready_.empty()) {
    Slot slot = std::move(ready_.front());
    ready_.pop_front();
    taken_.notify();
    if (networks_.intact(slot.network) && still_waits(slot.shim)) co_return slot;
    discard(std::move(slot));
  }
  co_return co_await make(network);
}

void SlotPool::discard(Slot slot) {
  slot.shim.shim_link.reset();
  slot.shim.launcher_link.reset();
  discarded_.push_back(std::move(slot));
  sweep();
}

void SlotPool::sweep() {
  std::vector<Slot> left;
  for (Slot& slot : discarded_) {
    kill_processes(slot.cgroups.run);
    if (slot.shim.pid > 0) kill(slot.shim.pid, SIGKILL);
    if (slot.shim.pid > 0 && waitpid(slot.shim.pid, nullptr, WNOHANG) != 0) slot.shim.pid = -1;
    if (slot.shim.pid > 0 || !cgroups_.remove(slot.cgroups)) left.push_back(std::move(slot));
  }
  discarded_ = std::move(left);
}

Task<> SlotPool::close() {
  while (!ready_.empty()) {
    discard(std::move(ready_.front()));
    ready_.pop_front();
  }
  for (int i = 0; i < 100 && !discarded_.empty(); ++i) {
    co_await net::sleep_for(10ms);
    sweep();
  }
}

}  // namespace terrane::sandbox
