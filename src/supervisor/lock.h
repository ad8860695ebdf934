#pragma once
#include <filesystem>
#include <utility>

#include "base/task.h"
#include "net/io.h"

namespace terrane::supervisor {

/// The exclusive right to run services on a data directory, for the life of the object. Two files stand in
/// the directory: `serve.lock` is locked by the process that serves and holds its pid; `serve.children` is
/// locked as long as a guard of a child of it runs, be the process itself gone or not.
class DirectoryLock {
 public:
  /// Takes the lock. Another process that serves: Error{conflict} naming its pid, at once. Children that an
  /// earlier one left and that are still ending are waited for, at most `limit`; then Error{conflict} too.
  /// Error{unavailable} when the files cannot be made.
  static Task<DirectoryLock> take(std::filesystem::path directory, net::Clock::duration limit);
  DirectoryLock(DirectoryLock&& other) noexcept
      : own_(std::exchange(other.own_, -1)), children_(std::exchange(other.children_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  ~DirectoryLock();

  /// The descriptor that guards keep open (net::Guard::keep_open).
  int children() const noexcept { return children_; }

 private:
  DirectoryLock() = default;
  int own_ = -1;
  int children_ = -1;
};

}  // namespace terrane::supervisor
