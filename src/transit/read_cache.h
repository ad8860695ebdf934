#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/task.h"
#include "net/io.h"

namespace terrane::transit {

/// Values of the storage in memory. A value younger than `fresh` is given as it is, an older one is read
/// again; while the storage is away, or another coroutine reads already, the held value serves up to the age
/// `stale`. Absence is never held. One executor.
template <class T>
class ReadCache {
 public:
  using Pointer = std::shared_ptr<const T>;
  using Load = std::function<Task<Pointer>()>;
  using Clock = net::Clock;

  ReadCache(Clock::duration fresh, Clock::duration stale, std::size_t limit)
      : fresh_(fresh), stale_(stale), limit_(limit) {}

  /// The value under `key`, null when there is none. Suspends when it has to read; throws what `load` throws
  /// when nothing is held.
  Task<Pointer> get(std::string key, Load load) {
    auto found = entries_.find(key);
    if (found != entries_.end()) {
      Entry& entry = found->second;
      Clock::time_point time = Clock::now();
      bool usable = time - entry.checked <= stale_;
      if (time - entry.checked <= fresh_) co_return entry.value;
      if (usable && (entry.reading || time < entry.retry_at)) co_return entry.value;
    }
    co_return co_await read(std::move(key), std::move(load));
  }

  /// Reads again whatever is held. The held value serves when the storage is away.
  Task<Pointer> read(std::string key, Load load) {
    std::uint64_t seen = changes_;
    mark_reading(key, true);
    std::exception_ptr failure;
    Pointer value;
    try {
      value = co_await load();
    } catch (...) {
      failure = std::current_exception();
    }
    mark_reading(key, false);
    if (failure) co_return held_or_rethrow(key, failure);
    // A write that happened meanwhile may be newer than what was read: then this value is for this caller
    // only.
    if (seen == changes_) keep(key, value);
    co_return value;
  }

  /// Holds a value that was just written.
  void store(const std::string& key, Pointer value) {
    ++changes_;
    keep(key, std::move(value));
  }

  void erase(const std::string& key) {
    ++changes_;
    entries_.erase(key);
  }

  void clear() {
    ++changes_;
    entries_.clear();
  }

  template <class Visitor>
  void for_each(Visitor visitor) const {
    for (const auto& [key, entry] : entries_) visitor(key, entry.value);
  }

 private:
  struct Entry {
    Pointer value;
    Clock::time_point checked;
    Clock::time_point retry_at;
    bool reading = false;
  };

  void mark_reading(const std::string& key, bool reading) {
    auto found = entries_.find(key);
    if (found != entries_.end()) found->second.reading = reading;
  }

  Pointer held_or_rethrow(const std::string& key, const std::exception_ptr& failure) {
    auto found = entries_.find(key);
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      if (error.code() != Code::unavailable || found == entries_.end()) throw;
      Clock::time_point time = Clock::now();
      if (time - found->second.checked > stale_) throw;
      found->second.retry_at = time + std::chrono::seconds(1);
      return found->second.value;
    }
  }

  void keep(const std::string& key, Pointer value) {
    if (!value) {
      entries_.erase(key);
      return;
    }
    if (entries_.size() >= limit_ && !entries_.contains(key)) drop_oldest();
    Entry& entry = entries_[key];
    entry.value = std::move(value);
    entry.checked = Clock::now();
    entry.retry_at = {};
  }

  void drop_oldest() {
    auto oldest = entries_.begin();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->second.checked < oldest->second.checked) oldest = entry;
    }
    if (oldest != entries_.end()) entries_.erase(oldest);
  }

  Clock::duration fresh_;
  Clock::duration stale_;
  std::size_t limit_;
  std::uint64_t changes_ = 0;
  std::map<std::string, Entry> entries_;
};

}  // namespace terrane::transit
