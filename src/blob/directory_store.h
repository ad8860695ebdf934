#pragma once
#include <filesystem>

#include "blob/store.h"
#include "net/io.h"

namespace terrane::blob {

struct DirectoryOptions {
  /// Bytes of the file system that stay free: what would go below is refused as if the disk were full.
  std::uint64_t reserve = 0;
};

/// A store in a directory of a local or mounted file system. Several processes may use the same directory.
class DirectoryStore : public Store {
 public:
  /// Makes the folders and removes what killed writers left; blocks. Throws Error{unavailable} when the
  /// directory cannot be used.
  DirectoryStore(net::Executor executor, const std::filesystem::path& path, DirectoryOptions options = {});
  ~DirectoryStore() override;

  Task<std::unique_ptr<Writer>> create(std::string name) override;
  Task<std::unique_ptr<Reader>> open(std::string name, std::uint64_t offset = 0) override;
  Task<std::optional<std::uint64_t>> size(std::string name) override;
  Task<> remove(std::string name) override;
  Task<std::vector<std::string>> list(std::string prefix, std::string after, std::size_t limit) override;
  /// Appends that arrive while others are made durable wait for these and are then made durable together.
  Task<std::uint64_t> append(std::string name, std::uint64_t position, std::string bytes) override;
  Task<std::uint64_t> log_size(std::string name) override;
  Task<> seal_log(std::string name) override;

  struct Core;

 private:
  std::shared_ptr<Core> core_;  // writers, readers and the flush in flight keep it
};

}  // namespace terrane::blob
