#include "postgres/duty.h"

#include "base/error.h"
#include "base/log.h"
#include "postgres/listener.h"

namespace terrane::postgres {
namespace {

constexpr std::chrono::milliseconds look_interval{500};
constexpr std::chrono::seconds pause_after_failure{1};
constexpr std::chrono::seconds moment{2};  // of work without the lock

/// One time of work, or of waiting for it.
struct Term {
  explicit Term(net::Executor executor) : stop(executor) {}
  net::Stop stop;
  bool ended = false;
};

/// Stops a term when `stop` is requested or `goes_on` says no; `wake` may be empty.
Task<> watch(std::shared_ptr<Term> term, net::Stop& stop, std::function<bool()> goes_on,
             std::function<void()> wake) {
  while (!term->ended && !stop.requested() && goes_on()) co_await stop.wait_for(look_interval);
  if (term->ended) co_return;
  term->stop.request();
  if (wake) wake();
}

std::function<bool()> until(net::Clock::duration from_now) {
  return [end = net::Clock::now() + from_now] { return net::Clock::now() < end; };
}

}  // namespace

struct Duty::Impl {
  net::Executor executor;
  std::string url;
  std::int64_t key;
  bool locked;
  Work work;
  std::function<void()> wake;
  std::chrono::milliseconds patience;
  std::shared_ptr<AdvisoryLock> lock{};  // while it runs

  std::shared_ptr<Term> begin_term(net::Stop& stop, std::function<bool()> goes_on,
                                   std::function<void()> at_stop = {}) const {
    auto term = std::make_shared<Term>(executor);
    net::spawn(executor, "watch over a duty", watch(term, stop, std::move(goes_on), std::move(at_stop)));
    return term;
  }

  /// Waits for the lock, at most as long as the patience lasts. Returns what the work rests on.
  Task<std::function<bool()>> take(net::Stop& stop) {
    if (!lock) co_return [] { return true; };
    std::shared_ptr<Term> waiting = begin_term(stop, until(patience));
    const bool held = co_await lock->acquire(waiting->stop);
    waiting->ended = true;
    if (!held) co_return until(moment);
    co_return [of = lock] { return of->held(); };
  }

  Task<> do_work(Term& term) {
    bool failed = false;
    try {
      co_await work(term.stop);
    } catch (...) {
      log::error("a duty ended by an exception and begins again", {{"error", current_exception_text()}});
      failed = true;
    }
    if (failed) co_await term.stop.wait_for(pause_after_failure);
    term.ended = true;
  }
};

Duty::Duty(net::Executor executor, std::string url, std::int64_t key, bool locked, Work work,
           std::function<void()> wake, std::chrono::milliseconds patience)
    : impl_(std::make_shared<Impl>(
          Impl{executor, std::move(url), key, locked, std::move(work), std::move(wake), patience})) {}

Task<> Duty::run(net::Stop& stop) {
  std::shared_ptr<Impl> self = impl_;
  if (self->locked) self->lock = std::make_shared<AdvisoryLock>(self->executor, self->url, self->key);
  while (!stop.requested()) {
    std::function<bool()> goes_on = co_await self->take(stop);
    if (stop.requested()) break;
    std::shared_ptr<Term> term = self->begin_term(stop, std::move(goes_on), self->wake);
    co_await self->do_work(*term);
  }
  self->lock.reset();
}

}  // namespace terrane::postgres
