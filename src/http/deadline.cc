#include "http/deadline.h"

#include <boost/asio/steady_timer.hpp>

namespace terrane::http {

using net::Clock;

struct Deadlines::Timer {
  explicit Timer(net::Executor executor) : timer(std::move(executor)) {}
  boost::asio::steady_timer timer;
};

Deadlines::Deadlines(net::Executor executor) : timer_(std::make_unique<Timer>(std::move(executor))) {}
Deadlines::~Deadlines() = default;

void Deadlines::arm(Clock::time_point at) {
  armed_ = at;
  timer_->timer.expires_at(at);
  timer_->timer.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    auto self = weak.lock();
    if (self && !aborted) self->fire();
  });
}

void Deadlines::fire() {
  Clock::time_point now = Clock::now();
  // A handler that was already due when the timer was armed anew comes without an error.
  if (armed_ > now) return;
  armed_ = Clock::time_point::max();
  Clock::time_point next = Clock::time_point::max();
  for (Entry* entry : entries_) {
    if (entry->at_ <= now) {
      entry->at_ = Clock::time_point::max();
      entry->expired_ = true;
      entry->expire_();
    }
    next = std::min(next, entry->at_);
  }
  if (next != Clock::time_point::max()) arm(next);
}

void Deadlines::rest() {
  for (Entry* entry : entries_) {
    if (entry->at_ != Clock::time_point::max()) return;
  }
  armed_ = Clock::time_point::max();
  timer_->timer.cancel();
}

Deadlines::Entry::Entry(std::shared_ptr<Deadlines> owner, std::function<void()> expire)
    : owner_(std::move(owner)), expire_(std::move(expire)) {
  owner_->entries_.insert(this);
}

Deadlines::Entry::~Entry() {
  owner_->entries_.erase(this);
  if (owner_->entries_.empty()) owner_->rest();
}

void Deadlines::Entry::set(Clock::duration after) {
  expired_ = false;
  at_ = Clock::now() + after;
  if (at_ < owner_->armed_) owner_->arm(at_);
}

}  // namespace terrane::http
