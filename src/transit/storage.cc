#include "transit/storage.h"

#include <algorithm>

#include "base/error.h"

namespace terrane::transit {

void MemoryStorage::check() const {
  if (away_) throw Error(Code::unavailable, "The vault's storage is away.");
}

void MemoryStorage::check_write() {
  check();
  if (!writes_left_) return;
  if (*writes_left_ == 0) throw Error(Code::unavailable, "The vault's storage is away.");
  --*writes_left_;
}

Task<std::optional<std::string>> MemoryStorage::get(std::string path) {
  check();
  auto found = rows_.find(path);
  if (found == rows_.end()) co_return std::nullopt;
  co_return found->second;
}

Task<std::vector<std::string>> MemoryStorage::list(std::string prefix) {
  check();
  std::vector<std::string> paths;
  for (auto row = rows_.lower_bound(prefix); row != rows_.end() && row->first.starts_with(prefix); ++row) {
    paths.push_back(row->first);
  }
  co_return paths;
}

Task<bool> MemoryStorage::put(std::string path, std::string value, std::optional<std::string> expected) {
  check_write();
  auto found = rows_.find(path);
  if (expected ? (found == rows_.end() || found->second != *expected) : found != rows_.end()) co_return false;
  rows_[std::move(path)] = std::move(value);
  co_return true;
}

Task<bool> MemoryStorage::erase(std::string path, std::string expected) {
  check_write();
  auto found = rows_.find(path);
  if (found == rows_.end() || found->second != expected) co_return false;
  rows_.erase(found);
  co_return true;
}

Task<bool> MemoryStorage::insert_all(std::vector<std::pair<std::string, std::string>> entries) {
  check_write();
  bool taken = std::any_of(entries.begin(), entries.end(),
                           [this](const auto& entry) { return rows_.contains(entry.first); });
  if (taken) co_return false;
  for (auto& [path, value] : entries) rows_[std::move(path)] = std::move(value);
  co_return true;
}

}  // namespace terrane::transit
