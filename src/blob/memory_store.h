#pragma once
#include <map>

#include "blob/store.h"

namespace terrane::blob {

/// A store in memory with the same promises but durability, for tests.
class MemoryStore : public Store {
 public:
  Task<std::unique_ptr<Writer>> create(std::string name) override;
  Task<std::unique_ptr<Reader>> open(std::string name, std::uint64_t offset = 0) override;
  Task<std::optional<std::uint64_t>> size(std::string name) override;
  Task<> remove(std::string name) override;
  Task<std::vector<std::string>> list(std::string prefix, std::string after, std::size_t limit) override;
  Task<std::uint64_t> append(std::string name, std::uint64_t position, std::string bytes) override;
  Task<std::uint64_t> log_size(std::string name) override;
  Task<> seal_log(std::string name) override;

  /// Everything that is stored, for tests that look at the bytes or damage them.
  struct Entry {
    std::string bytes;
    bool sealed = false;
  };
  std::map<std::string, Entry>& entries() noexcept { return entries_; }

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace terrane::blob
