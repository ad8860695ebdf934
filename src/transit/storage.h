#pragma once
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/task.h"

namespace terrane::transit {

/// Where the vault keeps its rows: sealed bytes under a path. Every write is a compare-and-set, because two
/// vaults may run over one storage. All verbs suspend and throw Error{unavailable} when the storage is away;
/// a write may then have happened.
class Storage {
 public:
  virtual ~Storage() = default;
  /// The value, nothing when there is no such path.
  virtual Task<std::optional<std::string>> get(std::string path) = 0;
  /// All paths that begin with `prefix`, ascending.
  virtual Task<std::vector<std::string>> list(std::string prefix) = 0;
  /// Writes if the path still holds `expected` (nothing: if it is not there). Returns whether it wrote.
  virtual Task<bool> put(std::string path, std::string value, std::optional<std::string> expected) = 0;
  /// Removes the path if it still holds `expected`. Returns whether it did.
  virtual Task<bool> erase(std::string path, std::string expected) = 0;
  /// Writes all entries if none of their paths is there, else nothing. Returns whether it wrote.
  virtual Task<bool> insert_all(std::vector<std::pair<std::string, std::string>> entries) = 0;
};

/// A storage in memory, for tests. It can be told to be away, and copied and put back like a database
/// restored from a backup.
class MemoryStorage : public Storage {
 public:
  using Rows = std::map<std::string, std::string>;
  Task<std::optional<std::string>> get(std::string path) override;
  Task<std::vector<std::string>> list(std::string prefix) override;
  Task<bool> put(std::string path, std::string value, std::optional<std::string> expected) override;
  Task<bool> erase(std::string path, std::string expected) override;
  Task<bool> insert_all(std::vector<std::pair<std::string, std::string>> entries) override;

  void set_away(bool away) noexcept { away_ = away; }
  /// After this many further writes the storage is away: a crash between two writes.
  void fail_after_writes(std::size_t writes) { writes_left_ = writes; }
  Rows& rows() noexcept { return rows_; }

 private:
  void check() const;
  void check_write();
  Rows rows_;
  bool away_ = false;
  std::optional<std::size_t> writes_left_;
};

}  // namespace terrane::transit
