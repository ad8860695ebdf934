#include "archivist/keys.h"

namespace terrane::archivist {
namespace {

constexpr std::size_t key_limit = 256;
constexpr auto key_life = std::chrono::minutes(5);

}  // namespace

Task<Secret> KeyCache::unwrap(std::string wrapped) {
  auto found = by_wrapped_.find(wrapped);
  if (found != by_wrapped_.end()) {
    std::list<Entry>::iterator entry = found->second;
    if (entry->until > net::Clock::now()) {
      entries_.splice(entries_.begin(), entries_, entry);
      co_return entry->key;
    }
    by_wrapped_.erase(found);
    entries_.erase(entry);
  }
  Secret key = co_await vault_.decrypt(transit_key, wrapped);
  remember(std::move(wrapped), key);
  co_return key;
}

void KeyCache::remember(std::string wrapped, Secret key) {
  if (by_wrapped_.contains(wrapped)) return;  // somebody asked at the same time
  while (entries_.size() >= key_limit) {
    by_wrapped_.erase(entries_.back().wrapped);
    entries_.pop_back();
  }
  entries_.push_front({wrapped, std::move(key), net::Clock::now() + key_life});
  by_wrapped_.emplace(std::move(wrapped), entries_.begin());
}

}  // namespace terrane::archivist
