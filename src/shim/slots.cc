#include "shim/slots.h"

#include "base/error.h"
#include "base/log.h"

namespace terrane::shim {
namespace {

constexpr std::size_t few = 4;  // fewer than these: ask, because a phase's end may need three at once
constexpr std::size_t batch = 8;

}  // namespace

struct Slots::Impl {
  Impl(net::Executor ex, JobApi& job_api, Lease of, std::vector<worker_protocol::Slot> given)
      : executor(ex), api(job_api), lease(std::move(of)), slots(std::move(given)), changed(ex) {}

  static void refill(const std::shared_ptr<Impl>& self) {
    if (self->asking || self->stopped || self->slots.size() >= few) return;
    self->asking = true;
    net::spawn(self->executor, "slots", ask(self));
  }

  static Task<> ask(std::shared_ptr<Impl> self) {
    try {
      std::vector<worker_protocol::Slot> more;
      std::function<Task<>()> attempt = [&]() -> Task<> {
        more = co_await self->api.slots(self->lease, batch);
      };
      co_await persistently(attempt, [&self] { return self->stopped; });
      for (worker_protocol::Slot& slot : more) self->slots.push_back(std::move(slot));
    } catch (const Error& failure) {
      self->failure = std::current_exception();
      log::warn("no more objects are given for the phase",
                {{"job", self->lease.job}, {"error", failure.what()}});
    }
    self->asking = false;
    self->changed.notify();
  }

  net::Executor executor;
  JobApi& api;
  Lease lease;
  std::vector<worker_protocol::Slot> slots;
  bool asking = false;
  bool stopped = false;
  std::exception_ptr failure;
  net::Event changed;
};

Slots::Slots(net::Executor executor, JobApi& api, Lease lease, std::vector<worker_protocol::Slot> slots)
    : impl_(std::make_shared<Impl>(executor, api, std::move(lease), std::move(slots))) {}

Slots::~Slots() { impl_->stopped = true; }

std::optional<worker_protocol::Slot> Slots::take(std::size_t reserve) {
  std::optional<worker_protocol::Slot> taken;
  if (impl_->slots.size() > reserve) {
    taken = std::move(impl_->slots.back());
    impl_->slots.pop_back();
  }
  Impl::refill(impl_);
  return taken;
}

Task<worker_protocol::Slot> Slots::wait() {
  std::shared_ptr<Impl> self = impl_;
  while (true) {
    if (std::optional<worker_protocol::Slot> slot = take(0)) co_return *std::move(slot);
    if (self->failure) std::rethrow_exception(self->failure);
    co_await self->changed.wait_for(std::chrono::seconds(2));
  }
}

}  // namespace terrane::shim
