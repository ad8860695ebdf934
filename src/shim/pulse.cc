#include "shim/pulse.h"

#include "base/error.h"
#include "base/log.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;

constexpr auto beat_interval = 2s;
constexpr auto first_retry = 100ms;

}  // namespace

struct Pulse::Impl {
  Impl(net::Executor executor, JobApi& job_api, Lease of, std::chrono::seconds patience, Ender phase)
      : api(job_api), lease(std::move(of)), grace(patience), ender(std::move(phase)), changed(executor) {}

  static Task<> beat(std::shared_ptr<Impl> self);
  static Task<> watch_silence(std::shared_ptr<Impl> self);
  void obey(worker_protocol::Wish wish);

  JobApi& api;
  Lease lease;
  std::chrono::milliseconds grace;
  Ender ender;
  net::Clock::time_point confirmed = net::Clock::now();  // when the last confirmed beat was sent
  bool any = false;
  bool look = false;  // a beat is wanted before its time
  bool stopped = false;
  bool closed = false;
  net::Event changed;
};

void Pulse::Impl::obey(worker_protocol::Wish wish) {
  if (wish == worker_protocol::Wish::cancel) ender.interrupt(Cause::canceled);
  if (wish == worker_protocol::Wish::force_cancel) ender.kill(Cause::forced);
}

Task<> Pulse::Impl::beat(std::shared_ptr<Impl> self) {
  net::Clock::duration retry = first_retry;
  for (std::int64_t counter = 1; !self->stopped; ++counter) {
    net::Clock::time_point sent = net::Clock::now();
    net::Clock::duration pause = beat_interval;
    // A wake from now on may be about something that this beat does not see.
    self->look = false;
    try {
      worker_protocol::Wish wish = co_await self->api.beat(self->lease, counter);
      self->confirmed = sent;
      self->any = true;
      retry = first_retry;
      if (!self->stopped) self->obey(wish);
    } catch (const Error& failure) {
      if (failure.code() == Code::conflict) {
        log::warn("the lease is closed", {{"job", self->lease.job}});
        self->closed = self->stopped = true;
        self->ender.interrupt(Cause::lease_closed);
      }
      pause = std::exchange(retry, std::min<net::Clock::duration>(retry * 2, beat_interval));
    }
    self->changed.notify();
    net::Clock::time_point next = sent + pause;
    while (!self->stopped && !self->look && net::Clock::now() < next)
      co_await self->changed.wait_for(next - net::Clock::now());
  }
}

// The times leave the engine room to save its state before the kill, and the kill before the lock is given
// free.
Task<> Pulse::Impl::watch_silence(std::shared_ptr<Impl> self) {
  std::chrono::milliseconds interrupt_at =
      self->grace - std::min<std::chrono::milliseconds>(3min, self->grace * 3 / 10);
  std::chrono::milliseconds kill_at =
      self->grace - std::min<std::chrono::milliseconds>(1min, self->grace / 10);
  while (!self->stopped) {
    net::Clock::time_point now = net::Clock::now();
    if (now >= self->confirmed + kill_at) {
      self->ender.kill(Cause::silence);
      co_return;
    }
    if (now >= self->confirmed + interrupt_at) self->ender.interrupt(Cause::silence);
    net::Clock::time_point next =
        self->confirmed + (now >= self->confirmed + interrupt_at ? kill_at : interrupt_at);
    co_await self->changed.wait_for(next - now);
  }
}

Pulse::Pulse(net::Executor executor, JobApi& api, Lease lease, std::chrono::seconds grace, Ender ender)
    : impl_(std::make_shared<Impl>(executor, api, std::move(lease), grace, std::move(ender))) {
  net::spawn(executor, "beats", Impl::beat(impl_));
  if (grace.count() > 0) net::spawn(executor, "silence", Impl::watch_silence(impl_));
}

Pulse::~Pulse() {
  impl_->stopped = true;
  impl_->changed.notify();
}

void Pulse::look() {
  impl_->look = true;
  impl_->changed.notify();
}

Task<bool> Pulse::first() {
  std::shared_ptr<Impl> self = impl_;
  while (!self->any && !self->closed) co_await self->changed.wait_for(10s);
  co_return self->any;
}

}  // namespace terrane::shim
