#include "worker/phase_process.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "net/io.h"
#include "sandbox/descriptor.h"
#include "sandbox/readable.h"
#include "shim/job_api.h"

namespace terrane::worker {
namespace {

using namespace std::chrono_literals;

constexpr auto ask_interval = 5s;

/// Tells the waiting coroutine that the process is gone. It outlives its waiter by at most that process.
struct Watch {
  explicit Watch(net::Executor executor) : changed(executor) {}
  bool gone = false;
  net::Event changed;
};

Task<> watch_process(std::shared_ptr<Watch> watch, pid_t pid) {
  sandbox::Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (process) co_await sandbox::wait_readable(process.get());
  watch->gone = true;
  watch->changed.notify();
}

// The pid of the phase's living shim, -1 when there is none.
Task<pid_t> ask(sandbox::BrokerClient& broker, std::string phase) {
  std::vector<sandbox::PhaseInfo> phases;
  std::function<Task<>()> attempt = [&]() -> Task<> { phases = co_await broker.list(); };
  co_await shim::persistently(attempt);
  for (const sandbox::PhaseInfo& info : phases) {
    if (info.phase == phase && info.shim_alive) co_return info.shim;
  }
  co_return -1;
}

}  // namespace

Task<> release_run(sandbox::BrokerClient& broker, std::string run) {
  net::Clock::time_point deadline = net::Clock::now() + 5s;
  std::function<Task<>()> attempt = [&] { return broker.release(run); };
  while (true) {
    try {
      co_await shim::persistently(attempt);
      co_return;
    } catch (const Error& failure) {
      if (failure.code() != Code::conflict || net::Clock::now() > deadline) throw;
    }
    co_await net::sleep_for(50ms);
  }
}

Task<> wait_for_shim(sandbox::BrokerClient& broker, std::string phase, pid_t pid) {
  if (pid <= 0) pid = co_await ask(broker, phase);
  if (pid <= 0) co_return;
  net::Executor executor = co_await boost::asio::this_coro::executor;
  auto watch = std::make_shared<Watch>(executor);
  net::spawn(executor, "shim watch", watch_process(watch, pid));
  while (!watch->gone) {
    bool notified = co_await watch->changed.wait_for(ask_interval);
    if (!notified && !watch->gone && co_await ask(broker, phase) != pid) co_return;
  }
}

}  // namespace terrane::worker
